#pragma once
/* Looks for the rows of `deferred` and `unpublished` that are this process's to run (those of its
 * partitions), and brings them to the intake:
 *
 *   scan         which companies have parked commands (scan.h)
 *   rows         the next ones of a company whose turn is near
 *   due          those whose time has come: retries, schedules; not those of a company that is locked, so that
 *                its rows do not take the place of others
 *   unpublished  those that ran in a process which died before it could publish their result
 *
 * A row that cannot be read becomes a dead letter (records/unreadable.h).
 *
 * Rows are only read here, and marked as begun (begun_mark.h); the batch that runs a command deletes its row.
 * So when two processes bring the same row, one of them finds it gone. */

#include <ev.h>

#include "common/db/db.h"
#include "common/process/config.h"
#include "workers/engine/intake/intake.h"

struct backlog;

/* `pool`, `partitions` and `intake` must outlive it. */
struct backlog *backlog_new(struct ev_loop *loop, struct db *db, const char *pool,
                            const struct partition_set *partitions, struct intake *intake,
                            const struct config *config);
/* After its db. */
void backlog_free(struct backlog *backlog);

/* These partitions were gained. Their deliveries wait until scan.h has found which of their companies have
 * rows, because those are older; everything else goes on. */
void backlog_rescan(struct backlog *backlog, uint64_t partitions);

/* Sends the statements that are due. The caller calls it only while no batch is at work. */
void backlog_run(struct backlog *backlog);

/* A command has been settled, or dropped. */
void backlog_settled(struct backlog *backlog, const struct command *command);
/* The database takes no result of it. Its row, when it has one, becomes a dead letter; what the broker delivered
 * goes back to the broker. */
void backlog_rejected(struct backlog *backlog, const struct command *command);
/* The broker has confirmed all that is published of it: its row in `unpublished` is deleted. */
void backlog_published(struct backlog *backlog, const struct command *command);
/* This process leaves, and did not run the command. Its row stays, and its begun mark is deleted. */
void backlog_give_up(struct backlog *backlog, const struct command *command);
/* All those rows are deleted. */
bool backlog_is_idle(const struct backlog *backlog);

/* From now on no more rows are brought. */
void backlog_stop(struct backlog *backlog);
