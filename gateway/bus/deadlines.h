#pragma once
/* Many time limits at the price of one timer: a wheel whose slots are ticks of the monotonic clock.
 *
 *   now ─▶ [slot]─[slot]─[slot]─ … ─[slot] ─▶ around again
 *             └─ entries due in this tick, or a turn of the wheel later
 *
 * Setting and clearing a limit cost a few stores. A limit is met up to one tick late. The timer stops while
 * nothing waits.
 */

#include <ev.h>
#include <stdint.h>

#include "common/base/macros.h"

enum { DEADLINES_SLOTS = 512, DEADLINES_TICK_MS = 20 };

/* Embedded in what waits; all zero when it is not set. */
struct deadline {
    int64_t due_ms;
    struct deadline *next, **link; /* link: what points to this one; NULL when it is not set */
};

struct deadlines {
    struct ev_loop *loop;
    struct ev_timer tick;
    void (*on_due)(struct deadline *deadline);
    int64_t swept_ms; /* every deadline that was due by then has been called */
    size_t count;
    struct deadline *slots[DEADLINES_SLOTS];
};

/* on_due is called from the loop, when the deadline has been cleared already. It may set and clear any
 * deadline. */
void deadlines_init(struct deadlines *deadlines, struct ev_loop *loop,
                    void (*on_due)(struct deadline *deadline));
void deadlines_done(struct deadlines *deadlines);

/* `ms` from now. A deadline that is set already is moved. */
void deadline_set(struct deadlines *deadlines, struct deadline *deadline, int64_t ms);
/* Does nothing when it is not set. */
void deadline_clear(struct deadlines *deadlines, struct deadline *deadline);
