#include "workers/engine/records/unreadable.h"

#include "common/base/log.h"

enum { COLUMNS = 4, COLUMN_BYTES_MAX = 4 << 20 };

/* Nothing of the row goes through this process. A row whose actor is none cannot be run again, so it has no
 * fingerprint (dead_letter_replay). */
#define HAS_ACTOR "g.actor::text ~ '^[0-9a-f-]{36}$'"
#define OPERATORS \
    "g.acted_by, g.acted_company, g.acted_at, g.scheduled_by, g.scheduled_company, g.scheduled_at"
#define NOBODY "NULL::uuid, NULL::uuid, NULL::bigint, NULL::uuid, NULL::uuid, NULL::bigint"
#define MOVE(table, attempts, first_at, body, operators)                                                     \
    "WITH gone AS (DELETE FROM " table " AS d"                                                               \
    " USING unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[]) AS k (company_id, command_id, slug, why)" \
    " WHERE d.pool = $1 AND d.company_id = k.company_id AND d.command_id = k.command_id"                     \
    " RETURNING d.*, k.slug, k.why)"                                                                         \
    " INSERT INTO dead_letter AS l (pool, company_id, command_id, slot, type, actor, role, subject,"         \
    " parent, if_match, fingerprint, sent, correlation_id, reply_to, traceparent, body, reason, detail,"     \
    " attempts, first_at, acted_by, acted_company, acted_at, scheduled_by, scheduled_company, scheduled_at)" \
    " SELECT g.pool, g.company_id, g.command_id, g.slot, g.type,"                                            \
    " CASE WHEN " HAS_ACTOR " THEN g.actor::text::uuid END, g.role, g.subject, g.parent, g.if_match,"        \
    " CASE WHEN " HAS_ACTOR " THEN g.fingerprint END, g.sent, g.correlation_id, g.reply_to,"                 \
    " g.traceparent, " body ", g.slug, g.why, " attempts ", " first_at ", " operators " FROM gone AS g"      \
    " ON CONFLICT ON CONSTRAINT dead_letter_command DO UPDATE SET"                                           \
    " history = CASE WHEN jsonb_array_length(l.history) < 20 THEN l.history ELSE l.history - 0 END"          \
    " || jsonb_build_object('at', time_text(l.last_at), 'reason', l.reason, 'detail', l.detail,"             \
    " 'attempts', l.attempts),"                                                                              \
    " reason = EXCLUDED.reason, detail = EXCLUDED.detail, attempts = EXCLUDED.attempts,"                     \
    " last_at = now(), is_replaying = false"                                                                 \
    " RETURNING company_id, command_id, type, id, detail"

enum { COMPANY, COMMAND, TYPE, DEAD_LETTER, DETAIL };

static const struct db_statement moves[UNREADABLE_TABLES] = {
    {"unreadable.move_deferred", MOVE("deferred", "g.attempts", "g.first_at", "g.body", OPERATORS)},
    {"unreadable.move_unpublished", MOVE("unpublished", "0", "g.at", "''::bytea", NOBODY)},
};

void unreadable_init(struct unreadable *unreadable, struct db *db, const char *pool)
{
    *unreadable = (struct unreadable){.db = db, .pool = pool};
    for (size_t i = 0; i < UNREADABLE_TABLES; i++) {
        pg_rows_init(&unreadable->rows[i], COLUMNS, COLUMN_BYTES_MAX);
        pg_rows_begin(&unreadable->rows[i], COLUMNS);
    }
}

void unreadable_done(struct unreadable *unreadable)
{
    for (size_t i = 0; i < UNREADABLE_TABLES; i++)
        pg_rows_done(&unreadable->rows[i]);
}

void unreadable_add(struct unreadable *unreadable, bool is_unpublished, struct slice company, struct slice id,
                    struct slice reason, struct slice why)
{
    struct pg_array *column = pg_rows_add(&unreadable->rows[is_unpublished]);
    pg_array_add_text(column++, company);
    pg_array_add_text(column++, id);
    pg_array_add_text(column++, reason);
    pg_array_add_text(column++, why);
}

static void on_moved(void *arg, struct db_result *result)
{
    struct unreadable *unreadable = arg;
    enum err err = db_result_error(result);
    unreadable->moving--;
    if (err && err != ERR_SHUTTING_DOWN)
        log_at(err_info(err)->level, "unreadable.not_moved", LOG_S("error", err_info(err)->name),
               LOG_S("message", db_result_message(result)));
    for (int row = 0; !err && row < db_rows(result); row++)
        log_error("unreadable.moved", LOG_B("command", db_text(result, row, COMMAND)),
                  LOG_B("company", db_text(result, row, COMPANY)), LOG_B("type", db_text(result, row, TYPE)),
                  LOG_B("dead_letter", db_text(result, row, DEAD_LETTER)),
                  LOG_B("why", db_text(result, row, DETAIL)));
}

void unreadable_send(struct unreadable *unreadable)
{
    for (size_t i = 0; i < UNREADABLE_TABLES; i++) {
        struct pg_rows *rows = &unreadable->rows[i];
        if (rows->count == 0 || unreadable->moving > 0)
            continue;
        unreadable->moving++;
        pg_rows_send(rows, unreadable->db, &moves[i], unreadable->pool, on_moved, unreadable);
        db_sync(unreadable->db, NULL, NULL);
        pg_rows_begin(rows, COLUMNS);
    }
}

bool unreadable_is_idle(const struct unreadable *unreadable)
{
    size_t left = unreadable->moving;
    for (size_t i = 0; i < UNREADABLE_TABLES; i++)
        left += unreadable->rows[i].count;
    return left == 0;
}
