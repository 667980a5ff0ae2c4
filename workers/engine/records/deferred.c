#include "workers/engine/records/deferred.h"

#include "workers/engine/records/command_row.h"

static const struct db_statement claim = {
    "deferred.claim",
    "WITH claimed AS (DELETE FROM deferred AS d"
    " USING unnest($1::bigint[], $2::uuid[], $3::uuid[]) AS k (i, company_id, command_id)"
    " WHERE d.company_id = k.company_id AND d.command_id = k.command_id"
    " RETURNING k.i, d.*),"
    " kept AS (INSERT INTO unpublished (pool, " COMMAND_HEAD_COLUMNS ")"
    " SELECT pool, " COMMAND_HEAD_COLUMNS " FROM claimed"
    " ON CONFLICT DO NOTHING)"
    " SELECT i FROM claimed",
};

/* The database gives the places after it has sorted the rows. A row that is there already stays as it is: it
 * is one of a schedule, which writes its rows without the company's sequence. */
static const struct db_statement put = {
    "deferred.put",
    "INSERT INTO deferred (pool, " COMMAND_COLUMNS ", reason, due_at, attempts, error, first_at, is_replay)"
    " SELECT $1, " COMMAND_NAMES ", n.reason,"
    " CASE WHEN n.reason = 'schedule' THEN to_timestamp(n.due / 1000.0)"
    " ELSE now() + n.due * interval '1 millisecond' END,"
    " n.attempts, n.error, coalesce(n.first_at, now()), n.is_replay"
    " FROM unnest(" COMMAND_ARRAYS ", $23::text[], $24::bigint[], $25::integer[], $26::text[],"
    " $27::timestamptz[], $28::boolean[], $29::bigint[])"
    " AS n (" COMMAND_COLUMNS ", reason, due, attempts, error, first_at, is_replay, i)"
    " ORDER BY n.i"
    " ON CONFLICT (company_id, command_id) DO NOTHING",
};
static const enum pg_element put_columns[] = {COMMAND_ELEMENTS, PG_TEXT,    PG_BIGINT,  PG_INTEGER,
                                              PG_TEXT,          PG_AS_TEXT, PG_BOOLEAN, PG_BIGINT};

static const struct db_statement readdress = {
    "deferred.readdress",
    "UPDATE deferred AS d SET reply_to = n.reply_to, correlation_id = n.correlation_id"
    " FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])"
    " AS n (company_id, command_id, reply_to, correlation_id)"
    " WHERE d.company_id = n.company_id AND d.command_id = n.command_id",
};

static const char *const names[] = {
    [DEFER_NONE] = "",
    [DEFER_TURN] = "turn",
    [DEFER_RETRY] = "retry",
    [DEFER_SCHEDULE] = "schedule",
    [DEFER_UNPUBLISHED] = "unpublished",
};

/* ---- claim ---- */

void deferred_claim(struct records *records, struct command *const *commands, size_t count,
                    db_on_result *on_claimed, void *arg)
{
    static const enum pg_element columns[] = {PG_BIGINT, PG_UUID, PG_UUID};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        if (commands[i]->finding != FINDING_GONE)
            continue;
        struct pg_array *column = pg_rows_add(&records->rows);
        pg_array_add_i64(column++, (int64_t)i);
        pg_array_add_uuid(column++, &commands[i]->envelope.company);
        pg_array_add_uuid(column++, &commands[i]->envelope.id);
    }
    pg_rows_send(&records->rows, records->db, &claim, NULL, on_claimed, arg);
}

void deferred_read_claimed(struct command *const *commands, size_t count, const struct db_result *result)
{
    for (int row = 0; row < db_rows(result); row++) {
        int64_t i = db_int(result, row, 0);
        if (i >= 0 && (size_t)i < count)
            command_find(commands[i], FINDING_RUN);
    }
}

/* ---- put ---- */

static void add_row(struct records *records, const struct command *command, size_t i)
{
    bool is_scheduled = command->deferral == DEFER_SCHEDULE;
    struct pg_array *column = command_row_add(pg_rows_add(&records->rows), command);
    pg_array_add_text(column++, slice_of(names[command->deferral]));
    pg_array_add_i64(column++, is_scheduled ? command->envelope.not_before : command->delay_ms);
    pg_array_add_i64(column++, command->attempts);
    pg_array_add_text(column++, command->error ? slice_of(err_info(command->error)->slug) : SLICE_NONE);
    pg_array_add_text(column++, command->first_at);
    pg_array_add_bool(column++, command->has_dead_letter || command->finding == FINDING_REPLACE);
    pg_array_add_i64(column++, (int64_t)i);
}

void deferred_put(struct records *records, struct command *const *commands, size_t count,
                  db_on_result *on_put, void *arg)
{
    pg_rows_begin_binary(&records->rows, put_columns, ARRAY_LEN(put_columns));
    for (size_t i = 0; i < count; i++)
        if (commands[i]->deferral)
            add_row(records, commands[i], i);
    pg_rows_send(&records->rows, records->db, &put, records->pool, on_put, arg);
}

/* ---- readdress ---- */

void deferred_readdress(struct records *records, struct command *const *commands, size_t count,
                        db_on_result *on_done, void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_UUID, PG_TEXT, PG_TEXT};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        const struct envelope *envelope = &commands[i]->envelope;
        if (!command_is_waiting(commands[i]) || envelope->reply_to.len == 0)
            continue;
        struct pg_array *column = pg_rows_add(&records->rows);
        pg_array_add_uuid(column++, &envelope->company);
        pg_array_add_uuid(column++, &envelope->id);
        pg_array_add_text(column++, envelope->reply_to);
        pg_array_add_text(column++, envelope->correlation_id);
    }
    pg_rows_send(&records->rows, records->db, &readdress, NULL, on_done, arg);
}

/* ---- names ---- */

enum deferral deferral_of(struct slice name)
{
    for (size_t i = DEFER_TURN; i < ARRAY_LEN(names); i++)
        if (slice_is(name, names[i]))
            return (enum deferral)i;
    return DEFER_NONE;
}
