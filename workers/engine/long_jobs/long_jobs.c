#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/process/rhythm.h"
#include "workers/engine/long_jobs/private.h"
#include "workers/engine/records/database.h"

enum {
    ROWS_FIRST = 100, /* of the first step; later ones go through as many as take about job_step_ms */
    BODY_MAX = 8 << 20,
    BEATS_A_LEASE = 3,
    SWEEP_PIECES = 20,
};

static const double SWEEP_ON_S = 0.2; /* until the next sweep, when one did not reach the end */

static const char *const phase_names[] = {
    [IDLE] = "idle",         [LOOKING] = "looking", [SWEEPING] = "sweeping",     [COUNTING] = "counting",
    [TURNING] = "turning",   [READING] = "reading", [PUBLISHING] = "publishing", [RECORDING] = "recording",
    [STEPPING] = "stepping", [PAUSING] = "pausing", [LETTING_GO] = "letting_go"};

static void on_sync(void *arg, enum err err);

/* ---- waiting ---- */

static void wait_s(struct long_jobs *r, double s)
{
    ev_timer_stop(r->loop, &r->next);
    ev_timer_set(&r->next, s, 0);
    ev_timer_start(r->loop, &r->next);
}

void long_jobs_enter(struct long_jobs *r, enum phase phase)
{
    log_debug("long_job.phase", LOG_S("from", phase_names[r->phase]), LOG_S("to", phase_names[phase]));
    r->phase = phase;
    r->answer = ERR_OK;
    r->is_of_schema = false;
}

void long_jobs_pause(struct long_jobs *r, double s)
{
    long_jobs_enter(r, PAUSING);
    wait_s(r, s);
}

void long_jobs_idle(struct long_jobs *r, double s)
{
    r->is_holding = false;
    ev_timer_stop(r->loop, &r->beat);
    long_jobs_enter(r, IDLE);
    wait_s(r, r->is_poked ? 0 : s);
}

double long_jobs_poll_s(const struct long_jobs *r)
{
    return rhythm_after(r->loop, (double)r->config->job_poll_ms / 1000);
}

/* ---- statements ---- */

struct slice long_job_number(char text[NUMBER_SIZE], int64_t value)
{
    int len = snprintf(text, NUMBER_SIZE, "%" PRId64, value);
    return (struct slice){text, (size_t)len};
}

void long_job_copy(char *to, size_t size, struct slice text)
{
    snprintf(to, size, "%.*s", (int)text.len, text.data ? text.data : "");
}

void long_jobs_ask(struct long_jobs *r, enum phase phase, bool lock, const struct db_statement *statement,
                   const struct slice *params, size_t count, db_on_result *on_result)
{
    long_jobs_enter(r, phase);
    const struct slice company = slice_of(r->held.company);
    if (lock)
        db_send(r->db, &long_job_lock, &company, 1, NULL, NULL);
    db_send(r->db, statement, params, count, on_result, r);
    db_sync(r->db, on_sync, r);
}

bool long_jobs_is_good(struct long_jobs *r, struct db_result *result)
{
    r->answer = db_result_error(result);
    r->is_of_schema |= strncmp(db_result_sqlstate(result), "42", 2) == 0;
    if (r->answer && r->answer != ERR_SHUTTING_DOWN && !db_result_skipped(result))
        log_at(err_info(r->answer)->level, "long_job.statement_failed",
               LOG_S("error", err_info(r->answer)->name), LOG_S("sqlstate", db_result_sqlstate(result)),
               LOG_S("message", db_result_message(result)), LOG_S("job", r->is_holding ? r->held.id : ""));
    return r->answer == ERR_OK;
}

/* ---- looking ---- */

static void on_taken(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    if (!long_jobs_is_good(r, result) || db_rows(result) == 0)
        return;
    struct held *h = &r->held;
    *h = (struct held){
        .kind = long_job_kinds_find(r->kinds, db_text(result, 0, TAKEN_KIND)),
        .attempts = db_int(result, 0, TAKEN_ATTEMPTS),
        .event_seq = db_int(result, 0, TAKEN_EVENT_SEQ),
        .published_seq = db_int(result, 0, TAKEN_PUBLISHED_SEQ),
        .is_cancelled = *db_text(result, 0, TAKEN_CANCEL_ASKED).data == 't',
    };
    long_job_copy(h->company, sizeof(h->company), db_text(result, 0, TAKEN_COMPANY));
    long_job_copy(h->id, sizeof(h->id), db_text(result, 0, TAKEN_ID));
    long_job_copy(h->lease, sizeof(h->lease), db_text(result, 0, TAKEN_LEASE));
    long_job_copy(h->status, sizeof(h->status), db_text(result, 0, TAKEN_STATUS));
    long_job_copy(h->error, sizeof(h->error), db_text(result, 0, TAKEN_ERROR));
    r->is_holding = true;
    r->rows = ROWS_FIRST;
    log_info("long_job.taken", LOG_S("job", h->id), LOG_B("kind", db_text(result, 0, TAKEN_KIND)),
             LOG_S("lease", h->lease), LOG_S("status", h->status), LOG_I("attempts", h->attempts));
}

static void look(struct long_jobs *r)
{
    r->is_poked = false;
    const struct slice params[] = {slice_of(r->pool), slice_of(r->hold), slice_of(r->name)};
    long_jobs_ask(r, LOOKING, false, &long_job_take, params, ARRAY_LEN(params), on_taken);
}

static void on_swept(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    bool more = long_jobs_is_good(r, result) && db_rows(result) > 0 && db_int(result, 0, 0) == SWEEP_PIECES;
    r->sweep_at = clock_monotonic_s() + (more ? SWEEP_ON_S : (double)r->config->export_sweep_ms / 1000);
}

static void sweep(struct long_jobs *r)
{
    char pieces[NUMBER_SIZE];
    const struct slice params[] = {long_job_number(pieces, SWEEP_PIECES)};
    long_jobs_ask(r, SWEEPING, false, &r->sweep, params, ARRAY_LEN(params), on_swept);
}

/* When no job is due, the results that have expired are deleted in the meantime. */
static void after_look(struct long_jobs *r)
{
    if (r->is_holding) {
        ev_timer_again(r->loop, &r->beat);
        held_proceed(r);
    } else if (r->phase == LOOKING && r->sweep.sql && clock_monotonic_s() >= r->sweep_at && !r->is_draining) {
        sweep(r);
    } else {
        long_jobs_idle(r, long_jobs_poll_s(r));
    }
}

/* ---- the heartbeat ---- */

static void on_renewed(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    if (r->is_holding && !db_result_error(result) && db_rows(result) == 0)
        r->held.is_lost = true;
}

/* Every statement about the job renews its lease, so the heartbeat is needed only while the job waits for
 * something else. */
static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct long_jobs *r = CONTAINER_OF(timer, struct long_jobs, beat);
    if (!r->is_holding || (r->phase != PAUSING && r->phase != PUBLISHING) || !db_is_up(r->db))
        return;
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id), slice_of(r->held.lease),
                                   slice_of(r->hold)};
    db_send(r->db, &long_job_renew, params, ARRAY_LEN(params), on_renewed, r);
    db_sync(r->db, NULL, NULL);
}

/* ---- what comes back ---- */

static void on_sync(void *arg, enum err err)
{
    struct long_jobs *r = arg;
    if (err == ERR_SHUTTING_DOWN)
        return;
    if (!err)
        err = r->answer;
    if (r->phase == LETTING_GO)
        long_jobs_idle(r, 0);
    else if (err)
        held_fail(r, err);
    else if (r->phase == LOOKING || r->phase == SWEEPING)
        after_look(r);
    else if (r->phase == READING)
        held_publish(r);
    else if (r->phase == STEPPING && !r->held.is_lost)
        held_after_step(r);
    else
        held_proceed(r);
}

static void on_next(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct long_jobs *r = CONTAINER_OF(timer, struct long_jobs, next);
    if (r->phase == PAUSING)
        held_proceed(r);
    else if (r->phase == IDLE && db_is_up(r->db) && !r->is_draining && !r->is_held)
        look(r);
}

/* ---- the outside ---- */

static void on_up(void *ctx, struct db *db)
{
    struct long_jobs *r = ctx;
    db_send(db, &long_job_set_up, NULL, 0, NULL, NULL);
    db_sync(db, NULL, NULL);
    database_limit_lock_waits(db, LOCK_WAIT_MS);
    if (r->phase == IDLE)
        wait_s(r, 0);
}

static void on_down(void *ctx, struct db *db, const char *why)
{
    (void)ctx, (void)db;
    log_warn("database.down", LOG_S("connection", "long jobs"), LOG_S("why", why));
}

static const struct db_callbacks db_callbacks = {.on_up = on_up, .on_down = on_down};

enum err long_jobs_new(struct ev_loop *loop, const struct config *config, const char *pool,
                       struct broker *publisher, struct gateways *gateways, struct long_jobs **ret_jobs)
{
    *ret_jobs = NULL;
    if (!long_job_kinds_are_of(pool))
        return ERR_OK;
    struct long_jobs *r = xcalloc(1, sizeof(*r));
    double beat_s = (double)config->job_lease_ms / 1000 / BEATS_A_LEASE;
    r->loop = loop;
    r->config = config;
    r->pool = pool;
    r->publisher = publisher;
    r->gateways = gateways;
    r->kinds = long_job_kinds_new();
    r->sweep = (struct db_statement){"long_job.sweep", long_job_kinds_sweep(r->kinds, pool)};
    buf_init(&r->body, BODY_MAX);
    host_process(r->name);
    snprintf(r->hold, sizeof(r->hold), "%.3f", (double)config->job_lease_ms / 1000);
    long_job_number(r->piece_bytes, config->export_piece_bytes);
    long_job_number(r->max_bytes, config->export_max_bytes);
    long_job_number(r->hours, config->export_hours);
    ev_timer_init(&r->next, on_next, 0, 0);
    ev_timer_init(&r->beat, on_beat, beat_s, beat_s);
    enum err err = database_connect(loop, config, pool, "long jobs", &db_callbacks, r, &r->db);
    if (err) {
        long_jobs_free(r);
        return err;
    }
    *ret_jobs = r;
    return ERR_OK;
}

void long_jobs_close(struct long_jobs *r)
{
    if (!r)
        return;
    ev_timer_stop(r->loop, &r->next);
    ev_timer_stop(r->loop, &r->beat);
    db_free(TAKE(r->db));
}

void long_jobs_free(struct long_jobs *r)
{
    if (!r)
        return;
    long_jobs_close(r);
    if (r->event)
        db_result_release(r->event);
    long_job_kinds_free(r->kinds);
    buf_done(&r->body);
    free(r);
}

void long_jobs_poke(struct long_jobs *r)
{
    if (!r)
        return;
    r->is_poked = true;
    if (r->phase == IDLE)
        wait_s(r, 0);
}

void long_jobs_hold(struct long_jobs *r, bool is_held)
{
    if (!r)
        return;
    r->is_held = is_held;
    if (!is_held && r->phase == IDLE)
        wait_s(r, 0);
}

void long_jobs_drain(struct long_jobs *r)
{
    if (!r)
        return;
    r->is_draining = true;
    if (r->phase == PAUSING)
        wait_s(r, 0);
}

bool long_jobs_is_idle(const struct long_jobs *r)
{
    return !r || r->phase == IDLE;
}
