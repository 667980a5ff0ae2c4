#include "workers/engine/records/ledger.h"

#include <assert.h>

#include "workers/engine/command/refusal.h"

/* ORDER BY comes before the locking: two batches never hold companies that the other one waits for. */
static const struct db_statement lock_sequences = {
    "ledger.lock",
    "SELECT company_id, seq, 0 FROM company_sequence WHERE company_id = ANY ($1::uuid[]) ORDER BY company_id "
    "FOR UPDATE",
};

static const struct db_statement lock_and_count = {
    "ledger.lock_and_count",
    "SELECT s.company_id, s.seq, (SELECT count(*) FROM deferred AS d WHERE d.company_id = s.company_id"
    " AND d.reason = 'schedule') FROM company_sequence AS s WHERE s.company_id = ANY ($1::uuid[])"
    " ORDER BY s.company_id FOR UPDATE OF s",
};

static const struct db_statement find_results = {
    "ledger.find",
    "SELECT k.i, coalesce(x.fingerprint, d.fingerprint), x.status, x.http_status, x.refusal, x.seq, x.at,"
    " d.reason"
    " FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k (company_id, command_id, i)"
    " LEFT JOIN inbox AS x ON x.company_id = k.company_id AND x.command_id = k.command_id"
    " LEFT JOIN deferred AS d ON d.company_id = k.company_id AND d.command_id = k.command_id"
    " WHERE x.command_id IS NOT NULL OR d.command_id IS NOT NULL",
};

/* A statement of its own, for the few that need it: it opens every partition of `events`. The events of one
 * command follow one another, and share their time with the inbox row. */
static const struct db_statement find_events = {
    "ledger.recall",
    "SELECT k.i, e.seq, time_text(e.at), e.type, e.subject, e.project, e.actor, e.version, e.data"
    " FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::timestamptz[])"
    " AS k (i, company_id, command_id, seq, at)"
    " JOIN events AS e ON e.company_id = k.company_id AND e.at = k.at AND e.command_id = k.command_id"
    " AND e.seq >= k.seq AND e.seq < k.seq + " TEXT_OF(EFFECTS_MAX) " ORDER BY k.i, e.seq",
};

static const struct db_statement insert_events = {
    "ledger.events",
    "INSERT INTO events (company_id, seq, at, command_id, type, subject, project, actor, version, data)"
    " SELECT n.company_id, n.seq, $1::timestamptz, n.command_id, n.type, n.subject, n.project, n.actor,"
    " n.version, n.data"
    " FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[],"
    " $9::bigint[], $10::json[])"
    " AS n (company_id, seq, command_id, type, subject, project, actor, version, data)",
};

static const struct db_statement insert_inbox = {
    "ledger.inbox",
    "INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, seq, refusal, at)"
    " SELECT n.company_id, n.command_id, n.fingerprint, n.status, n.http_status, n.seq, n.refusal,"
    " $1::timestamptz"
    " FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::smallint[], $7::bigint[], $8::json[])"
    " AS n (company_id, command_id, fingerprint, status, http_status, seq, refusal)",
};

/* A dead letter that is sent again leaves room for its new result. */
static const struct db_statement delete_inbox = {
    "ledger.replace",
    "DELETE FROM inbox AS x USING unnest($1::uuid[], $2::uuid[]) AS n (company_id, command_id)"
    " WHERE x.company_id = n.company_id AND x.command_id = n.command_id",
};

static const struct db_statement advance_sequences = {
    "ledger.advance",
    "UPDATE company_sequence AS s SET seq = n.seq FROM unnest($1::uuid[], $2::bigint[]) AS n (company_id, "
    "seq)"
    " WHERE s.company_id = n.company_id",
};

void ledger_init(struct ledger *ledger)
{
    *ledger = (struct ledger){0};
    for (size_t i = 0; i < ARRAY_LEN(ledger->columns); i++)
        pg_array_init(&ledger->columns[i], LEDGER_ARRAY_MAX);
}

void ledger_done(struct ledger *ledger)
{
    for (size_t i = 0; i < ARRAY_LEN(ledger->columns); i++)
        pg_array_done(&ledger->columns[i]);
    free(ledger->companies);
    free(ledger->sorted);
}

static void clear_columns(struct ledger *ledger)
{
    for (size_t i = 0; i < ARRAY_LEN(ledger->columns); i++)
        pg_array_clear(&ledger->columns[i]);
}

static void send_columns(struct ledger *ledger, struct db *db, const struct db_statement *statement,
                         const char *at, size_t columns, db_on_result *on_recorded, void *arg)
{
    struct slice params[1 + ARRAY_LEN(ledger->columns)];
    size_t count = 0;
    if (at)
        params[count++] = slice_of(at);
    for (size_t i = 0; i < columns; i++)
        params[count++] = pg_array_end(&ledger->columns[i]);
    db_send(db, statement, params, count, on_recorded, arg);
}

/* ---- look ---- */

/* Neighbours are often of one company, so the search begins at the last. */
static size_t company_index(struct ledger *ledger, const struct uuid *id)
{
    for (size_t i = ledger->company_count; i > 0; i--)
        if (uuid_equal(&ledger->companies[i - 1].id, id))
            return i - 1;
    if (ledger->company_count == ledger->company_capacity) {
        ledger->company_capacity = ledger->company_capacity ? 2 * ledger->company_capacity : 16;
        ledger->companies =
            xrealloc(ledger->companies, ledger->company_capacity * sizeof(*ledger->companies));
    }
    ledger->companies[ledger->company_count] = (struct ledger_company){.id = *id};
    return ledger->company_count++;
}

/* Stable: a company's commands stay in the order of their delivery. */
static void sort_by_company(struct ledger *ledger, struct command **commands, size_t count)
{
    if (ledger->company_count < 2)
        return;
    if (count > ledger->sorted_capacity) {
        ledger->sorted_capacity = count;
        ledger->sorted = xrealloc(ledger->sorted, count * sizeof(struct command *));
    }
    size_t begin = 0;
    for (size_t i = 0; i < ledger->company_count; i++) {
        size_t commands_of_company = ledger->companies[i].commands;
        ledger->companies[i].commands = begin; /* from here on: where the next one goes */
        begin += commands_of_company;
    }
    for (size_t i = 0; i < count; i++)
        ledger->sorted[ledger->companies[commands[i]->company_at].commands++] = commands[i];
    memcpy(commands, ledger->sorted, count * sizeof(struct command *));
}

static void find_companies(struct ledger *ledger, struct command **commands, size_t count)
{
    ledger->company_count = 0;
    for (size_t i = 0; i < count; i++) {
        commands[i]->company_at = company_index(ledger, &commands[i]->envelope.company);
        ledger->companies[commands[i]->company_at].commands++;
    }
    sort_by_company(ledger, commands, count);
}

void ledger_lock(struct ledger *ledger, struct db *db, struct command **commands, size_t count,
                 db_on_result *on_locked, void *arg)
{
    bool is_scheduling = false;
    clear_columns(ledger);
    find_companies(ledger, commands, count);
    for (size_t i = 0; i < count; i++)
        is_scheduling = is_scheduling || commands[i]->envelope.not_before > 0;
    for (size_t i = 0; i < ledger->company_count; i++)
        pg_array_add_uuid(&ledger->columns[0], &ledger->companies[i].id);
    send_columns(ledger, db, is_scheduling ? &lock_and_count : &lock_sequences, NULL, 1, on_locked, arg);
}

void ledger_look(struct ledger *ledger, struct db *db, struct command *const *commands, size_t count,
                 db_on_result *on_found, void *arg)
{
    clear_columns(ledger);
    for (size_t i = 0; i < count; i++) {
        pg_array_add_uuid(&ledger->columns[0], &commands[i]->envelope.company);
        pg_array_add_uuid(&ledger->columns[1], &commands[i]->envelope.id);
    }
    send_columns(ledger, db, &find_results, NULL, 2, on_found, arg);
}

void ledger_read_locked(struct ledger *ledger, const struct db_result *result)
{
    for (int row = 0; row < db_rows(result); row++) {
        struct uuid id;
        if (!uuid_parse(db_text(result, row, 0), &id))
            continue;
        struct ledger_company *company = &ledger->companies[company_index(ledger, &id)];
        company->is_known = true;
        company->seq = db_int(result, row, 1);
        company->scheduled = db_int(result, row, 2);
    }
}

enum {
    FOUND_I,
    FOUND_FINGERPRINT,
    FOUND_STATUS,
    FOUND_HTTP_STATUS,
    FOUND_REFUSAL,
    FOUND_SEQ,
    FOUND_AT,
    FOUND_REASON
};

/* The command that a row speaks of: ordinals begin at 1. */
static struct command *command_of_row(struct command *const *commands, size_t count,
                                      const struct db_result *result, int row)
{
    int64_t i = db_int(result, row, FOUND_I);
    return i >= 1 && (size_t)i <= count ? commands[i - 1] : NULL;
}

static bool is_another_request(struct command *command, const struct db_result *result, int row)
{
    if ((uint64_t)db_int(result, row, FOUND_FINGERPRINT) == command->envelope.fingerprint)
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

/* A row of the inbox that the command meets. A dead letter's is a place-holder for whoever sends the command
 * again; a redelivery only asks for what its first delivery came to. */
static void read_result(struct command *command, const struct db_result *result, int row)
{
    struct slice slug = db_text(result, row, FOUND_STATUS);
    enum err status = err_from_slug(slug.data, slug.len);
    bool is_dead = db_int(result, row, FOUND_HTTP_STATUS) >= 500;
    if (is_dead && !command->is_redelivered) {
        command_find(command, FINDING_REPLACE);
        return;
    }
    if (command_is_dead(command) && !is_dead) {
        refuse_copy(command);
        return;
    }
    if (is_another_request(command, result, row))
        return;
    command_find(command, FINDING_REPLAY);
    command->status = status;
    command->http_status = (int)db_int(result, row, FOUND_HTTP_STATUS);
    if (db_text(result, row, FOUND_REFUSAL).data)
        command->refusal = arena_copy(&command->arena, db_text(result, row, FOUND_REFUSAL));
}

/* It waits in `deferred` and was sent, or delivered, once more. */
static void read_waiting(struct command *command, const struct db_result *result, int row)
{
    if (command_is_dead(command)) {
        refuse_copy(command);
        return;
    }
    if (is_another_request(command, result, row))
        return;
    bool is_in_turn = slice_is(db_text(result, row, FOUND_REASON), "turn");
    command_find(command, is_in_turn ? FINDING_IN_TURN : FINDING_WAITING);
}

/* Its events are to be found by their number and time. */
static void add_recall(struct ledger *ledger, const struct command *command, const struct db_result *result,
                       int row)
{
    struct pg_array *column = ledger->columns;
    pg_array_add_i64(column++, db_int(result, row, FOUND_I));
    pg_array_add_uuid(column++, &command->envelope.company);
    pg_array_add_uuid(column++, &command->envelope.id);
    pg_array_add_i64(column++, db_int(result, row, FOUND_SEQ));
    pg_array_add_text(column++, db_text(result, row, FOUND_AT));
}

size_t ledger_read_found(struct ledger *ledger, struct command *const *commands, size_t count,
                         const struct db_result *result)
{
    size_t successes = 0;
    clear_columns(ledger);
    for (int row = 0; row < db_rows(result); row++) {
        struct command *command = command_of_row(commands, count, result, row);
        if (!command || command->finding == FINDING_GONE)
            continue;
        if (db_text(result, row, FOUND_STATUS).data)
            read_result(command, result, row);
        else
            read_waiting(command, result, row);
        if (command->finding != FINDING_REPLAY || command->status != ERR_OK)
            continue;
        add_recall(ledger, command, result, row);
        successes++;
    }
    return successes;
}

void ledger_recall(struct ledger *ledger, struct db *db, db_on_result *on_recalled, void *arg)
{
    send_columns(ledger, db, &find_events, NULL, 5, on_recalled, arg);
}

enum {
    EVENT_I,
    EVENT_SEQ,
    EVENT_AT,
    EVENT_TYPE,
    EVENT_SUBJECT,
    EVENT_PROJECT,
    EVENT_ACTOR,
    EVENT_VERSION,
    EVENT_DATA
};

void ledger_read_recalled(struct command *const *commands, size_t count, const struct db_result *result)
{
    for (int row = 0; row < db_rows(result); row++) {
        struct command *command = command_of_row(commands, count, result, row);
        if (!command)
            continue;
        struct effect *effect =
            command_add_effect(command, db_text(result, row, EVENT_TYPE), db_text(result, row, EVENT_DATA));
        effect->seq = db_int(result, row, EVENT_SEQ);
        effect->version = db_int(result, row, EVENT_VERSION);
        effect->at = arena_copy(&command->arena, db_text(result, row, EVENT_AT));
        effect->has_project = db_text(result, row, EVENT_PROJECT).data != NULL;
        bool is_good = uuid_parse(db_text(result, row, EVENT_SUBJECT), &effect->subject) &&
                       uuid_parse(db_text(result, row, EVENT_ACTOR), &effect->actor);
        if (effect->has_project)
            is_good &= uuid_parse(db_text(result, row, EVENT_PROJECT), &effect->project);
        assert(is_good);
        (void)is_good;
    }
    for (size_t i = 0; i < count; i++)
        if (commands[i]->finding == FINDING_REPLAY && commands[i]->status == ERR_OK && !commands[i]->effects)
            command_refuse(commands[i], ERR_ALREADY_EXISTS,
                           "It was done before, and its event is no longer kept.", NULL, 0);
}

/* ---- record ---- */

static void add_event(struct ledger *ledger, const struct command *command, const struct effect *effect)
{
    struct pg_array *column = ledger->columns;
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

static size_t record_events(struct ledger *ledger, struct db *db, struct command *const *commands,
                            size_t count, const char *at, db_on_result *on_recorded, void *arg)
{
    size_t events = 0;
    clear_columns(ledger);
    for (size_t i = 0; i < count; i++) {
        if (!command_has_result(commands[i]))
            continue;
        struct ledger_company *company = &ledger->companies[commands[i]->company_at];
        for (struct effect *effect = commands[i]->effects; effect; effect = effect->next, events++) {
            effect->seq = ++company->seq;
            company->has_moved = true;
            add_event(ledger, commands[i], effect);
        }
    }
    if (events > 0)
        send_columns(ledger, db, &insert_events, at, 9, on_recorded, arg);
    return events > 0;
}

static size_t make_room(struct ledger *ledger, struct db *db, struct command *const *commands, size_t count,
                        db_on_result *on_recorded, void *arg)
{
    size_t rows = 0;
    clear_columns(ledger);
    for (size_t i = 0; i < count; i++) {
        if (!command_has_result(commands[i]) || commands[i]->finding != FINDING_REPLACE)
            continue;
        pg_array_add_uuid(&ledger->columns[0], &commands[i]->envelope.company);
        pg_array_add_uuid(&ledger->columns[1], &commands[i]->envelope.id);
        rows++;
    }
    if (rows > 0)
        send_columns(ledger, db, &delete_inbox, NULL, 2, on_recorded, arg);
    return rows > 0;
}

static void add_result(struct ledger *ledger, const struct command *command)
{
    struct pg_array *column = ledger->columns;
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

static size_t record_results(struct ledger *ledger, struct db *db, struct command *const *commands,
                             size_t count, const char *at, db_on_result *on_recorded, void *arg)
{
    size_t rows = 0;
    clear_columns(ledger);
    for (size_t i = 0; i < count; i++) {
        if (!command_has_result(commands[i]))
            continue;
        add_result(ledger, commands[i]);
        rows++;
    }
    if (rows > 0)
        send_columns(ledger, db, &insert_inbox, at, 7, on_recorded, arg);
    return rows > 0;
}

static size_t advance(struct ledger *ledger, struct db *db, db_on_result *on_recorded, void *arg)
{
    size_t rows = 0;
    clear_columns(ledger);
    for (size_t i = 0; i < ledger->company_count; i++) {
        if (!ledger->companies[i].has_moved)
            continue;
        pg_array_add_uuid(&ledger->columns[0], &ledger->companies[i].id);
        pg_array_add_i64(&ledger->columns[1], ledger->companies[i].seq);
        rows++;
    }
    if (rows > 0)
        send_columns(ledger, db, &advance_sequences, NULL, 2, on_recorded, arg);
    return rows > 0;
}

size_t ledger_record(struct ledger *ledger, struct db *db, struct command *const *commands, size_t count,
                     const char *at, db_on_result *on_recorded, void *arg)
{
    size_t sent = record_events(ledger, db, commands, count, at, on_recorded, arg);
    sent += make_room(ledger, db, commands, count, on_recorded, arg);
    sent += record_results(ledger, db, commands, count, at, on_recorded, arg);
    sent += advance(ledger, db, on_recorded, arg);
    return sent;
}
