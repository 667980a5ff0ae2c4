/* Dead letters: back to work, or gone (schemas/sql/0005_waiting.sql has the functions). A replay moves letters to
 * `deferred` in one transaction, so a process that dies in the middle has done all of it or nothing. */

#include "workers/engine/housekeeping/operator.h"

#define LETTER                                                                          \
    "WITH letter AS (SELECT id, command_id IS NOT NULL AND fingerprint IS NOT NULL AS " \
    "is_readable FROM dead_letter WHERE id = ($1::jsonb->>'subject')::uuid)"

/* What the selection of a request names (dead_selection.json), and one letter more than its limit, which tells whether
 * there are more. `before` is fixed by the first answer: what dies again after it is left alone by those that follow. */
#define CHOSEN(condition)                                                                              \
    "WITH q AS (SELECT $1::jsonb->'body' AS b),"                                                       \
    " bound AS (SELECT coalesce((b->>'limit')::integer, 1000) AS most,"                                \
    " coalesce((b->>'before')::timestamptz, clock_timestamp()) AS before FROM q),"                     \
    " found AS (SELECT d.id, row_number() OVER (ORDER BY d.last_at, d.id) AS n"                        \
    " FROM dead_letter AS d, q, bound WHERE NOT d.is_replaying AND " condition                         \
    " AND (b->>'pool' IS NULL OR d.pool = b->>'pool') AND (b->>'type' IS NULL OR d.type = b->>'type')" \
    " AND (b->>'company' IS NULL OR d.company_id = (b->>'company')::uuid)"                             \
    " AND (b->>'reason' IS NULL OR d.reason = b->>'reason')"                                           \
    " AND (b->>'since' IS NULL OR d.last_at >= (b->>'since')::timestamptz)"                            \
    " AND d.last_at < bound.before ORDER BY d.last_at, d.id LIMIT (SELECT most + 1 FROM bound)),"      \
    " chosen AS (SELECT array_agg(id) AS ids FROM found, bound WHERE n <= most)"

#define COUNTED(function)                                               \
    " SELECT 'ok', 200, json_build_object('count',"                     \
    " (SELECT " function "(coalesce(ids, '{}')) FROM chosen),"          \
    " 'more', (SELECT count(*) FROM found) > (SELECT most FROM bound)," \
    " 'before', (SELECT before FROM bound))"

const struct admin_request admin_dead_requests[] = {
    {"dead.replay",
     {"admin.dead_replay", LETTER
      ", done AS MATERIALIZED (SELECT dead_letter_replay(ARRAY[id]) AS count"
      " FROM letter WHERE is_readable)"
      " SELECT coalesce((SELECT CASE WHEN is_readable THEN 'ok' ELSE 'conflict' END FROM letter), "
      "'not-found'),"
      " coalesce((SELECT CASE WHEN is_readable THEN 200 ELSE 409 END FROM letter), 404),"
      " coalesce((SELECT CASE WHEN is_readable THEN json_build_object('id', id, 'count',"
      " (SELECT count FROM done)) ELSE json_build_object('detail',"
      " 'The message cannot be read: there is nothing that could be run.') END FROM letter), '{}'::json)"}},
    {"dead.replay_many",
     {"admin.dead_replay_many",
      CHOSEN("d.command_id IS NOT NULL AND d.fingerprint IS NOT NULL") COUNTED("dead_letter_replay")}},
    {"dead.drop",
     {"admin.dead_drop", LETTER
      ", done AS MATERIALIZED (SELECT dead_letter_drop(ARRAY[id]) AS count FROM letter)"
      " SELECT coalesce((SELECT CASE WHEN count = 1 THEN 'ok' ELSE 'conflict' END FROM done), 'not-found'),"
      " coalesce((SELECT CASE WHEN count = 1 THEN 204 ELSE 409 END FROM done), 404),"
      " coalesce((SELECT CASE WHEN count = 0 THEN json_build_object('detail',"
      " 'It is being replayed at this moment.') END FROM done), '{}'::json)"}},
    {"dead.drop_many", {"admin.dead_drop_many", CHOSEN("true") COUNTED("dead_letter_drop")}},
    {0},
};
