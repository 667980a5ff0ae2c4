#pragma once
/* The table `deferred`: commands that wait outside the broker. A batch uses it in its own transaction, while
 * it holds the sequences of its companies; intake/backlog.h looks for the rows whose time has come.
 *
 *   claim      moves the rows of the batch's commands to `unpublished`; a command whose row is not there any
 *              more belongs to another process
 *   put        writes commands that are to wait as rows, in their order
 *   readdress  gives the reply address of a command's last sender to the row that waits already */

#include "workers/engine/command/command.h"
#include "workers/engine/records/records.h"

/* Each sends one statement, or none when no command asks for it. */
void deferred_claim(struct records *records, struct command *const *commands, size_t count,
                    db_on_result *on_claimed, void *arg);
void deferred_read_claimed(struct command *const *commands, size_t count, const struct db_result *result);
void deferred_put(struct records *records, struct command *const *commands, size_t count,
                  db_on_result *on_put, void *arg);
void deferred_readdress(struct records *records, struct command *const *commands, size_t count,
                        db_on_result *on_done, void *arg);

/* "turn" and so on; NONE for a name that it does not know. */
enum deferral deferral_of(struct slice name);
