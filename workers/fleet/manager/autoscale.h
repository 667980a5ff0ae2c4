#pragma once
/* How many workers a pool should have, from what waits: within bounds, up soon, down late. No I/O; the caller
 * gives the time, by a clock that nobody sets (CLOCK_MONOTONIC).
 *
 *             more than `depth` a worker waits, or the oldest is older than age_ms
 *           ┌────────────── for hurry_ms ──────────────▶ up to what that takes, at most twice as many
 *   as it is
 *           └────────────── for calm_ms ───────────────▶ down to what that takes, at least half as many
 *             fewer workers would have less than half of both
 *
 * Between the two nothing happens. When more workers are needed within a calm spell after a shrink, the spell
 * was too short: the next one must last twice as long, up to AUTOSCALE_PATIENCE_MAX times, until a shrink has
 * stood for a whole spell. So the size does not follow for ever a load that comes and goes. */

#include <stdbool.h>
#include <stdint.h>

enum {
    AUTOSCALE_PATIENCE_MAX = 4,
    /* After so long without a decision, what was seen before says nothing about the time between. */
    AUTOSCALE_GAP_MS = 10000,
};

struct autoscale_options {
    int min, max;     /* 1 ≤ min ≤ max */
    int64_t depth;    /* commands that may wait for each worker */
    int64_t age_ms;   /* how old the oldest of them may be */
    int64_t hurry_ms; /* how long more workers must be needed before there are more */
    int64_t calm_ms;  /* how long fewer must be needed before there are fewer */
};

struct autoscale_sight {
    int wanted;      /* workers now */
    int64_t waiting; /* commands */
    int64_t oldest_ms;
    bool is_troubled; /* the commands wait for the database or the broker: more workers would not help */
};

/* All zero at first, and whenever something else has set the size. */
struct autoscale {
    int64_t decided_ms;          /* the last decision; 0: none */
    int64_t pressed_ms, calm_ms; /* since when more, or fewer, are needed; 0: they are not */
    int least, most;             /* that were needed since then */
    int64_t shrunk_ms;           /* the last shrink, until it has stood for a whole spell; 0: none */
    int patience;                /* how often the calm spell has been doubled */
};

enum autoscale_reason { AUTOSCALE_STAYS, AUTOSCALE_BOUNDS, AUTOSCALE_DEPTH, AUTOSCALE_AGE, AUTOSCALE_CALM };

/* Returns what `wanted` should be, in min … max; the caller makes it so. Call it about once a second. now_ms
 * > 0. */
int autoscale_decide(struct autoscale *state, const struct autoscale_options *options,
                     const struct autoscale_sight *sight, int64_t now_ms, enum autoscale_reason *ret_reason);
