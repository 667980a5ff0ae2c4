#pragma once
/* How many workers a pool should have, from what waits: within bounds, up soon, down late. No I/O; the time
 * is given, by a clock that nobody sets (CLOCK_MONOTONIC).
 *
 *            more than `depth` a worker waits, or the oldest is older than age_ms
 *          ┌────────────────────────── for hurry_ms ──────────────────────────▶ up to what that takes, at most twice
 *   as it is
 *          └── fewer workers would have less than half of both ── calm_ms ──▶ down to what that takes, at least half
 *
 * Between the two nothing happens. A worker that was let go and is missed within a calm spell shows that the
 * spell was too short: the next one must last twice as long, up to AUTOSCALE_PATIENCE_MAX times, until a
 * shrink has stood for one. So a load that comes and goes is not followed for ever. */

#include <stdbool.h>
#include <stdint.h>

enum {
    AUTOSCALE_PATIENCE_MAX = 4,
    AUTOSCALE_GAP_MS =
        10000, /* not asked for so long: what was seen before says nothing about the time between */
};

struct autoscale_options {
    int min, max;     /* 1 ≤ min ≤ max */
    int64_t depth;    /* commands that may wait for each worker */
    int64_t age_ms;   /* that the oldest of them may have */
    int64_t hurry_ms; /* for how long it takes more before there are more */
    int64_t calm_ms;  /* and fewer before there are fewer */
};

struct autoscale_sight {
    int wanted; /* workers, as it is now */
    int64_t waiting;
    int64_t oldest_ms;
    bool is_troubled; /* the database or the broker is what they wait for: more workers would be no help */
};

/* Zeroed at first, and whenever somebody else has set the size. */
struct autoscale {
    int64_t asked_ms;            /* 0: never */
    int64_t pressed_ms, calm_ms; /* since when it takes more, or fewer; 0: it does not */
    int least, most;             /* that it took meanwhile */
    int64_t shrunk_ms; /* the last time, while it may still be regretted; 0: there is nothing to regret */
    int patience;
};

enum autoscale_reason { AUTOSCALE_STAYS, AUTOSCALE_BOUNDS, AUTOSCALE_DEPTH, AUTOSCALE_AGE, AUTOSCALE_CALM };

/* What `wanted` should be, in min … max; the caller makes it so. Ask about once a second. now_ms > 0. */
int autoscale_decide(struct autoscale *state, const struct autoscale_options *options,
                     const struct autoscale_sight *sight, int64_t now_ms, enum autoscale_reason *ret_reason);
