#pragma once
/* The table `deferred`: commands that wait outside the broker. This is what a batch does with it, in its own
 * transaction and under the locks of its companies' sequences; backlog.h looks for what is to be run.
 *
 *   claim      the rows of the batch's commands go, into `unpublished`; a command whose row is not there any more is somebody else's
 *   put        commands that are to wait become rows, in their order
 *   readdress  a command that waits already and was sent once more answers to its last sender */

#include "common/db/db.h"
#include "common/db/pg_array.h"
#include "workers/engine/command/command.h"

struct deferred;

/* `pool` must outlive it. */
struct deferred *deferred_new(const char *pool);
void deferred_free(struct deferred *deferred);

/* Each sends one statement, or none when no command asks for it. */
void deferred_claim(struct deferred *deferred, struct db *db, struct command *const *commands, size_t count,
                    db_on_result *on_claimed, void *arg);
void deferred_read_claimed(struct command *const *commands, size_t count, const struct db_result *result);
void deferred_put(struct deferred *deferred, struct db *db, struct command *const *commands, size_t count,
                  db_on_result *on_put, void *arg);
void deferred_readdress(struct deferred *deferred, struct db *db, struct command *const *commands,
                        size_t count, db_on_result *on_done, void *arg);

enum deferral deferral_of(struct slice name); /* "turn"; NONE for what it does not know */
