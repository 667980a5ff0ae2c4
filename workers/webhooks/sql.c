#include "workers/webhooks/sql.h"

/* ---- due ---- */

#define DUE_LANES                                                                                           \
    ", lanes AS MATERIALIZED ("                                                                             \
    " SELECT a.company_id, a.id, a.most, w.url, w.headers, w.concurrency, w.rate, w.signature, w.status = " \
    "'active' AS is_active,"                                                                                \
    " w.ordering <> 'none' AS is_in_order, w.secret,"                                                       \
    " CASE WHEN w.secret_before_until > now() THEN w.secret_before END AS secret_before,"                   \
    " h.failures_in_row, h.public_key"                                                                      \
    " FROM asked AS a"                                                                                      \
    " JOIN webhook_endpoint AS w ON w.company_id = a.company_id AND w.id = a.id"                            \
    " JOIN webhook_health AS h ON h.company_id = a.company_id AND h.id = a.id)"

#define DELIVERY                                                                                            \
    "d.company_id, d.endpoint_id, d.id, d.turn, d.event_seq, d.event_at, d.attempts, d.tries, d.is_asked, " \
    "d.is_thin"

/* To an endpoint that is paused or disabled goes only what somebody has asked for. */
#define DUE_FOUND                                                                                            \
    ", found AS MATERIALIZED ("                                                                              \
    " SELECT d.* FROM lanes AS l CROSS JOIN LATERAL ("                                                       \
    " (SELECT " DELIVERY " FROM webhook_delivery AS d"                                                       \
    " WHERE d.company_id = l.company_id AND d.endpoint_id = l.id AND d.next_at <= now() AND NOT d.is_behind" \
    " AND l.is_active AND d.id <> ALL ($4::uuid[])"                                                          \
    " ORDER BY d.next_at, d.event_seq LIMIT l.most)"                                                         \
    " UNION ALL"                                                                                             \
    " (SELECT " DELIVERY " FROM webhook_delivery AS d"                                                       \
    " WHERE d.company_id = l.company_id AND d.endpoint_id = l.id AND d.next_at <= now() AND d.is_asked"      \
    " AND NOT l.is_active AND d.id <> ALL ($4::uuid[])"                                                      \
    " LIMIT l.most)) AS d)"

/* What is not the first of its turn waits behind it, and is not found again until that is over. */
#define DUE_BEHIND                                                                             \
    ", behind AS ("                                                                            \
    " UPDATE webhook_delivery AS d SET is_behind = true"                                       \
    " FROM found AS f"                                                                         \
    " WHERE f.turn IS NOT NULL AND NOT f.is_asked"                                             \
    " AND d.company_id = f.company_id AND d.id = f.id"                                         \
    " AND EXISTS (SELECT FROM webhook_delivery AS e"                                           \
    " WHERE e.company_id = f.company_id AND e.endpoint_id = f.endpoint_id AND e.turn = f.turn" \
    " AND e.next_at IS NOT NULL AND e.event_seq < f.event_seq)"                                \
    " RETURNING d.company_id, d.id)"

#define DUE_SHOWN                                                                                           \
    " SELECT l.company_id, l.id, l.concurrency, l.rate, l.failures_in_row,"                                 \
    " CASE WHEN l.is_active THEN (SELECT extract(epoch FROM d.next_at - now()) FROM webhook_delivery AS d"  \
    " WHERE d.company_id = l.company_id AND d.endpoint_id = l.id AND d.next_at > now() AND NOT d.is_behind" \
    " ORDER BY d.next_at LIMIT 1) END,"                                                                     \
    " (SELECT count(*) FROM found AS f WHERE f.company_id = l.company_id AND f.endpoint_id = l.id) >= "     \
    "l.most,"                                                                                               \
    " l.is_in_order, f.id, l.url, l.headers, l.signature, l.secret, l.secret_before, l.public_key,"         \
    " f.attempts, f.tries, f.is_asked, webhook_body(e, f.is_thin)"                                          \
    " FROM lanes AS l"                                                                                      \
    " LEFT JOIN (SELECT * FROM found AS f WHERE NOT EXISTS ("                                               \
    " SELECT FROM behind AS b WHERE b.company_id = f.company_id AND b.id = f.id)) AS f"                     \
    " ON f.company_id = l.company_id AND f.endpoint_id = l.id"                                              \
    " LEFT JOIN events AS e ON e.company_id = f.company_id AND e.seq = f.event_seq AND e.at = f.event_at"

const char webhooks_due[] = DUE_LANES DUE_FOUND DUE_BEHIND DUE_SHOWN;

/* ---- outcomes ---- */

/* An outcome that is recorded already changes nothing. After an attempt that somebody has asked for and that has failed, the
 * delivery is what it was. */
#define RECORD_ENDED                                                                                       \
    ", ended AS ("                                                                                         \
    " UPDATE webhook_delivery AS d SET"                                                                    \
    " status = CASE WHEN r.detail ->> 'end' = 'delivered' OR NOT d.is_asked THEN r.detail ->> 'end' ELSE " \
    "d.resume_as END,"                                                                                     \
    " next_at = CASE WHEN r.detail ->> 'end' = 'delivered' THEN NULL"                                      \
    " WHEN d.is_asked THEN d.resume_at"                                                                    \
    " WHEN r.detail ->> 'end' = 'retrying' THEN now() + make_interval(secs => (r.detail ->> "              \
    "'after')::double precision) END,"                                                                     \
    " attempts = d.attempts + 1,"                                                                          \
    " tries = d.tries + (NOT d.is_asked)::integer,"                                                        \
    " http_status = (r.detail ->> 'code')::integer,"                                                       \
    " error = r.detail ->> 'error',"                                                                       \
    " took_ms = (r.detail ->> 'took')::integer,"                                                           \
    " response = CASE WHEN r.detail ->> 'end' = 'delivered' THEN r.detail ->> 'response' END,"             \
    " attempted_at = now(), is_asked = false, resume_as = NULL, resume_at = NULL, is_behind = false,"      \
    " version = d.version + 1, updated_at = now()"                                                         \
    " FROM results AS r"                                                                                   \
    " WHERE d.company_id = r.company_id AND d.id = r.id AND d.next_at IS NOT NULL"                         \
    " AND d.attempts = (r.detail ->> 'n')::integer - 1"                                                    \
    " RETURNING d.company_id, d.endpoint_id, d.id, d.attempts, d.turn, d.event_seq, d.next_at, r.detail, " \
    "r.place,"                                                                                             \
    " r.detail ->> 'end' = 'delivered' AS is_good)"

#define RECORD_ATTEMPTS                                                                                    \
    ", kept AS ("                                                                                          \
    " INSERT INTO webhook_attempt (company_id, delivery_id, at, n, http_status, error, took_ms, response)" \
    " SELECT company_id, id, now(), attempts, (detail ->> 'code')::integer, detail ->> 'error',"           \
    " (detail ->> 'took')::integer, detail ->> 'response'"                                                 \
    " FROM ended WHERE NOT is_good)"

/* The next one of the turn is due. */
#define RECORD_NEXT                                                                            \
    ", freed AS ("                                                                             \
    " UPDATE webhook_delivery AS d SET is_behind = false"                                      \
    " FROM (SELECT DISTINCT n.company_id, n.id FROM ended AS e CROSS JOIN LATERAL ("           \
    " SELECT n.company_id, n.id FROM webhook_delivery AS n"                                    \
    " WHERE n.company_id = e.company_id AND n.endpoint_id = e.endpoint_id AND n.turn = e.turn" \
    " AND n.next_at IS NOT NULL AND n.event_seq > e.event_seq"                                 \
    " ORDER BY n.event_seq LIMIT 1) AS n"                                                      \
    " WHERE e.turn IS NOT NULL AND e.next_at IS NULL) AS f"                                    \
    " WHERE d.company_id = f.company_id AND d.id = f.id AND d.is_behind)"

/* ---- health ---- */

#define RECORD_SUMS                                                                                         \
    ", sums AS MATERIALIZED ("                                                                              \
    " SELECT company_id, endpoint_id, count(*) FILTER (WHERE is_good) AS good, count(*) FILTER (WHERE NOT " \
    "is_good) AS bad,"                                                                                      \
    " count(*) FILTER (WHERE NOT is_good AND place > last_good) AS bad_since,"                              \
    " (array_agg(detail ->> 'error' ORDER BY place DESC) FILTER (WHERE NOT is_good))[1] AS error,"          \
    " max(detail ->> 'key') AS key, max(detail ->> 'reason') AS reason"                                     \
    " FROM (SELECT *, coalesce(max(place) FILTER (WHERE is_good) OVER (PARTITION BY company_id, "           \
    "endpoint_id), 0) AS last_good"                                                                         \
    " FROM ended) AS e"                                                                                     \
    " GROUP BY company_id, endpoint_id)"

/* The time of nothing but failures counts from the first failure since the last success. */
#define RECORD_STATE                                                                                    \
    ", state AS MATERIALIZED ("                                                                         \
    " SELECT s.*, h.told AS told_before,"                                                               \
    " CASE WHEN good = 0 THEN coalesce(h.failing_since, now()) WHEN bad_since > 0 THEN now() END AS "   \
    "failing_since,"                                                                                    \
    " CASE WHEN good = 0 THEN h.failures_in_row + bad ELSE bad_since END AS failures_in_row"            \
    " FROM sums AS s JOIN webhook_health AS h ON h.company_id = s.company_id AND h.id = s.endpoint_id)" \
    ", told AS MATERIALIZED ("                                                                          \
    " SELECT s.*, CASE WHEN now() >= failing_since + interval '120 hours' THEN 100"                     \
    " WHEN now() >= failing_since + interval '108 hours' THEN 90"                                       \
    " WHEN now() >= failing_since + interval '84 hours' THEN 70"                                        \
    " WHEN now() >= failing_since + interval '60 hours' THEN 50 ELSE 0 END AS told"                     \
    " FROM state AS s)"

#define RECORD_HEALTH                                                                            \
    ", health AS ("                                                                              \
    " UPDATE webhook_health AS h SET"                                                            \
    " delivered = h.delivered + t.good, failures = h.failures + t.bad,"                          \
    " failures_in_row = t.failures_in_row, failing_since = t.failing_since, told = t.told,"      \
    " last_success_at = CASE WHEN t.good > 0 THEN now() ELSE h.last_success_at END,"             \
    " last_failure_at = CASE WHEN t.bad > 0 THEN now() ELSE h.last_failure_at END,"              \
    " last_error = coalesce(t.error, h.last_error), public_key = coalesce(t.key, h.public_key)," \
    " reason = coalesce(t.reason, CASE WHEN t.told = 100 THEN 'failing' ELSE h.reason END),"     \
    " version = h.version + 1, updated_at = now()"                                               \
    " FROM told AS t"                                                                            \
    " WHERE h.company_id = t.company_id AND h.id = t.endpoint_id)"

/* What becomes of the endpoint is a command, which runs in its company's order and causes an event. The body is {}. */
#define RECORD_TOLD                                                                                   \
    ", put AS ("                                                                                      \
    " INSERT INTO deferred (company_id, command_id, pool, slot, reason, due_at, type, actor, role, "  \
    "subject, fingerprint, sent, body)"                                                               \
    " SELECT company_id, gen_random_uuid(), 'webhooks', company_slot(company_id), 'schedule', now()," \
    " 'webhook_endpoint.' || CASE WHEN reason IS NOT NULL OR told = 100 THEN 'disable'"               \
    " WHEN told > told_before THEN 'fail' ELSE 'heal' END,"                                           \
    " '00000000-0000-0000-0000-000000000000', 'super_admin', endpoint_id, 0, extract(epoch FROM "     \
    "now())::bigint, '\\x80'"                                                                         \
    " FROM told"                                                                                      \
    " WHERE reason IS NOT NULL OR told <> told_before)"

const char webhooks_record[] =
    RECORD_ENDED RECORD_ATTEMPTS RECORD_NEXT RECORD_SUMS RECORD_STATE RECORD_HEALTH RECORD_TOLD;
