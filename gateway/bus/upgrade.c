#include "gateway/bus/upgrade.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/broker/topology.h"
#include "common/process/rhythm.h"
#include "gateway/bus/commands.h"

enum { JSON_DEPTH_MAX = 4, REPORT_SIZE = 64, BEATS = 4, SILENT_MIN_MS = 4000 };

enum upgrade_state { UPGRADE_LISTENING, UPGRADE_MIXED, UPGRADE_OVER };

struct upgrade {
    struct gateway *gateway;
    void (*on_change)(void *ctx, enum upgrade_to to);
    void *ctx;
    enum upgrade_state state[UPGRADES];
    int64_t until_ms[UPGRADES]; /* of LISTENING and MIXED; 0: nothing is heard yet */
    ev_timer beat;
};

/* A worker announces itself each second, a gateway each beat. */
static int64_t silent_ms(const struct upgrade *u)
{
    int64_t ms = BEATS * u->gateway->config->presence_beat_ms;
    return ms > SILENT_MIN_MS ? ms : SILENT_MIN_MS;
}

static void report(const struct upgrade *u)
{
    char body[REPORT_SIZE];
    if (u->state[UPGRADE_TO_SLOTS] == UPGRADE_LISTENING)
        return;
    bool slots = upgrade_is_over(u, UPGRADE_TO_SLOTS);
    bool parcels = upgrade_is_over(u, UPGRADE_TO_PARCELS) && u->gateway->config->parcels;
    snprintf(body, sizeof(body), "{\"slots\":%s,\"parcels\":%s,\"for_ms\":%lld}", slots ? "true" : "false",
             parcels ? "true" : "false", (long long)silent_ms(u));
    enum err err = commands_announce(u->gateway->commands, SLICE(TOPOLOGY_REPORTS_KEY), SLICE_NONE,
                                     SLICE("slots"), slice_of(body));
    if (err)
        log_debug("upgrade.unreported", LOG_S("error", err_info(err)->name));
}

static void set_state(struct upgrade *u, enum upgrade_to to, enum upgrade_state state)
{
    static const char *const names[UPGRADES][UPGRADE_OVER + 1] = {
        [UPGRADE_TO_SLOTS] = {"listening", "mixed", "slots"},
        [UPGRADE_TO_PARCELS] = {"listening", "mixed", "parcels"},
    };
    bool was_over = upgrade_is_over(u, to);
    if (u->state[to] == state)
        return;
    log_info("upgrade.state", LOG_S("upgrade", names[to][UPGRADE_OVER]),
             LOG_S("from", names[to][u->state[to]]), LOG_S("to", names[to][state]));
    u->state[to] = state;
    report(u);
    if (upgrade_is_over(u, to) != was_over)
        u->on_change(u->ctx, to);
}

static bool is_due(const struct upgrade *u, enum upgrade_to to)
{
    return u->state[to] != UPGRADE_OVER && u->until_ms[to] > 0 && clock_monotonic_ms() >= u->until_ms[to];
}

static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct upgrade *u = CONTAINER_OF(timer, struct upgrade, beat);
    bool is_reported = false;
    for (enum upgrade_to to = 0; to < UPGRADES; to++)
        if (is_due(u, to)) {
            set_state(u, to, UPGRADE_OVER);
            is_reported = true;
        }
    if (!is_reported)
        report(u);
}

struct upgrade *upgrade_new(struct gateway *gateway, void (*on_change)(void *ctx, enum upgrade_to to),
                            void *ctx)
{
    struct upgrade *u = xcalloc(1, sizeof(*u));
    double beat_s = (double)gateway->config->presence_beat_ms / 1000;
    u->gateway = gateway;
    u->on_change = on_change;
    u->ctx = ctx;
    ev_timer_init(&u->beat, on_beat, rhythm_after(gateway->loop, beat_s), beat_s);
    ev_timer_start(gateway->loop, &u->beat);
    return u;
}

void upgrade_free(struct upgrade *u)
{
    if (!u)
        return;
    ev_timer_stop(u->gateway->loop, &u->beat);
    free(u);
}

void upgrade_on_bound(struct upgrade *u)
{
    for (enum upgrade_to to = 0; to < UPGRADES; to++)
        if (u->until_ms[to] == 0)
            u->until_ms[to] = clock_monotonic_ms() + UPGRADE_LISTEN_MS;
}

void upgrade_hear_old(struct upgrade *u, enum upgrade_to to)
{
    u->until_ms[to] = clock_monotonic_ms() + silent_ms(u);
    set_state(u, to, UPGRADE_MIXED);
}

/* A manager says of a worker that it has died; that has no id. */
void upgrade_on_member(struct upgrade *u, struct slice body)
{
    char why[160];
    json_t *said = NULL;
    if (json_parse(body, JSON_DEPTH_MAX, &said, why) != ERR_OK)
        return;
    bool is_worker = json_object_get(said, "id") != NULL;
    bool slots = json_is_true(json_object_get(said, "slots"));
    bool to_gateways = json_is_true(json_object_get(said, "to_gateways"));
    if (is_worker && !slots)
        upgrade_hear_old(u, UPGRADE_TO_SLOTS);
    if (is_worker && (!slots || !to_gateways))
        upgrade_hear_old(u, UPGRADE_TO_PARCELS);
    json_decref(said);
}

bool upgrade_is_over(const struct upgrade *u, enum upgrade_to to)
{
    return u->state[to] == UPGRADE_OVER;
}
