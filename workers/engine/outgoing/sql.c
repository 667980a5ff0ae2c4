#include "workers/engine/outgoing/sql.h"

#include <assert.h>

#include "common/base/buf.h"

enum { SQL_MAX = 32 << 10 };

/* A lane is free when nobody holds it, or whoever does has not renewed its lease. Its own holder finds it when there is something
 * new. The lanes of a holder that is gone (its connection has ended) are looked for by themselves, now and then, since they are to
 * be looked at when the lease would have ended. */
const struct db_statement outgoing_look = {
    "outgoing.look",
    "WITH due AS MATERIALIZED ("
    " SELECT company_id, id FROM outgoing_lane"
    " WHERE pool = $1 AND look_at <= now() AND slot % $2::integer = ANY ($3::integer[])"
    " AND (until IS NULL OR until <= now() OR holder = $4::bigint"
    " OR NOT EXISTS (SELECT FROM pg_stat_get_activity(backend)))"
    " ORDER BY look_at"
    " LIMIT $6::integer"
    " FOR UPDATE SKIP LOCKED),"
    " left_behind AS MATERIALIZED ("
    " SELECT company_id, id FROM outgoing_lane"
    " WHERE $7::boolean AND pool = $1 AND holder IS NOT NULL AND holder <> $4::bigint"
    " AND slot % $2::integer = ANY ($3::integer[])"
    " AND NOT EXISTS (SELECT FROM pg_stat_get_activity(backend))"
    " LIMIT $6::integer"
    " FOR UPDATE SKIP LOCKED),"
    " found AS (SELECT * FROM due UNION SELECT * FROM left_behind)"
    " UPDATE outgoing_lane AS l SET"
    " lease = l.lease + (l.holder IS DISTINCT FROM $4::bigint)::integer,"
    " holder = $4::bigint,"
    " backend = pg_backend_pid(),"
    " until = now() + make_interval(secs => $5::double precision),"
    " look_at = now() + make_interval(secs => $5::double precision)"
    " FROM found AS f"
    " WHERE l.company_id = f.company_id AND l.id = f.id"
    " RETURNING l.company_id, l.id, l.lease",
};

#define LANES                                                                         \
    " FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS m (company_id, id, lease)" \
    " WHERE l.company_id = m.company_id AND l.id = m.id AND l.lease = m.lease"

/* What is new keeps its time. It may have come from a transaction that began after this one, and that this one has waited
 * for: so it is compared with the clock, and not with the time when this one began. */
const struct db_statement outgoing_renew = {
    "outgoing.renew",
    "UPDATE outgoing_lane AS l SET"
    " backend = pg_backend_pid(),"
    " until = now() + make_interval(secs => ($4::double precision[])[1]),"
    " look_at = CASE WHEN l.look_at <= clock_timestamp() THEN l.look_at"
    " ELSE now() + make_interval(secs => ($4::double precision[])[1]) END" LANES " RETURNING l.id",
};

const struct db_statement outgoing_release = {
    "outgoing.release",
    "UPDATE outgoing_lane AS l SET"
    " holder = NULL, backend = NULL, until = NULL,"
    " look_at = CASE WHEN l.look_at <= clock_timestamp() THEN l.look_at ELSE now() + make_interval(secs => "
    "m.next) END"
    " FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::double precision[]) AS m (company_id, id, lease, "
    "next)"
    " WHERE l.company_id = m.company_id AND l.id = m.id AND l.lease = m.lease",
};

const struct db_statement outgoing_lock = {
    "outgoing.lock",
    "SELECT l.id FROM outgoing_lane AS l"
    " JOIN unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS m (company_id, id, lease)"
    " ON l.company_id = m.company_id AND l.id = m.id AND l.lease = m.lease"
    " ORDER BY l.company_id, l.id"
    " FOR UPDATE OF l",
};

/* The lanes are locked by the statement before, which is of the same transaction. */
#define DUE_BEGIN                                                                                          \
    "WITH asked AS MATERIALIZED ("                                                                         \
    " SELECT m.company_id, m.id, m.most"                                                                   \
    " FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $5::integer[]) AS m (company_id, id, lease, most)" \
    " JOIN outgoing_lane AS l ON l.company_id = m.company_id AND l.id = m.id AND l.lease = m.lease)"

#define RECORD_BEGIN                                                                \
    "WITH results AS MATERIALIZED ("                                                \
    " SELECT m.company_id, m.lane, m.act AS id, m.detail::jsonb AS detail, m.place" \
    " FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::text[])"    \
    " WITH ORDINALITY AS m (company_id, lane, lease, act, detail, place)"           \
    " JOIN outgoing_lane AS l ON l.company_id = m.company_id AND l.id = m.lane AND l.lease = m.lease)"

#define RECORD_END " SELECT id FROM results"

static char *make(const char *begin, const char *middle, const char *end)
{
    CLEANUP(buf_done) struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, begin);
    buf_append_text(&sql, middle);
    buf_append_text(&sql, end);
    buf_append_char(&sql, '\0');
    assert(!sql.truncated);
    return xstrdup(buf_data(&sql));
}

void outgoing_sql_init(struct outgoing_sql *sql, const struct outgoing_kind *kind)
{
    sql->due_sql = make(DUE_BEGIN, kind->due, "");
    sql->record_sql = make(RECORD_BEGIN, kind->record, RECORD_END);
    sql->due = (struct db_statement){"outgoing.due", sql->due_sql};
    sql->record = (struct db_statement){"outgoing.record", sql->record_sql};
}

void outgoing_sql_done(struct outgoing_sql *sql)
{
    free(sql->due_sql);
    free(sql->record_sql);
}
