#include "gateway/process/parent_private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/process/service.h"
#include "gateway/net/server.h"

/* ---- one after the other ---- */

bool parent_is_replacing(const struct parent *parent)
{
    return parent->next_replaced < parent->seat_count || parent->replace_again;
}

void parent_replace_failed(struct parent *parent, struct seat *seat)
{
    log_error("parent.successor_failed");
    seat->now = seat->old;
    seat->old = (struct occupant){0};
    seat->replacing = STAYING;
    parent->next_replaced = parent->seat_count;
    parent->replace_again = false;
}

static void start_successor(struct parent *parent, struct seat *seat)
{
    if (seat->now.pid == 0) {
        parent->next_replaced++; /* it begins anew by itself */
        return;
    }
    seat->old = seat->now;
    seat->now = (struct occupant){0};
    seat_start(parent, seat);
    seat->replacing = STARTING;
    seat->until_ms = clock_monotonic_ms() + parent->config.reload_ms;
    if (seat->now.pid == 0)
        parent_replace_failed(parent, seat);
}

static void await_successor(struct parent *parent, struct seat *seat)
{
    if (seat->now.heard.ready) {
        seat->replacing = LEAVING;
        seat->until_ms = clock_monotonic_ms() + server_drain_max_ms(&parent->config) + DRAIN_MARGIN_MS;
        if (seat->old.pid > 0)
            kill(seat->old.pid, SIGQUIT);
    } else if (seat->now.pid > 0 && clock_monotonic_ms() >= seat->until_ms) {
        kill(seat->now.pid, SIGKILL); /* reaped, and found not to have been ready */
    }
}

static void await_departure(struct parent *parent, struct seat *seat)
{
    if (seat->old.pid > 0 && clock_monotonic_ms() >= seat->until_ms)
        kill(seat->old.pid, SIGKILL);
    if (seat->old.pid > 0)
        return;
    seat->replacing = STAYING;
    parent->next_replaced++;
    log_info("parent.replaced", LOG_I("pid", seat->now.pid));
}

void parent_replace(struct parent *parent)
{
    static void (*const steps[])(struct parent * parent, struct seat * seat) = {
        [STAYING] = start_successor, [STARTING] = await_successor, [LEAVING] = await_departure};
    if (parent->next_replaced == parent->seat_count && parent->replace_again) {
        parent->replace_again = false;
        parent->next_replaced = 0;
    }
    if (parent->next_replaced < parent->seat_count) {
        struct seat *seat = &parent->seats[parent->next_replaced];
        steps[seat->replacing](parent, seat);
    }
}

/* ---- why ---- */

/* New settings are for new processes; what the parent itself has from the old ones (the address, their number) stays. */
void parent_reload(struct parent *parent)
{
    struct config config = {0};
    struct token_keys *keys = NULL;
    char why[256] = "";
    enum log_level level;
    service_reloading();
    parent->told_ready = false;
    enum err err = config_load(&config, why);
    if (!err)
        err = token_keys_load(&config, &keys, why);
    if (err || !log_level_parse(config.log_level, &level)) {
        log_error("parent.settings_refused", LOG_S("why", why[0] ? why : "CORTEX_LOG_LEVEL is unknown"));
        token_keys_free(keys);
        config_done(&config);
        return;
    }
    token_keys_free(parent->keys);
    config_done(&parent->config);
    parent->keys = keys;
    parent->config = config;
    log_init("gateway.parent", level);
    parent->replace_again = true;
    log_info("parent.replacing", LOG_I("processes", parent->seat_count));
}
