#pragma once
/* The table `begun_mark`: what a process has begun. A mark that still stands when its command comes again says that
 * the process ended in between, perhaps because of it.
 *
 *   delivered again, or its row has a mark ─▶ suspect: alone in its batch, after a mark of its own is committed
 *   MARKS_MAX such runs never ended ────────▶ dead letter, without another run
 *
 * Together with the first run, of which nobody knew that it would be its process's last, that is three. */

#include "common/db/db.h"
#include "common/db/pg_array.h"
#include "workers/engine/command/command.h"

enum { BEGUN_MARK_RUNS_MAX = 2 };

struct begun_marks {
    struct pg_array companies, commands;
};

void begun_marks_init(struct begun_marks *marks);
void begun_marks_done(struct begun_marks *marks);

/* One more run alone, to be committed before it begins; the answer says how many there were. */
void begun_mark_write(struct db *db, const struct command *command, db_on_result *on_marked, void *arg);
static inline int64_t begun_mark_runs(const struct db_result *result)
{
    return db_int(result, 0, 0);
}

/* A suspect that is parked is still one when its turn comes. */
void begun_marks_keep(struct begun_marks *marks, struct db *db, struct command *const *commands, size_t count,
                      db_on_result *on_done, void *arg);
/* In the transaction that ends what was begun. */
void begun_marks_clear(struct begun_marks *marks, struct db *db, struct command *const *commands,
                       size_t count, db_on_result *on_done, void *arg);
