#include "workers/engine/records/deferred.h"

#include "workers/engine/records/command_row.h"

enum { EXTRA_COLUMNS = 7, COLUMNS = COMMAND_COLUMN_COUNT + EXTRA_COLUMNS };

static const struct db_statement claim = {
    "deferred.claim",
    "WITH claimed AS (DELETE FROM deferred AS d USING unnest($1::bigint[], $2::uuid[], $3::uuid[])"
    " AS k (i, company_id, command_id)"
    " WHERE d.company_id = k.company_id AND d.command_id = k.command_id RETURNING k.i, d.*),"
    " kept AS (INSERT INTO unpublished (pool, " COMMAND_HEAD_COLUMNS ") SELECT pool, " COMMAND_HEAD_COLUMNS
    " FROM claimed ON CONFLICT DO NOTHING)"
    " SELECT i FROM claimed",
};

/* The places are given after the sort. A row that is there already (a schedule's, which asks no sequence)
 * stays. */
static const struct db_statement put = {
    "deferred.put",
    "INSERT INTO deferred (pool, " COMMAND_COLUMNS ","
    " reason, due_at, attempts, error, first_at, is_replay)"
    " SELECT $1, " COMMAND_NAMES ", n.reason,"
    " CASE WHEN n.reason = 'schedule' THEN to_timestamp(n.due / 1000.0)"
    " ELSE now() + n.due * interval '1 millisecond' END,"
    " n.attempts, n.error, coalesce(n.first_at, now()), n.is_replay"
    " FROM unnest(" COMMAND_ARRAYS ", $17::text[], $18::bigint[], $19::integer[], $20::text[],"
    " $21::timestamptz[], $22::boolean[], $23::bigint[])"
    " AS n (" COMMAND_COLUMNS ", reason, due, attempts, error, first_at, is_replay, i) ORDER BY n.i"
    " ON CONFLICT (company_id, command_id) DO NOTHING",
};

static const struct db_statement readdress = {
    "deferred.readdress",
    "UPDATE deferred AS d SET reply_to = n.reply_to, correlation_id = n.correlation_id"
    " FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])"
    " AS n (company_id, command_id, reply_to, correlation_id)"
    " WHERE d.company_id = n.company_id AND d.command_id = n.command_id",
};

static const char *const names[] = {[DEFER_NONE] = "",
                                    [DEFER_TURN] = "turn",
                                    [DEFER_RETRY] = "retry",
                                    [DEFER_SCHEDULE] = "schedule",
                                    [DEFER_UNPUBLISHED] = "unpublished"};

struct deferred {
    const char *pool;
    struct pg_array columns[COLUMNS];
};

static void clear(struct deferred *d)
{
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_clear(&d->columns[i]);
}

static void send(struct deferred *d, struct db *db, const struct db_statement *statement, const char *first,
                 size_t columns, db_on_result *on_result, void *arg)
{
    struct slice params[1 + COLUMNS];
    size_t count = 0;
    if (first)
        params[count++] = slice_of(first);
    for (size_t i = 0; i < columns; i++)
        params[count++] = pg_array_end(&d->columns[i]);
    db_send(db, statement, params, count, on_result, arg);
}

/* ---- claim ---- */

void deferred_claim(struct deferred *d, struct db *db, struct command *const *commands, size_t count,
                    db_on_result *on_claimed, void *arg)
{
    size_t rows = 0;
    clear(d);
    for (size_t i = 0; i < count; i++) {
        if (!commands[i]->row || commands[i]->row == DEFER_UNPUBLISHED)
            continue;
        pg_array_add_i64(&d->columns[0], (int64_t)i);
        pg_array_add_uuid(&d->columns[1], &commands[i]->envelope.company);
        pg_array_add_uuid(&d->columns[2], &commands[i]->envelope.id);
        rows++;
    }
    if (rows > 0)
        send(d, db, &claim, NULL, 3, on_claimed, arg);
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

static void add_row(struct deferred *d, const struct command *command, size_t i)
{
    struct pg_array *column = d->columns;
    command_row_add(column, command);
    column += COMMAND_COLUMN_COUNT;
    pg_array_add_text(column++, slice_of(names[command->deferral]));
    pg_array_add_i64(column++,
                     command->deferral == DEFER_SCHEDULE ? command->envelope.not_before : command->delay_ms);
    pg_array_add_i64(column++, command->attempts);
    pg_array_add_text(column++, command->error ? slice_of(err_info(command->error)->slug) : SLICE_NONE);
    pg_array_add_text(column++, command->first_at);
    pg_array_add_bool(column++, command->has_dead_letter || command->finding == FINDING_REPLACE);
    pg_array_add_i64(column++, (int64_t)i);
}

void deferred_put(struct deferred *d, struct db *db, struct command *const *commands, size_t count,
                  db_on_result *on_put, void *arg)
{
    size_t rows = 0;
    clear(d);
    for (size_t i = 0; i < count; i++)
        if (commands[i]->deferral) {
            add_row(d, commands[i], i);
            rows++;
        }
    if (rows > 0)
        send(d, db, &put, d->pool, COLUMNS, on_put, arg);
}

/* ---- readdress ---- */

void deferred_readdress(struct deferred *d, struct db *db, struct command *const *commands, size_t count,
                        db_on_result *on_done, void *arg)
{
    size_t rows = 0;
    clear(d);
    for (size_t i = 0; i < count; i++) {
        const struct envelope *envelope = &commands[i]->envelope;
        if (!command_is_waiting(commands[i]) || envelope->reply_to.len == 0)
            continue;
        pg_array_add_uuid(&d->columns[0], &envelope->company);
        pg_array_add_uuid(&d->columns[1], &envelope->id);
        pg_array_add_text(&d->columns[2], envelope->reply_to);
        pg_array_add_text(&d->columns[3], envelope->correlation_id);
        rows++;
    }
    if (rows > 0)
        send(d, db, &readdress, NULL, 4, on_done, arg);
}

/* ---- the outside ---- */

enum deferral deferral_of(struct slice name)
{
    for (size_t i = DEFER_TURN; i < ARRAY_LEN(names); i++)
        if (slice_is(name, names[i]))
            return (enum deferral)i;
    return DEFER_NONE;
}

struct deferred *deferred_new(const char *pool)
{
    struct deferred *d = xcalloc(1, sizeof(*d));
    d->pool = pool;
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_init(&d->columns[i], COMMAND_ARRAY_MAX);
    return d;
}

void deferred_free(struct deferred *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_done(&d->columns[i]);
    free(d);
}
