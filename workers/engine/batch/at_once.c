#include "workers/engine/batch/private.h"
#include "workers/engine/resource/rights.h"

static void on_recorded(void *arg, struct db_result *result)
{
    struct run *run = arg;
    struct batch *b = run->batch;
    struct resource_moment moment = batch_moment(b);
    if (batch_note_fault(b, result, batch_culprit(run)))
        return;
    b->ways.has_missed = db_rows(result) == 0;
    if (b->ways.has_missed)
        return;
    resource_read(&run->handler->statement, run->commands, run->count, &moment, run->handler->event, result);
    sequences_number(&b->sequences, run->commands, run->count);
}

/* true when nothing but its result is to be written of the command. */
static bool is_simple(const struct command *command)
{
    return command->row == DEFER_NONE && command->finding == FINDING_RUN && !command->has_begun_mark &&
           !command->has_dead_letter && !command->was_begun;
}

static bool writes_into_one_statement(struct batch *b, const struct run *run)
{
    char why[WHY_SIZE];
    struct resource_moment moment = batch_moment(b);
    for (size_t i = 0; i < run->count; i++)
        sequence_of(&b->sequences, run->commands[i])->promised = 0;
    for (size_t i = 0; i < run->count; i++) {
        struct command *command = run->commands[i];
        struct sequence *sequence = sequence_of(&b->sequences, command);
        if (resource_write(b->writer, &command->handler->statement, command,
                           sequence->seq + ++sequence->promised, &moment, why) == ERR_OK)
            continue;
        resource_drop(b->writer);
        return false;
    }
    return true;
}

/* true when the run is all that the transaction does, and one statement takes all of it. */
static bool is_of_one_kind(const struct batch *b, const struct run *run)
{
    if (run->count == 0 || run->count < b->to - b->from || !run->handler->statement.plan->many)
        return false;
    for (size_t i = 0; i < run->count; i++)
        if (run->commands[i]->handler != run->handler || !is_simple(run->commands[i]))
            return false;
    return true;
}

bool batch_goes_recorded(struct batch *b, struct run *run)
{
    run->handler = run->count > 0 ? run->commands[0]->handler : NULL;
    if (b->ways.best > WAY_RECORDED || !is_of_one_kind(b, run) || !writes_into_one_statement(b, run))
        return false;
    resource_send(b->writer, &run->handler->statement, RESOURCE_RECORDED, NULL, b->db, on_recorded,
                  batch_keep_run(b, run));
    b->ways.taken = WAY_RECORDED;
    batch_commit(b);
    return true;
}

/* ---- at once ---- */

/* A command of which nothing needs to be looked up but whether it ran before. */
static bool is_fresh(const struct command *command, int64_t now_s)
{
    return is_simple(command) && command->reading == READING_ALL && !command->verdict && !command->deferral &&
           command->envelope.not_before == 0 && !revoked_concerns(command, now_s);
}

static void on_locked_at_once(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (!batch_note_fault(b, result, NULL)) /* what was locked, the next statement finds out */
        batch_enter(b, BATCH_RUNNING);
}

static void send_at_once(struct batch *b, struct run *run)
{
    static const enum pg_element elements[] = {PG_UUID, PG_BIGINT};
    struct sequences *sequences = &b->sequences;
    struct pg_rows *rows = &b->records.rows;
    sequences_lock(sequences, &b->records, run->commands, run->count, on_locked_at_once, b);
    pg_rows_begin_binary(rows, elements, ARRAY_LEN(elements));
    for (size_t i = 0; i < sequences->count; i++) {
        struct pg_array *column = pg_rows_add(rows);
        pg_array_add_uuid(column++, &sequences->rows[i].company);
        pg_array_add_i64(column++, sequences->rows[i].seq);
    }
    const struct slice held[] = {pg_array_end(&rows->columns[0]), pg_array_end(&rows->columns[1])};
    resource_send(b->writer, &run->handler->statement, RESOURCE_AT_ONCE, held, b->db, on_recorded,
                  batch_keep_run(b, run));
    batch_commit(b);
}

/* A company of which this process has seen the last number has had no event from anybody else since, or the
 * statement does nothing. So its times go up although this one is taken before the lock. */
bool batch_goes_at_once(struct batch *b)
{
    struct run run = {.batch = b, .commands = b->commands + b->from, .count = b->to - b->from};
    int64_t now_s = clock_wall_ms() / 1000;
    if (b->ways.best > WAY_AT_ONCE || !sequences_recall(&b->sequences))
        return false;
    for (size_t i = 0; i < run.count; i++) {
        if (!is_fresh(run.commands[i], now_s))
            return false;
        const struct handler *handler = handlers_find(b->handlers, run.commands[i]->envelope.type);
        if (handler && !rights_allow(&handler->statement, run.commands[i]->envelope.role))
            return false;
        run.commands[i]->handler = handler;
    }
    run.handler = run.commands[0]->handler;
    arena_reset(&b->runs);
    batch_take_time(b);
    if (!run.handler || !is_of_one_kind(b, &run) || !writes_into_one_statement(b, &run))
        return false;
    b->ways.taken = WAY_AT_ONCE;
    send_at_once(b, &run);
    return true;
}
