#include "workers/engine/records/dead_letter.h"

#include "workers/engine/records/command_row.h"

static const enum pg_element columns_of_row[] = {COMMAND_ELEMENTS, PG_TEXT, PG_TEXT, PG_INTEGER, PG_AS_TEXT};

#define ROWS                                                                                         \
    "INSERT INTO dead_letter AS l (pool, " COMMAND_COLUMNS ", reason, detail, attempts, first_at)"   \
    " SELECT $1, " COMMAND_NAMES ", n.reason, n.detail, n.attempts, coalesce(n.first_at, now())"     \
    " FROM unnest(" COMMAND_ARRAYS ", $23::text[], $24::text[], $25::integer[], $26::timestamptz[])" \
    " AS n (" COMMAND_COLUMNS ", reason, detail, attempts, first_at)"
#define UNLESS_THERE " ON CONFLICT ON CONSTRAINT dead_letter_command"

/* The history keeps the last 20 deaths. */
static const struct db_statement add = {
    "dead_letter.add",
    ROWS UNLESS_THERE
    " DO UPDATE SET"
    " history = CASE WHEN jsonb_array_length(l.history) < 20 THEN l.history ELSE l.history - 0 END"
    " || jsonb_build_object('at', time_text(l.last_at), 'reason', l.reason, 'detail', l.detail,"
    " 'attempts', l.attempts),"
    " reason = EXCLUDED.reason,"
    " detail = EXCLUDED.detail,"
    " attempts = EXCLUDED.attempts,"
    " last_at = now(),"
    " is_replaying = false",
};

static const struct db_statement remove_settled = {
    "dead_letter.remove",
    "DELETE FROM dead_letter AS l"
    " USING unnest($2::uuid[], $3::uuid[]) AS n (company_id, command_id)"
    " WHERE l.pool = $1 AND l.company_id = n.company_id AND l.command_id = n.command_id",
};

/* Nothing tells two messages without an address apart for sure. So a message that is delivered again after a
 * crash gets a second row, because the alternative is that two different messages share one. */
static const struct db_statement keep_unaddressed = {
    "dead_letter.keep_unaddressed",
    "INSERT INTO dead_letter (pool, reason, attempts, type, correlation_id, reply_to, body)"
    " VALUES ($1, $2, 1, $3, $4, $5, $6::text::bytea)",
};

/* The command may have its verdict already, from a worker that died before its ack: that row says more, so it
 * stays. */
static const struct db_statement keep_addressed = {
    "dead_letter.keep",
    ROWS UNLESS_THERE " DO NOTHING",
};

/* A parcel is given up as a whole. What has a result, or waits as a row, has not died with it. */
static const struct db_statement keep_of_parcel = {
    "dead_letter.keep_of_parcel",
    ROWS " WHERE NOT EXISTS (SELECT FROM inbox AS i"
         " WHERE i.company_id = n.company_id AND i.command_id = n.command_id)"
         " AND NOT EXISTS (SELECT FROM deferred AS d"
         " WHERE d.pool = $1 AND d.company_id = n.company_id AND d.command_id = n.command_id)" UNLESS_THERE
         " DO NOTHING",
};

static void add_row(struct records *records, const struct command *command, struct slice reason)
{
    struct pg_array *column = command_row_add(pg_rows_add(&records->rows), command);
    pg_array_add_text(column++, reason);
    pg_array_add_text(column++, command->why);
    pg_array_add_i64(column++, command->attempts);
    pg_array_add_text(column++, command->first_at);
}

static bool is_to_be_added(const struct command *command)
{
    return command_is_dead(command) && (command_is_new(command) || command->finding == FINDING_UNRECORDED);
}

void dead_letter_add(struct records *records, struct command *const *commands, size_t count,
                     db_on_result *on_done, void *arg)
{
    pg_rows_begin_binary(&records->rows, columns_of_row, ARRAY_LEN(columns_of_row));
    for (size_t i = 0; i < count; i++)
        if (is_to_be_added(commands[i]))
            add_row(records, commands[i], slice_of(err_info(commands[i]->verdict)->slug));
    pg_rows_send(&records->rows, records->db, &add, records->pool, on_done, arg);
}

static bool is_to_be_removed(const struct command *command)
{
    return (command->has_dead_letter || command->finding == FINDING_REPLACE) && !command_is_dead(command) &&
           command->finding != FINDING_GONE && !command_is_waiting(command) && !command->deferral;
}

void dead_letter_remove(struct records *records, struct command *const *commands, size_t count,
                        db_on_result *on_done, void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_UUID};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        if (!is_to_be_removed(commands[i]))
            continue;
        struct pg_array *column = pg_rows_add(&records->rows);
        pg_array_add_uuid(column++, &commands[i]->envelope.company);
        pg_array_add_uuid(column++, &commands[i]->envelope.id);
    }
    pg_rows_send(&records->rows, records->db, &remove_settled, records->pool, on_done, arg);
}

/* ---- from dead.<pool> ---- */

static struct slice text_or_none(struct slice s)
{
    return s.len > 0 ? s : SLICE_NONE;
}

static void send_unaddressed(struct records *records, const struct command *command, struct slice reason,
                             db_on_result *on_done, void *arg)
{
    pg_rows_begin(&records->rows, 1);
    struct pg_array *bodies = pg_rows_add(&records->rows);
    pg_array_add_bytes(bodies, command->envelope.body);
    struct slice body = pg_array_end(bodies); /* {"\\x00ff"} */
    const struct slice params[] = {
        slice_of(records->pool),
        reason,
        text_or_none(command->envelope.type),
        text_or_none(command->envelope.correlation_id),
        text_or_none(command->envelope.reply_to),
        {body.data + 3, body.len - 5},
    };
    db_send(records->db, &keep_unaddressed, params, ARRAY_LEN(params), on_done, arg);
}

void dead_letter_keep(struct records *records, const struct command *command, struct slice reason,
                      db_on_result *on_done, void *arg)
{
    if (command->reading == READING_NOTHING) {
        send_unaddressed(records, command, reason, on_done, arg);
        return;
    }
    pg_rows_begin_binary(&records->rows, columns_of_row, ARRAY_LEN(columns_of_row));
    add_row(records, command, reason);
    pg_rows_send(&records->rows, records->db, command->is_of_parcel ? &keep_of_parcel : &keep_addressed,
                 records->pool, on_done, arg);
}
