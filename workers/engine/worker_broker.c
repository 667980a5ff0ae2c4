#include "workers/engine/worker_private.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/broker/parcel.h"
#include "common/broker/topology.h"

enum {
    UNCONFIRMED_PER_DELIVERY = 16,
    UNCONFIRMED_BYTES_MIN = 32 << 20, /* any event fits */
};

/* ---- the consumer ---- */

static void take_in(struct worker *w, const struct broker_delivery *delivery, struct command *command)
{
    command->was_begun = command->is_redelivered;
    if (command->reading != READING_NOTHING) {
        intake_add(w->intake, command);
        return;
    }
    log_error("command.unreadable", LOG_B("message_id", delivery->message_id), LOG_B("type", delivery->type));
    acks_reject(w->acks, command->epoch, command->tag);
    command_free(command);
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct worker *w = ctx;
    struct parcel parcel;
    (void)broker;
    if (!parcel_is(delivery) || parcel_open(delivery->body, &parcel)) {
        acks_add(w->acks, delivery->epoch, delivery->tag, partitions_of(delivery), 1);
        take_in(w, delivery, command_new(delivery));
        return;
    }
    acks_add(w->acks, delivery->epoch, delivery->tag, partitions_of(delivery), parcel.count);
    while (parcel.count > 0)
        take_in(w, delivery, command_new_of_entry(delivery, parcel_take(&parcel)));
}

static void on_declared(void *arg)
{
    struct worker *w = arg;
    w->is_declared = true;
}

static void on_consumer_up(void *ctx, struct broker *broker)
{
    struct worker *w = ctx;
    topology_declare(broker, w->config, w->pool);
    broker_after_declarations(broker, on_declared, w);
    partitions_up(w->partitions);
    members_changed(w->members);
}

/* With another number, this worker would leave queues without a consumer that others send to. */
static void refuse_to_start(struct worker *w, const char *why)
{
    char sentence[TOPOLOGY_SENTENCE_SIZE];
    if (!topology_disagrees(why, w->config, sentence))
        return;
    log_error("partitions.disagree", LOG_S("why", sentence));
    w->cannot_start = true;
    ev_break(w->loop, EVBREAK_ALL);
}

static void on_consumer_down(void *ctx, struct broker *broker, const char *why)
{
    struct worker *w = ctx;
    (void)broker;
    w->is_declared = false;
    refuse_to_start(w, why);
    log_warn("broker.down", LOG_S("connection", "consumer"), LOG_S("why", why));
    intake_clear(w->intake);
    acks_forget(w->acks);
    partitions_down(w->partitions);
    members_changed(w->members);
}

/* ---- the publisher ---- */

static void on_publisher_up(void *ctx, struct broker *broker)
{
    struct worker *w = ctx;
    topology_declare_exchanges(broker, w->config);
    gateways_up(w->gateways);
    feed_up(w->feed);
    members_up(w->members);
}

static void on_publisher_down(void *ctx, struct broker *broker, const char *why)
{
    struct worker *w = ctx;
    (void)broker;
    log_warn("broker.down", LOG_S("connection", "publisher"), LOG_S("why", why));
    members_down(w->members);
    feed_down(w->feed);
}

static void on_publisher_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct worker *w = ctx;
    (void)broker;
    if (!gateways_delivery(w->gateways, delivery) && !feed_delivery(w->feed, delivery))
        members_delivery(w->members, delivery);
}

static void on_publisher_blocked(void *ctx, struct broker *broker, bool blocked)
{
    struct worker *w = ctx;
    (void)broker;
    log_warn(blocked ? "broker.blocked" : "broker.unblocked");
    members_blocked(w->members, blocked);
}

/* ---- both ---- */

enum err worker_connect_broker(struct worker *w)
{
    static const struct broker_callbacks consumer = {
        .on_up = on_consumer_up, .on_down = on_consumer_down, .on_delivery = on_delivery};
    static const struct broker_callbacks publisher = {
        .on_up = on_publisher_up,
        .on_down = on_publisher_down,
        .on_delivery = on_publisher_delivery,
        .on_blocked = on_publisher_blocked,
    };
    char name[WORKER_NAME_SIZE];
    snprintf(name, sizeof(name), "cortex-worker %s: consumer", w->pool);
    struct broker_options options = {
        .url = w->config->amqp_url,
        .name = name,
        .unconfirmed_max = 1,
        .unconfirmed_bytes = 1,
    };
    enum err err = broker_new(w->loop, &options, &consumer, w, &w->consumer);
    if (err)
        return err;
    snprintf(name, sizeof(name), "cortex-worker %s: publisher", w->pool);
    options.unconfirmed_max = w->config->prefetch * UNCONFIRMED_PER_DELIVERY;
    options.unconfirmed_bytes = w->config->unconfirmed_bytes > UNCONFIRMED_BYTES_MIN
                                    ? w->config->unconfirmed_bytes
                                    : UNCONFIRMED_BYTES_MIN;
    return broker_new(w->loop, &options, &publisher, w, &w->publisher);
}
