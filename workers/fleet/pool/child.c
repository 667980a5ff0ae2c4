#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "workers/fleet/pool/private.h"

enum { TURN_LATE_MS = 5 * PULSE_MS }; /* without a beat, before the watchdog goes hungry */

static const char *role(const struct place *place)
{
    return place_is_manager(place) ? "manager" : "worker";
}

static void place_set(struct place *place, enum place_state state, int64_t after_ms)
{
    struct ev_loop *loop = place->pool->loop;
    place->state = state;
    place->pool->is_changed = true;
    ev_timer_stop(loop, &place->timer);
    if (after_ms < 0)
        return;
    ev_now_update(loop);
    ev_timer_set(&place->timer, (double)after_ms / 1000, 0);
    ev_timer_start(loop, &place->timer);
}

void place_close(struct place *place)
{
    ev_io_stop(place->pool->loop, &place->pulse);
    if (place->pulse_fd >= 0)
        close(place->pulse_fd);
    place->pulse_fd = -1;
}

static bool is_on_trial(const struct place *place)
{
    return place->pool->reload.state == RELOAD_PROVING && place == place->pool->reload.fresh;
}

/* ---- starting ---- */

/* Signals that arrive between fork and the child's own handlers must not run the parent's: they stay blocked until
 * those are gone (pool_run). */
static void become_child(struct place *place, pid_t parent, int pulse_fd, int order_fd)
{
    struct pool *pool = place->pool;
    pool->is_child = true;
    pool->child_place = place;
    pool->child_pulse_fd = pulse_fd;
    pool->child_order_fd = order_fd;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        raise(SIGTERM); /* it died before we asked: blocked for now, delivered to the child's own handler */
    ev_break(pool->loop, EVBREAK_ALL);
}

static void fork_failed(struct place *place, int pulse_fd, int order_fd)
{
    log_error("pool.fork_failed", LOG_S("process", role(place)), LOG_S("why", strerror(errno)));
    if (pulse_fd >= 0)
        close(pulse_fd);
    if (order_fd >= 0)
        close(order_fd);
    if (place_is_manager(place))
        pool_talk_close(place->pool);
    place_close(place);
    place_set(place, PLACE_WAITING, POOL_BACKOFF_MAX_MS);
}

static void on_pulse(struct ev_loop *loop, ev_io *pulse, int events)
{
    (void)events;
    struct place *place = CONTAINER_OF(pulse, struct place, pulse);
    if (place->pool->is_child)
        return;
    bool was_ready = place->heard.ready;
    if (!pulse_read(place->pulse_fd, &place->heard))
        ev_io_stop(loop, pulse); /* it is ending: SIGCHLD says how */
    if (place->heard.ready && !place->ready_us)
        place->ready_us = clock_monotonic_us();
    if (place->heard.ready != was_ready)
        place->pool->is_changed = true;
}

static void began(struct place *place, pid_t pid)
{
    struct pool *pool = place->pool;
    place->pid = pid;
    place->generation = pool->generation + (is_on_trial(place) ? 1 : 0);
    place->started_us = clock_monotonic_us();
    place->started_wall_ms = clock_wall_ms();
    place->ready_us = 0;
    place->heard = (struct pulse_heard){0};
    ev_io_set(&place->pulse, place->pulse_fd, EV_READ);
    ev_io_start(pool->loop, &place->pulse);
    place_set(place, PLACE_RUNNING, -1);
    log_info("pool.started", LOG_S("process", role(place)), LOG_I("pid", pid));
}

void place_start(struct place *place)
{
    struct pool *pool = place->pool;
    int pulse_fd = -1, order_fd = -1;
    if (pulse_pipe(&place->pulse_fd, &pulse_fd) ||
        (place_is_manager(place) && !pool_talk_open(pool, &order_fd))) {
        fork_failed(place, pulse_fd, order_fd);
        return;
    }
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        become_child(place, parent, pulse_fd, order_fd);
        return;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        fork_failed(place, pulse_fd, order_fd);
        return;
    }
    close(pulse_fd);
    if (order_fd >= 0)
        close(order_fd);
    began(place, pid);
}

void place_wait(struct place *place, int64_t after_ms)
{
    place_set(place, PLACE_WAITING, after_ms);
}

/* ---- leaving ---- */

void place_send_away(struct place *place, int64_t grace_ms)
{
    if (place->state == PLACE_WAITING)
        place_set(place, PLACE_FREE, -1);
    if (place->state != PLACE_RUNNING)
        return;
    kill(place->pid, SIGTERM);
    place_set(place, PLACE_LEAVING, grace_ms);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct place *place = CONTAINER_OF(timer, struct place, timer);
    if (place->pool->is_child)
        return; /* forked by a timer that came before in the same turn */
    if (place->state == PLACE_WAITING) {
        place_start(place);
        return;
    }
    log_error("pool.killed", LOG_S("process", role(place)), LOG_I("pid", place->pid),
              LOG_S("why", "it did not leave in time"));
    kill(place->pid, SIGKILL);
}

/* ---- deaths ---- */

static bool had_a_good_life(const struct place *place)
{
    return place->ready_us &&
           clock_monotonic_us() - place->ready_us >= place->pool->config->good_life_ms * 1000;
}

static int64_t next_backoff(struct place *place)
{
    if (had_a_good_life(place))
        place->backoff_ms = 0;
    else if (place->backoff_ms == 0)
        place->backoff_ms = POOL_BACKOFF_MIN_MS;
    else if (place->backoff_ms < POOL_BACKOFF_MAX_MS)
        place->backoff_ms *= 2;
    return place->backoff_ms;
}

static void log_death(const struct place *place, int status)
{
    bool is_meant = place->state == PLACE_LEAVING && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    log_at(is_meant ? LOG_INFO : LOG_ERROR, "pool.died", LOG_S("process", role(place)),
           LOG_I("pid", place->pid), LOG_I("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
           LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
}

/* The limit is that of one worker times those wanted, so that it takes as long in a large pool as in a small one, and
 * one bad worker of many does not end the pool. */
static void count_death(const struct place *place)
{
    struct pool *pool = place->pool;
    size_t limit = (size_t)pool->config->crash_deaths * (size_t)(pool->share > 1 ? pool->share : 1);
    if (!had_a_good_life(place) &&
        crash_loop_add(&pool->crashes, clock_monotonic_ms(), limit, pool->config->crash_window_ms))
        pool_give_up(pool);
}

/* Whoever leaves as it was told makes room; in place of anybody else another one starts. */
static void bury(struct place *place, int status)
{
    struct pool *pool = place->pool;
    bool was_leaving = place->state == PLACE_LEAVING;
    bool was_on_trial = is_on_trial(place);
    log_death(place, status);
    place_close(place);
    if (place_is_manager(place))
        pool_talk_close(pool);
    if (pool->is_leaving || was_on_trial || (was_leaving && !place_is_manager(place))) {
        place_set(place, PLACE_FREE, -1);
        return;
    }
    place_set(place, PLACE_WAITING, was_leaving ? 0 : next_backoff(place));
    if (!place_is_manager(place))
        count_death(place);
}

static bool has_process(const struct place *place)
{
    return place->state == PLACE_RUNNING || place->state == PLACE_LEAVING;
}

static void reap(struct place *place)
{
    int status;
    if (has_process(place) && waitpid(place->pid, &status, WNOHANG) == place->pid)
        bury(place, status);
}

void places_reap(struct pool *pool)
{
    for (int i = 0; i < POOL_PLACES_MAX; i++)
        reap(&pool->workers[i]);
    reap(&pool->manager);
}

/* ---- loops that do not turn ---- */

static bool check(struct place *place)
{
    const struct pool *pool = place->pool;
    if (place->state != PLACE_RUNNING)
        return true;
    int64_t last_us = place->heard.beat_us ? place->heard.beat_us : place->started_us;
    int64_t silent_ms = (clock_monotonic_us() - last_us) / 1000;
    if (pool->config->stuck_ms > 0 && silent_ms >= pool->config->stuck_ms) {
        log_error("pool.killed", LOG_S("process", role(place)), LOG_I("pid", place->pid),
                  LOG_S("why", "its loop does not turn"), LOG_I("silent_ms", silent_ms));
        kill(place->pid, SIGKILL);
    }
    return silent_ms < TURN_LATE_MS;
}

bool places_check(struct pool *pool)
{
    bool all_turn = check(&pool->manager);
    for (int i = 0; i < POOL_PLACES_MAX; i++)
        all_turn = check(&pool->workers[i]) && all_turn;
    return all_turn;
}

/* ---- the table ---- */

void place_init(struct place *place, struct pool *pool)
{
    place->pool = pool;
    place->pulse_fd = -1;
    ev_init(&place->pulse, on_pulse);
    ev_init(&place->timer, on_timer);
}

struct place *place_free(struct pool *pool)
{
    for (int i = 0; i < POOL_PLACES_MAX; i++)
        if (pool->workers[i].state == PLACE_FREE)
            return &pool->workers[i];
    return NULL;
}
