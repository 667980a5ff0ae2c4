#pragma once
/* Whether the workers of a pool keep dying at once: `limit` such deaths within `window_ms`. A worker that did
 * its work for a while before it died is not counted by the caller, however often that happens. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRASH_LIMIT_MAX = 4096 };

struct crash_loop {
    int64_t times_ms[CRASH_LIMIT_MAX]; /* a ring of the latest */
    size_t count;                      /* of all */
};

/* One more death; true when it is the one too many. limit: 1 to CRASH_LIMIT_MAX, larger ones count as
 * that. */
bool crash_loop_add(struct crash_loop *loop, int64_t now_ms, size_t limit, int64_t window_ms);
