#include "workers/engine/records/inbox.h"

#include <assert.h>

#include "workers/engine/command/refusal.h"
#include "workers/engine/records/events.h"

static const struct db_statement find_results = {
    "inbox.look",
    "SELECT k.i, coalesce(x.fingerprint, d.fingerprint), x.status, x.http_status, x.refusal, x.seq, x.at,"
    " d.reason, x.type, x.subject, x.actor, x.version, x.data, to_char(x.at, "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    " FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k (company_id, command_id, i)"
    " LEFT JOIN inbox AS x ON x.company_id = k.company_id AND x.command_id = k.command_id"
    " LEFT JOIN deferred AS d ON d.company_id = k.company_id AND d.command_id = k.command_id"
    " WHERE x.command_id IS NOT NULL OR d.command_id IS NOT NULL",
};

enum {
    I,
    FINGERPRINT,
    STATUS,
    HTTP_STATUS,
    REFUSAL,
    SEQ,
    AT,
    REASON,
    TYPE,
    SUBJECT,
    ACTOR,
    VERSION,
    DATA,
    AT_TEXT
};

static const struct db_statement insert_results = {
    "inbox.add",
    "INSERT INTO inbox (" INBOX_COLUMNS ")"
    " SELECT n.company_id, n.command_id, n.fingerprint, n.status, n.http_status, n.seq, n.refusal,"
    " $1::timestamptz"
    " FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::smallint[], $7::bigint[], $8::json[])"
    " AS n (company_id, command_id, fingerprint, status, http_status, seq, refusal)",
};

/* Of successes of which nobody hears there is no event that their answer could be rebuilt from. */
static const struct db_statement insert_private = {
    "inbox.add_private",
    "INSERT INTO inbox (" INBOX_COLUMNS ", type, subject, actor, version, data)"
    " SELECT n.company_id, n.command_id, n.fingerprint, n.status, n.http_status, NULL, NULL, $1::timestamptz,"
    " n.type, n.subject, n.actor, n.version, n.data"
    " FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::smallint[], $7::text[], $8::uuid[],"
    " $9::uuid[], $10::bigint[], $11::json[])"
    " AS n (company_id, command_id, fingerprint, status, http_status, type, subject, actor, version, data)",
};

static const struct db_statement delete_replaced = {
    "inbox.replace",
    "DELETE FROM inbox AS x"
    " USING unnest($1::uuid[], $2::uuid[]) AS n (company_id, command_id)"
    " WHERE x.company_id = n.company_id AND x.command_id = n.command_id",
};

/* ---- look ---- */

void inbox_look(struct records *records, struct command *const *commands, size_t count,
                db_on_result *on_found, void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_UUID};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        struct pg_array *column = pg_rows_add(&records->rows);
        pg_array_add_uuid(column++, &commands[i]->envelope.company);
        pg_array_add_uuid(column++, &commands[i]->envelope.id);
    }
    pg_rows_send(&records->rows, records->db, &find_results, NULL, on_found, arg);
}

static bool is_another_request(struct command *command, const struct db_result *result, int row)
{
    if ((uint64_t)db_int(result, row, FINGERPRINT) == command->envelope.fingerprint)
        return false;
    command_find(command, FINDING_UNRECORDED);
    command_refuse(command, ERR_IDEMPOTENCY_MISMATCH, NULL, NULL, 0);
    return true;
}

/* A broken copy of a command does not change what is known of the command itself. */
static void refuse_copy(struct command *command)
{
    command_find(command, FINDING_UNRECORDED);
    command_refuse(command, command->verdict, NULL, NULL, 0);
}

/* The command has a row in the inbox. When that row is the result of a dead letter and the command was sent
 * again, it runs once more; a redelivery only asks for what its first delivery came to.
 *
 * A verdict of ours says that its tries are used up. Such a try may have been committed all the same, when the
 * connection broke before the answer came: then the result that was committed is the one that counts. */
static void read_result(struct command *command, const struct db_result *result, int row)
{
    struct slice slug = db_text(result, row, STATUS);
    enum err status = err_from_slug(slug.data, slug.len);
    bool is_dead = db_int(result, row, HTTP_STATUS) >= 500;
    if (is_dead && !command->is_redelivered) {
        command_find(command, FINDING_REPLACE);
        return;
    }
    if (command->reading == READING_ALL) {
        command->verdict = ERR_OK;
    } else if (!is_dead) {
        refuse_copy(command);
        return;
    }
    if (is_another_request(command, result, row))
        return;
    command_find(command, FINDING_REPLAY);
    command->status = status;
    command->http_status = (int)db_int(result, row, HTTP_STATUS);
    if (db_text(result, row, REFUSAL).data)
        command->refusal = arena_copy(&command->arena, db_text(result, row, REFUSAL));
}

/* The command waits in `deferred`, and was sent or delivered once more. */
static void read_waiting(struct command *command, const struct db_result *result, int row)
{
    if (command_is_dead(command)) {
        refuse_copy(command);
        return;
    }
    if (is_another_request(command, result, row))
        return;
    bool is_in_turn = slice_is(db_text(result, row, REASON), "turn");
    command_find(command, is_in_turn ? FINDING_IN_TURN : FINDING_WAITING);
}

static void read_row(struct command *command, const struct db_result *result, int row)
{
    if (command->finding == FINDING_GONE)
        return;
    if (db_text(result, row, STATUS).data)
        read_result(command, result, row);
    else
        read_waiting(command, result, row);
}

/* Returns false when the answer has to be rebuilt from an event. */
static bool read_private(struct command *command, const struct db_result *result, int row)
{
    if (!db_text(result, row, DATA).data)
        return false;
    struct effect *effect =
        command_add_effect(command, db_text(result, row, TYPE), db_text(result, row, DATA));
    effect->is_private = true;
    effect->version = db_int(result, row, VERSION);
    effect->at = arena_copy(&command->arena, db_text(result, row, AT_TEXT));
    bool is_good = uuid_parse(db_text(result, row, SUBJECT), &effect->subject) &&
                   uuid_parse(db_text(result, row, ACTOR), &effect->actor);
    assert(is_good);
    (void)is_good;
    return true;
}

size_t inbox_read_found(struct records *records, struct command *const *commands, size_t count,
                        const struct db_result *result)
{
    size_t successes = 0;
    events_recall_begin(records);
    for (int row = 0; row < db_rows(result); row++) {
        int64_t ordinal = db_int(result, row, I);
        if (ordinal < 1 || (size_t)ordinal > count)
            continue;
        struct command *command = commands[ordinal - 1];
        read_row(command, result, row);
        if (command->finding != FINDING_REPLAY || command->status != ERR_OK ||
            read_private(command, result, row))
            continue;
        events_recall_add(records, ordinal, command, db_int(result, row, SEQ), db_text(result, row, AT));
        successes++;
    }
    return successes;
}

/* ---- add ---- */

/* A dead letter that is sent again leaves room for its new result. */
static void replace(struct records *records, struct command *const *commands, size_t count,
                    db_on_result *on_done, void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_UUID};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        if (!command_has_result(commands[i]) || commands[i]->finding != FINDING_REPLACE)
            continue;
        struct pg_array *column = pg_rows_add(&records->rows);
        pg_array_add_uuid(column++, &commands[i]->envelope.company);
        pg_array_add_uuid(column++, &commands[i]->envelope.id);
    }
    pg_rows_send(&records->rows, records->db, &delete_replaced, NULL, on_done, arg);
}

static void add_result(struct records *records, const struct command *command)
{
    struct pg_array *column = pg_rows_add(&records->rows);
    pg_array_add_uuid(column++, &command->envelope.company);
    pg_array_add_uuid(column++, &command->envelope.id);
    pg_array_add_i64(column++, (int64_t)command->envelope.fingerprint);
    pg_array_add_text(column++, slice_of(err_info(command->status)->slug));
    pg_array_add_i64(column++, command->http_status);
    if (command->effects)
        pg_array_add_i64(column++, command->effects->seq);
    else
        pg_array_add_null(column++);
    pg_array_add_text(column++, command->effects ? SLICE_NONE : command->refusal);
}

static bool is_private(const struct command *command)
{
    return command->effects && command->effects->is_private;
}

static void add_private(struct records *records, const struct command *command)
{
    struct pg_array *column = pg_rows_add(&records->rows);
    pg_array_add_uuid(column++, &command->envelope.company);
    pg_array_add_uuid(column++, &command->envelope.id);
    pg_array_add_i64(column++, (int64_t)command->envelope.fingerprint);
    pg_array_add_text(column++, slice_of(err_info(command->status)->slug));
    pg_array_add_i64(column++, command->http_status);
    pg_array_add_text(column++, command->effects->type);
    pg_array_add_uuid(column++, &command->effects->subject);
    pg_array_add_uuid(column++, &command->effects->actor);
    pg_array_add_i64(column++, command->effects->version);
    pg_array_add_text(column++, command->effects->data);
}

static void add_all_private(struct records *records, struct command *const *commands, size_t count,
                            const char *at, db_on_result *on_done, void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_UUID, PG_BIGINT, PG_TEXT,   PG_SMALLINT,
                                              PG_TEXT, PG_UUID, PG_UUID,   PG_BIGINT, PG_JSON};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++)
        if (command_has_result(commands[i]) && is_private(commands[i]))
            add_private(records, commands[i]);
    pg_rows_send(&records->rows, records->db, &insert_private, at, on_done, arg);
}

void inbox_add(struct records *records, struct command *const *commands, size_t count, const char *at,
               db_on_result *on_done, void *arg)
{
    replace(records, commands, count, on_done, arg);
    add_all_private(records, commands, count, at, on_done, arg);
    static const enum pg_element columns[] = {PG_UUID,     PG_UUID,   PG_BIGINT, PG_TEXT,
                                              PG_SMALLINT, PG_BIGINT, PG_JSON};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++)
        if (command_has_result(commands[i]) && !is_private(commands[i]))
            add_result(records, commands[i]);
    pg_rows_send(&records->rows, records->db, &insert_results, at, on_done, arg);
}
