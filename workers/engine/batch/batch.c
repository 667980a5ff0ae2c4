#include "workers/engine/batch/private.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/log.h"

enum { RUNS_BLOCK = 8 << 10 };

/* ---- the end of a transaction ---- */

void batch_settle(struct batch *b, struct command *command, enum command_outcome outcome)
{
    command->outcome = outcome;
    b->callbacks.on_settled(b->ctx, command);
}

void batch_advance(struct batch *b)
{
    b->from = b->to;
    if (b->from < b->count) {
        b->to = b->from + 1;
        batch_begin(b);
        return;
    }
    b->count = b->from = b->to = 0;
    batch_enter(b, BATCH_IDLE);
    if (b->callbacks.on_idle)
        b->callbacks.on_idle(b->ctx);
}

static enum command_outcome outcome_of(const struct command *command)
{
    if (command->finding == FINDING_GONE)
        return COMMAND_GONE;
    if (command_is_waiting(command) || command->deferral)
        return COMMAND_DEFERRED;
    return command_is_dead(command) && command->finding != FINDING_REPLAY ? COMMAND_DEAD : COMMAND_DONE;
}

static void committed(struct batch *b)
{
    for (size_t i = b->from; i < b->to; i++)
        batch_settle(b, b->commands[i], outcome_of(b->commands[i]));
    batch_advance(b);
}

static void on_sync(void *arg, enum err err)
{
    struct batch *b = arg;
    if (err == ERR_OK && b->fault.err == ERR_OK)
        committed(b);
    else
        batch_failed(b, err);
}

void batch_roll_back(struct batch *b)
{
    batch_enter(b, BATCH_ROLLING_BACK);
    db_sync(b->db, on_sync, b);
}

/* ---- recording ---- */

static void on_recorded(void *arg, struct db_result *result)
{
    batch_note_fault(arg, result, NULL);
}

void batch_record(struct batch *b)
{
    struct command **commands = b->commands + b->from;
    size_t count = b->to - b->from;
    batch_enter(b, BATCH_RECORDING);
    sequences_number(&b->sequences, commands, count);
    events_add(&b->records, commands, count, b->at, on_recorded, b);
    inbox_add(&b->records, commands, count, b->at, on_recorded, b);
    sequences_advance(&b->sequences, &b->records, on_recorded, b);
    deferred_put(&b->records, commands, count, on_recorded, b);
    deferred_readdress(&b->records, commands, count, on_recorded, b);
    dead_letter_add(&b->records, commands, count, on_recorded, b);
    dead_letter_remove(&b->records, commands, count, on_recorded, b);
    begun_mark_keep(&b->records, commands, count, on_recorded, b);
    begun_mark_delete(&b->records, commands, count, on_recorded, b);
    db_sync(b->db, on_sync, b);
}

/* ---- looking ---- */

static void on_locked(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (!batch_note_fault(b, result, NULL))
        sequences_read_locked(&b->sequences, result);
}

static void on_claimed(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (!batch_note_fault(b, result, NULL))
        deferred_read_claimed(b->commands + b->from, b->to - b->from, result);
}

static void on_revoked_found(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (!batch_note_fault(b, result, NULL))
        revoked_read(b->commands + b->from, b->to - b->from, result);
}

static void on_recalled(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (batch_note_fault(b, result, NULL)) {
        batch_roll_back(b);
        return;
    }
    events_read_recalled(b->commands + b->from, b->to - b->from, result);
    batch_run_all(b);
}

static void on_found(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (batch_note_fault(b, result, NULL)) {
        batch_roll_back(b);
        return;
    }
    if (inbox_read_found(&b->records, b->commands + b->from, b->to - b->from, result) == 0) {
        batch_run_all(b);
        return;
    }
    events_recall_send(&b->records, on_recalled, b);
    db_ask(b->db);
}

static void look(struct batch *b)
{
    batch_enter(b, BATCH_LOOKING);
    b->fault = (struct fault){0};
    struct command **commands = b->commands + b->from;
    size_t count = b->to - b->from;
    for (size_t i = 0; i < count; i++)
        command_reset(commands[i]);
    sequences_lock(&b->sequences, &b->records, commands, count, on_locked, b);
    deferred_claim(&b->records, commands, count, on_claimed, b);
    revoked_ask(&b->records, commands, count, clock_wall_ms() / 1000, on_revoked_found, b);
    inbox_look(&b->records, commands, count, on_found, b);
    db_ask(b->db);
}

/* ---- marking ---- */

static void on_mark_written(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    struct command *command = b->commands[b->from];
    if (batch_note_fault(b, result, command))
        return;
    command->has_begun_mark = true;
    if (begun_mark_runs(result) <= BEGUN_MARK_RUNS_MAX)
        return;
    command->verdict = ERR_FATAL_COMMAND;
    command->attempts = 1 + BEGUN_MARK_RUNS_MAX;
    command->why = SLICE("Each process that began the command ended before the command did.");
}

static void on_marked(void *arg, enum err err)
{
    struct batch *b = arg;
    if (err || b->fault.err)
        batch_failed(b, err);
    else
        look(b);
}

static void log_run_alone(const struct command *command)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.id, id);
    log_info("command.runs_alone", LOG_S("command", id), LOG_B("type", command->envelope.type),
             LOG_I("delivered_before", command->delivery_count));
}

static void mark(struct batch *b)
{
    batch_enter(b, BATCH_MARKING);
    log_run_alone(b->commands[b->from]);
    b->fault = (struct fault){0};
    begun_mark_write(&b->records, b->commands[b->from], on_mark_written, b);
    db_sync(b->db, on_marked, b);
}

void batch_begin(struct batch *b)
{
    const struct command *first = b->commands[b->from];
    if (first->was_begun && !first->has_begun_mark && !first->deferral && b->to - b->from == 1)
        mark(b);
    else
        look(b);
}

/* ---- the outside ---- */

struct batch *batch_new(struct db *db, const struct handlers *handlers, const struct batch_options *options,
                        const struct batch_callbacks *callbacks, void *ctx)
{
    struct batch *b = xcalloc(1, sizeof(*b));
    b->db = db;
    b->handlers = handlers;
    b->retries = options->retries;
    b->scheduled_max = options->scheduled_max;
    b->callbacks = *callbacks;
    b->ctx = ctx;
    records_init(&b->records, db, options->pool);
    b->writer = resource_writer_new();
    arena_init(&b->runs, RUNS_BLOCK, 0);
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (size_t i = b->from; i < b->count; i++)
        command_free(b->commands[i]);
    free(b->commands);
    sequences_done(&b->sequences);
    records_done(&b->records);
    resource_writer_free(b->writer);
    arena_done(&b->runs);
    free(b);
}

bool batch_is_idle(const struct batch *b)
{
    return b->state == BATCH_IDLE;
}

static void append(struct batch *b, struct command *command)
{
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? 2 * b->capacity : 128;
        b->commands = xrealloc(b->commands, b->capacity * sizeof(struct command *));
    }
    b->commands[b->count++] = command;
}

void batch_start(struct batch *b, struct command *commands)
{
    assert(b->state == BATCH_IDLE && commands);
    while (commands) {
        struct command *command = commands;
        commands = command->next;
        command->next = NULL;
        append(b, command);
    }
    b->from = 0;
    b->to = b->count;
    b->one_by_one = false;
    b->losses = 0;
    batch_begin(b);
}

void batch_resume(struct batch *b)
{
    if (b->state == BATCH_HELD)
        batch_begin(b);
}
