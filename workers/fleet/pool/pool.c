#include "workers/fleet/pool/pool.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/process/service.h"
#include "workers/fleet/manager/manager.h"
#include "workers/fleet/pool/private.h"

enum { START_LIMIT_MS = 5000, TICK_MS = 1000 };

static const int signal_numbers[POOL_SIGNALS] = {SIGTERM, SIGINT, SIGCHLD, SIGTTIN, SIGTTOU, SIGHUP};

/* ---- size ---- */

static int count_kept(const struct pool *pool)
{
    int kept = 0;
    for (int i = 0; i < POOL_CHILDREN_MAX; i++)
        kept += pool_child_is_kept(&pool->workers[i]) && &pool->workers[i] != pool->reload.fresh;
    return kept;
}

/* The worker that leaves first: one with old settings before one with new ones, then the youngest. */
static struct pool_child *pick_leaver(struct pool *pool)
{
    struct pool_child *leaver = NULL;
    for (int i = 0; i < POOL_CHILDREN_MAX; i++) {
        struct pool_child *child = &pool->workers[i];
        if (!pool_child_is_kept(child) || child == pool->reload.fresh)
            continue;
        if (!leaver || child->generation < leaver->generation ||
            (child->generation == leaver->generation &&
             child->process.started_us > leaver->process.started_us))
            leaver = child;
    }
    return leaver;
}

static void balance(struct pool *pool)
{
    if (!pool->share_is_known || pool->is_leaving)
        return;
    int kept = count_kept(pool);
    for (; kept > pool->share; kept--)
        pool_child_stop(pick_leaver(pool), pool->config->drain_ms + POOL_GRACE_MS);
    for (struct pool_child *child; kept < pool->share && (child = pool_unused_child(pool)); kept++)
        pool_child_start_after(child, 0);
}

/* ---- leaving ---- */

static void leave(struct pool *pool)
{
    if (pool->is_leaving)
        return;
    log_info("pool.leaving");
    service_stopping();
    pool->is_leaving = true;
    pool->is_changed = true;
    for (int i = 0; i < POOL_CHILDREN_MAX; i++)
        pool_child_stop(&pool->workers[i], pool->config->drain_ms + POOL_GRACE_MS);
}

/* The manager goes last: it tells the other hosts which workers have gone. */
static void leave_if_empty(struct pool *pool)
{
    if (!pool->is_leaving)
        return;
    for (int i = 0; i < POOL_CHILDREN_MAX; i++)
        if (pool->workers[i].process.state != CHILD_NONE)
            return;
    pool_child_stop(&pool->manager, POOL_GRACE_MS);
    if (pool->manager.process.state == CHILD_NONE)
        ev_break(pool->loop, EVBREAK_ALL);
}

void pool_give_up(struct pool *pool, const char *why)
{
    if (pool->is_leaving)
        return;
    log_error("pool.gave_up", LOG_S("why", why), LOG_I("deaths_for_each_worker", pool->config->crash_deaths),
              LOG_I("within_ms", pool->config->crash_window_ms),
              LOG_S("hint", "Correct the program or its settings, then start the pool again."));
    service_failed(why, 0);
    pool->status = EXIT_FAILURE;
    leave(pool);
}

/* ---- the service manager ---- */

static int count_ready(const struct pool *pool)
{
    int ready = 0;
    for (int i = 0; i < POOL_CHILDREN_MAX; i++)
        ready += child_is_ready(&pool->workers[i].process);
    return ready;
}

static void tell_service(struct pool *pool)
{
    int ready = count_ready(pool);
    service_status("%d of %d workers ready, %d wanted on all hosts", ready, pool->share,
                   (int)pool->size.wanted);
    if (pool->is_ready || pool->is_leaving || !pool->share_is_known || ready < pool->share)
        return;
    pool->is_ready = service_ready();
    log_info("pool.ready", LOG_I("workers", ready));
}

/* Runs once per turn, after everything that happened in it. */
static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)loop, (void)events;
    struct pool *pool = CONTAINER_OF(prepare, struct pool, turn);
    if (pool->is_child || !pool->is_changed)
        return;
    pool_reload_step(pool);
    balance(pool);
    tell_service(pool);
    pool_talk_report(pool);
    leave_if_empty(pool);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct pool *pool = CONTAINER_OF(timer, struct pool, tick);
    if (pool->is_child)
        return;
    log_report();
    if (pool_children_check(pool) && pool->watchdog_ms > 0)
        service_feed_watchdog();
    if (!pool->is_ready)
        tell_service(pool);
}

/* The manager has not said in time how many workers are wanted: the settings do. */
static void on_start_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct pool *pool = CONTAINER_OF(timer, struct pool, start_limit);
    if (pool->is_child || pool->share_is_known)
        return;
    pool->share = (int)pool->config->worker_processes;
    pool->share_is_known = pool->is_changed = true;
}

static void wish_for(struct pool *pool, int more)
{
    pool->more += more;
    pool->is_changed = true;
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop, (void)events;
    struct pool *pool = signal->data;
    if (pool->is_child)
        return;
    switch (signal->signum) {
    case SIGCHLD:
        pool_children_reap(pool);
        break;
    case SIGTTIN:
        wish_for(pool, 1);
        break;
    case SIGTTOU:
        wish_for(pool, -1);
        break;
    case SIGHUP:
        pool_reload(pool);
        break;
    default:
        leave(pool);
        break;
    }
}

/* ---- the outside ---- */

static void start_timer(struct pool *pool, ev_timer *timer, int64_t after_ms, int64_t repeat_ms)
{
    ev_timer_set(timer, (double)after_ms / 1000, (double)repeat_ms / 1000);
    ev_timer_start(pool->loop, timer);
}

static struct pool *pool_new(const struct config *config, const char *name, pool_work *work)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));
    pool->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    pool->config = config;
    pool->name = name;
    pool->wish = POOL_NO_WISH;
    pool->work = work;
    pool->manager_id = uuid_v7();
    pool->manager_fd = pool->self_order_fd = pool->self_pulse_fd = -1;
    pool->watchdog_ms = service_watchdog_ms();
    pool_child_init(&pool->manager, pool, "manager");
    for (int i = 0; i < POOL_CHILDREN_MAX; i++)
        pool_child_init(&pool->workers[i], pool, "worker");
    for (size_t i = 0; i < POOL_SIGNALS; i++) {
        ev_signal_init(&pool->signals[i], on_signal, signal_numbers[i]);
        pool->signals[i].data = pool;
        ev_signal_start(pool->loop, &pool->signals[i]);
    }
    ev_prepare_init(&pool->turn, on_turn);
    ev_prepare_start(pool->loop, &pool->turn);
    ev_init(&pool->tick, on_tick);
    ev_init(&pool->start_limit, on_start_limit);
    start_timer(pool, &pool->start_limit, START_LIMIT_MS, 0);
    int64_t tick_ms =
        pool->watchdog_ms > 0 && pool->watchdog_ms / 3 < TICK_MS ? pool->watchdog_ms / 3 : TICK_MS;
    start_timer(pool, &pool->tick, tick_ms, tick_ms);
    pool_child_start_after(&pool->manager, 0);
    return pool;
}

/* In a child this closes the child's copies of the parent's descriptors, and touches nothing that the two
 * share. */
static void pool_free(struct pool *pool)
{
    for (size_t i = 0; i < POOL_SIGNALS; i++)
        ev_signal_stop(pool->loop, &pool->signals[i]);
    for (int i = 0; i < POOL_CHILDREN_MAX; i++)
        pool_child_close(&pool->workers[i]);
    pool_child_close(&pool->manager);
    pool_talk_close(pool);
    pool_reload_done(pool);
    ev_loop_destroy(pool->loop);
    free(pool);
}

/* These signals are meant for the parent, and so is a terminal that closes. */
static void ignore_parents_signals(void)
{
    static const int ignored[] = {SIGHUP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
}

/* A child on trial owns the settings on trial. Every other child owns those that the pool has loaded. */
static int run_child(struct pool *pool)
{
    const struct config *config = pool->config;
    struct config *own = NULL;
    const char *name = pool->name;
    pool_work *work = pool->work;
    bool is_manager = pool_child_is_manager(pool->self);
    int pulse_fd = pool->self_pulse_fd;
    struct manager_options options = {
        .id = pool->manager_id, .order_fd = pool->self_order_fd, .pulse_fd = pulse_fd};
    if (pool->reload.state == RELOAD_PROVING && pool->self == pool->reload.fresh)
        config = own = TAKE(pool->reload.proof);
    else
        own = TAKE(pool->loaded);
    pool_free(pool);
    ignore_parents_signals();
    child_unblock_signals();
    service_leave_to_parent();
    int status = is_manager ? manager_run(config, name, &options) : work(config, name, pulse_fd);
    if (own)
        config_done(own);
    free(own);
    return status;
}

int pool_run(const struct config *config, const char *name, pool_work *work)
{
    signal(SIGPIPE, SIG_IGN);
    struct pool *pool = pool_new(config, name, work);
    ev_run(pool->loop, 0);
    if (pool->is_child)
        return run_child(pool);
    int status = pool->status;
    pool_free(pool);
    return status;
}
