#include "workers/engine/outbox/outbox.h"

#include "common/base/log.h"
#include "workers/engine/command/event_body.h"

static const double AGAIN_S = 0.1; /* after the broker refused a message */

enum { BODY_MAX = 8 << 20 };

struct outbox {
    struct ev_loop *loop;
    struct broker *broker;
    void (*on_told)(void *ctx, struct job *job);
    void *ctx;
    struct job *first, **last; /* waiting to be published, in order */
    size_t waiting;
    size_t untold;
    struct buf body;
    struct envelope_scratch scratch;
    ev_timer again;
};

/* Only the first event is the command's answer; those after it are told to subscribers alone. */
static struct event make_event(struct outbox *o, const struct job *job, const struct effect *effect)
{
    bool is_first = effect == job->effects;
    int64_t entity_at = event_body_write(&o->body, effect); /* before the body is looked at below */
    return (struct event){
        .command_id = job->envelope.id,
        .company = job->envelope.company,
        .type = effect->type,
        .status = ERR_OK,
        .http_status = is_first ? job->http_status : 200,
        .seq = effect->seq,
        .has_subject = true,
        .subject = effect->subject,
        .has_project = effect->has_project,
        .project = effect->project,
        .version = effect->version,
        .correlation_id = is_first ? job->envelope.correlation_id : SLICE_NONE,
        .reply_to = is_first ? job->envelope.reply_to : SLICE_NONE,
        .entity_at = entity_at,
        .body = buf_slice(&o->body),
    };
}

static struct event make_refusal(const struct job *job)
{
    return (struct event){
        .command_id = job->envelope.id,
        .company = job->envelope.company,
        .type = job->envelope.type,
        .status = job->status,
        .http_status = job->http_status,
        .correlation_id = job->envelope.correlation_id,
        .reply_to = job->envelope.reply_to,
        .body = job->refusal,
    };
}

/* ---- publishing ---- */

static void flush(struct outbox *o);

static void wait_for_turn(struct outbox *o, struct job *job)
{
    job->next = NULL;
    *o->last = job;
    o->last = &job->next;
    o->waiting++;
}

static struct job *next_turn(struct outbox *o)
{
    struct job *job = o->first;
    o->first = job->next;
    if (!o->first)
        o->last = &o->first;
    o->waiting--;
    job->next = NULL;
    return job;
}

static void end_if_told(struct outbox *o, struct job *job)
{
    if (job->unconfirmed > 0 || job->is_untold)
        return;
    o->untold--;
    o->on_told(o->ctx, job);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    flush(CONTAINER_OF(timer, struct outbox, again));
}

/* The broker refused it: once more, later, with everything else that this job has to say. */
static void tell_again(struct outbox *o, struct job *job)
{
    if (!job->is_untold)
        wait_for_turn(o, job);
    job->is_untold = true;
    if (!ev_is_active(&o->again)) {
        ev_timer_set(&o->again, AGAIN_S, 0);
        ev_timer_start(o->loop, &o->again);
    }
}

static void on_confirm(struct job *job, bool *is_published, enum err err)
{
    struct outbox *o = job->outbox;
    job->unconfirmed--;
    if (err == ERR_SHUTTING_DOWN) { /* whoever gets the command next tells it */
        if (job->unconfirmed == 0 && !job->is_untold)
            job_free(job);
        return;
    }
    if (err) {
        log_at(err_info(err)->level, "outbox.refused", LOG_S("error", err_info(err)->name));
        *is_published = false;
        tell_again(o, job);
        return;
    }
    end_if_told(o, job);
    if (o->first && !ev_is_active(&o->again))
        flush(o);
}

static void on_event_confirm(void *arg, enum err err)
{
    struct effect *effect = arg;
    on_confirm(effect->job, &effect->is_published, err);
}

static void on_reply_confirm(void *arg, enum err err)
{
    struct job *job = arg;
    on_confirm(job, &job->reply_is_published, err);
}

/* false when the broker takes no more for now. What cannot be a message at all is logged and given up. */
static bool publish(struct outbox *o, const struct event *event, broker_on_confirm *callback, void *arg,
                    struct job *job, bool *is_published)
{
    struct broker_message message;
    enum err err = envelope_write_event(event, &o->scratch, &message);
    if (!err)
        err = broker_publish(o->broker, &message, callback, arg);
    if (err == ERR_BROKER_BUSY || err == ERR_SHUTTING_DOWN)
        return false;
    if (err)
        log_error("outbox.unpublishable", LOG_S("error", err_info(err)->name), LOG_B("type", event->type));
    else
        job->unconfirmed++;
    *is_published = true;
    return true;
}

static bool tell(struct outbox *o, struct job *job)
{
    for (struct effect *effect = job->effects; effect; effect = effect->next) {
        if (effect->is_published)
            continue;
        struct event event = make_event(o, job, effect);
        if (!publish(o, &event, on_event_confirm, effect, job, &effect->is_published))
            return false;
    }
    if (job->effects || job->reply_is_published || job->envelope.reply_to.len == 0)
        return true;
    struct event event = make_refusal(job);
    return publish(o, &event, on_reply_confirm, job, job, &job->reply_is_published);
}

static void flush(struct outbox *o)
{
    while (o->first && tell(o, o->first)) {
        struct job *job = next_turn(o);
        job->is_untold = false;
        end_if_told(o, job);
    }
}

void outbox_send(struct outbox *o, struct job *job)
{
    job->outbox = o;
    job->is_untold = true;
    for (struct effect *effect = job->effects; effect; effect = effect->next)
        effect->job = job;
    o->untold++;
    wait_for_turn(o, job);
    if (o->first == job)
        flush(o);
}

/* ---- the outside ---- */

struct outbox *outbox_new(struct ev_loop *loop, struct broker *broker,
                          void (*on_told)(void *ctx, struct job *job), void *ctx)
{
    struct outbox *o = xcalloc(1, sizeof(*o));
    o->loop = loop;
    o->broker = broker;
    o->on_told = on_told;
    o->ctx = ctx;
    o->last = &o->first;
    buf_init(&o->body, BODY_MAX);
    ev_timer_init(&o->again, on_again, AGAIN_S, 0);
    return o;
}

void outbox_free(struct outbox *o)
{
    if (!o)
        return;
    ev_timer_stop(o->loop, &o->again);
    while (o->first)
        job_free(next_turn(o));
    buf_done(&o->body);
    free(o);
}

size_t outbox_waiting(const struct outbox *o)
{
    return o->waiting;
}

size_t outbox_untold(const struct outbox *o)
{
    return o->untold;
}
