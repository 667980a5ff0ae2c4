#include "workers/engine/records/events.h"

#include <assert.h>

#include "workers/engine/command/refusal.h"

/* Only the commands that need it are recalled, because the statement opens every partition of `events`. The
 * events of one command follow one another, and share their time with the inbox row. */
static const struct db_statement find_events = {
    "events.recall",
    "SELECT k.i, e.seq, to_char(e.at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
    " e.type, e.subject, e.project, e.actor, e.version, e.data"
    " FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::timestamptz[])"
    " AS k (i, company_id, command_id, seq, at)"
    " JOIN events AS e ON e.company_id = k.company_id AND e.at = k.at AND e.command_id = k.command_id"
    " AND e.seq >= k.seq AND e.seq < k.seq + " TEXT_OF(EFFECTS_MAX) " ORDER BY k.i, e.seq",
};

enum { I, SEQ, AT, TYPE, SUBJECT, PROJECT, ACTOR, VERSION, DATA };

static const struct db_statement insert_events = {
    "events.add",
    "INSERT INTO events (" EVENTS_COLUMNS ")"
    " SELECT n.company_id, n.seq, $1::timestamptz, n.command_id, n.type, n.subject, n.project, n.actor,"
    " n.version, n.data"
    " FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[],"
    " $9::bigint[], $10::json[])"
    " AS n (company_id, seq, command_id, type, subject, project, actor, version, data)",
};

/* ---- recall ---- */

void events_recall_begin(struct records *records)
{
    static const enum pg_element columns[] = {PG_BIGINT, PG_UUID, PG_UUID, PG_BIGINT, PG_AS_TEXT};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
}

void events_recall_add(struct records *records, int64_t ordinal, const struct command *command, int64_t seq,
                       struct slice at)
{
    struct pg_array *column = pg_rows_add(&records->rows);
    pg_array_add_i64(column++, ordinal);
    pg_array_add_uuid(column++, &command->envelope.company);
    pg_array_add_uuid(column++, &command->envelope.id);
    pg_array_add_i64(column++, seq);
    pg_array_add_text(column++, at);
}

void events_recall_send(struct records *records, db_on_result *on_recalled, void *arg)
{
    pg_rows_send(&records->rows, records->db, &find_events, NULL, on_recalled, arg);
}

static void read_row(struct command *command, const struct db_result *result, int row)
{
    struct effect *effect =
        command_add_effect(command, db_text(result, row, TYPE), db_text(result, row, DATA));
    effect->seq = db_int(result, row, SEQ);
    effect->version = db_int(result, row, VERSION);
    effect->at = arena_copy(&command->arena, db_text(result, row, AT));
    effect->has_project = db_text(result, row, PROJECT).data != NULL;
    bool is_good = uuid_parse(db_text(result, row, SUBJECT), &effect->subject) &&
                   uuid_parse(db_text(result, row, ACTOR), &effect->actor);
    if (effect->has_project)
        is_good &= uuid_parse(db_text(result, row, PROJECT), &effect->project);
    assert(is_good);
    (void)is_good;
}

void events_read_recalled(struct command *const *commands, size_t count, const struct db_result *result)
{
    for (int row = 0; row < db_rows(result); row++) {
        int64_t i = db_int(result, row, I);
        if (i >= 1 && (size_t)i <= count)
            read_row(commands[i - 1], result, row);
    }
    for (size_t i = 0; i < count; i++)
        if (commands[i]->finding == FINDING_REPLAY && commands[i]->status == ERR_OK && !commands[i]->effects)
            command_refuse(commands[i], ERR_ALREADY_EXISTS,
                           "It was done before, and its event is no longer kept.", NULL, 0);
}

/* ---- add ---- */

static void add_event(struct records *records, const struct command *command, const struct effect *effect)
{
    struct pg_array *column = pg_rows_add(&records->rows);
    pg_array_add_uuid(column++, &command->envelope.company);
    pg_array_add_i64(column++, effect->seq);
    pg_array_add_uuid(column++, &command->envelope.id);
    pg_array_add_text(column++, effect->type);
    pg_array_add_uuid(column++, &effect->subject);
    if (effect->has_project)
        pg_array_add_uuid(column++, &effect->project);
    else
        pg_array_add_null(column++);
    pg_array_add_uuid(column++, &effect->actor);
    pg_array_add_i64(column++, effect->version);
    pg_array_add_text(column++, effect->data);
}

void events_add(struct records *records, struct command *const *commands, size_t count, const char *at,
                db_on_result *on_done, void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_BIGINT, PG_UUID,   PG_TEXT, PG_UUID,
                                              PG_UUID, PG_UUID,   PG_BIGINT, PG_JSON};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        if (!command_has_result(commands[i]))
            continue;
        for (const struct effect *effect = commands[i]->effects; effect; effect = effect->next)
            if (!effect->is_private)
                add_event(records, commands[i], effect);
    }
    pg_rows_send(&records->rows, records->db, &insert_events, at, on_done, arg);
}
