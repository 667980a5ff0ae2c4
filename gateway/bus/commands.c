#include "gateway/bus/commands.h"

#include "common/base/clock.h"
#include "common/broker/topology.h"
#include "common/db/db.h"
#include "common/msg/msg.h"
#include "common/process/rhythm.h"
#include "gateway/bus/full_companies.h"
#include "gateway/bus/inbox.h"
#include "gateway/bus/outcome.h"
#include "gateway/bus/parcels.h"
#include "gateway/bus/pending.h"
#include "gateway/bus/refusals.h"
#include "gateway/bus/writers.h"

#define FULL_COMPANY \
    "The commands of the company that wait hold too many bytes. Try again when some are done."

static const double PROBE_S = 1;

struct commands {
    struct gateway *gateway;
    struct broker *publisher;
    struct refusals *refusals;
    ev_timer probe;
    bool is_declared; /* and so the broker agrees with our number of partitions */
    struct parcel_readers *parcel_readers;
    struct parcels *parcels;
    struct pending_table pending;
};

/* ---- answers ---- */

static void answer(struct pending *pending, const struct outcome *outcome)
{
    writers_note(pending->commands->gateway->writers, &pending->call->identity.user);
    struct call *call = pending_let_go(&pending->commands->pending, pending);
    outcome_answer(call, outcome);
    pending_release(pending);
}

static void answer_accepted(struct pending *pending)
{
    struct call *call = pending_let_go(&pending->commands->pending, pending);
    if (call->on_accepted)
        call->on_accepted(call, &pending->id);
    else
        outcome_answer_accepted(call, &pending->id, pending->is_async && !pending->is_scheduled);
    pending_release(pending);
}

static void fail(struct pending *pending, enum err err, const char *detail)
{
    struct call *call = pending_let_go(&pending->commands->pending, pending);
    call_fail(call, err, detail);
    pending_release(pending);
}

/* The client has gone. The command is carried out all the same. */
static void on_gone(struct call *call)
{
    struct pending *pending = call->waiter;
    pending_let_go(&pending->commands->pending, pending);
    pending_release(pending);
}

void commands_on_event(struct commands *commands, const struct event *event)
{
    struct pending *pending = pending_find(&commands->pending, event->correlation_id);
    char subject[UUID_TEXT_LEN + 1] = "";
    if (!pending || !uuid_equal(&pending->id, &event->command_id))
        return;
    if (pending->is_async) {
        answer_accepted(pending);
        return;
    }
    if (event->has_subject)
        uuid_format(&event->subject, subject);
    if (event->is_replayed)
        outcome_note_replay(pending->call);
    struct outcome outcome = {.status = event->status,
                              .http_status = event->http_status,
                              .version = event->version,
                              .subject = slice_of(subject)};
    if (event->status != ERR_OK)
        outcome.refusal = event->body;
    else if (event->entity_at > 0) /* up to the brace that closes the event */
        outcome.entity = (struct slice){event->body.data + event->entity_at,
                                        event->body.len - (size_t)event->entity_at - 1};
    answer(pending, &outcome);
}

/* ---- what the broker answers ---- */

static void check_key(struct pending *pending);

static void on_reason(void *arg, enum err reason)
{
    struct pending *pending = arg;
    pending->explaining = false;
    pending->refusal = reason;
    if (!pending->call)
        pending_release(pending);
    else
        fail(pending, reason,
             reason == ERR_QUEUE_FULL ? NULL : "the broker did not take the command; it can be sent again");
}

/* From so many messages on a refusal says that the queue is full. RabbitMQ tells how many wait in a queue but
 * not how large they are. So a queue may be full by its bytes when it would be with messages of four times the
 * size that this process has published on average. */
static int64_t full_from(const struct commands *commands, const char *queue)
{
    enum { LARGER = 4 };
    const struct config *config = commands->gateway->config;
    int64_t limit = topology_queue_limit(commands->publisher, queue, config->queue_max_length);
    int64_t by_bytes = config->queue_max_bytes / (LARGER * parcels_average_bytes(commands->parcels)) + 1;
    return by_bytes < limit ? by_bytes : limit;
}

static void explain_refusal(struct pending *pending)
{
    struct commands *commands = pending->commands;
    const struct config *config = commands->gateway->config;
    char queue[TOPOLOGY_NAME_SIZE];
    topology_command_queue(pending->pool, topology_partition(&pending->company, config->partitions), queue,
                           sizeof(queue));
    pending->explaining = true;
    refusals_explain(commands->refusals, queue, full_from(commands, queue), on_reason, pending);
}

static void on_confirm(void *arg, enum err err)
{
    struct pending *pending = arg;
    pending->in_flight--;
    pending->confirmed = err == ERR_OK;
    pending->refusal = err;
    if (!err)
        refusals_taken(pending->commands->refusals);
    if (!pending->call)
        pending_release(pending);
    else if (err == ERR_QUEUE_FULL && !pending->asking)
        explain_refusal(pending);
    else if (err && !pending->asking)
        fail(pending, err, NULL);
    else if (!err && pending->is_async)
        check_key(pending);
}

/* ---- time ---- */

/* Answers a call for which there is neither a reply nor a row in the inbox. */
static void answer_without_result(struct pending *pending)
{
    if (pending->confirmed)
        answer_accepted(pending);
    else if (pending->refusal)
        fail(pending, pending->refusal, NULL);
    else
        fail(pending, ERR_BROKER_UNAVAILABLE,
             "the broker has not confirmed the command in time; it may still run");
}

static void answer_operation(struct pending *pending, const struct operation *operation)
{
    if (operation->fingerprint != pending->fingerprint) {
        fail(pending, ERR_IDEMPOTENCY_MISMATCH, NULL);
        return;
    }
    const struct outcome outcome = {.status = operation->status,
                                    .http_status = operation->http_status,
                                    .version = operation->version,
                                    .subject = operation->subject,
                                    .whole = operation->whole,
                                    .entity = operation->entity,
                                    .refusal = operation->refusal};
    answer(pending, &outcome);
}

/* Without the reply only the time says whose request the command ran for. */
static void note_replay(struct pending *pending, const struct operation *operation)
{
    bool is_same = operation->found == ERR_OK && operation->fingerprint == pending->fingerprint;
    if (is_same && operation->at_ms > 0 && operation->at_ms < pending->since_ms)
        outcome_note_replay(pending->call);
}

static void on_operation(void *arg, const struct operation *operation)
{
    struct pending *pending = arg;
    pending->asking = false;
    if (pending->call)
        note_replay(pending, operation);
    if (!pending->call)
        pending_release(pending);
    else if (operation->found == ERR_OK && pending->is_async &&
             operation->fingerprint == pending->fingerprint)
        answer_accepted(pending);
    else if (operation->found == ERR_OK &&
             (!operation->is_waiting || operation->fingerprint != pending->fingerprint))
        answer_operation(pending, operation);
    else
        answer_without_result(pending);
}

static void ask_inbox(struct pending *pending)
{
    pending->asking = true;
    if (inbox_find(pending->commands->gateway, &pending->company, &pending->id, on_operation, pending)) {
        pending->asking = false;
        answer_without_result(pending);
    }
}

/* With respond-async the client does not wait for the result, in which it would learn that its
 * Idempotency-Key belongs to another request. So the inbox is asked before the 202. Whoever is content with the confirm
 * has no such key. */
static void check_key(struct pending *pending)
{
    if (uuid_is_derived(&pending->id) && !pending->call->on_accepted &&
        db_pool_is_up(pending->commands->gateway->reads))
        ask_inbox(pending);
    else
        answer_accepted(pending);
}

/* A reply can be lost together with the connection that would have brought it. The inbox has every result. */
static void on_due(struct deadline *deadline)
{
    struct pending *pending = CONTAINER_OF(deadline, struct pending, deadline);
    struct gateway *gateway = pending->commands->gateway;
    if (pending->is_async || !db_pool_is_up(gateway->reads)) {
        answer_without_result(pending);
        return;
    }
    ask_inbox(pending);
}

/* ---- submitting ---- */

/* NULL: no pool takes it. */
static const char *pool_of(const struct envelope *envelope)
{
    const char *dot = memchr(envelope->type.data, '.', envelope->type.len);
    size_t len = dot ? (size_t)(dot - envelope->type.data) : 0;
    const struct msg_resource *resource = msg_resource_by_name((struct slice){envelope->type.data, len});
    return resource ? resource->pool : NULL;
}

static enum err publish(struct commands *commands, struct pending *pending, const struct envelope *envelope)
{
    char correlation[PENDING_CORRELATION_SIZE];
    pending_correlation(&commands->pending, pending, correlation);
    struct envelope addressed = *envelope;
    addressed.correlation_id = slice_of(correlation);
    addressed.reply_to = pending->is_async ? SLICE_NONE : slice_of(commands->gateway->reply_key);
    enum err err = parcels_add(commands->parcels, pending->pool, &addressed, pending);
    pending->in_flight += err == ERR_OK;
    return err;
}

void commands_submit(struct commands *commands, struct call *call, const struct envelope *envelope,
                     int64_t wait_ms)
{
    const struct config *config = commands->gateway->config;
    if (commands->pending.count >= (size_t)config->pending_max) {
        call_fail(call, ERR_BROKER_BUSY, NULL);
        return;
    }
    const char *pool = pool_of(envelope);
    if (!pool) {
        call_fail(call, ERR_UNROUTABLE, NULL);
        return;
    }
    if (full_companies_have(commands->gateway->full_companies, &envelope->company, pool)) {
        call_fail(call, ERR_TOO_MANY_REQUESTS, FULL_COMPANY);
        return;
    }
    struct pending *pending = pending_add(&commands->pending, call);
    pending->commands = commands;
    pending->pool = pool;
    pending->id = envelope->id;
    pending->company = envelope->company;
    pending->fingerprint = envelope->fingerprint;
    pending->since_ms = clock_wall_ms();
    pending->is_async = wait_ms == 0;
    pending->is_scheduled = envelope->not_before != 0;
    call->waiter = pending;
    call->on_gone = on_gone;
    deadline_set(&commands->pending.deadlines, &pending->deadline, wait_ms > 0 ? wait_ms : config->wait_ms);
    enum err err = publish(commands, pending, envelope);
    if (err)
        fail(pending, err, NULL);
    else
        writers_note(commands->gateway->writers, &call->identity.user);
}

enum err commands_announce(struct commands *commands, struct slice key, struct slice cc, struct slice type,
                           struct slice body)
{
    const struct broker_message message = {.exchange = SLICE(EXCHANGE_EVENTS),
                                           .routing_key = key,
                                           .cc = &cc,
                                           .cc_count = 1,
                                           .content_type = SLICE("application/json"),
                                           .type = type,
                                           .body = body};
    if (!broker_is_up(commands->publisher))
        return ERR_BROKER_UNAVAILABLE; /* an announcement is of no use later */
    return broker_publish(commands->publisher, &message, NULL, NULL);
}

/* ---- the connection that publishes ---- */

static void on_declared(void *arg)
{
    struct commands *commands = arg;
    commands->is_declared = true;
}

static void on_up(void *ctx, struct broker *broker)
{
    struct commands *commands = ctx;
    log_info("commands.up");
    topology_declare(broker, commands->gateway->config, NULL);
    broker_after_declarations(broker, on_declared, commands);
}

/* With another number, companies would be sent to queues that nobody consumes. */
static void refuse_to_start(struct gateway *gateway, const char *why)
{
    char sentence[TOPOLOGY_SENTENCE_SIZE];
    if (!topology_disagrees(why, gateway->config, sentence))
        return;
    log_error("partitions.disagree", LOG_S("why", sentence));
    gateway->cannot_start = true;
    ev_break(gateway->loop, EVBREAK_ALL);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    struct commands *commands = ctx;
    commands->is_declared = false;
    refusals_down(commands->refusals);
    refuse_to_start(commands->gateway, why);
    log_warn("commands.down", LOG_S("why", why), LOG_I("unconfirmed", broker_unconfirmed(broker)));
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    (void)ctx; /* nothing is consumed here */
    (void)broker;
    (void)delivery;
}

static void on_blocked(void *ctx, struct broker *broker, bool blocked)
{
    (void)ctx;
    log_warn(blocked ? "commands.blocked" : "commands.unblocked",
             LOG_I("unconfirmed", broker_unconfirmed(broker)));
}

/* RabbitMQ says that it is blocked (an alarm of memory or disk) only to a connection that publishes. So one that has
 * nothing to send sends a message that goes to no queue. */
static void on_probe(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct commands *commands = CONTAINER_OF(timer, struct commands, probe);
    const struct broker_message nothing = {.exchange = SLICE(EXCHANGE_COMMANDS),
                                           .routing_key = SLICE("nowhere")};
    if (!commands->is_declared || broker_is_blocked(commands->publisher) ||
        broker_unconfirmed(commands->publisher) > 0)
        return;
    if (broker_publish(commands->publisher, &nothing, NULL, NULL))
        log_debug("commands.probe_failed");
}

static enum err open_publisher(struct commands *commands)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_up, .on_down = on_down, .on_delivery = on_delivery, .on_blocked = on_blocked};
    const struct config *config = commands->gateway->config;
    const struct broker_options options = {.url = config->amqp_url,
                                           .name = "cortex-gateway commands",
                                           .unconfirmed_max = config->unconfirmed_max,
                                           .unconfirmed_bytes = config->unconfirmed_bytes};
    return broker_new(commands->gateway->loop, &options, &callbacks, commands, &commands->publisher);
}

/* ---- beginning and end ---- */

enum err commands_new(struct gateway *gateway, struct commands **ret_commands)
{
    struct commands *commands = xcalloc(1, sizeof(*commands));
    commands->gateway = gateway;
    pending_table_init(&commands->pending, gateway->loop, (size_t)gateway->config->pending_max, on_due);
    enum err err = open_publisher(commands);
    if (err) {
        commands_free(commands);
        return err;
    }
    commands->refusals = refusals_new(commands->publisher);
    commands->parcel_readers = parcel_readers_new(gateway->config);
    commands->parcels = parcels_new(gateway, commands->publisher, commands->parcel_readers, on_confirm);
    ev_timer_init(&commands->probe, on_probe, rhythm_after(gateway->loop, PROBE_S), PROBE_S);
    ev_timer_start(gateway->loop, &commands->probe);
    *ret_commands = commands;
    return ERR_OK;
}

/* The clients' connections have been freed before, and broker_free ends what is in flight, so no entry is
 * left. */
void commands_free(struct commands *commands)
{
    if (!commands)
        return;
    if (commands->refusals) {
        ev_timer_stop(commands->gateway->loop, &commands->probe);
        refusals_down(commands->refusals);
        parcels_stop(commands->parcels);
    }
    if (commands->publisher)
        broker_free(commands->publisher);
    if (commands->parcels)
        parcels_free(commands->parcels);
    parcel_readers_free(commands->parcel_readers);
    refusals_free(commands->refusals);
    pending_table_done(&commands->pending);
    free(commands);
}

bool commands_ready(const struct commands *commands)
{
    return commands->is_declared && !broker_is_blocked(commands->publisher);
}

bool commands_are_refused(const struct commands *commands)
{
    return refusals_are_all(commands->refusals);
}

size_t commands_waiting(const struct commands *commands)
{
    return commands->pending.count;
}

struct broker *commands_publisher(const struct commands *commands)
{
    return commands->publisher;
}

struct parcel_readers *commands_parcel_readers(const struct commands *commands)
{
    return commands->parcel_readers;
}

struct refusals *commands_refusals(const struct commands *commands)
{
    return commands->refusals;
}
