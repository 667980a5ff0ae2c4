/* What operators do with dead letters: replay or drop them, one or many. A replay moves dead letters to
 * `deferred` in one transaction: a process that dies meanwhile has done all of it or nothing. The functions are
 * in schemas/sql/0023_dead_letters_without_waiting.sql, 0029_acted_by.sql and 0057_waiting_by_pool.sql: they act for
 * the dead letters of every pool, of which this one sees its own and of the others what the selection goes by. */

#include "workers/engine/housekeeping/operator.h"

/* Who replays. */
#define OPERATOR "($1::jsonb->>'actor')::uuid, ($1::jsonb->>'operator_company')::uuid"

#define LETTER                              \
    "WITH letter AS ("                      \
    " SELECT id, is_replaying, is_readable" \
    " FROM dead_letter_head"                \
    " WHERE id = ($1::jsonb->>'subject')::uuid)"

/* What the selection of a request names (dead_selection.json), and one dead letter more than its limit, which
 * tells whether there are more. The first answer fixes `before`: later requests with it leave alone what dies
 * again after it. Those that another transaction holds are passed over, and counted. */
#define MATCHING(readable)                                                  \
    " FROM dead_letter_head AS d, q, bound"                                 \
    " WHERE NOT d.is_replaying"                                             \
    " AND (NOT " readable " OR d.is_readable)"                              \
    " AND (b->>'pool' IS NULL OR d.pool = b->>'pool')"                      \
    " AND (b->>'type' IS NULL OR d.type = b->>'type')"                      \
    " AND (b->>'company' IS NULL OR d.company_id = (b->>'company')::uuid)"  \
    " AND (b->>'reason' IS NULL OR d.reason = b->>'reason')"                \
    " AND (b->>'since' IS NULL OR d.last_at >= (b->>'since')::timestamptz)" \
    " AND d.last_at < bound.before"                                         \
    " ORDER BY d.last_at, d.id"                                             \
    " LIMIT (SELECT most + 1 FROM bound)"

#define TAKEN(readable)                                                              \
    "taken AS MATERIALIZED (SELECT t.id, t.last_at FROM q, bound,"                   \
    " dead_letter_take(b->>'pool', b->>'type', (b->>'company')::uuid, b->>'reason'," \
    " (b->>'since')::timestamptz, bound.before, " readable ", most + 1) AS t)"
#define SEEN(readable) "seen AS (SELECT d.id" MATCHING(readable) ")"
#define BOUND                                                             \
    "q AS (SELECT $1::jsonb->'body' AS b),"                               \
    " bound AS ("                                                         \
    " SELECT coalesce((b->>'limit')::integer, 1000) AS most,"             \
    " coalesce((b->>'before')::timestamptz, clock_timestamp()) AS before" \
    " FROM q)"
#define NUMBERED     "found AS (SELECT id, row_number() OVER (ORDER BY last_at, id) AS n FROM taken)"
#define WITHIN_LIMIT "chosen AS (SELECT array_agg(id) AS ids FROM found, bound WHERE n <= most)"
#define CHOSEN(readable) \
    "WITH " BOUND ", " TAKEN(readable) ", " SEEN(readable) ", " NUMBERED ", " WITHIN_LIMIT

#define COUNTED(function)                                                            \
    " SELECT 'ok', 200, json_build_object("                                          \
    "'count', (SELECT " function " FROM chosen),"                                    \
    " 'locked', (SELECT count(*) FROM seen WHERE id NOT IN (SELECT id FROM taken))," \
    " 'more', (SELECT count(*) FROM found) > (SELECT most FROM bound),"              \
    " 'before', (SELECT time_text(before) FROM bound))"

#define HELD "Another transaction holds the dead letter at this moment."
#define END_OF_ANSWER                                                             \
    " UNION ALL"                                                                  \
    " SELECT 'not-found', 404, '{}'::json WHERE NOT EXISTS (SELECT FROM letter))" \
    " SELECT slug, status, body FROM answer"

#define REPLAY_ONE                                                                                      \
    LETTER                                                                                              \
    ", done AS MATERIALIZED ("                                                                          \
    " SELECT id, is_replaying, dead_letter_replay(ARRAY[id], " OPERATOR                                 \
    ") AS count FROM letter WHERE is_readable),"                                                        \
    " answer AS ("                                                                                      \
    " SELECT 'database-locked' AS slug, 503 AS status, json_build_object('detail', '" HELD "') AS body" \
    " FROM done WHERE count = 0 AND NOT is_replaying"                                                   \
    " UNION ALL"                                                                                        \
    " SELECT 'ok', 200, json_build_object('id', id, 'count', count)"                                    \
    " FROM done WHERE count > 0 OR is_replaying"                                                        \
    " UNION ALL"                                                                                        \
    " SELECT 'conflict', 409, json_build_object('detail',"                                              \
    " 'The message cannot be read, so there is no command to run.')"                                    \
    " FROM letter WHERE NOT is_readable" END_OF_ANSWER

#define DROP_ONE                                                                                        \
    LETTER                                                                                              \
    ", done AS MATERIALIZED (SELECT is_replaying, dead_letter_drop(ARRAY[id]) AS count FROM letter),"   \
    " answer AS ("                                                                                      \
    " SELECT 'database-locked' AS slug, 503 AS status, json_build_object('detail', '" HELD "') AS body" \
    " FROM done WHERE count = 0 AND NOT is_replaying"                                                   \
    " UNION ALL"                                                                                        \
    " SELECT 'conflict', 409,"                                                                          \
    " json_build_object('detail', 'The command is being replayed at this moment.')"                     \
    " FROM done WHERE count = 0 AND is_replaying"                                                       \
    " UNION ALL"                                                                                        \
    " SELECT 'ok', 204, '{}'::json FROM done WHERE count = 1" END_OF_ANSWER

const struct operator_request operator_dead_requests[] = {
    {"dead.replay", {"operator.dead_replay", REPLAY_ONE}},
    {"dead.replay_many",
     {"operator.dead_replay_many",
      CHOSEN("true") COUNTED("dead_letter_replay(coalesce(ids, '{}'), " OPERATOR ")")}},
    {"dead.drop", {"operator.dead_drop", DROP_ONE}},
    {"dead.drop_many",
     {"operator.dead_drop_many", CHOSEN("false") COUNTED("dead_letter_drop(coalesce(ids, '{}'))")}},
    {0},
};
