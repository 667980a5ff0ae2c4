#pragma once
/* Looks for what waits in `deferred` and is this process's to run (its partitions), and brings it to the intake:
 *
 *   scan    which companies have parked commands: when a partition is gained, and now and then
 *   rows    the next ones of a company whose turn is near
 *   due     those whose time has come: retries, schedules
 *   untold  those that ran in a process which died before it could tell what came of them
 *
 * Rows are only read here, and marked as begun (begun_mark.h); the batch that runs a command deletes its row. So when
 * two processes bring the same row, one of them finds it gone. */

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

/* The partitions have changed, or the connection: what waits is looked for at once, and backlog_is_ready is
 * false until the answer is there. Deliveries of a company must not be run before: its rows are older. */
void backlog_rescan(struct backlog *backlog);
bool backlog_is_ready(const struct backlog *backlog);

/* Sends what is due to be asked, outside of any transaction of a batch. */
void backlog_run(struct backlog *backlog);

/* A command from a row has been settled, or dropped. */
void backlog_settled(struct backlog *backlog, const struct command *command);
/* And all is confirmed that was to be told of it: its row in `unpublished` goes. */
void backlog_published(struct backlog *backlog, const struct command *command);
/* All those have gone. */
bool backlog_is_idle(const struct backlog *backlog);

/* No more rows are brought. */
void backlog_stop(struct backlog *backlog);
