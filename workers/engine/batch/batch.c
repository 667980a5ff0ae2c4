#include "workers/engine/batch/private.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/log.h"

enum { RUNS_BLOCK = 8 << 10, BATCHES_BY_STEPS = 8 };

/* ---- the end of a transaction ---- */

void batch_settle(struct batch *b, struct command *command, enum command_outcome outcome)
{
    command->outcome = outcome;
    b->callbacks.on_settled(b->ctx, command);
}

size_t batch_unit_end(const struct batch *b)
{
    if (b->unit == UNIT_ALL)
        return b->count;
    size_t end = b->from + 1;
    while (b->unit == UNIT_COMPANY && end < b->count &&
           uuid_equal(&b->commands[end]->envelope.company, &b->commands[b->from]->envelope.company))
        end++;
    return end;
}

void batch_divide(struct batch *b, enum batch_unit unit)
{
    b->unit = unit;
    b->to = batch_unit_end(b);
    batch_begin(b);
}

void batch_advance(struct batch *b)
{
    b->from = b->to;
    if (b->from < b->count) {
        b->to = batch_unit_end(b);
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
    sequences_keep(&b->sequences);
    for (size_t i = b->from; i < b->to; i++)
        batch_settle(b, b->commands[i], outcome_of(b->commands[i]));
    batch_advance(b);
}

static void missed(struct ways *ways)
{
    ways->best = ways->taken == WAY_AT_ONCE ? WAY_RECORDED : WAY_BY_STEPS;
    if (ways->best == WAY_BY_STEPS)
        ways->batches_by_steps = BATCHES_BY_STEPS;
}

static void on_sync(void *arg, enum err err)
{
    struct batch *b = arg;
    if (err || b->fault.err) {
        b->ways.best = WAY_BY_STEPS; /* the smaller transactions that follow find out whose fault it is */
        batch_failed(b, err);
    } else if (b->ways.has_missed) {
        missed(&b->ways);
        batch_begin(b);
    } else {
        committed(b);
    }
}

void batch_commit(struct batch *b)
{
    db_sync(b->db, on_sync, b);
}

void batch_roll_back(struct batch *b)
{
    batch_enter(b, BATCH_ROLLING_BACK);
    db_sync(b->db, on_sync, b);
}

/* ---- what another transaction holds ---- */

static bool goes_aside(const struct batch *b, const struct command *command, const struct uuid *company)
{
    if (company)
        return uuid_equal(&command->envelope.company, company);
    return sequence_of(&b->sequences, command)->is_awaited;
}

/* The last one is settled first, so that whoever takes them back puts each in front of the one before. */
static void put_aside(struct batch *b, size_t end, const struct uuid *company, enum command_outcome outcome)
{
    size_t kept = b->from, to = b->from;
    for (size_t i = end; i-- > b->from;)
        if (goes_aside(b, b->commands[i], company)) {
            batch_settle(b, b->commands[i], outcome);
            b->commands[i] = NULL;
        }
    for (size_t i = b->from; i < b->count; i++) {
        if (!b->commands[i])
            continue;
        b->commands[kept++] = b->commands[i];
        if (i < b->to)
            to = kept;
    }
    b->count = kept;
    b->to = to;
}

void batch_put_company_aside(struct batch *b, struct uuid company, enum command_outcome outcome)
{
    put_aside(b, b->count, &company, outcome);
}

void batch_put_held_aside(struct batch *b)
{
    for (size_t i = b->from; i < b->to; i++) {
        struct sequence *sequence = sequence_of(&b->sequences, b->commands[i]);
        sequence->is_awaited |= sequence->is_held && !b->commands[i]->is_parked;
    }
    if (b->unit != UNIT_COMMAND)
        put_aside(b, b->to, NULL, COMMAND_LOCKED);
    else if (b->to > b->from && goes_aside(b, b->commands[b->from], NULL))
        batch_put_company_aside(b, b->commands[b->from]->envelope.company, COMMAND_LOCKED);
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

static void look_up(struct batch *b)
{
    struct command **commands = b->commands + b->from;
    size_t count = b->to - b->from;
    deferred_claim(&b->records, commands, count, on_claimed, b);
    revoked_ask(&b->records, commands, count, clock_wall_ms() / 1000, on_revoked_found, b);
    inbox_look(&b->records, commands, count, on_found, b);
    db_ask(b->db);
}

/* Rows may be claimed only of companies whose sequences we have; so it is known first which those are. */
static void go_on_with_rows(struct batch *b)
{
    batch_put_held_aside(b);
    if (b->to > b->from)
        look_up(b);
    else
        batch_record(b);
}

static void on_locked(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    bool has_failed = batch_note_fault(b, result, NULL);
    if (!has_failed)
        sequences_read_locked(&b->sequences, result);
    if (!b->has_rows)
        return; /* on_found comes next */
    if (has_failed)
        batch_roll_back(b);
    else
        go_on_with_rows(b);
}

static void look(struct batch *b)
{
    batch_enter(b, BATCH_LOOKING);
    b->fault = (struct fault){0};
    b->has_rows = b->ways.has_missed = false;
    b->ways.taken = WAY_BY_STEPS;
    struct command **commands = b->commands + b->from;
    size_t count = b->to - b->from;
    for (size_t i = 0; i < count; i++) {
        command_reset(commands[i]);
        b->has_rows |= commands[i]->finding == FINDING_GONE;
    }
    sequences_gather(&b->sequences, commands, count);
    if (batch_goes_at_once(b))
        return;
    sequences_lock(&b->sequences, &b->records, commands, count, on_locked, b);
    if (b->has_rows)
        db_ask(b->db);
    else
        look_up(b);
}

/* ---- marking ---- */

static void log_run_alone(const struct command *command)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.id, id);
    log_info("command.runs_alone", LOG_S("command", id), LOG_B("type", command->envelope.type),
             LOG_I("delivered_before", command->delivery_count),
             LOG_B("correlation", command_correlation(command)));
}

static void on_mark_written(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    struct command *command = b->commands[b->from];
    if (batch_note_fault(b, result, command) || begun_mark_runs(result) == 0)
        return;
    log_run_alone(command);
    command->has_begun_mark = command->is_counted = true;
    if (begun_mark_runs(result) <= BEGUN_MARK_RUNS_MAX)
        return;
    command->verdict = ERR_FATAL_COMMAND;
    command->attempts = 1 + BEGUN_MARK_RUNS_MAX;
    command->why = SLICE("Each process that began the command ended before the command did.");
}

static void on_marked(void *arg, enum err err)
{
    struct batch *b = arg;
    if (err || b->fault.err) {
        batch_failed(b, err);
    } else if (b->commands[b->from]->is_counted) {
        look(b);
    } else {
        batch_put_company_aside(b, b->commands[b->from]->envelope.company, COMMAND_LOCKED);
        batch_advance(b);
    }
}

static void mark(struct batch *b)
{
    batch_enter(b, BATCH_MARKING);
    b->fault = (struct fault){0};
    begun_mark_write(&b->records, b->commands[b->from], on_mark_written, b);
    db_sync(b->db, on_marked, b);
}

static void on_marks_written(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (batch_note_fault(b, result, NULL))
        return;
    b->had_marks = db_rows(result) < (int)(b->to - b->from);
    for (size_t i = b->from; i < b->to; i++)
        b->commands[i]->has_begun_mark = true;
}

static void on_marked_together(void *arg, enum err err)
{
    struct batch *b = arg;
    if (err || b->fault.err)
        batch_failed(b, err);
    else if (b->had_marks)
        batch_divide(b, UNIT_COMMAND);
    else
        look(b);
}

static void mark_together(struct batch *b)
{
    batch_enter(b, BATCH_MARKING);
    b->fault = (struct fault){0};
    begun_mark_write_together(&b->records, b->commands + b->from, b->to - b->from, on_marks_written, b);
    db_sync(b->db, on_marked_together, b);
}

/* Several commands of which the first was begun are of one parcel (intake.h). */
void batch_begin(struct batch *b)
{
    const struct command *first = b->commands[b->from];
    bool is_decided = first->deferral || first->verdict;
    if (first->was_begun && !first->is_counted && !is_decided && b->to - b->from == 1)
        mark(b);
    else if (first->was_begun && !first->has_begun_mark && b->to - b->from > 1 && b->unit == UNIT_ALL)
        mark_together(b);
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
    b->scheduled_bytes = options->scheduled_bytes;
    b->schema_check = options->schema_check;
    b->callbacks = *callbacks;
    b->ctx = ctx;
    records_init(&b->records, db, options->pool);
    b->writer = resource_writer_new(options->secrets);
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
    b->unit = UNIT_ALL;
    b->losses = 0;
    b->ways.best = b->ways.batches_by_steps > 0 ? WAY_BY_STEPS : WAY_AT_ONCE;
    if (b->ways.batches_by_steps > 0)
        b->ways.batches_by_steps--;
    batch_begin(b);
}

void batch_resume(struct batch *b)
{
    if (b->state == BATCH_HELD)
        batch_begin(b);
}
