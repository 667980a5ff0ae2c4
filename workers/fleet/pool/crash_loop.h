#pragma once
/* Whether the workers of a pool keep dying at once: `limit` such deaths within `window_ms`. The caller counts
 * no death of a worker that had been healthy, however often that happens. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRASH_LIMIT_MAX = 4096 };

struct crash_loop {
    int64_t times_ms[CRASH_LIMIT_MAX]; /* the latest deaths, a ring */
    size_t count;                      /* of all deaths */
};

/* Adds a death; true when the limit is reached. limit: 1 to CRASH_LIMIT_MAX; a larger one counts as that. */
bool crash_loop_add(struct crash_loop *loop, int64_t now_ms, size_t limit, int64_t window_ms);
