#pragma once
/* What the files of the pool's parent share. */

#include <ev.h>

#include "common/base/log.h"
#include "common/base/uuid.h"
#include "common/process/child.h"
#include "workers/fleet/manager/pool_wire.h"
#include "workers/fleet/pool/crash_loop.h"
#include "workers/fleet/pool/pool.h"

enum {
    POOL_GRACE_MS = 2000, /* past drain_ms, before a process is killed */
    POOL_SIGNALS = 6,
};

/* One of the pool's workers, or its manager (common/process/child.h). One that is NONE is free to be used
 * again. */
struct pool_child {
    struct child process;
    struct pool *pool;
    uint32_t generation; /* of the settings that it was started with */
    int64_t started_wall_ms;
    ev_io pulse;
    ev_timer due; /* process.due_ms */
};

enum reload_state { RELOAD_NONE, RELOAD_PROVING, RELOAD_REPLACING };

struct pool {
    struct ev_loop *loop;
    const struct config *config;
    struct config *loaded; /* `config`, when it is ours to free; NULL: the caller's */
    const char *name;
    pool_work *work;
    uint32_t generation; /* counts settings */

    struct pool_child workers[POOL_CHILDREN_MAX];
    int share; /* workers wanted here */

    struct pool_child manager;
    struct uuid manager_id; /* the same for every process that is the manager */
    struct pool_size size;
    struct pool_wish wish; /* for the next report, with `more` */
    int more;              /* workers more, or fewer, that signals ask for */
    int manager_fd;        /* -1: none */
    ev_io order;

    struct {
        enum reload_state state;
        bool again;               /* another SIGHUP came meanwhile */
        struct config *proof;     /* PROVING: the settings on trial */
        struct pool_child *fresh; /* the new worker, until it is ready */
        struct pool_child *old;   /* the worker that leaves for it */
        ev_timer limit;
    } reload;

    struct crash_loop crashes;
    bool is_changed;     /* there is something to report, or to do, at the end of the turn */
    bool share_is_known; /* the manager has said it, or the settings have */
    bool is_ready;       /* the service manager knows that the pool is ready */
    bool is_leaving;
    int status;

    /* In a forked child, which leaves the loop and goes on to its work: which one it is. */
    bool is_child;
    struct pool_child *self;
    int self_pulse_fd, self_order_fd;

    int64_t watchdog_ms;
    ev_timer start_limit; /* for the manager's first order */
    ev_timer tick;
    ev_prepare turn;
    ev_signal signals[POOL_SIGNALS];
};

/* ---- child.c ---- */

void pool_child_init(struct pool_child *child, struct pool *pool, const char *role);
void pool_child_start_after(struct pool_child *child, int64_t after_ms);
void pool_child_stop(struct pool_child *child, int64_t grace_ms);
void pool_child_close(struct pool_child *child); /* in a forked child, and at the end */
void pool_children_reap(struct pool *pool);      /* after SIGCHLD */
/* Kills the processes that are stuck; false while the loop of one is late. */
bool pool_children_check(struct pool *pool);
struct pool_child *pool_unused_child(struct pool *pool); /* NULL: all are in use */

static inline bool pool_child_is_manager(const struct pool_child *child)
{
    return child == &child->pool->manager;
}

/* It is to stay: wanted, whether its process runs or not. */
static inline bool pool_child_is_kept(const struct pool_child *child)
{
    return child->process.state == CHILD_WAITING || child->process.state == CHILD_RUNNING;
}

/* ---- talk.c: with the manager ---- */

/* Before the fork: *ret_fd is the manager's end. */
bool pool_talk_open(struct pool *pool, int *ret_fd);
void pool_talk_close(struct pool *pool);
void pool_talk_report(struct pool *pool);

/* ---- reload.c ---- */

void pool_reload(struct pool *pool); /* SIGHUP */
void pool_reload_step(struct pool *pool);
void pool_reload_done(struct pool *pool);

/* ---- pool.c ---- */

/* All workers leave, and then the pool; `why` is a sentence. */
void pool_give_up(struct pool *pool, const char *why);
