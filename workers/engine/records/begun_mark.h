#pragma once
/* The table `begun_mark`: the commands that a process has begun. When a command comes again and its mark
 * still stands, the process ended before the command did, perhaps because of it.
 *
 *   delivered again, or its row has a mark ──▶ it runs alone, after a mark of its own is committed
 *   BEGUN_MARK_RUNS_MAX such runs have not ended ──▶ dead letter, without another run
 *
 * Nobody knew of the first run that it would be the last one of its process, so a command ends three
 * processes at most. */

#include "workers/engine/command/command.h"
#include "workers/engine/records/records.h"

enum { BEGUN_MARK_RUNS_MAX = 2 };

/* Counts one more run alone. The caller commits the mark before that run begins. */
void begun_mark_write(struct records *records, const struct command *command, db_on_result *on_written,
                      void *arg);
/* Reads the answer: how many such runs the command has had, this one included. */
static inline int64_t begun_mark_runs(const struct db_result *result)
{
    return db_int(result, 0, 0);
}

/* Marks those that were begun before and now become rows of `deferred`, so that they run alone when their
 * turn comes. Each of these functions sends one statement, or none when no command asks for it. */
void begun_mark_keep(struct records *records, struct command *const *commands, size_t count,
                     db_on_result *on_done, void *arg);
/* Deletes the marks of this process, in the transaction that ends what was begun. */
void begun_mark_delete(struct records *records, struct command *const *commands, size_t count,
                       db_on_result *on_done, void *arg);
