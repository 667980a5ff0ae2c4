#pragma once
/* Whether the tokens of a command's sender were revoked after it was sent, or those of an operator after they had
 * put its schedule, asked for the run, or replayed its dead letter (table `revocation`). The gateway
 * asks when a command comes in; the worker asks again when it runs a command that has waited since:
 *
 *   a row of `deferred` (its time has come, it is tried again, it had been parked, a schedule made it),
 *   a delivery that this process tries again, or that was sent a while ago
 *
 * The batch asks in its own transaction, so a revocation that was committed before the command runs is seen. */

#include "workers/engine/command/command.h"
#include "workers/engine/records/records.h"

/* true when the command has waited. `now_s`: seconds since 1970. */
bool revoked_concerns(const struct command *command, int64_t now_s);

/* Sends one statement, or none when no command of the batch has waited. */
void revoked_ask(struct records *records, struct command *const *commands, size_t count, int64_t now_s,
                 db_on_result *on_asked, void *arg);
/* Sets is_revoked of those that were. */
void revoked_read(struct command *const *commands, size_t count, const struct db_result *result);
