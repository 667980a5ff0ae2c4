#pragma once
/* The statements about long jobs that are the same for every kind. Those of a holder name its lease ($3) and
 * renew it by $4 seconds. When another process has the job by now, they do nothing and return no row. */

#include "common/db/db.h"

/* Sent first on each connection: every row here is found by an index. */
extern const struct db_statement long_job_set_up;

/* Locks the company's sequence ($1); that lock comes before the job's. */
extern const struct db_statement long_job_lock;

/* $1 pool, $2 seconds of the lease, $3 this process → a job that is due, and this process now holds it. Jobs
 * of companies that have none in work come first. */
extern const struct db_statement long_job_take;
enum {
    TAKEN_COMPANY,
    TAKEN_ID,
    TAKEN_KIND,
    TAKEN_LEASE,
    TAKEN_STATUS,
    TAKEN_ERROR,
    TAKEN_CANCEL_ASKED,
    TAKEN_ATTEMPTS,
    TAKEN_EVENT_SEQ,
    TAKEN_PUBLISHED_SEQ
};

extern const struct db_statement long_job_renew; /* $1 company, $2 id, $3 lease, $4 seconds */

/* $1 company, $2 id, $3 lease → the event of the job's last change of status. */
extern const struct db_statement long_job_event;
enum { EVENT_SEQ, EVENT_AT, EVENT_TYPE, EVENT_SUBJECT, EVENT_ACTOR, EVENT_VERSION, EVENT_DATA };

/* $1 to $4 as above, $5 the number of the event that was published. */
extern const struct db_statement long_job_published;

/* $1 to $3 as above, $4 seconds until any process may take the job, $5 error, $6 attempts that are not to
 * count. */
extern const struct db_statement long_job_let_go;

/* The columns that a step of a kind returns. */
enum { STEP_CANCEL_ASKED, STEP_DONE, STEP_TOTAL, STEP_IS_THROUGH, STEP_IS_TOO_LARGE };
