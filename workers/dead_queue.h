#pragma once
/* What the broker gave up (dead.<pool>: messages that nobody can read, commands past the delivery limit) becomes
 * rows of `dead_letter`:
 *
 *   dead.<pool> ─▶ kept here ─ dead_queue_run ─▶ a row, committed ─▶ ack
 *
 * On a connection of its own: it must not come between the deliveries of the commands. */

#include <ev.h>

#include "common/config.h"
#include "common/db.h"

struct dead_queue;

/* Strings of `config` and `pool` must outlive it. */
enum err dead_queue_new(struct ev_loop *loop, struct db *db, const struct config *config, const char *pool,
                        struct dead_queue **ret_queue) MUST_CHECK;
void dead_queue_free(struct dead_queue *queue); /* after its db */

/* Sends what has come, each in a transaction of its own; not inside of a batch's. */
void dead_queue_run(struct dead_queue *queue);
/* Takes no more. */
void dead_queue_stop(struct dead_queue *queue);
