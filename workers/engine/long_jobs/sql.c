#include "workers/engine/long_jobs/sql.h"

#define IS_MINE "j.company_id = $1::uuid AND j.id = $2::uuid AND j.lease = $3::bigint"
#define IN_4    "clock_timestamp() + make_interval(secs => $4::double precision)"

const struct db_statement long_job_set_up = {
    "long_job.set_up",
    "SELECT set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false)",
};

const struct db_statement long_job_lock = {
    "long_job.lock",
    "SELECT FROM company_sequence WHERE company_id = $1::uuid FOR UPDATE",
};

const struct db_statement long_job_take = {
    "long_job.take",
    "WITH due AS MATERIALIZED ("
    " SELECT j.company_id, j.id FROM long_job AS j"
    " WHERE j.pool = $1::text AND j.due_at <= clock_timestamp()"
    " ORDER BY"
    " (SELECT count(*) FROM long_job AS o"
    " WHERE o.pool = $1::text AND o.due_at > clock_timestamp()"
    " AND o.company_id = j.company_id AND o.status = 'running'),"
    " j.due_at"
    " LIMIT 1"
    " FOR UPDATE SKIP LOCKED)"
    " UPDATE long_job AS j SET"
    " lease = j.lease + 1,"
    " holder = $3::text,"
    " attempts = j.attempts + 1,"
    " due_at = clock_timestamp() + make_interval(secs => $2::double precision)"
    " FROM due"
    " WHERE j.company_id = due.company_id AND j.id = due.id"
    " RETURNING j.company_id, j.id, j.kind, j.lease, j.status, j.error,"
    " j.cancel_asked, j.attempts, j.event_seq, j.told_seq",
};

const struct db_statement long_job_renew = {
    "long_job.renew",
    "UPDATE long_job AS j SET due_at = " IN_4 " WHERE " IS_MINE " RETURNING 1",
};

const struct db_statement long_job_event = {
    "long_job.event",
    "SELECT e.seq, time_text(e.at), e.type, e.subject, e.actor, e.version, e.data"
    " FROM long_job AS j"
    " JOIN events AS e ON e.company_id = j.company_id AND e.seq = j.event_seq AND e.at = j.event_at"
    " WHERE " IS_MINE,
};

const struct db_statement long_job_published = {
    "long_job.published",
    "UPDATE long_job AS j SET"
    " told_seq = $5::bigint,"
    " due_at = CASE WHEN j.ended_at IS NULL THEN " IN_4 " END"
    " WHERE " IS_MINE " RETURNING 1",
};

const struct db_statement long_job_let_go = {
    "long_job.let_go",
    "UPDATE long_job AS j SET"
    " due_at = " IN_4 ","
    " error = coalesce($5::text, j.error),"
    " attempts = greatest(j.attempts - $6::integer, 0),"
    " lease = j.lease + 1"
    " WHERE " IS_MINE,
};
