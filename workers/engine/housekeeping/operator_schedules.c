/* What operators do with schedules: make, change, delete and run them. The gateway has checked the
 * expression, the zone and the command, and says when the schedule is next due. What only workers know is
 * checked here. */

#include "workers/engine/housekeeping/operator.h"

/* The conditions of the request ("if", gateway/operator/pool_request.h) against a row `s` of schedule. */
#define IF_MATCH      "($1::jsonb->'if'->'match')"
#define IF_NONE_MATCH "($1::jsonb->'if'->'none_match')"
#define CONDITIONS_HOLD                                                              \
    "(coalesce(" IF_MATCH " = '\"*\"' OR " IF_MATCH " @> to_jsonb(s.version), true)" \
    " AND coalesce(" IF_NONE_MATCH " <> '\"*\"' AND NOT " IF_NONE_MATCH " @> to_jsonb(s.version), true))"

/* $1 taken apart. */
#define PUT_REQUEST                                      \
    "WITH q AS ("                                        \
    " SELECT $1::jsonb->>'subject' AS name,"             \
    " $1::jsonb->'body' AS b,"                           \
    " ($1::jsonb->'body'->>'company')::uuid AS company," \
    " $1::jsonb->'body'->>'type' AS type,"               \
    " ($1::jsonb->>'actor')::uuid AS operator,"          \
    " ($1::jsonb->>'operator_company')::uuid AS operator_company)"

#define SYSTEM_TYPES_BEGIN                                                                 \
    " wrong AS ("                                                                          \
    " SELECT '/company' AS pointer, 'there is no such company' AS detail"                  \
    " FROM q"                                                                              \
    " WHERE company IS NOT NULL AND NOT EXISTS (SELECT FROM company WHERE id = q.company)" \
    " UNION ALL"                                                                           \
    " SELECT '/type', 'the system has no such work, and a command needs a company'"        \
    " FROM q"                                                                              \
    " WHERE company IS NULL AND type NOT IN ("

#define TYPES_END "''))"

/* A schedule that keeps its expression and its zone keeps its next time, too: a time that is overdue still
 * gets its run. */
#define PUT                                                                                                 \
    ", held AS ("                                                                                           \
    " SELECT s.version FROM schedule AS s, q WHERE s.name = q.name FOR UPDATE OF s),"                       \
    " put AS ("                                                                                             \
    " INSERT INTO schedule AS s"                                                                            \
    " (name, company_id, cron, timezone, type, pool, slot, actor, role,"                                    \
    " subject, parent, fingerprint, body, enabled, next_at, changed_by, changed_by_company)"                \
    " SELECT name, company, b->>'cron', b->>'timezone', type, b->>'pool', (b->>'slot')::integer,"           \
    " (b->>'actor')::uuid, b->>'role',"                                                                     \
    " (b->>'subject')::uuid, (b->>'parent')::uuid, (b->>'fingerprint')::bigint,"                            \
    " decode(b->>'body', 'hex'), (b->>'enabled')::boolean, (b->>'next_at')::timestamptz, operator,"         \
    " operator_company"                                                                                     \
    " FROM q"                                                                                               \
    " WHERE NOT EXISTS (SELECT FROM wrong)"                                                                 \
    " AND (" IF_MATCH " IS NULL OR EXISTS (SELECT FROM held))"                                              \
    " ON CONFLICT (name) DO UPDATE SET"                                                                     \
    " company_id = EXCLUDED.company_id,"                                                                    \
    " cron = EXCLUDED.cron,"                                                                                \
    " timezone = EXCLUDED.timezone,"                                                                        \
    " type = EXCLUDED.type,"                                                                                \
    " pool = EXCLUDED.pool,"                                                                                \
    " slot = EXCLUDED.slot,"                                                                                \
    " actor = EXCLUDED.actor,"                                                                              \
    " role = EXCLUDED.role,"                                                                                \
    " subject = EXCLUDED.subject,"                                                                          \
    " parent = EXCLUDED.parent,"                                                                            \
    " fingerprint = EXCLUDED.fingerprint,"                                                                  \
    " body = EXCLUDED.body,"                                                                                \
    " enabled = EXCLUDED.enabled,"                                                                          \
    " next_at = CASE WHEN s.enabled AND EXCLUDED.enabled"                                                   \
    " AND s.cron = EXCLUDED.cron AND s.timezone = EXCLUDED.timezone"                                        \
    " THEN s.next_at ELSE EXCLUDED.next_at END,"                                                            \
    " run_at = CASE WHEN s.type = EXCLUDED.type THEN s.run_at END,"                                         \
    " step_at = now(),"                                                                                     \
    " last_error = NULL,"                                                                                   \
    " changed_by = EXCLUDED.changed_by,"                                                                    \
    " changed_by_company = EXCLUDED.changed_by_company,"                                                    \
    " updated_at = now(),"                                                                                  \
    " version = s.version + 1"                                                                              \
    " WHERE " CONDITIONS_HOLD " RETURNING name, next_at, version, xmax = 0 AS is_new)"                      \
    " SELECT"                                                                                               \
    " coalesce((SELECT 'ok' FROM put),"                                                                     \
    " CASE WHEN EXISTS (SELECT FROM wrong) THEN 'validation' ELSE 'version-conflict' END),"                 \
    " coalesce((SELECT CASE WHEN is_new THEN 201 ELSE 200 END FROM put),"                                   \
    " CASE WHEN EXISTS (SELECT FROM wrong) THEN 422 ELSE 412 END),"                                         \
    " coalesce("                                                                                            \
    "(SELECT json_build_object('name', name, 'next_at', time_text(next_at), 'version', version) FROM put)," \
    " (SELECT json_build_object('errors',"                                                                  \
    " json_agg(json_build_object('pointer', pointer, 'detail', detail))) FROM wrong"                        \
    " HAVING count(*) > 0),"                                                                                \
    " (SELECT json_build_object('version', version) FROM held),"                                            \
    " '{}')"

#define NAMED "WITH q AS (SELECT $1::jsonb AS r, $1::jsonb->>'subject' AS name, $1::jsonb->'body' AS b)"

#define NOT_DONE(name, number) "CASE WHEN EXISTS (SELECT FROM found) THEN " name " ELSE " number " END"

#define PRESENT_VERSION "SELECT json_build_object('version', version) FROM found WHERE NOT may"

#define FOUND \
    ", found AS (SELECT s.*, " CONDITIONS_HOLD " AS may FROM schedule AS s, q WHERE s.name = q.name)"

#define DELETE                                                                                             \
    NAMED FOUND                                                                                            \
        ", gone AS (DELETE FROM schedule AS s USING q WHERE s.name = q.name"                               \
        " AND " CONDITIONS_HOLD " RETURNING 1)"                                                            \
        " SELECT coalesce(max('ok'), " NOT_DONE(                                                           \
            "'version-conflict'",                                                                          \
            "'not-found'") "), coalesce(max(204), " NOT_DONE("412", "404") "), coalesce((" PRESENT_VERSION \
                                                                           "), '{}') FROM gone"

/* The moment of the request tells one that comes twice from a second one. */
#define RUN                                                                                                \
    NAMED FOUND ", asked AS ("                                                                             \
                " UPDATE schedule AS s SET"                                                                \
                " asked_at = (b->>'at')::timestamptz,"                                                     \
                " asked_by = (r->>'actor')::uuid,"                                                         \
                " asked_by_company = (r->>'operator_company')::uuid,"                                      \
                " asked_by_at = (b->>'at')::timestamptz,"                                                  \
                " step_at = least(step_at, now())"                                                         \
                " FROM q"                                                                                  \
                " WHERE s.name = q.name"                                                                   \
                " AND " CONDITIONS_HOLD " AND s.asked_at IS NULL"                                          \
                " AND (s.last_asked_at IS NULL OR s.last_asked_at < (b->>'at')::timestamptz)"              \
                " RETURNING 1)"                                                                            \
                " SELECT coalesce(max(CASE WHEN may THEN 'ok' ELSE 'version-conflict' END), 'not-found')," \
                " coalesce(max(CASE WHEN may THEN 202 ELSE 412 END), 404),"                                \
                " coalesce(json_agg(json_build_object('name', name)) FILTER (WHERE may)->0,"               \
                " (" PRESENT_VERSION "), '{}')"                                                            \
                " FROM found"

const struct operator_request operator_schedule_requests[] = {
    {"schedule.put",
     {"operator.schedule_put", PUT_REQUEST "," SYSTEM_TYPES_BEGIN
#define SYSTEM_WORK(type, value, sql) "'" type "', "
#include "workers/engine/housekeeping/system_work.def"
#undef SYSTEM_WORK
                                   TYPES_END PUT}},
    {"schedule.delete", {"operator.schedule_delete", DELETE}},
    {"schedule.run", {"operator.schedule_run", RUN}},
    {0},
};
