#include "gateway/bus/events.h"

#include <stdio.h>
#include <sys/queue.h>

#include "common/base/uuid_map.h"
#include "common/broker/event_parcel.h"
#include "common/broker/topology.h"
#include "gateway/bus/bindings.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/control.h"
#include "gateway/bus/parcel_readers.h"
#include "gateway/bus/peers.h"
#include "gateway/bus/upgrade.h"

enum { NAME_SIZE = 96 };

/* A company that is watched. It outlives its last reference until its binding on `events` is gone. */
struct watch {
    struct uuid_node node; /* key: the company */
    size_t references;
    struct slot *slot;
    LIST_ENTRY(watch) of_slot, of_new; /* the first only while there are references */
    struct binding company;            /* on `events`; wanted until the upgrade is over */
    bool is_new;                       /* in the list of those */
    bool is_told;                      /* on_watched was called, or on_bound stands for it */
};
LIST_HEAD(watch_list, watch);

struct slot {
    struct binding binding; /* on `events.gateways`; wanted while there are watches */
    struct binding older;   /* likewise on `events.slots`, until the upgrade to parcels is over */
    struct watch_list watches;
};

struct events {
    struct gateway *gateway;
    struct broker *broker;
    const struct events_listeners *listeners;
    struct upgrade *upgrade;
    struct uuid_map watches;
    struct watch_list new_watches; /* told at the end of the turn, where the slot is bound already */
    struct slot *slots;            /* TOPOLOGY_EVENT_SLOTS of them */
    struct bindings slot_bindings, older_bindings, company_bindings;
    /* All that were wanted when they were marked. */
    bool slots_are_settled, older_are_settled, companies_are_settled;
    char queue[NAME_SIZE]; /* of this connection */
    bool bound;
    bool was_bound; /* at any time: a binding after it is a reconnection */
};

/* ---- the bindings ---- */

static void write_key_of(const struct events *events, const struct slot *slot, char key[BINDING_KEY_SIZE])
{
    topology_event_slot_format((unsigned)(slot - events->slots), key);
    memcpy(key + TOPOLOGY_SLOT_SIZE - 1, ".#", sizeof(".#"));
}

static void write_slot_key(void *ctx, const struct binding *binding, char key[BINDING_KEY_SIZE])
{
    write_key_of(ctx, CONTAINER_OF(binding, const struct slot, binding), key);
}

static void write_older_key(void *ctx, const struct binding *binding, char key[BINDING_KEY_SIZE])
{
    write_key_of(ctx, CONTAINER_OF(binding, const struct slot, older), key);
}

static void write_company_key(void *ctx, const struct binding *binding, char key[BINDING_KEY_SIZE])
{
    (void)ctx;
    const struct watch *watch = CONTAINER_OF(binding, const struct watch, company);
    uuid_format(&watch->node.key, key);
    memcpy(key + UUID_TEXT_LEN, ".#", sizeof(".#"));
}

static bool is_bound_if_wanted(const struct binding *binding)
{
    return !binding->is_wanted || binding->state == BINDING_BOUND;
}

static void tell(struct events *events, struct watch *watch)
{
    bool is_bound = watch->slot->binding.state == BINDING_BOUND && is_bound_if_wanted(&watch->slot->older) &&
                    is_bound_if_wanted(&watch->company);
    if (watch->is_told || watch->references == 0 || !is_bound)
        return;
    watch->is_told = true;
    events->listeners->on_watched(events->gateway, &watch->node.key);
}

static void forget_new(struct watch *watch)
{
    if (watch->is_new)
        LIST_REMOVE(watch, of_new);
    watch->is_new = false;
}

static void tell_new(void *arg)
{
    struct events *events = arg;
    struct watch *watch;
    while ((watch = LIST_FIRST(&events->new_watches))) {
        forget_new(watch);
        tell(events, watch);
    }
}

static void tell_watches(struct events *events, struct slot *slot)
{
    for (struct watch *watch = LIST_FIRST(&slot->watches), *next; watch; watch = next) {
        next = LIST_NEXT(watch, of_slot);
        tell(events, watch);
    }
}

static void on_slot_settled(void *ctx, struct binding *binding)
{
    tell_watches(ctx, CONTAINER_OF(binding, struct slot, binding));
}

static void on_older_settled(void *ctx, struct binding *binding)
{
    tell_watches(ctx, CONTAINER_OF(binding, struct slot, older));
}

static void free_watch(struct events *events, struct watch *watch)
{
    forget_new(watch);
    uuid_map_remove(&events->watches, &watch->node);
    free(watch);
}

static bool is_left(const struct watch *watch)
{
    return watch->references == 0 && watch->company.state == BINDING_FREE && !watch->company.is_waiting;
}

static void on_company_settled(void *ctx, struct binding *binding)
{
    struct watch *watch = CONTAINER_OF(binding, struct watch, company);
    if (is_left(watch))
        free_watch(ctx, watch);
    else
        tell(ctx, watch);
}

static const struct bindings_options slot_options = {
    .exchange = EXCHANGE_GATEWAYS, .write_key = write_slot_key, .on_settled = on_slot_settled};
static const struct bindings_options older_options = {
    .exchange = EXCHANGE_SLOTS, .write_key = write_older_key, .on_settled = on_older_settled};
static const struct bindings_options company_options = {
    .exchange = EXCHANGE_EVENTS, .write_key = write_company_key, .on_settled = on_company_settled};

/* ---- watching ---- */

static struct watch *find_watch(const struct events *events, const struct uuid *company)
{
    struct uuid_node *node = uuid_map_find(&events->watches, company);
    return node ? CONTAINER_OF(node, struct watch, node) : NULL;
}

static struct watch *obtain_watch(struct events *events, const struct uuid *company)
{
    struct watch *watch = find_watch(events, company);
    if (watch)
        return watch;
    watch = xcalloc(1, sizeof(*watch));
    watch->node.key = *company;
    watch->slot = &events->slots[topology_event_slot(company)];
    uuid_map_insert(&events->watches, &watch->node);
    return watch;
}

static void want_slot(struct events *events, struct slot *slot)
{
    bool is_wanted = !LIST_EMPTY(&slot->watches);
    bindings_want(&events->slot_bindings, &slot->binding, is_wanted);
    bindings_want(&events->older_bindings, &slot->older,
                  is_wanted && !upgrade_is_over(events->upgrade, UPGRADE_TO_PARCELS));
}

void events_watch(struct events *events, const struct uuid *company)
{
    struct watch *watch = obtain_watch(events, company);
    if (watch->references++ > 0)
        return;
    watch->is_told = false;
    LIST_INSERT_HEAD(&watch->slot->watches, watch, of_slot);
    want_slot(events, watch->slot);
    bindings_want(&events->company_bindings, &watch->company,
                  !upgrade_is_over(events->upgrade, UPGRADE_TO_SLOTS));
    if (!broker_is_up(events->broker) || watch->is_new)
        return;
    if (LIST_EMPTY(&events->new_watches))
        broker_after_declarations(events->broker, tell_new, events);
    watch->is_new = true;
    LIST_INSERT_HEAD(&events->new_watches, watch, of_new);
}

void events_unwatch(struct events *events, const struct uuid *company)
{
    struct watch *watch = find_watch(events, company);
    if (!watch || watch->references == 0 || --watch->references > 0)
        return;
    LIST_REMOVE(watch, of_slot);
    want_slot(events, watch->slot);
    bindings_want(&events->company_bindings, &watch->company, false);
    if (is_left(watch))
        free_watch(events, watch);
}

/* ---- all is bound ---- */

static void note_settled(struct events *events)
{
    if (!events->slots_are_settled || !events->older_are_settled || !events->companies_are_settled)
        return;
    bool is_again = events->was_bound;
    events->bound = events->was_bound = true;
    log_info(
        "events.bound", LOG_S("queue", events->queue), LOG_I("companies", events->watches.count),
        LOG_S("under", upgrade_is_over(events->upgrade, UPGRADE_TO_SLOTS) ? "slots" : "slots and companies"));
    upgrade_on_bound(events->upgrade);
    parcel_readers_listen(commands_parcel_readers(events->gateway->commands));
    events->listeners->on_bound(events->gateway, is_again);
}

static void on_slots_settled(void *ctx)
{
    struct events *events = ctx;
    events->slots_are_settled = true;
    note_settled(events);
}

static void on_all_older_settled(void *ctx)
{
    struct events *events = ctx;
    events->older_are_settled = true;
    note_settled(events);
}

static void on_companies_settled(void *ctx)
{
    struct events *events = ctx;
    events->companies_are_settled = true;
    note_settled(events);
}

static void want_company(struct uuid_node *node, void *arg)
{
    struct events *events = arg;
    struct watch *watch = CONTAINER_OF(node, struct watch, node);
    bool is_wanted = watch->references > 0 && !upgrade_is_over(events->upgrade, UPGRADE_TO_SLOTS);
    bindings_want(&events->company_bindings, &watch->company, is_wanted);
}

static void want_companies(struct events *events)
{
    uuid_map_each(&events->watches, want_company, events);
    events->companies_are_settled = false;
    bindings_mark(&events->company_bindings, on_companies_settled);
}

static void want_slots(struct events *events)
{
    for (size_t i = 0; i < TOPOLOGY_EVENT_SLOTS; i++)
        want_slot(events, &events->slots[i]);
    events->older_are_settled = false;
    bindings_mark(&events->older_bindings, on_all_older_settled);
}

/* What was published elsewhere before the companies, or the slots, are bound there has been missed: once they are,
 * it is as after a reconnection. */
static void on_upgrade_change(void *ctx, enum upgrade_to to)
{
    struct events *events = ctx;
    bool is_over = upgrade_is_over(events->upgrade, to);
    if (to == UPGRADE_TO_PARCELS && !is_over)
        want_slots(events);
    else if (to == UPGRADE_TO_PARCELS)
        for (size_t i = 0; i < TOPOLOGY_EVENT_SLOTS; i++)
            want_slot(events, &events->slots[i]);
    else if (!is_over)
        want_companies(events);
    else
        uuid_map_each(&events->watches, want_company, events);
}

void events_hear_gateway(struct events *events, bool slots, bool parcels)
{
    if (!slots)
        upgrade_hear_old(events->upgrade, UPGRADE_TO_SLOTS);
    if (!slots || !parcels)
        upgrade_hear_old(events->upgrade, UPGRADE_TO_PARCELS);
}

/* ---- the connection ---- */

static void declare(struct events *events)
{
    const struct gateway *gateway = events->gateway;
    const struct events_listeners *listeners = events->listeners;
    const struct broker_queue queue = {.name = events->queue, .exclusive = true, .auto_delete = true};
    topology_declare_exchanges(events->broker, gateway->config);
    broker_declare_queue(events->broker, &queue);
    broker_bind(events->broker, events->queue, EXCHANGE_CONTROL, "member.*");
    broker_bind(events->broker, events->queue, EXCHANGE_EVENTS, gateway->reply_key);
    broker_bind(events->broker, events->queue, EXCHANGE_EVENTS, gateway->peer_key);
    broker_bind(events->broker, events->queue, EXCHANGE_SLOTS, gateway->reply_key);
    broker_bind(events->broker, events->queue, EXCHANGE_GATEWAYS, gateway->reply_key);
    for (const char *const *key = listeners->keys; *key; key++)
        broker_bind(events->broker, events->queue, EXCHANGE_EVENTS, *key);
    for (const char *const *key = listeners->slot_keys; *key; key++) {
        broker_bind(events->broker, events->queue, EXCHANGE_SLOTS, *key);
        broker_bind(events->broker, events->queue, EXCHANGE_GATEWAYS, *key);
    }
    broker_consume(events->broker, events->queue, "events", 0, true, true);
}

static void note_told(struct uuid_node *node, void *arg)
{
    const struct events *events = arg;
    struct watch *watch = CONTAINER_OF(node, struct watch, node);
    watch->is_told = events->was_bound;
}

/* The name has the epoch of the connection in it: the queue of a connection that broke is locked to that
 * until the broker notices. */
static void on_up(void *ctx, struct broker *broker)
{
    struct events *events = ctx;
    snprintf(events->queue, sizeof(events->queue), "events.%s.%u", events->gateway->reply_key,
             broker_epoch(broker));
    declare(events);
    bindings_up(&events->slot_bindings, broker, events->queue);
    bindings_up(&events->older_bindings, broker, events->queue);
    bindings_up(&events->company_bindings, broker, events->queue);
    uuid_map_each(&events->watches, note_told, events);
    want_slots(events);
    bindings_mark(&events->slot_bindings, on_slots_settled);
    want_companies(events);
}

static void forget_bindings(struct uuid_node *node, void *arg)
{
    struct events *events = arg;
    struct watch *watch = CONTAINER_OF(node, struct watch, node);
    binding_forget(&watch->company);
    forget_new(watch);
    if (is_left(watch))
        free_watch(events, watch);
}

static void forget_binding(struct binding *binding)
{
    if (binding->state != BINDING_FREE || binding->is_waiting)
        binding_forget(binding);
}

static void forget_connection(struct events *events)
{
    bindings_down(&events->slot_bindings);
    bindings_down(&events->older_bindings);
    bindings_down(&events->company_bindings);
    for (size_t i = 0; i < TOPOLOGY_EVENT_SLOTS; i++) {
        forget_binding(&events->slots[i].binding);
        forget_binding(&events->slots[i].older);
    }
    uuid_map_each(&events->watches, forget_bindings, events);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    (void)broker;
    struct events *events = ctx;
    events->bound = events->slots_are_settled = events->older_are_settled = events->companies_are_settled =
        false;
    forget_connection(events);
    log_warn("events.down", LOG_S("why", why));
}

static bool hear_process(const struct events *events, const struct broker_delivery *delivery)
{
    struct gateway *gateway = events->gateway;
    const struct events_announcement *announcement = events->listeners->announcements;
    while (announcement->type.data && !slice_equal(delivery->type, announcement->type))
        announcement++;
    if (announcement->on_question)
        peers_reply(gateway, delivery, announcement->on_question(gateway, delivery->body));
    else if (announcement->on_announcement)
        announcement->on_announcement(gateway, delivery->body);
    return announcement->type.data != NULL;
}

static void log_malformed(const struct broker_delivery *delivery)
{
    log_warn("events.malformed", LOG_B("routing_key", delivery->routing_key), LOG_B("type", delivery->type));
}

static void hear_event(struct events *events, const struct event *event)
{
    commands_on_event(events->gateway->commands, event);
    events->listeners->on_event(events->gateway, event);
}

static void hear_parcel(struct events *events, const struct broker_delivery *delivery)
{
    struct parcel parcel;
    struct event event;
    if (parcel_open(delivery->body, &parcel)) {
        log_malformed(delivery);
        return;
    }
    while (parcel.count > 0)
        if (event_parcel_read_entry(parcel_take(&parcel), &event) == ERR_OK)
            hear_event(events, &event);
        else
            log_malformed(delivery);
}

static void hear_single(struct events *events, const struct broker_delivery *delivery)
{
    struct event event;
    if (envelope_read_event(delivery, &event) == ERR_OK)
        hear_event(events, &event);
    else
        log_malformed(delivery);
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    (void)broker;
    struct events *events = ctx;
    if (slice_is(delivery->exchange, EXCHANGE_CONTROL)) {
        upgrade_on_member(events->upgrade, delivery->body);
        parcel_readers_hear(commands_parcel_readers(events->gateway->commands), delivery->routing_key,
                            delivery->body);
    } else if (event_parcel_is(delivery)) {
        hear_parcel(events, delivery);
    } else if (!hear_process(events, delivery) && !control_on_reply(events->gateway->control, delivery) &&
               !peers_on_reply(events->gateway->peers, delivery)) {
        hear_single(events, delivery);
    }
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
    events->slots = xcalloc(TOPOLOGY_EVENT_SLOTS, sizeof(*events->slots));
    uuid_map_init(&events->watches);
    bindings_init(&events->slot_bindings, &slot_options, events);
    bindings_init(&events->older_bindings, &older_options, events);
    bindings_init(&events->company_bindings, &company_options, events);
    events->upgrade = upgrade_new(gateway, on_upgrade_change, events);
    enum err err = broker_new(gateway->loop, &options, &callbacks, events, &events->broker);
    if (err) {
        events_free(events);
        return err;
    }
    *ret_events = events;
    return ERR_OK;
}

static void drop_watch(struct uuid_node *node, void *arg)
{
    free_watch(arg, CONTAINER_OF(node, struct watch, node));
}

void events_free(struct events *events)
{
    if (!events)
        return;
    if (events->broker)
        broker_free(events->broker);
    uuid_map_each(&events->watches, drop_watch, events);
    uuid_map_done(&events->watches);
    upgrade_free(events->upgrade);
    free(events->slots);
    free(events);
}

bool events_ready(const struct events *events)
{
    return events->bound;
}
