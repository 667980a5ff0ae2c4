/* What operators do with dead letters: replay or drop them, one or many (schemas/sql/0005_waiting.sql has the
 * functions). A replay moves dead letters to `deferred` in one transaction: a process that dies meanwhile has
 * done all of it or nothing. */

#include "workers/engine/housekeeping/operator.h"

#define LETTER                                                                      \
    "WITH letter AS ("                                                              \
    " SELECT id, command_id IS NOT NULL AND fingerprint IS NOT NULL AS is_readable" \
    " FROM dead_letter"                                                             \
    " WHERE id = ($1::jsonb->>'subject')::uuid)"

/* What the selection of a request names (dead_selection.json), and one dead letter more than its limit, which
 * tells whether there are more. The first answer fixes `before`: later requests with it leave alone what dies
 * again after it. */
#define CHOSEN(condition)                                                   \
    "WITH q AS (SELECT $1::jsonb->'body' AS b),"                            \
    " bound AS ("                                                           \
    " SELECT coalesce((b->>'limit')::integer, 1000) AS most,"               \
    " coalesce((b->>'before')::timestamptz, clock_timestamp()) AS before"   \
    " FROM q),"                                                             \
    " found AS ("                                                           \
    " SELECT d.id, row_number() OVER (ORDER BY d.last_at, d.id) AS n"       \
    " FROM dead_letter AS d, q, bound"                                      \
    " WHERE NOT d.is_replaying"                                             \
    " AND " condition " AND (b->>'pool' IS NULL OR d.pool = b->>'pool')"    \
    " AND (b->>'type' IS NULL OR d.type = b->>'type')"                      \
    " AND (b->>'company' IS NULL OR d.company_id = (b->>'company')::uuid)"  \
    " AND (b->>'reason' IS NULL OR d.reason = b->>'reason')"                \
    " AND (b->>'since' IS NULL OR d.last_at >= (b->>'since')::timestamptz)" \
    " AND d.last_at < bound.before"                                         \
    " ORDER BY d.last_at, d.id"                                             \
    " LIMIT (SELECT most + 1 FROM bound)),"                                 \
    " chosen AS (SELECT array_agg(id) AS ids FROM found, bound WHERE n <= most)"

#define COUNTED(function)                                               \
    " SELECT 'ok', 200, json_build_object("                             \
    "'count', (SELECT " function "(coalesce(ids, '{}')) FROM chosen),"  \
    " 'more', (SELECT count(*) FROM found) > (SELECT most FROM bound)," \
    " 'before', (SELECT before FROM bound))"

#define REPLAY_ONE                                                                                           \
    LETTER                                                                                                   \
    ", done AS MATERIALIZED ("                                                                               \
    " SELECT dead_letter_replay(ARRAY[id]) AS count FROM letter WHERE is_readable)"                          \
    " SELECT"                                                                                                \
    " coalesce((SELECT CASE WHEN is_readable THEN 'ok' ELSE 'conflict' END FROM letter), 'not-found'),"      \
    " coalesce((SELECT CASE WHEN is_readable THEN 200 ELSE 409 END FROM letter), 404),"                      \
    " coalesce("                                                                                             \
    "(SELECT json_build_object('id', id, 'count', (SELECT count FROM done)) FROM letter WHERE is_readable)," \
    " (SELECT json_build_object('detail', 'The message cannot be read, so there is no command to run.')"     \
    " FROM letter),"                                                                                         \
    " '{}'::json)"

#define DROP_ONE                                                                                    \
    LETTER                                                                                          \
    ", done AS MATERIALIZED (SELECT dead_letter_drop(ARRAY[id]) AS count FROM letter)"              \
    " SELECT"                                                                                       \
    " coalesce((SELECT CASE WHEN count = 1 THEN 'ok' ELSE 'conflict' END FROM done), 'not-found')," \
    " coalesce((SELECT CASE WHEN count = 1 THEN 204 ELSE 409 END FROM done), 404),"                 \
    " coalesce("                                                                                    \
    "(SELECT json_build_object('detail', 'The command is being replayed at this moment.')"          \
    " FROM done WHERE count = 0),"                                                                  \
    " '{}'::json)"

#define IS_READABLE "d.command_id IS NOT NULL AND d.fingerprint IS NOT NULL"

const struct operator_request operator_dead_requests[] = {
    {"dead.replay", {"operator.dead_replay", REPLAY_ONE}},
    {"dead.replay_many", {"operator.dead_replay_many", CHOSEN(IS_READABLE) COUNTED("dead_letter_replay")}},
    {"dead.drop", {"operator.dead_drop", DROP_ONE}},
    {"dead.drop_many", {"operator.dead_drop_many", CHOSEN("true") COUNTED("dead_letter_drop")}},
    {0},
};
