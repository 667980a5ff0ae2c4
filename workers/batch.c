#include "workers/batch.h"

#include <assert.h>
#include <stdio.h>

#include "common/clock.h"
#include "workers/ledger.h"
#include "workers/refusal.h"

enum { RUNS_BLOCK = 8 << 10, LOSSES_MAX = 3, WHY_SIZE = 160 };

enum batch_state {
    BATCH_IDLE,
    BATCH_LOOKING,
    BATCH_RUNNING,
    BATCH_RECORDING,
    BATCH_ROLLING_BACK,
    BATCH_HELD
};

/* The first error of a transaction. */
struct fault {
    enum err err;
    struct job *job; /* whose statement it was, or the first who shared it; NULL: of all */
    enum batch_state phase;
    bool is_duplicate; /* the entity is there already */
};

/* Jobs that share a statement. */
struct run {
    struct batch *batch;
    const struct handler *handler;
    struct job **jobs;
    size_t count;
};

struct batch {
    struct db *db;
    const struct handlers *handlers;
    struct batch_callbacks callbacks;
    void *ctx;
    enum batch_state state;
    struct job **jobs;
    size_t count, capacity;
    size_t from, to; /* the jobs of the transaction at work: all of them, or one */
    bool one_by_one;
    unsigned losses; /* of the connection, with this batch at work */
    size_t awaited;  /* answers */
    struct fault fault;
    struct ledger ledger;
    struct resource_writer *writer;
    struct arena runs; /* of the transaction at work */
    char at[CLOCK_TEXT_SIZE], year[5];
};

static void begin(struct batch *b);

static void enter(struct batch *b, enum batch_state state)
{
    b->state = state;
}

static struct resource_moment moment_of(const struct batch *b)
{
    return (struct resource_moment){.at = b->at, .year = b->year};
}

/* ---- faults ---- */

static void log_fault(const struct batch *b, const struct db_result *result, const struct job *job)
{
    enum err err = db_result_error(result);
    char id[UUID_TEXT_LEN + 1] = "";
    if (job)
        uuid_format(&job->command.id, id);
    log_at(err_info(err)->level, "batch.statement_failed", LOG_S("error", err_info(err)->name),
           LOG_S("sqlstate", db_result_sqlstate(result)), LOG_S("message", db_result_message(result)),
           LOG_S("command", id), LOG_B("type", job ? job->command.type : SLICE_NONE),
           LOG_I("commands", b->to - b->from));
}

/* A key that was used before its inbox row expired: the entity has the command's id. */
static bool is_duplicate_entity(const struct db_result *result)
{
    const char *constraint = db_result_constraint(result);
    size_t len = strlen(constraint), suffix = strlen("_pkey");
    return strcmp(db_result_sqlstate(result), "23505") == 0 && len > suffix &&
           strcmp(constraint + len - suffix, "_pkey") == 0;
}

/* true when the answer is an error. Those that were skipped because of another say nothing of their own. */
static bool note_fault(struct batch *b, const struct db_result *result, struct job *job)
{
    enum err err = db_result_error(result);
    if (err == ERR_OK)
        return false;
    if (b->fault.err != ERR_OK)
        return true;
    b->fault = (struct fault){.err = err, .job = job, .phase = b->state};
    b->fault.is_duplicate = is_duplicate_entity(result);
    if (!db_result_skipped(result))
        log_fault(b, result, job);
    return true;
}

/* ---- the end of a transaction ---- */

static void settle(struct batch *b, struct job *job, enum job_outcome outcome)
{
    job->outcome = outcome;
    b->callbacks.on_settled(b->ctx, job);
}

/* The window is through: the next one, or the end. */
static void advance(struct batch *b)
{
    b->from = b->to;
    if (b->from < b->count) {
        b->to = b->from + 1;
        begin(b);
        return;
    }
    b->count = b->from = b->to = 0;
    enter(b, BATCH_IDLE);
    if (b->callbacks.on_idle)
        b->callbacks.on_idle(b->ctx);
}

static void committed(struct batch *b)
{
    for (size_t i = b->from; i < b->to; i++)
        settle(b, b->jobs[i], job_is_dead(b->jobs[i]) ? JOB_DEAD : JOB_DONE);
    advance(b);
}

static void split(struct batch *b)
{
    b->one_by_one = true;
    b->to = b->from + 1;
    begin(b);
}

/* Another moment may be better: here a few times, then anywhere. */
static void put_off(struct batch *b, enum err err)
{
    for (size_t i = b->from; i < b->to; i++) {
        struct job *job = b->jobs[i];
        job->error = err;
        settle(b, job, ++job->attempts < BATCH_ATTEMPTS_MAX ? JOB_RETRY : JOB_REQUEUE);
    }
    advance(b);
}

/* A command on its own has failed: what its error says becomes of it (err.def). A verdict is recorded by a
 * run of its own; when even that fails, the dead letter is all there is. */
static void fail_one(struct batch *b, enum err err)
{
    struct job *job = b->jobs[b->from];
    bool is_judged = job->verdict != ERR_OK;
    if (err_info(err)->fate == FATE_RETRY) {
        put_off(b, err);
        return;
    }
    if (is_judged) {
        /* Whoever waits is told, though nothing could be written down. */
        refuse(job, job->verdict, NULL, NULL, 0);
        settle(b, job, JOB_DEAD);
        advance(b);
        return;
    }
    job->verdict = b->fault.is_duplicate ? ERR_ALREADY_EXISTS : ERR_DATABASE_ERROR;
    begin(b);
}

/* The connection is gone and nobody knows whether the commit went through: the inbox will tell. A command
 * that takes the database with it each time must not do so for ever. */
static void lose(struct batch *b)
{
    b->losses++;
    if (b->losses >= LOSSES_MAX && b->to - b->from > 1) {
        b->one_by_one = true;
        b->to = b->from + 1;
    }
    if (b->one_by_one && ++b->jobs[b->from]->attempts > BATCH_ATTEMPTS_MAX) {
        settle(b, b->jobs[b->from], JOB_REQUEUE);
        advance(b);
        return;
    }
    enter(b, BATCH_HELD);
}

static void failed(struct batch *b, enum err err)
{
    if (b->fault.err)
        err = b->fault.err;
    if (!db_is_up(b->db))
        lose(b);
    else if (b->fault.phase == BATCH_LOOKING) /* no command's own fault */
        put_off(b, err);
    else if (b->to - b->from == 1)
        fail_one(b, err);
    else
        split(b);
}

static void on_sync(void *arg, enum err err)
{
    struct batch *b = arg;
    if (err == ERR_OK && b->fault.err == ERR_OK)
        committed(b);
    else
        failed(b, err);
}

static void roll_back(struct batch *b)
{
    enter(b, BATCH_ROLLING_BACK);
    db_sync(b->db, on_sync, b);
}

/* ---- recording ---- */

static void on_recorded(void *arg, struct db_result *result)
{
    note_fault(arg, result, NULL);
}

static void record(struct batch *b)
{
    enter(b, BATCH_RECORDING);
    ledger_record(&b->ledger, b->db, b->jobs + b->from, b->to - b->from, b->at, on_recorded, b);
    db_sync(b->db, on_sync, b);
}

/* ---- running ---- */

static void on_run(void *arg, struct db_result *result)
{
    struct run *run = arg;
    struct batch *b = run->batch;
    struct resource_moment moment = moment_of(b);
    if (!note_fault(b, result, run->jobs[0]))
        resource_read(&run->handler->statement, run->jobs, run->count, &moment, run->handler->event, result);
    if (--b->awaited > 0)
        return;
    if (b->fault.err)
        roll_back(b);
    else
        record(b);
}

static void condemn(struct job *job, const char *why)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&job->command.id, id);
    job->verdict = ERR_POISON;
    log_error("command.poisoned", LOG_S("command", id), LOG_B("type", job->command.type), LOG_S("why", why));
    refuse(job, ERR_POISON, why, NULL, 0);
}

/* false when the job has its result without a statement. */
static bool is_to_run(struct batch *b, struct job *job)
{
    if (job->is_replay || job->is_unrecorded)
        return false;
    job->handler = handlers_find(b->handlers, job->command.type);
    if (job->verdict == ERR_POISON)
        condemn(job, "its metadata cannot be read");
    else if (job->verdict)
        refuse(job, job->verdict, NULL, NULL, 0);
    else if (!ledger_knows(&b->ledger, job))
        refuse(job, ERR_NOT_FOUND, "There is no such company.", NULL, 0);
    else if (!job->handler)
        condemn(job, "there is no such command");
    else
        return true;
    return false;
}

static void send_run(struct batch *b, struct run *run)
{
    if (run->count == 0)
        return;
    struct run *sent = arena_alloc(&b->runs, sizeof(*sent));
    *sent = *run;
    sent->jobs = arena_alloc(&b->runs, run->count * sizeof(struct job *));
    memcpy(sent->jobs, run->jobs, run->count * sizeof(struct job *));
    resource_send(b->writer, &run->handler->statement, b->db, on_run, sent);
    b->awaited++;
    run->count = 0;
}

static bool fits(const struct run *run, const struct job *job)
{
    return run->count == 0 || (run->handler == job->handler && run->handler->statement.plan->many &&
                               run->jobs[0]->company_at == job->company_at);
}

static void add(struct batch *b, struct run *run, struct job *job)
{
    char why[WHY_SIZE] = "";
    struct resource_moment moment = moment_of(b);
    if (!fits(run, job))
        send_run(b, run);
    run->handler = job->handler;
    if (resource_write(b->writer, &job->handler->statement, job, &moment, why) == ERR_OK)
        run->jobs[run->count++] = job;
    else
        condemn(job, why);
}

/* The time of the batch is taken when its companies are locked, so that it does not run against their
 * sequences. */
static void take_time(struct batch *b)
{
    clock_format(clock_wall_us(), b->at);
    memcpy(b->year, b->at, 4);
    b->year[4] = '\0';
}

static void run_all(struct batch *b)
{
    enter(b, BATCH_RUNNING);
    take_time(b);
    b->awaited = 0;
    arena_reset(&b->runs);
    struct run run = {.batch = b, .jobs = arena_alloc(&b->runs, (b->to - b->from) * sizeof(struct job *))};
    for (size_t i = b->from; i < b->to; i++)
        if (is_to_run(b, b->jobs[i]))
            add(b, &run, b->jobs[i]);
    send_run(b, &run);
    if (b->awaited > 0)
        db_ask(b->db);
    else
        record(b);
}

/* ---- looking ---- */

static void on_locked(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (!note_fault(b, result, NULL))
        ledger_read_locked(&b->ledger, result);
}

static void on_recalled(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (note_fault(b, result, NULL)) {
        roll_back(b);
        return;
    }
    ledger_read_recalled(b->jobs + b->from, b->to - b->from, result);
    run_all(b);
}

static void on_found(void *arg, struct db_result *result)
{
    struct batch *b = arg;
    if (note_fault(b, result, NULL)) {
        roll_back(b);
        return;
    }
    if (ledger_read_found(&b->ledger, b->jobs + b->from, b->to - b->from, result) == 0) {
        run_all(b);
        return;
    }
    ledger_recall(&b->ledger, b->db, on_recalled, b);
    db_ask(b->db);
}

static void begin(struct batch *b)
{
    enter(b, BATCH_LOOKING);
    b->fault = (struct fault){0};
    for (size_t i = b->from; i < b->to; i++)
        job_reset(b->jobs[i]);
    ledger_look(&b->ledger, b->db, b->jobs + b->from, b->to - b->from, on_locked, on_found, b);
    db_ask(b->db);
}

/* ---- the outside ---- */

struct batch *batch_new(struct db *db, const struct handlers *handlers,
                        const struct batch_callbacks *callbacks, void *ctx)
{
    struct batch *b = xcalloc(1, sizeof(*b));
    b->db = db;
    b->handlers = handlers;
    b->callbacks = *callbacks;
    b->ctx = ctx;
    ledger_init(&b->ledger);
    b->writer = resource_writer_new();
    arena_init(&b->runs, RUNS_BLOCK, 0);
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (size_t i = b->from; i < b->count; i++)
        job_free(b->jobs[i]);
    free(b->jobs);
    ledger_done(&b->ledger);
    resource_writer_free(b->writer);
    arena_done(&b->runs);
    free(b);
}

bool batch_is_idle(const struct batch *b)
{
    return b->state == BATCH_IDLE;
}

static void append(struct batch *b, struct job *job)
{
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? 2 * b->capacity : 128;
        b->jobs = xrealloc(b->jobs, b->capacity * sizeof(struct job *));
    }
    b->jobs[b->count++] = job;
}

void batch_start(struct batch *b, struct job *jobs)
{
    assert(b->state == BATCH_IDLE && jobs);
    while (jobs) {
        struct job *job = jobs;
        jobs = job->next;
        job->next = NULL;
        append(b, job);
    }
    b->from = 0;
    b->to = b->count;
    b->one_by_one = false;
    b->losses = 0;
    begin(b);
}

void batch_resume(struct batch *b)
{
    if (b->state == BATCH_HELD)
        begin(b);
}
