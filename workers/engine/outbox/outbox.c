#include "workers/engine/outbox/outbox.h"

#include "common/base/log.h"
#include "workers/engine/command/event_body.h"
#include "workers/engine/outbox/event_parcels.h"

static const double AGAIN_S = 0.1; /* after the broker refused a message */

enum { BODY_MAX = 8 << 20 };

struct outbox {
    struct ev_loop *loop;
    struct event_parcels *parcels;
    void (*on_published)(void *ctx, struct command *command);
    void *ctx;
    struct command *first, **last; /* waiting to be published, in order */
    size_t waiting;
    size_t unpublished;
    struct buf body;
    ev_timer again;
};

/* Only the first event is the answer to the command; the others go to subscribers alone. */
static struct event make_event(struct outbox *o, const struct command *command, const struct effect *effect)
{
    bool is_first = effect == command->effects;
    int64_t entity_at = event_body_write(&o->body, effect); /* before the body is looked at below */
    return (struct event){
        .command_id = command->envelope.id,
        .company = command->envelope.company,
        .type = effect->type,
        .status = ERR_OK,
        .http_status = is_first ? command->http_status : 200,
        .is_replayed = is_first && command_is_replayed(command),
        .seq = effect->seq,
        .has_subject = true,
        .subject = effect->subject,
        .has_project = effect->has_project,
        .project = effect->project,
        .version = effect->version,
        .correlation_id = is_first ? command->envelope.correlation_id : SLICE_NONE,
        .reply_to = is_first ? command->envelope.reply_to : SLICE_NONE,
        .is_private = effect->is_private,
        .entity_at = entity_at,
        .body = buf_slice(&o->body),
    };
}

static struct event make_refusal(const struct command *command)
{
    return (struct event){
        .command_id = command->envelope.id,
        .company = command->envelope.company,
        .type = command->envelope.type,
        .status = command->status,
        .http_status = command->http_status,
        .is_replayed = command_is_replayed(command),
        .correlation_id = command->envelope.correlation_id,
        .reply_to = command->envelope.reply_to,
        .body = command->refusal,
    };
}

/* ---- publishing ---- */

static void flush(struct outbox *o);

static void wait_for_turn(struct outbox *o, struct command *command)
{
    command->next = NULL;
    *o->last = command;
    o->last = &command->next;
    o->waiting++;
}

static struct command *next_turn(struct outbox *o)
{
    struct command *command = o->first;
    o->first = command->next;
    if (!o->first)
        o->last = &o->first;
    o->waiting--;
    command->next = NULL;
    return command;
}

static void end_if_published(struct outbox *o, struct command *command)
{
    if (command->unconfirmed > 0 || command->is_queued)
        return;
    o->unpublished--;
    o->on_published(o->ctx, command);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    flush(CONTAINER_OF(timer, struct outbox, again));
}

/* The broker refused a message: it is published again later, with all that is still to be published of the
 * command. */
static void publish_again(struct outbox *o, struct command *command)
{
    if (!command->is_queued)
        wait_for_turn(o, command);
    command->is_queued = true;
    if (!ev_is_active(&o->again)) {
        ev_timer_set(&o->again, AGAIN_S, 0);
        ev_timer_start(o->loop, &o->again);
    }
}

static void on_confirm(struct command *command, bool *is_published, enum err err)
{
    struct outbox *o = command->outbox;
    command->unconfirmed--;
    if (err == ERR_SHUTTING_DOWN) { /* the process that gets the command next publishes it */
        if (command->unconfirmed == 0 && !command->is_queued)
            command_free(command);
        return;
    }
    if (err) {
        log_at(err_info(err)->level, "outbox.refused", LOG_S("error", err_info(err)->name));
        *is_published = false;
        publish_again(o, command);
        return;
    }
    end_if_published(o, command);
    if (o->first && !ev_is_active(&o->again))
        flush(o);
}

static void on_event_confirm(void *arg, enum err err)
{
    struct effect *effect = arg;
    on_confirm(effect->command, &effect->is_published, err);
}

static void on_reply_confirm(void *arg, enum err err)
{
    struct command *command = arg;
    on_confirm(command, &command->reply_is_published, err);
}

static void log_unpublishable(const struct command *command, const struct event *event, enum err err)
{
    char id[UUID_TEXT_LEN + 1], company[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.id, id);
    uuid_format(&command->envelope.company, company);
    log_error("outbox.unpublishable", LOG_S("error", err_info(err)->name), LOG_B("type", event->type),
              LOG_S("company", company), LOG_S("command", id), LOG_I("seq", event->seq),
              LOG_B("correlation", command_correlation(command)));
}

/* Returns false when the broker takes no more for now. An event that cannot become a message is logged and
 * given up: it stays in `events`, where gateways look for a seq that is missing, and the sender asks for the
 * operation. */
static bool publish(struct outbox *o, const struct event *event, broker_on_confirm *callback, void *arg,
                    struct command *command, bool *is_published)
{
    enum err err = event_parcels_publish(o->parcels, event, callback, arg);
    if (err == ERR_BROKER_BUSY || err == ERR_SHUTTING_DOWN)
        return false;
    if (err)
        log_unpublishable(command, event, err);
    else
        command->unconfirmed++;
    *is_published = true;
    return true;
}

/* Nobody waits for what nobody else may hear of. */
static bool is_for_no_one(const struct command *command, const struct effect *effect)
{
    return effect->is_private && command->envelope.reply_to.len == 0;
}

static bool publish_all(struct outbox *o, struct command *command)
{
    for (struct effect *effect = command->effects; effect; effect = effect->next) {
        if (effect->is_published || is_for_no_one(command, effect))
            continue;
        struct event event = make_event(o, command, effect);
        if (!publish(o, &event, on_event_confirm, effect, command, &effect->is_published))
            return false;
    }
    if (command->effects || command->reply_is_published || command->envelope.reply_to.len == 0)
        return true;
    struct event event = make_refusal(command);
    return publish(o, &event, on_reply_confirm, command, command, &command->reply_is_published);
}

static void flush(struct outbox *o)
{
    while (o->first && publish_all(o, o->first)) {
        struct command *command = next_turn(o);
        command->is_queued = false;
        end_if_published(o, command);
    }
}

void outbox_send(struct outbox *o, struct command *command)
{
    command->outbox = o;
    command->is_queued = true;
    for (struct effect *effect = command->effects; effect; effect = effect->next)
        effect->command = command;
    o->unpublished++;
    wait_for_turn(o, command);
    if (o->first == command)
        flush(o);
}

/* ---- the outside ---- */

struct outbox *outbox_new(struct ev_loop *loop, struct broker *broker, struct gateways *gateways,
                          void (*on_published)(void *ctx, struct command *command), void *ctx)
{
    struct outbox *o = xcalloc(1, sizeof(*o));
    o->loop = loop;
    o->parcels = event_parcels_new(loop, broker, gateways);
    o->on_published = on_published;
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
    event_parcels_free(o->parcels);
    while (o->first)
        command_free(next_turn(o));
    buf_done(&o->body);
    free(o);
}

size_t outbox_waiting(const struct outbox *o)
{
    return o->waiting;
}

size_t outbox_unpublished(const struct outbox *o)
{
    return o->unpublished;
}
