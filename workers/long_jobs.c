#include "workers/long_jobs.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/event_body.h"
#include "workers/long_job_kind.h"
#include "workers/long_job_sql.h"

enum {
    NAME_SIZE = 160,
    NUMBER_SIZE = 24,
    SLUG_SIZE = 64,
    ROWS_FIRST = 100, /* of a step; then as many as take about job_step_ms */
    ROWS_MAX = 5000,
    RETRY_MAX_MS = 60000,
    BODY_MAX = 8 << 20,
    BEATS_A_LEASE = 3,
    SWEEP_PIECES = 20,
};

static const double SWEEP_S = 30, SWEEP_ON_S = 0.2;

/* What the process waits for. */
enum phase {
    IDLE,
    LOOKING,
    SWEEPING,
    COUNTING,
    TURNING,
    READING, /* the event of the last change of status */
    TELLING,
    NOTING, /* that it was told */
    STEPPING,
    RESTING,
    LETTING_GO, /* put off, or given back */
};

/* The job that this process holds. */
struct held {
    const struct long_job_kind *kind;
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1], lease[NUMBER_SIZE], told_up_to[NUMBER_SIZE];
    char status[SLUG_SIZE], error[SLUG_SIZE];
    int64_t attempts, event_seq, told_seq, done, total;
    bool is_cancelled, is_counted, is_through, is_too_large, is_lost;
    enum err fault; /* for which it is to fail */
    double told_progress_at;
};

struct long_jobs {
    struct ev_loop *loop;
    const struct config *config;
    const char *pool;
    struct broker *publisher;
    struct db *db;
    struct long_job_kinds *kinds;
    enum phase phase;
    bool is_holding, is_draining, is_poked;
    struct held held;
    int64_t rows; /* of the next step */
    double step_began, sweep_at;
    enum err answer;         /* of the statement at work */
    struct db_result *event; /* as read; NULL: there is none */
    struct buf body;
    struct envelope_scratch scratch;
    char name[NAME_SIZE]; /* host:pid */
    char hold[NUMBER_SIZE], piece_bytes[NUMBER_SIZE], max_bytes[NUMBER_SIZE], hours[NUMBER_SIZE];
    ev_timer next, beat;
};

static void proceed(struct long_jobs *r);

/* ---- waiting ---- */

static void wait_s(struct long_jobs *r, double s)
{
    ev_timer_stop(r->loop, &r->next);
    ev_timer_set(&r->next, s, 0);
    ev_timer_start(r->loop, &r->next);
}

static void enter(struct long_jobs *r, enum phase phase)
{
    r->phase = phase;
    r->answer = ERR_OK;
}

static void rest(struct long_jobs *r, double s)
{
    enter(r, RESTING);
    wait_s(r, s);
}

/* Looks again after `s`, or at once when it was poked meanwhile. */
static void idle(struct long_jobs *r, double s)
{
    r->is_holding = false;
    ev_timer_stop(r->loop, &r->beat);
    enter(r, IDLE);
    wait_s(r, r->is_poked ? 0 : s);
}

static double poll_s(const struct long_jobs *r)
{
    return (double)r->config->job_poll_ms / 1000 * (0.8 + (double)arc4random_uniform(400) / 1000);
}

/* ---- asking the database ---- */

static struct slice number(char text[NUMBER_SIZE], int64_t value)
{
    int len = snprintf(text, NUMBER_SIZE, "%" PRId64, value);
    return (struct slice){text, (size_t)len};
}

static void copy_text(char *to, size_t size, struct slice text)
{
    snprintf(to, size, "%.*s", (int)text.len, text.data ? text.data : "");
}

static void on_sync(void *arg, enum err err);

/* One statement, one transaction; `lock`: after that of the company's sequence. */
static void ask(struct long_jobs *r, enum phase phase, bool lock, const struct db_statement *statement,
                const struct slice *params, size_t count, db_on_result *on_result)
{
    enter(r, phase);
    const struct slice company = slice_of(r->held.company);
    if (lock)
        db_send(r->db, &long_job_lock, &company, 1, NULL, NULL);
    db_send(r->db, statement, params, count, on_result, r);
    db_sync(r->db, on_sync, r);
}

static bool is_good(struct long_jobs *r, struct db_result *result)
{
    r->answer = db_result_error(result);
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
    if (!is_good(r, result) || db_rows(result) == 0)
        return;
    struct held *h = &r->held;
    *h = (struct held){
        .kind = long_job_kinds_find(r->kinds, db_text(result, 0, TAKEN_KIND)),
        .attempts = db_int(result, 0, TAKEN_ATTEMPTS),
        .event_seq = db_int(result, 0, TAKEN_EVENT_SEQ),
        .told_seq = db_int(result, 0, TAKEN_TOLD_SEQ),
        .is_cancelled = *db_text(result, 0, TAKEN_CANCEL_ASKED).data == 't',
    };
    copy_text(h->company, sizeof(h->company), db_text(result, 0, TAKEN_COMPANY));
    copy_text(h->id, sizeof(h->id), db_text(result, 0, TAKEN_ID));
    copy_text(h->lease, sizeof(h->lease), db_text(result, 0, TAKEN_LEASE));
    copy_text(h->status, sizeof(h->status), db_text(result, 0, TAKEN_STATUS));
    copy_text(h->error, sizeof(h->error), db_text(result, 0, TAKEN_ERROR));
    r->is_holding = true;
    r->rows = ROWS_FIRST;
    log_info("long_job.taken", LOG_S("job", h->id), LOG_B("kind", db_text(result, 0, TAKEN_KIND)),
             LOG_S("lease", h->lease), LOG_S("status", h->status), LOG_I("attempts", h->attempts));
}

static void look(struct long_jobs *r)
{
    r->is_poked = false;
    const struct slice params[] = {slice_of(r->pool), slice_of(r->hold), slice_of(r->name)};
    ask(r, LOOKING, false, &long_job_take, params, ARRAY_LEN(params), on_taken);
}

static void on_swept(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    bool more = is_good(r, result) && db_rows(result) > 0 && db_int(result, 0, 0) == SWEEP_PIECES;
    r->sweep_at = ev_now(r->loop) + (more ? SWEEP_ON_S : SWEEP_S);
}

static void sweep(struct long_jobs *r)
{
    char pieces[NUMBER_SIZE];
    const struct slice params[] = {number(pieces, SWEEP_PIECES)};
    ask(r, SWEEPING, false, &long_job_sweep, params, ARRAY_LEN(params), on_swept);
}

/* Nobody's: what nobody wants any more is cleared away in the meantime. */
static void after_look(struct long_jobs *r)
{
    if (r->is_holding) {
        ev_timer_again(r->loop, &r->beat);
        proceed(r);
    } else if (r->phase == LOOKING && ev_now(r->loop) >= r->sweep_at && !r->is_draining) {
        sweep(r);
    } else {
        idle(r, poll_s(r));
    }
}

/* ---- the heartbeat ---- */

static void on_renewed(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    if (r->is_holding && !db_result_error(result) && db_rows(result) == 0)
        r->held.is_lost = true;
}

/* Every statement about the job renews its lease; only where it waits for something else this is needed. */
static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct long_jobs *r = CONTAINER_OF(timer, struct long_jobs, beat);
    if (!r->is_holding || (r->phase != RESTING && r->phase != TELLING) || !db_is_up(r->db))
        return;
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id), slice_of(r->held.lease),
                                   slice_of(r->hold)};
    db_send(r->db, &long_job_renew, params, ARRAY_LEN(params), on_renewed, r);
    db_sync(r->db, NULL, NULL);
}

/* ---- a change of status ---- */

static void on_turned(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    struct held *h = &r->held;
    if (!is_good(r, result))
        return;
    h->is_lost = db_rows(result) == 0;
    if (h->is_lost)
        return;
    copy_text(h->status, sizeof(h->status), db_text(result, 0, 0));
    h->event_seq = db_int(result, 0, 1);
    log_info("long_job.turned", LOG_S("job", h->id), LOG_S("status", h->status));
}

static void turn(struct long_jobs *r, const char *status, const char *error)
{
    char total[NUMBER_SIZE];
    struct held *h = &r->held;
    const struct slice params[] = {
        slice_of(h->company), slice_of(h->id),   slice_of(h->lease),      slice_of(status),
        slice_of(error),      slice_of(r->hold), number(total, h->total), slice_of(h->kind->resource),
        slice_of(r->hours),
    };
    ask(r, TURNING, true, &h->kind->turn, params, ARRAY_LEN(params), on_turned);
}

static void on_counted(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    if (!is_good(r, result))
        return;
    r->held.total = db_rows(result) > 0 ? db_int(result, 0, 0) : 0;
    r->held.is_counted = true;
}

static void count(struct long_jobs *r)
{
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id)};
    ask(r, COUNTING, false, &r->held.kind->count, params, ARRAY_LEN(params), on_counted);
}

/* ---- its event ---- */

static void on_noted(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    if (!is_good(r, result))
        return;
    r->held.is_lost = db_rows(result) == 0;
    r->held.told_seq = r->held.event_seq;
}

static void note(struct long_jobs *r)
{
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id), slice_of(r->held.lease),
                                   slice_of(r->hold), number(r->held.told_up_to, r->held.event_seq)};
    ask(r, NOTING, false, &long_job_told, params, ARRAY_LEN(params), on_noted);
}

static void on_told(void *arg, enum err err)
{
    struct long_jobs *r = arg;
    if (err == ERR_SHUTTING_DOWN || r->phase != TELLING)
        return;
    if (err)
        rest(r, (double)r->config->job_retry_ms / 1000);
    else
        note(r);
}

static struct event event_of(struct long_jobs *r, const struct effect *effect)
{
    struct event event = {
        .type = effect->type,
        .status = ERR_OK,
        .http_status = 200,
        .seq = effect->seq,
        .has_subject = true,
        .subject = effect->subject,
        .version = effect->version,
    };
    bool is_uuid = uuid_parse(slice_of(r->held.company), &event.company);
    (void)is_uuid; /* it came from a column of that type */
    event.command_id = effect->subject;
    event.entity_at = event_body_write(&r->body, effect);
    event.body = buf_slice(&r->body);
    return event;
}

static enum err publish(struct long_jobs *r, const struct effect *effect, broker_on_confirm *on_confirm)
{
    struct broker_message message;
    struct event event = event_of(r, effect);
    enum err err = envelope_write_event(&event, &r->scratch, &message);
    return err ? err : broker_publish(r->publisher, &message, on_confirm, r);
}

static void on_read(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    if (is_good(r, result) && db_rows(result) > 0)
        r->event = db_result_hold(result);
}

static void read_event(struct long_jobs *r)
{
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id), slice_of(r->held.lease)};
    ask(r, READING, false, &long_job_event, params, ARRAY_LEN(params), on_read);
}

/* An event that is no longer kept cannot be told; a job that is another's by now, noting finds out. */
static void tell(struct long_jobs *r)
{
    struct db_result *row = TAKE(r->event);
    if (!row) {
        note(r);
        return;
    }
    struct effect effect = {
        .seq = db_int(row, 0, EVENT_SEQ),
        .at = db_text(row, 0, EVENT_AT),
        .type = db_text(row, 0, EVENT_TYPE),
        .version = db_int(row, 0, EVENT_VERSION),
        .data = db_text(row, 0, EVENT_DATA),
    };
    enum err err = ERR_INTERNAL;
    if (uuid_parse(db_text(row, 0, EVENT_SUBJECT), &effect.subject) &&
        uuid_parse(db_text(row, 0, EVENT_ACTOR), &effect.actor))
        err = publish(r, &effect, on_told);
    db_result_release(row);
    if (err)
        rest(r, (double)r->config->job_retry_ms / 1000);
    else
        enter(r, TELLING);
}

/* ---- steps ---- */

static double seconds(void)
{
    return (double)clock_monotonic_us() / 1e6;
}

/* Not kept and not numbered: who misses it hears the next one. */
static void tell_progress(struct long_jobs *r)
{
    struct held *h = &r->held;
    char data[256], at[CLOCK_TEXT_SIZE];
    if (ev_now(r->loop) - h->told_progress_at < (double)r->config->job_progress_ms / 1000)
        return;
    h->told_progress_at = ev_now(r->loop);
    clock_format(clock_wall_us(), at);
    int len =
        snprintf(data, sizeof(data), "{\"status\":\"running\",\"done\":%" PRId64 ",\"total\":%" PRId64 "}",
                 h->done, h->total);
    struct effect effect = {
        .type = SLICE("operation.progress"), .at = slice_of(at), .data = {data, (size_t)len}};
    enum err err = uuid_parse(slice_of(h->id), &effect.subject) ? publish(r, &effect, NULL) : ERR_INTERNAL;
    if (err)
        log_debug("long_job.progress_untold", LOG_S("job", h->id), LOG_S("error", err_info(err)->name));
}

static void on_stepped(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    struct held *h = &r->held;
    if (!is_good(r, result))
        return;
    h->is_lost = db_rows(result) == 0;
    if (h->is_lost)
        return;
    h->attempts = 0;
    h->is_cancelled = *db_text(result, 0, STEP_CANCEL_ASKED).data == 't';
    h->done = db_int(result, 0, STEP_DONE);
    h->total = db_int(result, 0, STEP_TOTAL);
    h->is_through = *db_text(result, 0, STEP_IS_THROUGH).data == 't';
    h->is_too_large = *db_text(result, 0, STEP_IS_TOO_LARGE).data == 't';
}

static void step(struct long_jobs *r)
{
    char rows[NUMBER_SIZE];
    const struct held *h = &r->held;
    const struct slice params[] = {
        slice_of(h->company),  slice_of(h->id),          slice_of(h->lease),     slice_of(r->hold),
        number(rows, r->rows), slice_of(r->piece_bytes), slice_of(r->max_bytes),
    };
    r->step_began = seconds();
    ask(r, STEPPING, false, &h->kind->step, params, ARRAY_LEN(params), on_stepped);
}

/* Half as many when it took too long, twice as many when it was quick; then a rest, so that this connection takes no more than half
 * of a database process. */
static void after_step(struct long_jobs *r)
{
    double took = seconds() - r->step_began, wanted = (double)r->config->job_step_ms / 1000;
    if (took > wanted)
        r->rows = r->rows / 2 > 0 ? r->rows / 2 : 1;
    else if (took < wanted / 2)
        r->rows = 2 * r->rows < ROWS_MAX ? 2 * r->rows : ROWS_MAX;
    tell_progress(r);
    rest(r, took < wanted ? took : wanted);
}

/* ---- what fails ---- */

static void on_let_go(void *arg, struct db_result *result)
{
    (void)is_good(arg, result); /* the lease ends by itself */
}

static void let_go(struct long_jobs *r, int64_t delay_ms, const char *error, bool is_failure)
{
    char seconds[NUMBER_SIZE];
    snprintf(seconds, sizeof(seconds), "%.3f", (double)delay_ms / 1000);
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id),
                                   slice_of(r->held.lease),   slice_of(seconds),
                                   slice_of(error),           slice_of(is_failure ? "0" : "1")};
    ask(r, LETTING_GO, false, &long_job_let_go, params, ARRAY_LEN(params), on_let_go);
}

/* Doubling, between half of it and all of it. */
static int64_t backoff_ms(const struct long_jobs *r)
{
    int64_t ms = r->config->job_retry_ms;
    for (int64_t i = 1; i < r->held.attempts && ms < RETRY_MAX_MS; i++)
        ms *= 2;
    ms = ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
    return ms / 2 + (int64_t)arc4random_uniform((uint32_t)(ms / 2 + 1));
}

static void fail(struct long_jobs *r, enum err err)
{
    struct held *h = &r->held;
    if (!r->is_holding ||
        err == ERR_DATABASE_UNAVAILABLE) { /* taken again, by its lease, when the database is back */
        idle(r, poll_s(r));
    } else if (err_info(err)->fate == FATE_RETRY || r->phase == TURNING || !h->kind) {
        h->attempts++;
        let_go(r, backoff_ms(r), err_info(err)->slug, true);
    } else {
        h->fault = err;
        proceed(r);
    }
}

/* ---- what is next ---- */

static bool is_ended(const struct held *h)
{
    return strcmp(h->status, "pending") != 0 && strcmp(h->status, "running") != 0;
}

/* Nobody gets a step further with it: what the last failure was, or that whoever has it dies. */
static const char *why_given_up(const struct held *h)
{
    return h->error[0] ? h->error : err_info(ERR_POISON)->slug;
}

static void proceed(struct long_jobs *r)
{
    struct held *h = &r->held;
    bool is_untold = h->told_seq < h->event_seq;
    if (h->is_lost || (is_ended(h) && !is_untold))
        idle(r, 0);
    else if (!h->kind) /* of a newer process's */
        let_go(r, RETRY_MAX_MS, NULL, false);
    else if (is_untold)
        read_event(r);
    else if (h->is_cancelled)
        turn(r, "cancelled", NULL);
    else if (h->fault)
        turn(r, "failed", err_info(h->fault)->slug);
    else if (h->attempts > r->config->job_attempts)
        turn(r, "failed", why_given_up(h));
    else if (h->is_too_large)
        turn(r, "failed", err_info(ERR_RESULT_TOO_LARGE)->slug);
    else if (h->is_through)
        turn(r, "completed", NULL);
    else if (r->is_draining)
        let_go(r, 0, NULL, false);
    else if (strcmp(h->status, "running") == 0)
        step(r);
    else if (h->is_counted)
        turn(r, "running", NULL);
    else
        count(r);
}

static void on_sync(void *arg, enum err err)
{
    struct long_jobs *r = arg;
    if (err == ERR_SHUTTING_DOWN)
        return;
    if (!err)
        err = r->answer;
    if (r->phase == LETTING_GO)
        idle(r, 0);
    else if (err)
        fail(r, err);
    else if (r->phase == LOOKING || r->phase == SWEEPING)
        after_look(r);
    else if (r->phase == READING)
        tell(r);
    else if (r->phase == STEPPING && !r->held.is_lost)
        after_step(r);
    else
        proceed(r);
}

static void on_next(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct long_jobs *r = CONTAINER_OF(timer, struct long_jobs, next);
    if (r->phase == RESTING)
        proceed(r);
    else if (r->phase == IDLE && db_is_up(r->db) && !r->is_draining)
        look(r);
}

/* ---- the outside ---- */

static void on_up(void *ctx, struct db *db)
{
    struct long_jobs *r = ctx;
    db_send(db, &long_job_set_up, NULL, 0, NULL, NULL);
    db_sync(db, NULL, NULL);
    if (r->phase == IDLE)
        wait_s(r, 0);
}

static void on_down(void *ctx, struct db *db, const char *why)
{
    (void)ctx, (void)db;
    log_warn("database.down", LOG_S("connection", "long jobs"), LOG_S("why", why));
}

static enum err connect_database(struct long_jobs *r)
{
    static const struct db_callbacks callbacks = {.on_up = on_up, .on_down = on_down};
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "cortex-worker %s: long jobs", r->pool);
    const struct db_options options = {
        .url = r->config->database_url,
        .role = r->config->database_role,
        .application_name = name,
        .statement_timeout_ms = r->config->statement_timeout_ms,
    };
    return db_new(r->loop, &options, &callbacks, r, &r->db);
}

static void name_of_process(char name[NAME_SIZE])
{
    char host[HOST_NAME_MAX + 1] = "";
    (void)gethostname(host, sizeof(host) - 1);
    snprintf(name, NAME_SIZE, "%s:%ld", host, (long)getpid());
}

enum err long_jobs_new(struct ev_loop *loop, const struct config *config, const char *pool,
                       struct broker *publisher, struct long_jobs **ret_jobs)
{
    struct long_jobs *r = xcalloc(1, sizeof(*r));
    double beat_s = (double)config->job_lease_ms / 1000 / BEATS_A_LEASE;
    r->loop = loop;
    r->config = config;
    r->pool = pool;
    r->publisher = publisher;
    r->kinds = long_job_kinds_new();
    buf_init(&r->body, BODY_MAX);
    name_of_process(r->name);
    snprintf(r->hold, sizeof(r->hold), "%.3f", (double)config->job_lease_ms / 1000);
    number(r->piece_bytes, config->export_piece_bytes);
    number(r->max_bytes, config->export_max_bytes);
    number(r->hours, config->export_hours);
    ev_timer_init(&r->next, on_next, 0, 0);
    ev_timer_init(&r->beat, on_beat, beat_s, beat_s);
    enum err err = connect_database(r);
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
    r->is_poked = true;
    if (r->phase == IDLE)
        wait_s(r, 0);
}

void long_jobs_drain(struct long_jobs *r)
{
    r->is_draining = true;
    if (r->phase == RESTING)
        wait_s(r, 0);
}

bool long_jobs_is_idle(const struct long_jobs *r)
{
    return r->phase == IDLE;
}
