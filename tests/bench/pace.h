#pragma once
/* Fixed times at which something is due: the n-th at begin + n / rate, whatever came of those before it.
 * Latencies are counted from these times, so that a server which stalls is charged for everything that had to
 * wait (no coordinated omission). A timerfd wakes the loop: libev's own timers are rounded up to a
 * millisecond. */

#include <ev.h>
#include <stdint.h>

#include "common/base/macros.h"

struct pace {
    struct ev_loop *loop;
    ev_io watcher;
    int fd;
    int64_t begin_us, rate;
    void (*on_due)(void *ctx);
    void *ctx;
};

/* rate: per second. Nothing is due before begin_us (monotonic). Ends the process when there is no timer to be
 * had. */
void pace_start(struct pace *pace, struct ev_loop *loop, int64_t rate, int64_t begin_us,
                void (*on_due)(void *ctx), void *ctx);
void pace_stop(struct pace *pace);

int64_t pace_due(const struct pace *pace, uint64_t n); /* monotonic µs */
/* Sleeps until the n-th is due; on_due is called then, or in the next turn when that is past. */
void pace_wake(struct pace *pace, uint64_t n);
