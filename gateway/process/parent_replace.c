#include "gateway/process/parent_private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/process/service.h"
#include "gateway/net/server.h"

/* ---- one after the other ---- */

bool parent_is_replacing(const struct parent *parent)
{
    return parent->next_replaced < parent->child_count || parent->replace_again;
}

static void set_replacing(struct parent_child *child, enum replacing replacing)
{
    static const char *const names[] = {
        [REPLACING_NONE] = "none", [REPLACING_STARTING] = "starting", [REPLACING_LEAVING] = "leaving"};
    log_debug("parent.replacing_state", LOG_I("pid", child->now.pid), LOG_S("from", names[child->replacing]),
              LOG_S("to", names[replacing]));
    child->replacing = replacing;
}

/* A process that dies later must not be started again with settings that no process could start with. */
static void end_trial(struct parent *parent, bool is_proven)
{
    if (!parent->is_on_trial)
        return;
    parent->is_on_trial = false;
    if (!is_proven) {
        log_error("parent.settings_refused",
                  LOG_S("why", "no process became ready with them; the lines above say how it ended"),
                  LOG_S("hint", "the processes go on with the old settings"));
        token_keys_free(parent->keys);
        config_done(&parent->config);
        parent->config = parent->proven_config;
        parent->keys = parent->proven_keys;
        return;
    }
    token_keys_free(parent->proven_keys);
    config_done(&parent->proven_config);
}

void parent_replace_failed(struct parent *parent, struct parent_child *child)
{
    log_error("parent.successor_failed");
    end_trial(parent, false);
    if (child_has_process(&child->old)) {
        child->now = child->old;
        child_init(&child->old, child->now.role, NULL);
    }
    set_replacing(child, REPLACING_NONE);
    parent->next_replaced = parent->child_count;
    parent->replace_again = false;
}

static void start_successor(struct parent *parent, struct parent_child *child)
{
    if (!child_has_process(&child->now)) {
        parent->next_replaced++; /* it starts with the new settings anyway */
        return;
    }
    child->old = child->now;
    child_init(&child->now, child->old.role, NULL);
    parent_child_start(parent, child);
    set_replacing(child, REPLACING_STARTING);
    child->until_ms = clock_monotonic_ms() + parent->config.reload_ms;
    if (!child_has_process(&child->now))
        parent_replace_failed(parent, child);
}

static void await_successor(struct parent *parent, struct parent_child *child)
{
    if (child_is_ready(&child->now)) {
        end_trial(parent, true);
        set_replacing(child, REPLACING_LEAVING);
        child_stop(&child->old, SIGQUIT, server_drain_max_ms(&parent->config) + DRAIN_MARGIN_MS);
    } else if (clock_monotonic_ms() >= child->until_ms) {
        child_signal(&child->now, SIGKILL); /* once it is reaped, parent_replace_failed follows */
    }
}

static void await_departure(struct parent *parent, struct parent_child *child)
{
    if (child_has_process(&child->old))
        return;
    set_replacing(child, REPLACING_NONE);
    parent->next_replaced++;
    log_info("parent.replaced", LOG_I("pid", child->now.pid));
}

void parent_replace(struct parent *parent)
{
    static void (*const steps[])(struct parent * parent,
                                 struct parent_child * child) = {[REPLACING_NONE] = start_successor,
                                                                 [REPLACING_STARTING] = await_successor,
                                                                 [REPLACING_LEAVING] = await_departure};
    if (parent->next_replaced == parent->child_count && parent->replace_again) {
        parent->replace_again = false;
        parent->next_replaced = 0;
    }
    if (parent->next_replaced < parent->child_count) {
        struct parent_child *child = &parent->children[parent->next_replaced];
        steps[child->replacing](parent, child);
    }
}

/* ---- new settings ---- */

/* Settings that are on trial already make room for the newest. */
static void put_on_trial(struct parent *parent)
{
    if (parent->is_on_trial) {
        token_keys_free(parent->keys);
        config_done(&parent->config);
        return;
    }
    parent->is_on_trial = true;
    parent->proven_config = parent->config;
    parent->proven_keys = parent->keys;
}

/* New processes get them. What the parent itself took from the old ones, the address and the number of
 * processes, stays. */
void parent_reload(struct parent *parent)
{
    struct config config = {0};
    struct token_keys *keys = NULL;
    char why[256] = "";
    service_reloading();
    parent->ready_is_sent = false;
    enum err err = config_load(&config, why);
    if (!err)
        err = token_keys_load(&config, &keys, why);
    if (err) {
        log_error("parent.settings_refused", LOG_S("why", why));
        token_keys_free(keys);
        config_done(&config);
        return;
    }
    token_keys_retire(keys, parent->keys);
    put_on_trial(parent);
    parent->keys = keys;
    parent->config = config;
    log_init("gateway.parent", config_log_level(&config));
    config_apply_to_log(&config);
    parent->replace_again = true;
    log_info("parent.replacing", LOG_I("processes", parent->child_count));
}
