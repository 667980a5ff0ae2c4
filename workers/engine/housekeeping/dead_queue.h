#pragma once
/* What the broker gave up (dead.<pool>: messages that nobody can read, commands past the delivery limit) becomes
 * rows of `dead_letter`:
 *
 *   dead.<pool> ─▶ kept here while the database is away ─▶ a row, committed ─▶ ack
 *
 * A part of the desk, on its connections. */

#include <ev.h>

#include "common/broker/broker.h"
#include "common/db/db.h"

struct dead_queue;

#define DEAD_QUEUE_TAG "dead" /* of its consumer */

/* `pool` must outlive it. delivery_limit: that of the pool's queues (common/broker/topology.h). */
struct dead_queue *dead_queue_new(struct ev_loop *loop, struct broker *broker, struct db *db,
                                  const char *pool, int64_t delivery_limit);
void dead_queue_free(struct dead_queue *queue); /* after the broker and the db */

void dead_queue_consume(struct dead_queue *queue); /* the broker is up, and the queue declared */
void dead_queue_take(struct dead_queue *queue, const struct broker_delivery *delivery);
/* Sends what is kept, each in a transaction of its own: when the database is there (again). */
void dead_queue_run(struct dead_queue *queue);
