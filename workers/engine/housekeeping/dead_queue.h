#pragma once
/* Messages that the broker gave up (dead.<pool>): those that nobody can read, and commands past the delivery
 * limit. Each becomes a row of `dead_letter`, for operators:
 *
 *   dead.<pool> ─▶ kept in memory while the database is away ─▶ a row, committed ─▶ ack
 *
 * A parcel is read command by command, and acked when all of them are rows. Those that have a result, or wait in
 * `deferred`, become none: a worker rejects a parcel when it has settled all of it and one command could not be.
 *
 * It works on the connections of housekeeping. */

#include <ev.h>

#include "common/broker/broker.h"
#include "common/db/db.h"

struct dead_queue;

#define DEAD_QUEUE_TAG "dead" /* of its consumer */

/* `pool` must outlive it. delivery_limit: that of the pool's queues (common/broker/topology.h). */
struct dead_queue *dead_queue_new(struct ev_loop *loop, struct broker *broker, struct db *db,
                                  const char *pool, int64_t delivery_limit);
void dead_queue_free(struct dead_queue *queue); /* after the broker and the db */

void dead_queue_consume(struct dead_queue *queue); /* when the broker is up and the queue is declared */
void dead_queue_take(struct dead_queue *queue, const struct broker_delivery *delivery);
/* Writes what is kept, each message in a transaction of its own. Call it whenever the database is up
 * (again). */
void dead_queue_run(struct dead_queue *queue);
