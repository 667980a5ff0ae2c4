#include "workers/engine/records/dead_letter.h"

#include "workers/engine/records/command_row.h"

enum { EXTRA_COLUMNS = 4, COLUMNS = COMMAND_COLUMN_COUNT + EXTRA_COLUMNS };

#define INSERT                                                                                       \
    "INSERT INTO dead_letter AS l (pool, " COMMAND_COLUMNS ", reason, detail, attempts, first_at)"   \
    " SELECT $1, " COMMAND_NAMES ", n.reason, n.detail, n.attempts, coalesce(n.first_at, now())"     \
    " FROM unnest(" COMMAND_ARRAYS ", $17::text[], $18::text[], $19::integer[], $20::timestamptz[])" \
    " AS n (" COMMAND_COLUMNS ", reason, detail, attempts, first_at)"                                \
    " ON CONFLICT ON CONSTRAINT dead_letter_command"

/* The history keeps the last deaths. */
#define DIES_AGAIN                                                                                          \
    " DO UPDATE SET"                                                                                        \
    " history = CASE WHEN jsonb_array_length(l.history) < 20 THEN l.history ELSE l.history - 0 END ||"      \
    " jsonb_build_object('at', l.last_at, 'reason', l.reason, 'detail', l.detail, 'attempts', l.attempts)," \
    " reason = EXCLUDED.reason, detail = EXCLUDED.detail, attempts = EXCLUDED.attempts, last_at = now(),"   \
    " is_replaying = false"

static const struct db_statement add = {
    "dead_letter.add",
    INSERT DIES_AGAIN,
};

static const struct db_statement drop_settled = {
    "dead_letter.settled",
    "DELETE FROM dead_letter AS l USING unnest($2::uuid[], $3::uuid[]) AS n (company_id, command_id)"
    " WHERE l.pool = $1 AND l.company_id = n.company_id AND l.command_id = n.command_id",
};

/* Nothing tells two messages without an address apart for sure: one that is delivered again after a crash is a row
 * more, rather than two different ones being one. */
static const struct db_statement keep_unaddressed = {
    "dead_letter.unreadable",
    "INSERT INTO dead_letter (pool, reason, attempts, type, correlation_id, reply_to, body)"
    " VALUES ($1, $2, 1, $3, $4, $5, $6::text::bytea)",
};

/* It may have its verdict already, from a worker that died before its ack: that one says more. */
static const struct db_statement keep_addressed = {
    "dead_letter.given_up",
    INSERT " DO NOTHING",
};

struct dead_letters {
    const char *pool;
    struct pg_array columns[COLUMNS];
};

static void clear(struct dead_letters *dead_letters)
{
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_clear(&dead_letters->columns[i]);
}

static void send(struct dead_letters *dead_letters, struct db *db, const struct db_statement *statement,
                 size_t columns, db_on_result *on_result, void *arg)
{
    struct slice params[1 + COLUMNS];
    params[0] = slice_of(dead_letters->pool);
    for (size_t i = 0; i < columns; i++)
        params[1 + i] = pg_array_end(&dead_letters->columns[i]);
    db_send(db, statement, params, 1 + columns, on_result, arg);
}

static void add_row(struct dead_letters *dead_letters, const struct command *command, struct slice reason)
{
    struct pg_array *column = dead_letters->columns;
    command_row_add(column, command);
    column += COMMAND_COLUMN_COUNT;
    pg_array_add_text(column++, reason);
    pg_array_add_text(column++, command->why);
    pg_array_add_i64(column++, command->attempts);
    pg_array_add_text(column++, command->first_at);
}

static bool is_to_be_added(const struct command *command)
{
    return command_is_dead(command) && (command_is_new(command) || command->finding == FINDING_UNRECORDED);
}

void dead_letters_add(struct dead_letters *dead_letters, struct db *db, struct command *const *commands,
                      size_t count, db_on_result *on_done, void *arg)
{
    size_t rows = 0;
    clear(dead_letters);
    for (size_t i = 0; i < count; i++)
        if (is_to_be_added(commands[i])) {
            add_row(dead_letters, commands[i], slice_of(err_info(commands[i]->verdict)->slug));
            rows++;
        }
    if (rows > 0)
        send(dead_letters, db, &add, COLUMNS, on_done, arg);
}

static bool is_to_be_removed(const struct command *command)
{
    return (command->has_dead_letter || command->finding == FINDING_REPLACE) && !command_is_dead(command) &&
           command->finding != FINDING_GONE && !command_is_waiting(command) && !command->deferral;
}

void dead_letters_remove(struct dead_letters *dead_letters, struct db *db, struct command *const *commands,
                         size_t count, db_on_result *on_done, void *arg)
{
    size_t rows = 0;
    clear(dead_letters);
    for (size_t i = 0; i < count; i++)
        if (is_to_be_removed(commands[i])) {
            pg_array_add_uuid(&dead_letters->columns[0], &commands[i]->envelope.company);
            pg_array_add_uuid(&dead_letters->columns[1], &commands[i]->envelope.id);
            rows++;
        }
    if (rows > 0)
        send(dead_letters, db, &drop_settled, 2, on_done, arg);
}

static struct slice text_or_none(struct slice s)
{
    return s.len > 0 ? s : SLICE_NONE;
}

void dead_letters_keep(struct dead_letters *dead_letters, struct db *db, const struct command *command,
                       struct slice reason, db_on_result *on_done, void *arg)
{
    clear(dead_letters);
    if (command->reading != READING_NOTHING) {
        add_row(dead_letters, command, reason);
        send(dead_letters, db, &keep_addressed, COLUMNS, on_done, arg);
        return;
    }
    pg_array_add_bytes(&dead_letters->columns[0], command->envelope.body);
    struct slice body = pg_array_end(&dead_letters->columns[0]); /* {"\\x00ff"} */
    const struct slice params[] = {
        slice_of(dead_letters->pool),
        reason,
        text_or_none(command->envelope.type),
        text_or_none(command->envelope.correlation_id),
        text_or_none(command->envelope.reply_to),
        {body.data + 3, body.len - 5},
    };
    db_send(db, &keep_unaddressed, params, ARRAY_LEN(params), on_done, arg);
}

struct dead_letters *dead_letters_new(const char *pool)
{
    struct dead_letters *dead_letters = xcalloc(1, sizeof(*dead_letters));
    dead_letters->pool = pool;
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_init(&dead_letters->columns[i], COMMAND_ARRAY_MAX);
    return dead_letters;
}

void dead_letters_free(struct dead_letters *dead_letters)
{
    if (!dead_letters)
        return;
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_done(&dead_letters->columns[i]);
    free(dead_letters);
}
