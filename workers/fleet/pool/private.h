#pragma once
/* What the files of the pool's parent share. */

#include <ev.h>

#include "common/base/log.h"
#include "common/base/uuid.h"
#include "common/process/pulse.h"
#include "workers/fleet/manager/pool_wire.h"
#include "workers/fleet/pool/crash_loop.h"
#include "workers/fleet/pool/pool.h"

enum {
    POOL_BACKOFF_MIN_MS = 100,
    POOL_BACKOFF_MAX_MS = 10000,
    POOL_GRACE_MS = 2000, /* past drain_ms, before a process is killed */
    POOL_SIGNALS = 6,
};

enum place_state { PLACE_FREE, PLACE_WAITING, PLACE_RUNNING, PLACE_LEAVING };

/* Of one process. */
struct place {
    struct pool *pool;
    enum place_state state;
    pid_t pid;
    uint32_t generation; /* of the settings that it was started with */
    int64_t started_us, started_wall_ms;
    int64_t ready_us; /* when it first was; 0: not yet */
    int64_t backoff_ms;
    struct pulse_heard heard;
    int pulse_fd;
    ev_io pulse;
    ev_timer timer; /* WAITING: until it starts; LEAVING: until it is killed */
};

enum reload_state { RELOAD_NONE, RELOAD_PROVING, RELOAD_REPLACING };

struct pool {
    struct ev_loop *loop;
    const struct config *config;
    struct config *loaded; /* `config`, when it is ours to free; NULL: the caller's */
    const char *name;
    pool_work *work;
    uint32_t generation; /* counts settings */

    struct place workers[POOL_PLACES_MAX];
    int share; /* workers wanted here */

    struct place manager;
    struct uuid manager_id; /* the same for all the lives of the manager */
    struct pool_size size;
    struct pool_wish wish; /* for the next report, with `more` */
    int more;
    int manager_fd; /* -1: none */
    ev_io order;

    struct {
        enum reload_state state;
        bool again;           /* another SIGHUP came in between */
        struct config *proof; /* PROVING: the settings on trial */
        struct place *fresh;  /* the newcomer, until it is ready */
        struct place *old;    /* who leaves for it */
        ev_timer limit;
    } reload;

    struct crash_loop crashes;
    bool is_changed; /* something to tell, or to do, at the end of the turn */
    bool is_told;    /* share is known */
    bool is_ready;   /* the service manager has been told */
    bool is_leaving;
    int status;

    /* In a child: out of the loop, and on to its work. */
    bool is_child;
    struct place *child_place;
    int child_pulse_fd, child_order_fd;

    int64_t watchdog_ms;
    ev_timer start_limit; /* for the manager's first order */
    ev_timer tick;
    ev_prepare turn;
    ev_signal signals[POOL_SIGNALS];
};

/* ---- child.c ---- */

void place_init(struct place *place, struct pool *pool);
void place_start(struct place *place); /* FREE → RUNNING; in the child it returns with pool->is_child set */
void place_wait(struct place *place, int64_t after_ms); /* FREE, RUNNING or LEAVING → WAITING */
void place_send_away(struct place *place, int64_t grace_ms);
void place_close(struct place *place); /* in a child and at the end: its descriptor, nothing that is shared */
void places_reap(struct pool *pool);   /* after SIGCHLD */
bool places_check(struct pool *pool);  /* kills what is stuck; false while some loop does not turn */
struct place *place_free(struct pool *pool); /* NULL: none */

static inline bool place_is_manager(const struct place *place)
{
    return place == &place->pool->manager;
}

/* Of those that are to stay: wanted, whether they run or not. */
static inline bool place_is_kept(const struct place *place)
{
    return place->state == PLACE_WAITING || place->state == PLACE_RUNNING;
}

static inline bool place_is_ready(const struct place *place)
{
    return place->state == PLACE_RUNNING && place->heard.ready;
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

void pool_give_up(struct pool *pool);
