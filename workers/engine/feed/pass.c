#include "workers/engine/feed/pass.h"

#include <assert.h>

#include "common/base/buf.h"

enum { SQL_MAX = 32 << 10 };

/* `locked` is a row as it is now, and the rest of the statement sees the rows of its snapshot: a cursor that has moved in
 * between is left alone. What follows is written from events of cursors that have moved, and of no others.
 *
 * `within` is a condition on the time of events; `having` says which cursors move, `join` which companies have a row. */
#define PASS_BEGIN(within, join, last, having)                                                   \
    "WITH locked AS MATERIALIZED ("                                                              \
    " SELECT company_id, seq FROM feed"                                                          \
    " WHERE pool = $1 AND company_id = ANY ($2::uuid[])"                                         \
    " ORDER BY company_id"                                                                       \
    " FOR UPDATE SKIP LOCKED),"                                                                  \
    " mine AS MATERIALIZED ("                                                                    \
    " SELECT f.company_id, f.seq, s.seq AS head"                                                 \
    " FROM locked AS l"                                                                          \
    " JOIN feed AS f ON f.company_id = l.company_id AND f.pool = $1 AND f.seq = l.seq"           \
    " JOIN company_sequence AS s ON s.company_id = f.company_id),"                               \
    " seen AS MATERIALIZED ("                                                                    \
    " SELECT e.* FROM mine AS m CROSS JOIN LATERAL ("                                            \
    " SELECT company_id, seq, at, type, subject, project, actor, version, data FROM events AS e" \
    " WHERE e.company_id = m.company_id AND e.seq > m.seq" within " ORDER BY e.seq"              \
    " LIMIT $3::integer) AS e),"                                                                 \
    " reached AS MATERIALIZED ("                                                                 \
    " SELECT m.company_id, m.seq, " last " AS last, count(e.seq) AS count"                       \
    " FROM mine AS m " join " JOIN seen AS e ON e.company_id = m.company_id"                     \
    " GROUP BY m.company_id, m.seq, m.head"                                                      \
    " HAVING " having "),"                                                                       \
    " moved AS ("                                                                                \
    " UPDATE feed AS f SET seq = r.last,"                                                        \
    " dropped = f.dropped + (r.last - r.seq - r.count),"                                         \
    " dropped_at = CASE WHEN r.last - r.seq > r.count THEN now() ELSE f.dropped_at END"          \
    " FROM reached AS r"                                                                         \
    " WHERE f.pool = $1 AND f.company_id = r.company_id AND f.seq = r.seq"                       \
    " RETURNING f.company_id, r.seq, r.last, r.count),"                                          \
    " batch AS MATERIALIZED (SELECT e.* FROM seen AS e JOIN moved AS m ON m.company_id = e.company_id)"

#define PASS_END                                                                                 \
    " SELECT m.company_id, coalesce(r.count, 0), greatest(m.head - coalesce(r.last, m.seq), 0)," \
    " coalesce(r.last - r.seq - r.count, 0)"                                                     \
    " FROM mine AS m LEFT JOIN moved AS r ON r.company_id = m.company_id"

static char *make(const char *begin, const struct feed_consumer *consumer)
{
    CLEANUP(buf_done) struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, begin);
    buf_append_text(&sql, consumer->follows);
    buf_append_text(&sql, PASS_END);
    buf_append_char(&sql, '\0');
    assert(!sql.truncated);
    return xstrdup(buf_data(&sql));
}

void pass_init(struct pass *pass, const struct feed_consumer *consumer)
{
    pass->recent_sql = make(PASS_BEGIN(" AND e.at >= now() - interval '1 day'", "", "max(e.seq)",
                                       "max(e.seq) - m.seq = count(*)"),
                            consumer);
    pass->all_sql =
        make(PASS_BEGIN("", "LEFT", "coalesce(max(e.seq), m.head)", "coalesce(max(e.seq), m.head) > m.seq"),
             consumer);
    pass->recent = (struct db_statement){"feed.pass_recent", pass->recent_sql};
    pass->all = (struct db_statement){"feed.pass_all", pass->all_sql};
}

void pass_done(struct pass *pass)
{
    free(pass->recent_sql);
    free(pass->all_sql);
}
