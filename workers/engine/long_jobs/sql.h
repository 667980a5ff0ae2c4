#pragma once
/* The statements about long jobs that are the same for every kind. Those of a holder name its lease ($3) and do nothing, without
 * a row in the answer, when the job is another's by now; and they renew it by $4 seconds. */

#include "common/db/db.h"

/* As the worker's own connection. */
extern const struct db_statement long_job_set_up;

/* The company's sequence ($1), before its job. */
extern const struct db_statement long_job_lock;

/* $1 pool, $2 seconds of the lease, $3 who is asking → the job whose time has come, now the caller's; those of companies that have none at work
 * first. */
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
    TAKEN_TOLD_SEQ
};

extern const struct db_statement long_job_renew; /* $1 company, $2 id, $3 lease, $4 seconds */

/* $1 company, $2 id, $3 lease → the event of its last change of status. */
extern const struct db_statement long_job_event;
enum { EVENT_SEQ, EVENT_AT, EVENT_TYPE, EVENT_SUBJECT, EVENT_ACTOR, EVENT_VERSION, EVENT_DATA };

extern const struct db_statement
    long_job_told; /* $1 to $4 as above, $5 the number of the event that was published */

/* $1 to $3 as above, $4 seconds until anybody may take it, $5 error, $6 takings that are not to count. */
extern const struct db_statement long_job_let_go;

/* What a long_job_kind's step answers. */
enum { STEP_CANCEL_ASKED, STEP_DONE, STEP_TOTAL, STEP_IS_THROUGH, STEP_IS_TOO_LARGE };

/* $1 how many pieces of results that nobody wants any more may be deleted → how many were. */
extern const struct db_statement long_job_sweep;
