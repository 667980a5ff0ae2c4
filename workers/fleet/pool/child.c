#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "workers/fleet/pool/private.h"

static struct pool_child *of(struct child *child)
{
    return CONTAINER_OF(child, struct pool_child, process);
}

static void on_state(struct child *child)
{
    struct pool_child *self = of(child);
    struct ev_loop *loop = self->pool->loop;
    self->pool->is_changed = true;
    ev_timer_stop(loop, &self->due);
    if (child->state != CHILD_WAITING && child->state != CHILD_LEAVING)
        return;
    ev_now_update(loop);
    ev_timer_set(&self->due, (double)(child->due_ms - clock_monotonic_ms() + 1) / 1000, 0);
    ev_timer_start(loop, &self->due);
}

void pool_child_close(struct pool_child *child)
{
    ev_io_stop(child->pool->loop, &child->pulse);
    child_close(&child->process);
}

static bool is_on_trial(const struct pool_child *child)
{
    return child->pool->reload.state == RELOAD_PROVING && child == child->pool->reload.fresh;
}

/* ---- starting ---- */

static void on_pulse(struct ev_loop *loop, ev_io *pulse, int events)
{
    (void)events;
    struct pool_child *child = CONTAINER_OF(pulse, struct pool_child, pulse);
    if (child->pool->is_child)
        return;
    bool was_ready = child->process.heard.ready;
    if (!child_hear(&child->process))
        ev_io_stop(loop, pulse);
    if (child->process.heard.ready != was_ready)
        child->pool->is_changed = true;
}

/* In the forked child. Watchers that are due in the same turn still run; each of them looks at is_child
 * first. */
static void become_child(struct pool_child *child, int pulse_fd, int order_fd)
{
    struct pool *pool = child->pool;
    pool->is_child = true;
    pool->self = child;
    pool->self_pulse_fd = pulse_fd;
    pool->self_order_fd = order_fd;
    ev_break(pool->loop, EVBREAK_ALL);
}

static void has_started(struct pool_child *child)
{
    struct pool *pool = child->pool;
    child->generation = pool->generation + (is_on_trial(child) ? 1 : 0);
    child->started_wall_ms = clock_wall_ms();
    ev_io_set(&child->pulse, child->process.pulse_fd, EV_READ);
    ev_io_start(pool->loop, &child->pulse);
}

/* A manager has a second tie to its parent, over which it gets its reports. */
static void start(struct pool_child *child)
{
    struct pool *pool = child->pool;
    int pulse_fd = -1, order_fd = -1;
    if (pool_child_is_manager(child) && !pool_talk_open(pool, &order_fd)) {
        log_error("pool.no_socket", LOG_S("role", child->process.role), LOG_S("why", strerror(errno)));
        child_start_after(&child->process, CHILD_BACKOFF_MAX_MS);
        return;
    }
    pid_t pid = child_fork(&child->process, &pulse_fd);
    if (pid == 0) {
        become_child(child, pulse_fd, order_fd);
        return;
    }
    if (order_fd >= 0)
        close(order_fd);
    if (pid > 0)
        has_started(child);
    else if (pool_child_is_manager(child))
        pool_talk_close(pool);
}

void pool_child_start_after(struct pool_child *child, int64_t after_ms)
{
    child_start_after(&child->process, after_ms);
}

void pool_child_stop(struct pool_child *child, int64_t grace_ms)
{
    child_stop(&child->process, SIGTERM, grace_ms);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct pool_child *child = CONTAINER_OF(timer, struct pool_child, due);
    if (child->pool->is_child)
        return; /* forked by a timer that came before in the same turn */
    if (child->process.state == CHILD_WAITING)
        start(child);
    else
        child_kill_overdue(&child->process);
}

/* ---- deaths ---- */

/* The limit is that of one worker times those wanted: it takes as long in a large pool as in a small one, and
 * one bad worker of many does not end the pool. */
static void count_death(const struct pool_child *child)
{
    struct pool *pool = child->pool;
    size_t limit = (size_t)pool->config->crash_deaths * (size_t)(pool->share > 1 ? pool->share : 1);
    if (!child_was_healthy(&child->process, pool->config->healthy_after_ms) &&
        crash_loop_add(&pool->crashes, clock_monotonic_ms(), limit, pool->config->crash_window_ms))
        pool_give_up(pool, "The workers keep dying as they start, and the lines above say how.");
}

/* A worker that was to leave is not started again, and neither is one that was on trial with new settings.
 * Every other process is. */
static void on_death(struct pool_child *child, bool was_leaving, int status)
{
    struct pool *pool = child->pool;
    bool is_manager = pool_child_is_manager(child);
    if (is_manager)
        pool_talk_close(pool);
    if (pool->is_leaving || is_on_trial(child) || (was_leaving && !is_manager))
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_CANNOT_START) {
        pool_give_up(pool, "A worker cannot run with these settings, and the lines above say why.");
        return;
    }
    if (was_leaving)
        child_start_after(&child->process, 0);
    else
        child_restart(&child->process, pool->config->healthy_after_ms);
    if (!is_manager)
        count_death(child);
}

static void reap(struct pool_child *child)
{
    int status;
    bool was_leaving = child->process.state == CHILD_LEAVING;
    if (!child_reap(&child->process, &status))
        return;
    pool_child_close(child);
    on_death(child, was_leaving, status);
}

void pool_children_reap(struct pool *pool)
{
    for (int i = 0; i < POOL_CHILDREN_MAX; i++)
        reap(&pool->workers[i]);
    reap(&pool->manager);
}

/* ---- loops that do not turn ---- */

/* A worker that leaves may take its time over its last commands. */
static bool check(const struct pool_child *child)
{
    return child->process.state != CHILD_RUNNING ||
           child_check(&child->process, child->pool->config->stuck_ms);
}

bool pool_children_check(struct pool *pool)
{
    bool all_turn = check(&pool->manager);
    for (int i = 0; i < POOL_CHILDREN_MAX; i++)
        all_turn = check(&pool->workers[i]) && all_turn;
    return all_turn;
}

/* ---- the table ---- */

void pool_child_init(struct pool_child *child, struct pool *pool, const char *role)
{
    child->pool = pool;
    child_init(&child->process, role, on_state);
    ev_init(&child->pulse, on_pulse);
    ev_init(&child->due, on_due);
}

struct pool_child *pool_unused_child(struct pool *pool)
{
    for (int i = 0; i < POOL_CHILDREN_MAX; i++)
        if (pool->workers[i].process.state == CHILD_NONE)
            return &pool->workers[i];
    return NULL;
}
