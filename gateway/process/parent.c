#include "gateway/process/parent.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/process/service.h"
#include "gateway/net/listen.h"
#include "gateway/net/server.h"
#include "gateway/process/parent_private.h"

enum {
    TICK_MS = 1000,
    BUSY_TICK_MS = 50, /* while the parent waits for something that a pulse says */
};

/* ---- leaving ---- */

/* The sockets stay open in the processes alone: the port is free when the last of them has emptied its queue.
 * A second signal kills the processes. */
static void leave(struct parent *parent)
{
    if (parent->leaving) {
        parent_children_kill(parent);
        return;
    }
    if (!parent->failed)
        service_stopping();
    parent->leaving = true;
    for (size_t i = 0; i < parent->child_count; i++)
        close(parent->children[i].listen_fd);
    parent_children_stop(parent, parent->config.drain_notice_ms + server_drain_max_ms(&parent->config) +
                                     DRAIN_MARGIN_MS);
}

/* ---- what the service manager is told ---- */

static bool is_settled(struct parent *parent, size_t ready)
{
    if (ready == parent->child_count)
        parent->was_ready = true;
    return parent->was_ready && !parent_is_replacing(parent) && !parent->leaving;
}

static void tell_service(struct parent *parent)
{
    size_t ready = parent_children_ready(parent);
    if (ready != parent->sent_ready_count)
        service_status("%zu of %zu processes ready", ready, parent->child_count);
    parent->sent_ready_count = ready;
    if (!is_settled(parent, ready) || parent->ready_is_sent)
        return;
    parent->ready_is_sent = service_ready(); /* when it was not taken, the next turn sends it again */
    log_info("parent.ready", LOG_I("processes", ready));
}

static void feed_watchdog(struct parent *parent, bool all_turn)
{
    int64_t now = clock_monotonic_ms();
    if (parent->watchdog_ms == 0 || !all_turn || now - parent->fed_ms < parent->watchdog_ms / 4)
        return;
    parent->fed_ms = now;
    service_feed_watchdog();
}

/* ---- the turn ---- */

static int64_t until_next_action(const struct parent *parent)
{
    int64_t wait = parent_is_replacing(parent) || !parent->ready_is_sent ? BUSY_TICK_MS : TICK_MS;
    if (parent->watchdog_ms > 0 && wait > parent->watchdog_ms / 4)
        wait = parent->watchdog_ms / 4;
    for (size_t i = 0; i < parent->child_count; i++) {
        const struct child *now = &parent->children[i].now;
        int64_t left = now->due_ms - clock_monotonic_ms();
        if (now->state == CHILD_WAITING && left < wait)
            wait = left > 0 ? left : 0;
    }
    return wait;
}

static void await_signal(struct parent *parent)
{
    int64_t wait = until_next_action(parent);
    const struct timespec timeout = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000};
    int number = sigtimedwait(&parent->signals, NULL, &timeout);
    if (number == SIGTERM || number == SIGINT)
        leave(parent);
    else if (number == SIGHUP && !parent->leaving)
        parent_reload(parent);
}

static void supervise(struct parent *parent)
{
    while (!parent->leaving || parent_children_running(parent) > 0) {
        if (!parent->leaving)
            parent_children_start_due(parent);
        parent_children_kill_overdue(parent);
        await_signal(parent);
        parent_children_reap(parent);
        feed_watchdog(parent, parent_children_check(parent));
        log_report();
        if (!parent->leaving)
            parent_replace(parent);
        tell_service(parent);
        if (parent->failed && !parent->leaving)
            leave(parent);
    }
}

/* ---- the start ---- */

static enum err listen_for_all(struct parent *parent, char why[256])
{
    int64_t wanted = parent->config.gateway_processes;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    parent->child_count = wanted > 0 ? (size_t)wanted : cores > 0 ? (size_t)cores : 1;
    parent->next_replaced = parent->child_count;
    parent->children = xcalloc(parent->child_count, sizeof(*parent->children));
    if (listen_is_taken(parent->config.listen))
        log_warn("parent.address_is_shared", LOG_S("listen", parent->config.listen));
    for (size_t i = 0; i < parent->child_count; i++) {
        parent_child_init(&parent->children[i]);
        enum err err = listen_open(parent->config.listen, &parent->children[i].listen_fd, why);
        if (err)
            return err;
    }
    return ERR_OK;
}

static void block_signals(struct parent *parent)
{
    sigemptyset(&parent->signals);
    sigaddset(&parent->signals, SIGTERM);
    sigaddset(&parent->signals, SIGINT);
    sigaddset(&parent->signals, SIGHUP);
    sigaddset(&parent->signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &parent->signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The usual soft limit of 1,024 protects programs that call select(2), and this one does not. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum err prepare(struct parent *parent, char why[256])
{
    enum err err = config_load(&parent->config, why);
    if (err)
        return err;
    log_init("gateway.parent", config_log_level(&parent->config));
    config_apply_to_log(&parent->config);
    config_warn_renamed(&parent->config);
    config_warn_unknown();
    err = token_keys_load(&parent->config, &parent->keys, why);
    return err ? err : listen_for_all(parent, why);
}

int parent_run(void)
{
    struct parent parent = {.watchdog_ms = service_watchdog_ms()};
    char why[256] = "";
    block_signals(&parent);
    raise_descriptor_limit();
    if (prepare(&parent, why)) {
        fprintf(stderr, "cortex-gateway: %s\n", why);
        return 1;
    }
    supervise(&parent);
    free(parent.children);
    token_keys_free(parent.keys);
    config_done(&parent.config);
    if (parent.is_on_trial) {
        token_keys_free(parent.proven_keys);
        config_done(&parent.proven_config);
    }
    return parent.failed ? 1 : 0;
}
