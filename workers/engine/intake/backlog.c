#include "workers/engine/intake/backlog.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/process/rhythm.h"
#include "workers/engine/intake/scan.h"
#include "workers/engine/records/command_row.h"
#include "workers/engine/records/deferred.h"
#include "workers/engine/records/unpublished.h"
#include "workers/engine/records/unreadable.h"

enum {
    LOADS = 8,     /* companies whose rows are requested at a time */
    DUE_MAX = 128, /* due commands that are here, of companies that are not locked */
    NO_MARKS_S = 5,
    GIVEN_UP_BYTES_MAX = 4 << 20,
    ARRAY_MAX = 1 << 20,
};

/* What is read of a row: its wait, whether a begun mark stands that is not of this statement, and the
 * command. */
#define ROW_COLUMNS                                                                            \
    "f.reason, f.place, f.attempts, f.error,"                                                  \
    " to_char(f.first_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"            \
    " f.is_replay, m.command_id IS NOT NULL,"                                                  \
    " f.company_id, f.command_id, f.slot, f.type, f.actor, f.role, f.subject, f.parent,"       \
    " f.if_match, f.fingerprint, f.sent, f.correlation_id, f.reply_to, f.traceparent, f.body," \
    " f.acted_by, f.acted_company, f.acted_at, f.scheduled_by, f.scheduled_company, f.scheduled_at"

enum { REASON, PLACE, ATTEMPTS, ERROR, FIRST_AT, IS_REPLAY, WAS_BEGUN, COMMAND };

/* Marks the rows `found` as begun, and selects them. The SELECT does not see the marks of its own
 * statement. */
#define MARK_AND_SELECT                                           \
    " marked AS (INSERT INTO begun_mark (company_id, command_id)" \
    " SELECT company_id, command_id FROM found"                   \
    " ON CONFLICT DO NOTHING)"                                    \
    " SELECT " ROW_COLUMNS " FROM found AS f"                     \
    " LEFT JOIN begun_mark AS m ON m.company_id = f.company_id AND m.command_id = f.command_id"

/* Selects them as if they had a mark: each runs alone, and is marked then. So nobody waits for a mark that
 * another transaction holds but the company whose mark it is. */
#define SELECT_AS_MARKED                                            \
    " m AS MATERIALIZED (SELECT company_id, command_id FROM found)" \
    " SELECT " ROW_COLUMNS " FROM found AS f"                       \
    " JOIN m ON m.company_id = f.company_id AND m.command_id = f.command_id"

#define ROWS(select)                                                                                 \
    "WITH found AS MATERIALIZED (SELECT d.*"                                                         \
    " FROM unnest($2::uuid[], $3::bigint[]) AS k (company_id, place)"                                \
    " CROSS JOIN LATERAL (SELECT * FROM deferred AS d"                                               \
    " WHERE d.pool = $1 AND d.reason = 'turn' AND d.company_id = k.company_id AND d.place > k.place" \
    " ORDER BY d.place"                                                                              \
    " LIMIT $4::integer) AS d)," select " ORDER BY f.company_id, f.place"

static const struct db_statement find_rows = {"backlog.rows", ROWS(MARK_AND_SELECT)};
static const struct db_statement find_rows_as_marked = {"backlog.rows_as_marked", ROWS(SELECT_AS_MARKED)};

/* A row that another transaction holds is passed over until a later look. */
#define DUE(select)                                             \
    "WITH found AS MATERIALIZED (SELECT * FROM deferred"        \
    " WHERE pool = $1 AND reason <> 'turn' AND due_at <= now()" \
    " AND slot % $2::integer = ANY ($3::integer[])"             \
    " AND command_id <> ALL ($4::uuid[])"                       \
    " AND company_id <> ALL ($6::uuid[])"                       \
    " ORDER BY due_at"                                          \
    " LIMIT $5::integer"                                        \
    " FOR UPDATE SKIP LOCKED)," select " ORDER BY f.due_at, f.place"

static const struct db_statement find_due = {"backlog.due", DUE(MARK_AND_SELECT)};
static const struct db_statement find_due_as_marked = {"backlog.due_as_marked", DUE(SELECT_AS_MARKED)};

/* The rows are older than their process is likely to need for publishing. When it does need longer, the
 * command is published twice. */
static const struct db_statement find_unpublished = {
    "backlog.unpublished",
    "SELECT 'unpublished', 0, 0, NULL,"
    " to_char(f.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
    " false, false, " COMMAND_HEAD_COLUMNS ", ''::bytea, NULL, NULL, NULL"
    " FROM unpublished AS f"
    " WHERE pool = $1 AND at < now() - interval '2 seconds'"
    " AND slot % $2::integer = ANY ($3::integer[])"
    " AND command_id <> ALL ($4::uuid[])"
    " AND company_id <> ALL ($6::uuid[])"
    " ORDER BY at"
    " LIMIT $5::integer",
};

/* A command of a due or of an unpublished row that is here. */
struct due {
    struct uuid id, company;
};

struct backlog {
    struct ev_loop *loop;
    struct db *db;
    const char *pool;
    const struct partition_set *partitions;
    struct intake *intake;
    struct scan *scan;
    double poll_s;
    ev_timer poll;
    bool poll_is_due, unpublished_is_due, is_stopped;
    bool is_polling, is_loading;
    struct intake_want wants[LOADS];
    size_t rows_of[LOADS];
    size_t want_count;
    struct due *due;
    size_t due_count, due_capacity;
    struct pg_array columns[3];
    double no_marks_until;   /* monotonic; until then rows are selected as if they had a mark */
    struct pg_rows given_up; /* begun marks to be deleted */
    bool is_giving_up;
    struct unpublished unpublished;
    struct unreadable unreadable;
};

static void again_after(struct ev_loop *loop, ev_timer *timer, double s)
{
    ev_timer_stop(loop, timer);
    ev_timer_set(timer, rhythm_after(loop, s), 0);
    ev_timer_start(loop, timer);
}

static bool note_failure(const struct db_result *result, const char *what)
{
    enum err err = db_result_error(result);
    if (err && err != ERR_SHUTTING_DOWN)
        log_warn("backlog.failed", LOG_S("what", what), LOG_S("error", err_info(err)->name),
                 LOG_S("message", db_result_message(result)));
    return err != ERR_OK;
}

/* A mark of one company that another transaction holds would hold up the rows of all. */
static void note_lock(struct backlog *b, const struct db_result *result)
{
    if (db_result_error(result) == ERR_DATABASE_LOCKED)
        b->no_marks_until = clock_monotonic_s() + NO_MARKS_S;
}

static bool is_marking(const struct backlog *b)
{
    return clock_monotonic_s() >= b->no_marks_until;
}

static struct slice list_partitions(const struct backlog *b, uint64_t set, struct pg_array *array)
{
    pg_array_clear(array);
    for (unsigned i = 0; i < b->partitions->count; i++)
        if (set >> i & 1)
            pg_array_add_i64(array, i);
    return pg_array_end(array);
}

/* ---- rows into commands ---- */

/* NULL: the row cannot be read, and becomes a dead letter. */
static struct command *read_row(struct backlog *b, struct db_result *result, int row)
{
    struct slice reason = db_text(result, row, REASON);
    enum deferral deferral = deferral_of(reason);
    struct command *command = deferral ? command_row_read(result, row, COMMAND, deferral) : NULL;
    if (!command) {
        unreadable_add(&b->unreadable, slice_is(reason, "unpublished"), db_text(result, row, COMMAND),
                       db_text(result, row, COMMAND + 1), SLICE("unreadable"),
                       deferral ? SLICE("The row cannot be read.")
                                : SLICE("This worker does not know why the command waits."));
        return NULL;
    }
    struct slice error = db_text(result, row, ERROR);
    command->place = db_int(result, row, PLACE);
    command->attempts = (unsigned)db_int(result, row, ATTEMPTS);
    command->error = error.data ? err_from_slug(error.data, error.len) : ERR_OK;
    command->first_at = arena_copy(&command->arena, db_text(result, row, FIRST_AT));
    command->has_dead_letter = slice_is(db_text(result, row, IS_REPLAY), "t");
    command->was_begun = slice_is(db_text(result, row, WAS_BEGUN), "t");
    command->has_begun_mark =
        !command->was_begun &&
        command->row != DEFER_UNPUBLISHED; /* the statement that found it has marked it */
    return command;
}

/* ---- turn ---- */

static void on_rows(void *arg, struct db_result *result)
{
    struct backlog *b = arg;
    bool has_failed = note_failure(result, "rows"), has_unreadable = false;
    note_lock(b, result);
    memset(b->rows_of, 0, sizeof(b->rows_of));
    for (int row = 0; !has_failed && row < db_rows(result); row++) {
        struct command *command = read_row(b, result, row);
        has_unreadable |= !command;
        for (size_t i = 0; command && i < b->want_count; i++)
            b->rows_of[i] += uuid_equal(&b->wants[i].company, &command->envelope.company);
        if (command)
            intake_load(b->intake, command);
    }
    for (size_t i = 0; i < b->want_count; i++)
        intake_loaded(b->intake, &b->wants[i].company, b->rows_of[i],
                      !has_failed && !has_unreadable && b->rows_of[i] < INTAKE_ROWS);
    b->is_loading = false;
}

static void load_rows(struct backlog *b)
{
    char max[DB_NUMBER_SIZE];
    b->want_count = intake_wants(b->intake, b->wants, LOADS);
    if (b->want_count == 0)
        return;
    b->is_loading = true;
    pg_array_clear(&b->columns[0]);
    pg_array_clear(&b->columns[1]);
    for (size_t i = 0; i < b->want_count; i++) {
        pg_array_add_uuid(&b->columns[0], &b->wants[i].company);
        pg_array_add_i64(&b->columns[1], b->wants[i].place);
    }
    const struct slice params[] = {slice_of(b->pool), pg_array_end(&b->columns[0]),
                                   pg_array_end(&b->columns[1]), db_number(INTAKE_ROWS, max)};
    db_send(b->db, is_marking(b) ? &find_rows : &find_rows_as_marked, params, ARRAY_LEN(params), on_rows, b);
    db_sync(b->db, NULL, NULL);
}

/* ---- due, and unpublished ---- */

static void add_due(struct backlog *b, const struct command *command)
{
    if (b->due_count == b->due_capacity) {
        b->due_capacity = b->due_capacity ? 2 * b->due_capacity : DUE_MAX;
        b->due = xrealloc(b->due, b->due_capacity * sizeof(*b->due));
    }
    b->due[b->due_count++] = (struct due){command->envelope.id, command->envelope.company};
}

/* How many more due commands may be here. */
static size_t due_room(const struct backlog *b)
{
    size_t count = 0;
    for (size_t i = 0; i < b->due_count; i++)
        count += !intake_is_locked(b->intake, &b->due[i].company);
    return count < DUE_MAX ? DUE_MAX - count : 0;
}

static bool load_due(struct backlog *b, struct db_result *result, const char *what)
{
    b->is_polling = false;
    if (note_failure(result, what))
        return false;
    for (int row = 0; row < db_rows(result); row++) {
        struct command *command = read_row(b, result, row);
        if (!command)
            continue;
        add_due(b, command);
        intake_load(b->intake, command);
    }
    return b->due_count > 0 && db_rows(result) > 0; /* there may be more */
}

static void on_due(void *arg, struct db_result *result)
{
    struct backlog *b = arg;
    note_lock(b, result);
    bool is_locked = db_result_error(result) == ERR_DATABASE_LOCKED;
    if (load_due(b, result, "due") || is_locked)
        b->poll_is_due = true;
}

static void on_unpublished(void *arg, struct db_result *result)
{
    struct backlog *b = arg;
    if (load_due(b, result, "unpublished") && due_room(b) == 0)
        b->unpublished_is_due = true; /* there may be more; a row that was just published may be there yet */
}

static void request_due(struct backlog *b, const struct db_statement *statement, db_on_result *on_found)
{
    char count[DB_NUMBER_SIZE], max[DB_NUMBER_SIZE];
    b->is_polling = true;
    pg_array_clear(&b->columns[1]);
    pg_array_clear(&b->columns[2]);
    for (size_t i = 0; i < b->due_count; i++)
        if (intake_is_locked(b->intake, &b->due[i].company))
            pg_array_add_uuid(&b->columns[2], &b->due[i].company);
        else
            pg_array_add_uuid(&b->columns[1], &b->due[i].id);
    const struct slice params[] = {slice_of(b->pool),
                                   db_number(b->partitions->count, count),
                                   list_partitions(b, b->partitions->mine, &b->columns[0]),
                                   pg_array_end(&b->columns[1]),
                                   db_number((int64_t)due_room(b), max),
                                   pg_array_end(&b->columns[2])};
    db_send(b->db, statement, params, ARRAY_LEN(params), on_found, b);
    db_sync(b->db, NULL, NULL);
}

static void poll_due(struct backlog *b)
{
    b->poll_is_due = false;
    again_after(b->loop, &b->poll, b->poll_s);
    if (due_room(b) > 0)
        request_due(b, is_marking(b) ? &find_due : &find_due_as_marked, on_due);
}

static void look_for_unpublished(struct backlog *b)
{
    b->unpublished_is_due = false;
    request_due(b, &find_unpublished, on_unpublished);
}

void backlog_settled(struct backlog *b, const struct command *command)
{
    if (command->row == DEFER_NONE || command->row == DEFER_TURN)
        return;
    for (size_t i = 0; i < b->due_count; i++)
        if (uuid_equal(&b->due[i].id, &command->envelope.id)) {
            b->due[i] = b->due[--b->due_count];
            return;
        }
}

/* ---- rejected ---- */

void backlog_rejected(struct backlog *b, const struct command *command)
{
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
    enum err err = command->verdict ? command->verdict : ERR_DATABASE_ERROR;
    if (!command->row)
        return;
    uuid_format(&command->envelope.company, company);
    uuid_format(&command->envelope.id, id);
    unreadable_add(&b->unreadable, command->row == DEFER_UNPUBLISHED, slice_of(company), slice_of(id),
                   slice_of(err_info(err)->slug), command->why);
}

/* ---- published ---- */

void backlog_published(struct backlog *b, const struct command *command)
{
    unpublished_add(&b->unpublished, command);
}

bool backlog_is_idle(const struct backlog *b)
{
    return unpublished_is_idle(&b->unpublished) && unreadable_is_idle(&b->unreadable) &&
           b->given_up.count == 0 && !b->is_giving_up;
}

/* ---- given up ---- */

/* What was counted as a run alone keeps its mark, since it was begun elsewhere too. */
static const struct db_statement delete_marks = {
    "backlog.give_up",
    "DELETE FROM begun_mark AS m"
    " USING unnest($1::uuid[], $2::uuid[]) AS k (company_id, command_id)"
    " WHERE m.company_id = k.company_id AND m.command_id = k.command_id AND m.alone = 0",
};

void backlog_give_up(struct backlog *b, const struct command *command)
{
    if (!command->has_begun_mark || command->was_begun)
        return;
    struct pg_array *column = pg_rows_add(&b->given_up);
    pg_array_add_uuid(column++, &command->envelope.company);
    pg_array_add_uuid(column++, &command->envelope.id);
}

static void on_given_up(void *arg, struct db_result *result)
{
    struct backlog *b = arg;
    b->is_giving_up = false;
    (void)note_failure(result, "give_up"); /* the marks that stay only make their commands run alone */
}

static void delete_given_up(struct backlog *b)
{
    if (b->given_up.count == 0 || b->is_giving_up)
        return;
    b->is_giving_up = true;
    pg_rows_send(&b->given_up, b->db, &delete_marks, NULL, on_given_up, b);
    db_sync(b->db, NULL, NULL);
    pg_rows_begin(&b->given_up, 2);
}

/* ---- the outside ---- */

void backlog_rescan(struct backlog *b, uint64_t partitions)
{
    scan_restart(b->scan, partitions);
    b->poll_is_due = b->unpublished_is_due = true;
}

void backlog_run(struct backlog *b)
{
    if (scan_run(b->scan))
        b->unpublished_is_due = true;
    unpublished_send(&b->unpublished);
    unreadable_send(&b->unreadable);
    delete_given_up(b);
    if (b->is_stopped)
        return;
    if (b->unpublished_is_due && !b->is_polling && due_room(b) > 0)
        look_for_unpublished(b);
    if (b->poll_is_due && !b->is_polling)
        poll_due(b);
    if (!b->is_loading)
        load_rows(b);
}

void backlog_stop(struct backlog *b)
{
    b->is_stopped = true;
}

static void on_poll(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct backlog *b = CONTAINER_OF(timer, struct backlog, poll);
    b->poll_is_due = true; /* the worker looks before the loop sleeps */
}

struct backlog *backlog_new(struct ev_loop *loop, struct db *db, const char *pool,
                            const struct partition_set *partitions, struct intake *intake,
                            const struct config *config)
{
    struct backlog *b = xcalloc(1, sizeof(*b));
    b->loop = loop;
    b->db = db;
    b->pool = pool;
    b->partitions = partitions;
    b->intake = intake;
    b->poll_s = (double)config->backlog_poll_ms / 1000;
    b->scan = scan_new(loop, db, pool, partitions, intake, (double)config->backlog_scan_ms / 1000);
    b->poll_is_due = b->unpublished_is_due = true;
    for (size_t i = 0; i < ARRAY_LEN(b->columns); i++)
        pg_array_init(&b->columns[i], ARRAY_MAX);
    unpublished_init(&b->unpublished, db);
    unreadable_init(&b->unreadable, db, pool);
    pg_rows_init(&b->given_up, 2, GIVEN_UP_BYTES_MAX);
    pg_rows_begin(&b->given_up, 2);
    ev_timer_init(&b->poll, on_poll, 0, 0);
    return b;
}

void backlog_free(struct backlog *b)
{
    if (!b)
        return;
    ev_timer_stop(b->loop, &b->poll);
    scan_free(b->scan);
    for (size_t i = 0; i < ARRAY_LEN(b->columns); i++)
        pg_array_done(&b->columns[i]);
    unpublished_done(&b->unpublished);
    unreadable_done(&b->unreadable);
    pg_rows_done(&b->given_up);
    free(b->due);
    free(b);
}
