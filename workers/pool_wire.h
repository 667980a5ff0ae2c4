#pragma once
/* What a pool's parent and its manager tell one another, over a socket pair that keeps messages whole. Each message
 * says everything as it is now, so the latest one is enough. Both run the same program: the structs travel as they are. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    POOL_WORKERS_MAX = 256,                     /* wanted, as in config.def */
    POOL_PLACES_MAX = 2 * POOL_WORKERS_MAX + 1, /* with those that leave, and the newcomer of a reload */
};

enum pool_worker_state { WORKER_WAITING, WORKER_STARTING, WORKER_READY, WORKER_UNREADY, WORKER_LEAVING };

/* wanted: of the whole pool, over all hosts. The higher version is the later word, of two alike the one whose
 * manager has the greater id. */
struct pool_size {
    int32_t wanted; /* 0: not known yet */
    uint64_t version;
    uint8_t set_by[16];
};

struct pool_worker {
    pid_t pid; /* 0 while WAITING */
    int32_t state;
    int64_t since_ms; /* wall clock */
};

/* The parent to its manager. */
struct pool_report {
    struct pool_size size; /* as the manager last ordered: tells a manager that starts anew */
    int32_t wish;          /* set the size to this; 0: no wish */
    int32_t more;          /* change the size by this (SIGTTIN, SIGTTOU) */
    bool is_leaving;
    int32_t worker_count;
    struct pool_worker workers[POOL_PLACES_MAX];
};

/* The manager to its parent. */
struct pool_order {
    struct pool_size size;
    int32_t share; /* of the size, on this host */
};
