/* Recoveries: what an endpoint has missed is put on its way again, by a long job that walks over the events of its time.
 *
 * An event has one delivery to an endpoint, whose id follows from both, so a step that is done twice makes none twice. Each step
 * goes on from the number of the last event that is done. It holds the endpoint, which is not deleted meanwhile. */

#include <assert.h>
#include <stdio.h>

#include "workers/engine/long_jobs/kind.h"
#include "workers/engine/resource/handlers.h"

#define RECOVERIES_OPEN_MAX 10 /* of one endpoint */

static const struct resource_rule create_rules[] = {
    {ERR_CONFLICT, NULL, "The endpoint has " TEXT_OF(RECOVERIES_OPEN_MAX) " recoveries that have not ended.",
     "(SELECT count(*) FROM webhook_recovery AS o WHERE o.company_id = :company AND o.webhook_endpoint_id = "
     ":parent"
     " AND o.ended_at IS NULL) >= " TEXT_OF(RECOVERIES_OPEN_MAX)},
    {0},
};

static const struct resource_column create_computed[] = {{"creator_id", ":actor"}, {0}};

const struct resource_plan webhook_recovery_create = {
    .verb = RESOURCE_CREATE, .rules = create_rules, .computed = create_computed, .begins_long_job = true};

/* ---- one step ---- */

#define RECOVERY                                                                                             \
    "WITH unlimited AS (SELECT $6::bigint, $7::bigint)," /* it stores no bytes */                            \
    " j AS MATERIALIZED (SELECT FROM long_job AS j WHERE j.company_id = $1::uuid AND j.id = $2::uuid"        \
    " AND j.lease = $3::bigint AND j.status = 'running'),"                                                   \
    " w AS MATERIALIZED ("                                                                                   \
    " SELECT r.after_seq, r.since, coalesce(r.until, 'infinity') AS until, r.which, e.id AS endpoint_id,"    \
    " e.event_types, e.filters, e.ordering, e.status, e.body = 'thin' AS is_thin, k.since AS kept_since"     \
    " FROM j CROSS JOIN webhook_kept AS k JOIN webhook_recovery AS r ON r.company_id = $1::uuid AND r.id = " \
    "$2::uuid"                                                                                               \
    " JOIN webhook_endpoint AS e ON e.company_id = r.company_id AND e.id = r.webhook_endpoint_id"            \
    " FOR KEY SHARE OF e),"

/* Partitions of events are days, so whole days are walked in the order of the numbers, and what is not of the time is passed
 * over: a time that is somewhere in a day is not looked for. */
#define WALK                                                                     \
    " walk AS MATERIALIZED ("                                                    \
    " SELECT w.*, v.* FROM w CROSS JOIN LATERAL ("                               \
    " SELECT v.seq, v.at, v.type, v.subject, v.project, v.data FROM events AS v" \
    " WHERE v.company_id = $1::uuid AND v.seq > w.after_seq"                     \
    " AND v.at >= date_trunc('day', w.since, 'UTC')"                             \
    " AND v.at < date_trunc('day', w.until, 'UTC') + interval '1 day'"           \
    " ORDER BY v.seq LIMIT $5::bigint) AS v),"

/* As the consumer does (consumer.c), nobody is told of deliveries, nor an endpoint of itself. */
#define CHOSEN                                                                          \
    " chosen AS MATERIALIZED ("                                                         \
    " SELECT v.*, webhook_delivery_id(v.endpoint_id, v.seq, v.at) AS id"                \
    " FROM walk AS v"                                                                   \
    " LEFT JOIN webhook_delivery AS d ON d.company_id = $1::uuid"                       \
    " AND d.id = webhook_delivery_id(v.endpoint_id, v.seq, v.at)"                       \
    " WHERE v.at >= v.since AND v.at < v.until AND v.status <> 'disabled'"              \
    " AND v.subject <> v.endpoint_id AND v.type NOT LIKE 'webhook\\_delivery.%'"        \
    " AND CASE WHEN d.id IS NULL THEN v.which ? 'missing' AND v.at >= v.kept_since"     \
    " AND webhook_wants(v.event_types, v.filters, v.type, v.data)"                      \
    " ELSE d.next_at IS NULL AND v.which ? CASE d.status WHEN 'skipped' THEN 'skipped'" \
    " WHEN 'exhausted' THEN 'failed' WHEN 'failed' THEN 'failed' ELSE '' END END),"

#define MOVED                                                                                              \
    " moved AS ("                                                                                          \
    " UPDATE long_job AS j SET"                                                                            \
    " done = j.done + n.seen, rows = j.rows + n.chosen, total = greatest(j.total, j.done + n.seen),"       \
    " attempts = 0, error = NULL,"                                                                         \
    " due_at = clock_timestamp() + make_interval(secs => $4::double precision)"                            \
    " FROM (SELECT (SELECT count(*) FROM walk) AS seen, (SELECT count(*) FROM chosen) AS chosen) AS n"     \
    " WHERE j.company_id = $1::uuid AND j.id = $2::uuid AND j.lease = $3::bigint AND j.status = 'running'" \
    " RETURNING j.cancel_asked, j.done, j.total, n.seen < $5::bigint AS is_through),"                      \
    " cursor AS ("                                                                                         \
    " UPDATE webhook_recovery AS r SET after_seq = (SELECT max(seq) FROM walk)"                            \
    " FROM moved AS m"                                                                                     \
    " WHERE r.company_id = $1::uuid AND r.id = $2::uuid AND EXISTS (SELECT FROM walk)),"

#define MADE                                                                                             \
    " made AS ("                                                                                         \
    " INSERT INTO webhook_delivery AS d (company_id, id, endpoint_id, event_type, event_seq, event_at, " \
    "subject_id,"                                                                                        \
    " status, next_at, is_thin, turn)"                                                                   \
    " SELECT $1::uuid, c.id, c.endpoint_id, c.type, c.seq, c.at, c.subject,"                             \
    " CASE WHEN c.status = 'active' THEN 'waiting' ELSE 'held' END, now(), c.is_thin,"                   \
    " CASE c.ordering WHEN 'subject' THEN coalesce(c.project, c.subject) WHEN 'endpoint' THEN "          \
    "c.endpoint_id END"                                                                                  \
    " FROM chosen AS c CROSS JOIN moved AS m"                                                            \
    " ON CONFLICT (company_id, id) DO UPDATE SET status = EXCLUDED.status, next_at = now(), tries = 0,"  \
    " turn = EXCLUDED.turn, is_behind = false, version = d.version + 1, updated_at = now()"              \
    " WHERE d.next_at IS NULL AND d.status IN ('skipped', 'exhausted', 'failed')"                        \
    " RETURNING d.endpoint_id),"                                                                         \
    " looked_at AS ("                                                                                    \
    " UPDATE outgoing_lane AS l SET look_at = now()"                                                     \
    " FROM (SELECT DISTINCT endpoint_id FROM made) AS m"                                                 \
    " WHERE l.company_id = $1::uuid AND l.id = m.endpoint_id)"

static const char step[] =
    RECOVERY WALK CHOSEN MOVED MADE " SELECT cancel_asked, done, total, is_through, false FROM moved";

static const char count[] =
    "SELECT count(*) FROM webhook_recovery AS r CROSS JOIN LATERAL (SELECT FROM events AS v"
    " WHERE v.company_id = $1::uuid AND v.at >= date_trunc('day', r.since, 'UTC')"
    " AND v.at < date_trunc('day', coalesce(r.until, 'infinity'), 'UTC') + interval '1 day' LIMIT 1000000) "
    "AS v"
    " WHERE r.company_id = $1::uuid AND r.id = $2::uuid";

size_t webhook_recovery_kinds(struct long_job_kind *kinds)
{
    if (kinds)
        kinds[0] = (struct long_job_kind){
            .name = "webhook_recovery.events",
            .resource = "webhook_recovery",
            .outcome = "recovered = j.rows",
            .count_sql = xstrdup(count),
            .step_sql = xstrdup(step),
        };
    return 1;
}
