#include "workers/pool.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/macros.h"

enum {
    WORKERS_MAX = 256, /* as in config.def */
    GOOD_LIFE_MS = 1000,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 10000,
    GRACE_MS = 2000, /* past drain_ms, before a worker is killed */
};

enum place_state { PLACE_FREE, PLACE_WAITING, PLACE_RUNNING, PLACE_LEAVING };

/* Of one worker process. */
struct place {
    struct pool *pool;
    enum place_state state;
    pid_t pid;
    int64_t started_us;
    int64_t backoff_ms;
    ev_timer timer; /* WAITING: until it starts; LEAVING: until it is killed */
};

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGCHLD, SIGTTIN, SIGTTOU};

struct pool {
    struct ev_loop *loop;
    const struct config *config;
    const char *name;
    int (*work)(const struct config *config, const char *name);
    struct place places[WORKERS_MAX];
    int wanted;
    bool is_leaving;
    bool is_child; /* this process is a worker: out of the loop, and on to its work */
    ev_signal signals[ARRAY_LEN(signal_numbers)];
};

static void place_set(struct place *place, enum place_state state, int64_t after_ms)
{
    struct ev_loop *loop = place->pool->loop;
    place->state = state;
    ev_timer_stop(loop, &place->timer);
    if (after_ms < 0)
        return;
    ev_now_update(loop);
    ev_timer_set(&place->timer, (double)after_ms / 1000, 0);
    ev_timer_start(loop, &place->timer);
}

/* ---- starting ---- */

/* Signals that arrive between fork and the child's own handlers must not run the parent's. */
static void become_child(struct pool *pool, pid_t parent)
{
    pool->is_child = true;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        raise(SIGTERM); /* it died before we asked: blocked for now, delivered to the worker's own handler */
    ev_break(pool->loop, EVBREAK_ALL);
}

static void start(struct place *place)
{
    struct pool *pool = place->pool;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        become_child(pool, parent);
        return; /* signals stay blocked until the parent's handlers are gone: see leave_parent */
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        log_error("pool.fork_failed", LOG_S("why", strerror(errno)));
        place_set(place, PLACE_WAITING, BACKOFF_MAX_MS);
        return;
    }
    place->pid = pid;
    place->started_us = clock_monotonic_us();
    place_set(place, PLACE_RUNNING, -1);
    log_info("pool.worker_started", LOG_I("pid", pid));
}

/* ---- leaving ---- */

static void send_away(struct place *place)
{
    if (place->state == PLACE_WAITING)
        place_set(place, PLACE_FREE, -1);
    if (place->state != PLACE_RUNNING)
        return;
    kill(place->pid, SIGTERM);
    place_set(place, PLACE_LEAVING, place->pool->config->drain_ms + GRACE_MS);
}

static void leave_if_empty(struct pool *pool)
{
    if (!pool->is_leaving)
        return;
    for (int i = 0; i < WORKERS_MAX; i++)
        if (pool->places[i].state != PLACE_FREE)
            return;
    ev_break(pool->loop, EVBREAK_ALL);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct place *place = CONTAINER_OF(timer, struct place, timer);
    if (place->pool->is_child)
        return; /* forked by a timer that came before in the same turn */
    if (place->state == PLACE_WAITING) {
        start(place);
        return;
    }
    log_error("pool.worker_killed", LOG_I("pid", place->pid));
    kill(place->pid, SIGKILL);
}

/* ---- size ---- */

static void resize(struct pool *pool, int wanted)
{
    if (wanted < 1 || wanted > WORKERS_MAX || pool->is_leaving)
        return;
    pool->wanted = wanted;
    for (int i = 0; i < WORKERS_MAX; i++) {
        struct place *place = &pool->places[i];
        if (i >= wanted)
            send_away(place);
        else if (place->state == PLACE_FREE)
            place_set(place, PLACE_WAITING, 0);
    }
}

static void leave(struct pool *pool)
{
    if (pool->is_leaving)
        return;
    log_info("pool.leaving");
    pool->is_leaving = true;
    for (int i = 0; i < WORKERS_MAX; i++)
        send_away(&pool->places[i]);
    leave_if_empty(pool);
}

/* ---- deaths ---- */

static int64_t next_backoff(struct place *place)
{
    int64_t lived_ms = (clock_monotonic_us() - place->started_us) / 1000;
    if (lived_ms >= GOOD_LIFE_MS || place->backoff_ms == 0)
        place->backoff_ms = BACKOFF_MIN_MS;
    else if (place->backoff_ms < BACKOFF_MAX_MS)
        place->backoff_ms *= 2;
    return place->backoff_ms;
}

static void log_death(const struct place *place, int status)
{
    bool is_meant = place->state == PLACE_LEAVING && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    log_at(is_meant ? LOG_INFO : LOG_ERROR, "pool.worker_died", LOG_I("pid", place->pid),
           LOG_I("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
           LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
}

/* A worker that was sent away while another was wanted in its place (less, then more) is followed by one. */
static void bury(struct place *place, int status)
{
    struct pool *pool = place->pool;
    log_death(place, status);
    bool is_wanted = !pool->is_leaving && place - pool->places < pool->wanted;
    if (!is_wanted)
        place_set(place, PLACE_FREE, -1);
    else
        place_set(place, PLACE_WAITING, place->state == PLACE_LEAVING ? 0 : next_backoff(place));
}

static void on_child(struct pool *pool)
{
    for (int i = 0; i < WORKERS_MAX; i++) {
        struct place *place = &pool->places[i];
        int status;
        if (place->state != PLACE_RUNNING && place->state != PLACE_LEAVING)
            continue;
        if (waitpid(place->pid, &status, WNOHANG) == place->pid)
            bury(place, status);
    }
    leave_if_empty(pool);
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop, (void)events;
    struct pool *pool = signal->data;
    if (pool->is_child)
        return;
    switch (signal->signum) {
    case SIGCHLD:
        on_child(pool);
        break;
    case SIGTTIN:
        resize(pool, pool->wanted + 1);
        break;
    case SIGTTOU:
        resize(pool, pool->wanted - 1);
        break;
    default:
        leave(pool);
        break;
    }
}

/* ---- the outside ---- */

static struct pool *pool_new(const struct config *config, const char *name,
                             int (*work)(const struct config *config, const char *name))
{
    struct pool *pool = xcalloc(1, sizeof(*pool));
    pool->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    pool->config = config;
    pool->name = name;
    pool->work = work;
    for (int i = 0; i < WORKERS_MAX; i++) {
        pool->places[i].pool = pool;
        ev_timer_init(&pool->places[i].timer, on_timer, 0, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(signal_numbers); i++) {
        ev_signal_init(&pool->signals[i], on_signal, signal_numbers[i]);
        pool->signals[i].data = pool;
        ev_signal_start(pool->loop, &pool->signals[i]);
    }
    return pool;
}

/* In a child this closes its copies of the parent's descriptors and touches nothing that the two share. */
static void pool_free(struct pool *pool)
{
    for (size_t i = 0; i < ARRAY_LEN(signal_numbers); i++)
        ev_signal_stop(pool->loop, &pool->signals[i]);
    ev_loop_destroy(pool->loop);
    free(pool);
}

int pool_run(const struct config *config, const char *name,
             int (*work)(const struct config *config, const char *name))
{
    sigset_t none;
    struct pool *pool = pool_new(config, name, work);
    resize(pool, (int)config->worker_processes);
    ev_run(pool->loop, 0);
    bool is_child = pool->is_child;
    pool_free(pool);
    if (!is_child)
        return EXIT_SUCCESS;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return work(config, name);
}
