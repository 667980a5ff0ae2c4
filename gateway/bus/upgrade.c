#include "gateway/bus/upgrade.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/broker/topology.h"
#include "gateway/bus/commands.h"

enum { JSON_DEPTH_MAX = 4, REPORT_SIZE = 64, BEATS = 4, SILENT_MIN_MS = 4000 };

enum upgrade_state { UPGRADE_LISTENING, UPGRADE_MIXED, UPGRADE_SLOTS };

struct upgrade {
    struct gateway *gateway;
    void (*on_change)(void *ctx);
    void *ctx;
    enum upgrade_state state;
    int64_t until_ms; /* of LISTENING and MIXED; 0: nothing is heard yet */
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
    if (u->state == UPGRADE_LISTENING)
        return;
    snprintf(body, sizeof(body), "{\"slots\":%s,\"for_ms\":%lld}",
             u->state == UPGRADE_SLOTS ? "true" : "false", (long long)silent_ms(u));
    enum err err = commands_announce(u->gateway->commands, SLICE(TOPOLOGY_REPORTS_KEY), SLICE_NONE,
                                     SLICE("slots"), slice_of(body));
    if (err)
        log_debug("upgrade.unreported", LOG_S("error", err_info(err)->name));
}

static void set_state(struct upgrade *u, enum upgrade_state state)
{
    static const char *const names[] = {
        [UPGRADE_LISTENING] = "listening", [UPGRADE_MIXED] = "mixed", [UPGRADE_SLOTS] = "slots"};
    bool was_over = upgrade_is_over(u);
    if (u->state == state)
        return;
    log_info("upgrade.state", LOG_S("from", names[u->state]), LOG_S("to", names[state]));
    u->state = state;
    report(u);
    if (upgrade_is_over(u) != was_over)
        u->on_change(u->ctx);
}

static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct upgrade *u = CONTAINER_OF(timer, struct upgrade, beat);
    if (u->state != UPGRADE_SLOTS && u->until_ms > 0 && clock_monotonic_ms() >= u->until_ms)
        set_state(u, UPGRADE_SLOTS);
    else
        report(u);
}

struct upgrade *upgrade_new(struct gateway *gateway, void (*on_change)(void *ctx), void *ctx)
{
    struct upgrade *u = xcalloc(1, sizeof(*u));
    double beat_s = (double)gateway->config->presence_beat_ms / 1000;
    u->gateway = gateway;
    u->on_change = on_change;
    u->ctx = ctx;
    ev_timer_init(&u->beat, on_beat, beat_s, beat_s);
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
    if (u->until_ms == 0)
        u->until_ms = clock_monotonic_ms() + UPGRADE_LISTEN_MS;
}

void upgrade_hear_old(struct upgrade *u)
{
    u->until_ms = clock_monotonic_ms() + silent_ms(u);
    set_state(u, UPGRADE_MIXED);
}

/* A manager says of a worker that it has died; that has no id. */
void upgrade_on_member(struct upgrade *u, struct slice body)
{
    char why[160];
    json_t *said = NULL;
    if (json_parse(body, JSON_DEPTH_MAX, &said, why) != ERR_OK)
        return;
    if (json_object_get(said, "id") && !json_is_true(json_object_get(said, "slots")))
        upgrade_hear_old(u);
    json_decref(said);
}

bool upgrade_is_over(const struct upgrade *u)
{
    return u->state == UPGRADE_SLOTS;
}
