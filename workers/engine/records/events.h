#pragma once
/* The table `events`: what the commands have caused, numbered for each company.
 *
 *   recall  brings the events of commands that ran before, so that they are published again
 *   add     writes the events of the commands that ran now */

#include "workers/engine/command/command.h"
#include "workers/engine/records/records.h"

#define EVENTS_COLUMNS "company_id, seq, at, command_id, type, subject, project, actor, version, data"

/* The recall: begin, name each command by its ordinal in the batch (from 1) with the number and the time of
 * its first event, and send. Nothing else may use `records` in between. */
void events_recall_begin(struct records *records);
void events_recall_add(struct records *records, int64_t ordinal, const struct command *command, int64_t seq,
                       struct slice at);
void events_recall_send(struct records *records, db_on_result *on_recalled, void *arg);
/* Gives the commands their events. A command whose events are no longer kept is refused. */
void events_read_recalled(struct command *const *commands, size_t count, const struct db_result *result);

/* Sends one statement, or none when there is no event. `at`: the time of the batch. */
void events_add(struct records *records, struct command *const *commands, size_t count, const char *at,
                db_on_result *on_done, void *arg);
