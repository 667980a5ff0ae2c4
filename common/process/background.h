#pragma once
/* Runs one call that may wait (a name look-up, a cancel request) in a thread of its own, so that the event loop goes on.
 *
 * A call lives from background_start until `done` has returned or background_abandon was called. After that the
 * thread finishes alone and touches neither the loop nor anything but its own work. */

#include <ev.h>

#include "common/base/macros.h"

struct background;

/* What is done with the work, in this order. */
struct background_steps {
    void (*run)(void *work);     /* in the thread; touches the work alone */
    void (*done)(void *work);    /* in the loop, once; left out after background_abandon */
    void (*release)(void *work); /* frees the work: in the loop, or in the thread of an abandoned call */
};

/* Starts the call. steps is kept, not copied. Returns NULL when no thread can be made; the work is then still the
 * caller's. `done` is never called from inside. */
struct background *background_start(struct ev_loop *loop, const struct background_steps *steps,
                                    void *work) MUST_CHECK;
/* Nobody waits for the call any more. NULL is allowed; not from inside `done`. */
void background_abandon(struct background *background);
