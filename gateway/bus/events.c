#include "gateway/bus/events.h"

#include <stdio.h>

#include "common/base/uuid_map.h"
#include "common/broker/topology.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/control.h"

enum { NAME_SIZE = 96, KEY_SIZE = UUID_TEXT_LEN + sizeof(".#") };

struct watch {
    struct uuid_node node; /* key: the company */
    size_t references;
};

/* Bindings that the broker has not confirmed yet, in the order in which they were declared. It confirms them
 * in that order. */
struct binding {
    struct uuid company;
    struct binding *next;
};

struct events {
    struct gateway *gateway;
    struct broker *broker;
    const struct events_listeners *listeners;
    struct uuid_map watches;
    struct binding *first_unconfirmed, *last_unconfirmed;
    char queue[NAME_SIZE]; /* of this connection */
    bool bound;
    bool was_bound; /* at any time: a binding after it is a reconnection */
};

/* ---- bindings ---- */

static void write_key(const struct uuid *company, char key[KEY_SIZE])
{
    uuid_format(company, key);
    memcpy(key + UUID_TEXT_LEN, ".#", sizeof(".#"));
}

static void bind_company(struct events *events, const struct uuid *company)
{
    char key[KEY_SIZE];
    write_key(company, key);
    broker_bind(events->broker, events->queue, EXCHANGE_EVENTS, key);
}

static void on_company_bound(void *arg)
{
    struct events *events = arg;
    struct binding *binding = events->first_unconfirmed;
    events->first_unconfirmed = binding->next;
    if (!events->first_unconfirmed)
        events->last_unconfirmed = NULL;
    events->listeners->on_watched(events->gateway, &binding->company);
    free(binding);
}

static void declare_binding(struct events *events, const struct uuid *company)
{
    struct binding *binding = xcalloc(1, sizeof(*binding));
    binding->company = *company;
    if (events->last_unconfirmed)
        events->last_unconfirmed->next = binding;
    else
        events->first_unconfirmed = binding;
    events->last_unconfirmed = binding;
    bind_company(events, company);
    broker_after_declarations(events->broker, on_company_bound, events);
}

static void forget_unconfirmed(struct events *events)
{
    while (events->first_unconfirmed) {
        struct binding *binding = events->first_unconfirmed;
        events->first_unconfirmed = binding->next;
        free(binding);
    }
    events->last_unconfirmed = NULL;
}

static struct watch *find_watch(const struct events *events, const struct uuid *company)
{
    struct uuid_node *node = uuid_map_find(&events->watches, company);
    return node ? CONTAINER_OF(node, struct watch, node) : NULL;
}

void events_watch(struct events *events, const struct uuid *company)
{
    struct watch *watch = find_watch(events, company);
    if (watch) {
        watch->references++;
        return;
    }
    watch = xcalloc(1, sizeof(*watch));
    watch->node.key = *company;
    watch->references = 1;
    uuid_map_insert(&events->watches, &watch->node);
    if (broker_is_up(events->broker))
        declare_binding(events, company);
}

void events_unwatch(struct events *events, const struct uuid *company)
{
    struct watch *watch = find_watch(events, company);
    char key[KEY_SIZE];
    if (!watch || --watch->references > 0)
        return;
    uuid_map_remove(&events->watches, &watch->node);
    free(watch);
    write_key(company, key);
    if (broker_is_up(events->broker))
        broker_unbind(events->broker, events->queue, EXCHANGE_EVENTS, key);
}

/* ---- the connection ---- */

static void bind_watch(struct uuid_node *node, void *arg)
{
    bind_company(arg, &node->key);
}

static void tell_watched(struct uuid_node *node, void *arg)
{
    struct events *events = arg;
    events->listeners->on_watched(events->gateway, &node->key);
}

static void on_bound(void *arg)
{
    struct events *events = arg;
    bool is_again = events->was_bound;
    events->bound = events->was_bound = true;
    log_info("events.bound", LOG_S("queue", events->queue), LOG_I("companies", events->watches.count));
    if (!is_again)
        uuid_map_each(&events->watches, tell_watched, events);
    events->listeners->on_bound(events->gateway, is_again);
}

/* The name has the epoch of the connection in it: the queue of a connection that broke is locked to that
 * until the broker notices. */
static void on_up(void *ctx, struct broker *broker)
{
    struct events *events = ctx;
    snprintf(events->queue, sizeof(events->queue), "events.%s.%u", events->gateway->reply_key,
             broker_epoch(broker));
    const struct broker_queue queue = {.name = events->queue, .exclusive = true, .auto_delete = true};
    broker_declare_exchange(broker, EXCHANGE_EVENTS, BROKER_TOPIC);
    broker_declare_queue(broker, &queue);
    broker_bind(broker, events->queue, EXCHANGE_EVENTS, events->gateway->reply_key);
    for (const char *const *key = events->listeners->keys; *key; key++)
        broker_bind(broker, events->queue, EXCHANGE_EVENTS, *key);
    uuid_map_each(&events->watches, bind_watch, events);
    broker_consume(broker, events->queue, "events", 0, true, true);
    broker_after_declarations(broker, on_bound, events);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    (void)broker;
    struct events *events = ctx;
    events->bound = false;
    forget_unconfirmed(events);
    log_warn("events.down", LOG_S("why", why));
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    (void)broker;
    struct events *events = ctx;
    struct event event;
    const struct events_announcement *announcement = events->listeners->announcements;
    for (; announcement->type.data; announcement++)
        if (slice_equal(delivery->type, announcement->type)) {
            announcement->on_announcement(events->gateway, delivery->body);
            return;
        }
    if (control_on_reply(events->gateway->control, delivery))
        return;
    enum err err = envelope_read_event(delivery, &event);
    if (err) {
        log_warn("events.malformed", LOG_B("routing_key", delivery->routing_key),
                 LOG_B("type", delivery->type));
        return;
    }
    commands_on_event(events->gateway->commands, &event);
    events->listeners->on_event(events->gateway, &event);
}

enum err events_new(struct gateway *gateway, const struct events_listeners *listeners,
                    struct events **ret_events)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_up, .on_down = on_down, .on_delivery = on_delivery};
    const struct broker_options options = {.url = gateway->config->amqp_url,
                                           .name = "cortex-gateway events",
                                           .unconfirmed_max = 1,
                                           .unconfirmed_bytes = 1};
    struct events *events = xcalloc(1, sizeof(*events));
    events->gateway = gateway;
    events->listeners = listeners;
    uuid_map_init(&events->watches);
    enum err err = broker_new(gateway->loop, &options, &callbacks, events, &events->broker);
    if (err) {
        events_free(events);
        return err;
    }
    *ret_events = events;
    return ERR_OK;
}

static void free_watch(struct uuid_node *node, void *arg)
{
    uuid_map_remove(arg, node);
    free(CONTAINER_OF(node, struct watch, node));
}

void events_free(struct events *events)
{
    if (!events)
        return;
    if (events->broker)
        broker_free(events->broker);
    forget_unconfirmed(events);
    uuid_map_each(&events->watches, free_watch, &events->watches);
    uuid_map_done(&events->watches);
    free(events);
}

bool events_ready(const struct events *events)
{
    return events->bound;
}
