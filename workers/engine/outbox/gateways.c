#include "workers/engine/outbox/gateways.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/broker/topology.h"

enum {
    REPORTS_MAX = 64, /* that wait in the queue of a worker whose loop does not turn */
    JSON_DEPTH_MAX = 4,
    OLD_FOR_MS = 15000, /* after a command of a gateway of the version before */
};

#define CONSUMER_TAG "gateways"

struct gateways {
    struct broker *broker;
    const struct config *config;
    const char *pool;
    char queue[TOPOLOGY_NAME_SIZE];
    int64_t slots_until_ms; /* so long the last word that all gateways bind slots holds */
    int64_t old_until_ms;   /* so long there is one that does not */
    int64_t parcels_until_ms, no_parcels_until_ms; /* likewise, that all read parcels */
    enum event_keys keys;                          /* of the last event */
    bool read_parcels;                             /* likewise */
};

struct gateways *gateways_new(struct broker *broker, const struct config *config, const char *pool)
{
    struct gateways *g = xcalloc(1, sizeof(*g));
    g->broker = broker;
    g->config = config;
    g->pool = pool;
    g->keys = EVENT_KEYS_BOTH;
    return g;
}

void gateways_free(struct gateways *g)
{
    free(g);
}

void gateways_up(struct gateways *g)
{
    const struct broker_header bound = {
        .name = SLICE("x-max-length"), .is_integer = true, .integer = REPORTS_MAX};
    topology_exclusive_queue("gateways", g->pool, g->queue, sizeof(g->queue));
    broker_declare_queue(g->broker, &(struct broker_queue){.name = g->queue,
                                                           .exclusive = true,
                                                           .auto_delete = true,
                                                           .arguments = &bound,
                                                           .argument_count = 1});
    broker_bind(g->broker, g->queue, EXCHANGE_EVENTS, TOPOLOGY_REPORTS_KEY);
    broker_consume(g->broker, g->queue, CONSUMER_TAG, 0, true, true);
}

static void later(int64_t *until_ms, int64_t moment_ms)
{
    if (moment_ms > *until_ms)
        *until_ms = moment_ms;
}

static void note(struct gateways *g, bool slots, bool parcels, int64_t until_ms)
{
    later(slots ? &g->slots_until_ms : &g->old_until_ms, until_ms);
    later(slots && parcels ? &g->parcels_until_ms : &g->no_parcels_until_ms, until_ms);
}

bool gateways_delivery(struct gateways *g, const struct broker_delivery *delivery)
{
    char why[160];
    json_t *report = NULL;
    if (!slice_is(delivery->consumer_tag, CONSUMER_TAG))
        return false;
    if (json_parse(delivery->body, JSON_DEPTH_MAX, &report, why) != ERR_OK) {
        log_warn("gateways.unreadable", LOG_S("why", why));
        return true;
    }
    int64_t for_ms = json_integer_value(json_object_get(report, "for_ms"));
    if (for_ms > 0 && for_ms <= TOPOLOGY_REPORT_MAX_MS)
        note(g, json_is_true(json_object_get(report, "slots")),
             json_is_true(json_object_get(report, "parcels")), clock_monotonic_ms() + for_ms);
    json_decref(report);
    return true;
}

static enum event_keys decide(const struct gateways *g)
{
    int64_t now = clock_monotonic_ms();
    bool all_bind_slots = now < g->slots_until_ms && now >= g->old_until_ms;
    return all_bind_slots && !g->config->events_by_company ? EVENT_KEYS_SLOT : EVENT_KEYS_BOTH;
}

enum event_keys gateways_keys(struct gateways *g, struct slice reply_to)
{
    if (reply_to.len > 0 && !topology_binds_slots(reply_to))
        later(&g->old_until_ms, clock_monotonic_ms() + OLD_FOR_MS);
    enum event_keys keys = decide(g);
    if (keys != g->keys)
        log_info("events.keys", LOG_S("keys", keys == EVENT_KEYS_SLOT ? "slot" : "slot and company"));
    g->keys = keys;
    return keys;
}

bool gateways_read_parcels(struct gateways *g, struct slice reply_to)
{
    int64_t now = clock_monotonic_ms();
    if (reply_to.len > 0 && !topology_reads_parcels(reply_to))
        later(&g->no_parcels_until_ms, now + OLD_FOR_MS);
    bool read = g->config->parcels && gateways_keys(g, reply_to) == EVENT_KEYS_SLOT &&
                now < g->parcels_until_ms && now >= g->no_parcels_until_ms;
    if (read != g->read_parcels)
        log_info("events.parcels", LOG_S("parcels", read ? "yes" : "no"));
    g->read_parcels = read;
    return read;
}
