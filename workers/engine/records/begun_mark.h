#pragma once
/* The table `begun_mark`: the commands that a process has begun. When a command comes again and its mark
 * still stands, the process ended before the command did, perhaps because of it.
 *
 *   delivered again, or its row has a mark ──▶ it runs alone, after a mark of its own is committed
 *   BEGUN_MARK_RUNS_MAX such runs have not ended ──▶ dead letter, without another run
 *   delivered again in a parcel, and none of that parcel has a mark ──▶ they run together, after their marks are
 *                                          committed. So what waited behind the one that kills is soon done.
 *
 * A run alone is counted right before it begins, and the count is taken back when its transaction was rolled
 * back. So a process that leaves while its command waits (for a lock, in a back-off) leaves no count behind.
 *
 * Nobody knew of the first run that it would be the last one of its process, so a command ends three
 * processes at most, and four if it came in a parcel. */

#include "workers/engine/command/command.h"
#include "workers/engine/records/records.h"

enum { BEGUN_MARK_RUNS_MAX = 2 };

/* Counts one more run alone, unless another transaction holds the sequence of the company. The caller commits
 * the mark before that run begins. */
void begun_mark_write(struct records *records, const struct command *command, db_on_result *on_written,
                      void *arg);
/* Reads the answer: how many such runs the command has had, this one included; 0: the sequence is held. */
static inline int64_t begun_mark_runs(const struct db_result *result)
{
    return db_rows(result) > 0 ? db_int(result, 0, 0) : 0;
}
/* Marks commands of one parcel that are to run together; their runs alone are not counted. The answer has a row for each
 * that had no mark. */
void begun_mark_write_together(struct records *records, struct command *const *commands, size_t count,
                               db_on_result *on_written, void *arg);
/* The run that was counted last did not take place, or has ended without a result. */
void begun_mark_take_back(struct records *records, const struct command *command);

/* Marks those that were begun before and now become rows of `deferred`, so that they run alone when their
 * turn comes. Each of these functions sends one statement, or none when no command asks for it. */
void begun_mark_keep(struct records *records, struct command *const *commands, size_t count,
                     db_on_result *on_done, void *arg);
/* Deletes the marks of this process, in the transaction that ends what was begun. Those that were kept stay. */
void begun_mark_delete(struct records *records, struct command *const *commands, size_t count,
                       db_on_result *on_done, void *arg);
