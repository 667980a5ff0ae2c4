#pragma once
/* What a pool's parent and its manager say to each other, over a socket pair that keeps messages whole. Each
 * message says everything as it is now, so the latest one is enough. Both are the same program, so the
 * structs travel as they are. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    POOL_WORKERS_MAX = 256,                       /* wanted, as in config.def */
    POOL_CHILDREN_MAX = 2 * POOL_WORKERS_MAX + 1, /* with those that leave, and the new worker of a reload */
};

enum pool_worker_state { WORKER_WAITING, WORKER_STARTING, WORKER_READY, WORKER_UNREADY, WORKER_LEAVING };

/* Why a size is what it is: who, or what, has set it last. */
enum pool_why { WHY_SETTINGS, WHY_SIGNAL, WHY_REQUEST, WHY_BOUNDS, WHY_DEPTH, WHY_AGE, WHY_CALM };

/* Of the whole pool, over all hosts. The higher version is the later word, of two alike the one whose manager
 * has the greater id. */
struct pool_size {
    int32_t wanted;   /* 0: not known yet */
    int32_t min, max; /* the bounds in which it follows what waits (autoscale.h); max 0: it does not */
    uint64_t version;
    uint8_t set_by[16];
    int32_t why;        /* enum pool_why */
    int64_t resized_ms; /* wall clock: when `wanted` became what it is */
    int64_t changed_ms; /* wall clock: when any of this became what it is; grows with each change */
};

enum { POOL_UNSAID = -1 };

/* What a size is to become. A member that is POOL_UNSAID stays as it is. */
struct pool_wish {
    int32_t wanted, min, max;
};
#define POOL_NO_WISH ((struct pool_wish){POOL_UNSAID, POOL_UNSAID, POOL_UNSAID})

struct pool_worker {
    pid_t pid; /* 0 while WAITING */
    int32_t state;
    int64_t since_ms; /* wall clock */
};

/* The parent to its manager. */
struct pool_report {
    struct pool_size size; /* as the manager last ordered it; a new manager learns it from here */
    struct pool_wish wish;
    int32_t more; /* workers more, or fewer, that signals ask for (SIGTTIN, SIGTTOU) */
    bool is_leaving;
    int32_t worker_count;
    struct pool_worker workers[POOL_CHILDREN_MAX];
};

/* The manager to its parent. */
struct pool_order {
    struct pool_size size;
    int32_t share; /* of the size, on this host */
};
