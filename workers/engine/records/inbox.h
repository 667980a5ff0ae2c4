#pragma once
/* The table `inbox`: the result of each command that ran. It is why a command that comes twice takes effect
 * once.
 *
 *   look  finds the commands of a batch that have a result already, or wait in `deferred`. The batch holds
 *         the sequences of their companies by then, so the statement sees what their last holder committed.
 *   add   writes the results of the commands that ran now; that of a dead letter gives way to the new one */

#include "workers/engine/command/command.h"
#include "workers/engine/records/records.h"

#define INBOX_COLUMNS "company_id, command_id, fingerprint, status, http_status, seq, refusal, at"

void inbox_look(struct records *records, struct command *const *commands, size_t count,
                db_on_result *on_found, void *arg);

/* Notes what was found, and gives their results to the commands that ran before. A command whose id belongs
 * to another request is refused. Returns how many of them were successes: when there are any, the caller
 * sends their recall (events_recall_send) before it does anything else. */
size_t inbox_read_found(struct records *records, struct command *const *commands, size_t count,
                        const struct db_result *result);

/* Sends at most three statements. `at`: the time of the batch. */
void inbox_add(struct records *records, struct command *const *commands, size_t count, const char *at,
               db_on_result *on_done, void *arg);
