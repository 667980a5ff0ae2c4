#pragma once
/* The kinds of long jobs, and a step of each as SQL. A new kind is a function like export_kinds, a row in
 * kinds.c, and a trigger that makes the row of `long_job` together with that of the entity
 * (schemas/sql/0008_long_jobs.sql). */

#include "common/db/db.h"

enum { LONG_JOB_NAME_SIZE = 96 };

struct long_job_kind {
    char name[LONG_JOB_NAME_SIZE]; /* long_job.kind */
    /* The entity that the job works for: it has the job's id, and the columns status, error, started_at,
     * ended_at. */
    const char *resource;
    /* What else a change of status sets in the entity, from the job's row j: "rows = j.rows, …". */
    const char *outcome;
    /* How much there is to do: $1 company, $2 id → a number. */
    char *count_sql;
    /* One step: $1 company, $2 id, $3 lease, $4 seconds for which the lease is renewed, $5 most rows to go
     * through, $6 most bytes to store, $7 most bytes of the whole result → whether the job is to be
     * cancelled, done, total, whether it is through, whether it is too large. It writes only where `lease` is
     * $3, and sets attempts to 0; it returns no row when another process has the job. */
    char *step_sql;
    /* Deletes up to $1 pieces of results that are no longer wanted, and says how many there were: done while no job is
     * due. NULL: the kind keeps no results of that sort. The same for all kinds of a pool. */
    const char *sweep_sql;

    /* long_job_kinds_new makes the rest. */
    char *turn_sql;
    struct db_statement count, step, turn;
    char names[3][LONG_JOB_NAME_SIZE + 8];
};

struct long_job_kinds;

struct long_job_kinds *long_job_kinds_new(void);
/* What a process of this pool does while no job is due; NULL: nothing. */
const char *long_job_kinds_sweep(const struct long_job_kinds *kinds, const char *pool);
/* Whether this pool has any. */
bool long_job_kinds_are_of(const char *pool);
void long_job_kinds_free(struct long_job_kinds *kinds);
const struct long_job_kind *long_job_kinds_find(const struct long_job_kinds *kinds, struct slice name);

/* One function for each file; it fills in some kinds, unless `kinds` is NULL, and returns how many there are. */
size_t export_kinds(struct long_job_kind *kinds);           /* projects/export.c */
size_t webhook_recovery_kinds(struct long_job_kind *kinds); /* webhooks/recovery.c */
