#include "workers/engine/batch/private.h"
#include "workers/engine/command/refusal.h"

static struct resource_moment moment_of(const struct batch *b)
{
    return (struct resource_moment){.at = b->at, .year = b->year};
}

static void on_run(void *arg, struct db_result *result)
{
    struct run *run = arg;
    struct batch *b = run->batch;
    struct resource_moment moment = moment_of(b);
    if (!batch_note_fault(b, result, run->jobs[0]))
        resource_read(&run->handler->statement, run->jobs, run->count, &moment, run->handler->event, result);
    if (--b->awaited > 0)
        return;
    if (b->fault.err)
        batch_roll_back(b);
    else
        batch_record(b);
}

static void condemn(struct job *job, const char *why)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&job->envelope.id, id);
    job->verdict = ERR_POISON;
    log_error("command.poisoned", LOG_S("command", id), LOG_B("type", job->envelope.type), LOG_S("why", why));
    job->why = arena_copy(&job->arena, slice_of(why));
    refuse(job, ERR_POISON, why, NULL, 0);
}

static bool is_early(const struct job *job)
{
    return job->envelope.not_before > clock_wall_ms() && !job->row && !job->verdict;
}

/* One more of its company that waits for its time is one too many. */
static bool is_one_too_many(struct batch *b, const struct job *job)
{
    return is_early(job) && ++b->ledger.companies[job->company_at].scheduled > b->scheduled_max;
}

/* A job that is to wait needs no statement; but what has its result has it, and nobody waits for a company that
 * is not there. */
static bool is_to_wait(struct batch *b, struct job *job)
{
    if (is_early(job))
        job->deferral = DEFER_SCHEDULE;
    if (!job->deferral || ledger_knows(&b->ledger, job))
        return job->deferral != DEFER_NONE;
    job->deferral = DEFER_NONE;
    return false;
}

/* It ran before. What has no result any more, or waits to be run once more, has nothing that could be told. */
static bool has_nothing_to_tell(const struct job *job)
{
    return job->row == DEFER_UNTOLD && !job->is_replay && !job->is_unrecorded;
}

/* false when the job has its result without a statement. */
static bool is_to_run(struct batch *b, struct job *job)
{
    if (has_nothing_to_tell(job)) {
        job->is_gone = true;
        job->is_waiting = false;
    }
    if (job->is_replay || job->is_unrecorded || job->is_waiting || job->is_gone) {
        job->deferral = DEFER_NONE;
        return false;
    }
    if (is_one_too_many(b, job)) {
        job->deferral = DEFER_NONE;
        refuse(job, ERR_TOO_MANY_REQUESTS, "Too many commands of the company wait for their time.", NULL, 0);
        return false;
    }
    if (is_to_wait(b, job))
        return false;
    job->handler = handlers_find(b->handlers, job->envelope.type);
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

void batch_run_all(struct batch *b)
{
    batch_enter(b, BATCH_RUNNING);
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
        batch_record(b);
}
