#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "workers/engine/command/event_body.h"
#include "workers/engine/long_jobs/private.h"

enum {
    ROWS_MAX = 5000,
    RETRY_MAX_MS = 60000,
    LOCKED_RETRY_MS = 10 * LOCK_WAIT_MS, /* so that the jobs of other companies have most of the time */
};

static void let_go(struct long_jobs *r, int64_t delay_ms, const char *error, bool is_failure);

/* ---- a change of status ---- */

static void on_turned(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    struct held *h = &r->held;
    if (!long_jobs_is_good(r, result))
        return;
    h->is_lost = db_rows(result) == 0;
    if (h->is_lost)
        return;
    long_job_copy(h->status, sizeof(h->status), db_text(result, 0, 0));
    h->event_seq = db_int(result, 0, 1);
    log_info("long_job.turned", LOG_S("job", h->id), LOG_S("status", h->status));
}

static void turn(struct long_jobs *r, const char *status, const char *error)
{
    char total[NUMBER_SIZE];
    struct held *h = &r->held;
    const struct slice params[] = {
        slice_of(h->company),
        slice_of(h->id),
        slice_of(h->lease),
        slice_of(status),
        slice_of(error),
        slice_of(r->hold),
        long_job_number(total, h->total),
        slice_of(h->kind->resource),
        slice_of(r->hours),
    };
    long_jobs_ask(r, TURNING, true, &h->kind->turn, params, ARRAY_LEN(params), on_turned);
}

static void on_counted(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    if (!long_jobs_is_good(r, result))
        return;
    r->held.total = db_rows(result) > 0 ? db_int(result, 0, 0) : 0;
    r->held.is_counted = true;
}

static void count(struct long_jobs *r)
{
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id)};
    long_jobs_ask(r, COUNTING, false, &r->held.kind->count, params, ARRAY_LEN(params), on_counted);
}

/* ---- its event ---- */

static void on_recorded(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    if (!long_jobs_is_good(r, result))
        return;
    r->held.is_lost = db_rows(result) == 0;
    r->held.published_seq = r->held.event_seq;
}

static void record_published(struct long_jobs *r)
{
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id), slice_of(r->held.lease),
                                   slice_of(r->hold),
                                   long_job_number(r->held.published_up_to, r->held.event_seq)};
    long_jobs_ask(r, RECORDING, false, &long_job_published, params, ARRAY_LEN(params), on_recorded);
}

static void on_published(void *arg, enum err err)
{
    struct long_jobs *r = arg;
    if (err == ERR_SHUTTING_DOWN || r->phase != PUBLISHING)
        return;
    if (err)
        long_jobs_pause(r, (double)r->config->job_retry_ms / 1000);
    else
        record_published(r);
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
    enum event_keys keys = gateways_keys(r->gateways, SLICE_NONE);
    enum err err = envelope_write_event(&event, keys, &r->scratch, &message);
    return err ? err : broker_publish(r->publisher, &message, on_confirm, r);
}

static void on_read(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    if (long_jobs_is_good(r, result) && db_rows(result) > 0)
        r->event = db_result_hold(result);
}

static void read_event(struct long_jobs *r)
{
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id), slice_of(r->held.lease)};
    long_jobs_ask(r, READING, false, &long_job_event, params, ARRAY_LEN(params), on_read);
}

/* An event that retention has dropped cannot be published, nor can one that becomes no message: it stays in
 * `events`. Recording finds out whether another process has the job. */
void held_publish(struct long_jobs *r)
{
    struct db_result *row = TAKE(r->event);
    if (!row) {
        record_published(r);
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
        err = publish(r, &effect, on_published);
    db_result_release(row);
    if (err == ERR_BROKER_BUSY || err == ERR_SHUTTING_DOWN) {
        long_jobs_pause(r, (double)r->config->job_retry_ms / 1000);
    } else if (err) {
        log_error("long_job.unpublishable", LOG_S("error", err_info(err)->name),
                  LOG_S("company", r->held.company), LOG_S("job", r->held.id), LOG_I("seq", effect.seq));
        record_published(r);
    } else {
        long_jobs_enter(r, PUBLISHING);
    }
}

/* ---- steps ---- */

/* Progress has no number and no row: a client that misses it gets the next one. */
static void publish_progress(struct long_jobs *r)
{
    struct held *h = &r->held;
    char data[256], at[CLOCK_TEXT_SIZE];
    if (clock_monotonic_s() - h->progress_at < (double)r->config->job_progress_ms / 1000)
        return;
    h->progress_at = clock_monotonic_s();
    clock_format(clock_wall_us(), at);
    int len =
        snprintf(data, sizeof(data), "{\"status\":\"running\",\"done\":%" PRId64 ",\"total\":%" PRId64 "}",
                 h->done, h->total);
    struct effect effect = {
        .type = SLICE("operation.progress"), .at = slice_of(at), .data = {data, (size_t)len}};
    enum err err = uuid_parse(slice_of(h->id), &effect.subject) ? publish(r, &effect, NULL) : ERR_INTERNAL;
    if (err)
        log_debug("long_job.progress_unpublished", LOG_S("job", h->id), LOG_S("error", err_info(err)->name));
}

static void on_stepped(void *arg, struct db_result *result)
{
    struct long_jobs *r = arg;
    struct held *h = &r->held;
    if (!long_jobs_is_good(r, result))
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
        slice_of(h->company),           slice_of(h->id),          slice_of(h->lease),     slice_of(r->hold),
        long_job_number(rows, r->rows), slice_of(r->piece_bytes), slice_of(r->max_bytes),
    };
    r->step_began = clock_monotonic_s();
    long_jobs_ask(r, STEPPING, false, &h->kind->step, params, ARRAY_LEN(params), on_stepped);
}

/* The next step goes through half as many rows when this one took too long, and through twice as many when it
 * was quick. The pause before it lasts as long as this step, so that the connection takes at most half of a
 * database process. */
void held_after_step(struct long_jobs *r)
{
    double took = clock_monotonic_s() - r->step_began, wanted = (double)r->config->job_step_ms / 1000;
    if (took > wanted)
        r->rows = r->rows / 2 > 0 ? r->rows / 2 : 1;
    else if (took < wanted / 2)
        r->rows = 2 * r->rows < ROWS_MAX ? 2 * r->rows : ROWS_MAX;
    publish_progress(r);
    long_jobs_pause(r, took < wanted ? took : wanted);
}

/* ---- what fails ---- */

static void on_let_go(void *arg, struct db_result *result)
{
    (void)long_jobs_is_good(arg, result); /* after a failure the lease runs out by itself */
}

static void let_go(struct long_jobs *r, int64_t delay_ms, const char *error, bool is_failure)
{
    char seconds[NUMBER_SIZE];
    snprintf(seconds, sizeof(seconds), "%.3f", (double)delay_ms / 1000);
    const struct slice params[] = {slice_of(r->held.company), slice_of(r->held.id),
                                   slice_of(r->held.lease),   slice_of(seconds),
                                   slice_of(error),           slice_of(is_failure ? "0" : "1")};
    long_jobs_ask(r, LETTING_GO, false, &long_job_let_go, params, ARRAY_LEN(params), on_let_go);
}

/* The back-off doubles with each attempt, and lasts between half of that and all of it. */
static int64_t backoff_ms(const struct long_jobs *r)
{
    int64_t ms = r->config->job_retry_ms;
    for (int64_t i = 1; i < r->held.attempts && ms < RETRY_MAX_MS; i++)
        ms *= 2;
    ms = ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
    return ms / 2 + (int64_t)arc4random_uniform((uint32_t)(ms / 2 + 1));
}

void held_fail(struct long_jobs *r, enum err err)
{
    struct held *h = &r->held;
    /* While the database is away the lease runs out, and some process takes the job when it is back. */
    if (!r->is_holding || err == ERR_DATABASE_UNAVAILABLE) {
        long_jobs_idle(r, long_jobs_poll_s(r));
    } else if (err == ERR_DATABASE_LOCKED) {
        let_go(r, LOCKED_RETRY_MS, NULL,
               false); /* the fault of another transaction, and no failure of the job */
    } else if (err_info(err)->fate == FATE_RETRY || r->is_of_schema || r->phase == TURNING || !h->kind) {
        h->attempts++;
        let_go(r, backoff_ms(r), err_info(err)->slug, true);
    } else {
        h->fault = err;
        held_proceed(r);
    }
}

/* ---- what is next ---- */

static bool is_ended(const struct held *h)
{
    return strcmp(h->status, "pending") != 0 && strcmp(h->status, "running") != 0;
}

/* Why no process gets a step further with the job: the last failure, or, without one, that each holder
 * dies. */
static const char *why_given_up(const struct held *h)
{
    return h->error[0] ? h->error : err_info(ERR_POISON)->slug;
}

void held_proceed(struct long_jobs *r)
{
    struct held *h = &r->held;
    bool is_unpublished = h->published_seq < h->event_seq;
    if (h->is_lost || (is_ended(h) && !is_unpublished))
        long_jobs_idle(r, 0);
    else if (!h->kind) /* a newer process knows this kind */
        let_go(r, RETRY_MAX_MS, NULL, false);
    else if (is_unpublished)
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
