#pragma once
/* The kinds of long jobs: what a step of each is, as SQL. A new kind is a function like export_kinds, a row in
 * kinds.c, and a trigger that makes the row of `long_job` with that of the entity (schemas/sql/0008_long_jobs.sql).
 */

#include "common/db/db.h"

struct long_job_kind {
    const char *name; /* long_job.kind */
    const char *
        resource; /* the entity that it works for: it has the job's id, and the columns status, error, started_at, ended_at */
    const char *
        outcome; /* what else of the entity a change of status sets, from the job's row j: "rows = j.rows, …" */
    /* How much there is to do: $1 company, $2 id → a number. */
    char *count_sql;
    /* One step: $1 company, $2 id, $3 lease, $4 seconds for which the lease is renewed, $5 how many to go through at most, $6 bytes
     * to store, $7 bytes that all may have → whether it is to be cancelled, done, total, whether it is through, whether it is too large.
     * It writes only where `lease` is $3 and sets attempts to 0; no row when the job is another's. */
    char *step_sql;

    /* Made from these by long_job_kinds_new. */
    char *turn_sql;
    struct db_statement count, step, turn;
    char names[3][64];
};

struct long_job_kinds;

struct long_job_kinds *long_job_kinds_new(void);
void long_job_kinds_free(struct long_job_kinds *kinds);
const struct long_job_kind *long_job_kinds_find(const struct long_job_kinds *kinds, struct slice name);

/* By file; each fills in a few kinds and returns how many. */
size_t export_kinds(struct long_job_kind *kinds); /* projects/export.c */
