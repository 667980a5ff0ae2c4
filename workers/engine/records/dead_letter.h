#pragma once
/* The table `dead_letter`: commands that no worker runs any more. Operators read, replay or drop them (the
 * SQL functions dead_letter_replay and dead_letter_drop).
 *
 *   add     a command whose verdict is a failure of ours (500, 503) becomes a row; when it has a row already,
 *           the last death goes into the history of that row
 *   remove  a command that has another result at last loses its row
 *
 * Both happen in the transaction that writes the result. What the broker itself gave up (the queue
 * dead.<pool>: messages that cannot be read, commands past the delivery limit) becomes a row too, before it
 * is acked. Of a parcel, the commands that have a result or wait as rows of `deferred` become none. */

#include "workers/engine/command/command.h"
#include "workers/engine/records/records.h"

/* Each sends one statement, or none when no command asks for it. */
void dead_letter_add(struct records *records, struct command *const *commands, size_t count,
                     db_on_result *on_done, void *arg);
void dead_letter_remove(struct records *records, struct command *const *commands, size_t count,
                        db_on_result *on_done, void *arg);

/* Keeps a message from dead.<pool>; `reason` is the broker's word. */
void dead_letter_keep(struct records *records, const struct command *command, struct slice reason,
                      db_on_result *on_done, void *arg);
