#pragma once
/* A pulse tells a parent that the event loop of its child turns, and whether the child can do its work.
 *
 *   child   pulse ─ every PULSE_MS, and whenever readiness changes ─▶ pipe ─▶ pulse_read   parent
 *
 * The child never waits for the parent: a beat that the pipe does not take is dropped, and the next beat says
 * the same. */

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

enum { PULSE_MS = 1000 };

/* ---- the child ---- */

struct pulse;

/* fd is the writing end, which the pulse owns from now on; -1: nobody listens. The child counts as not ready
 * until pulse_set_ready. */
struct pulse *pulse_new(struct ev_loop *loop, int fd);
void pulse_free(struct pulse *pulse);
void pulse_set_ready(struct pulse *pulse, bool ready);

/* ---- the parent ---- */

struct pulse_heard {
    int64_t beat_us; /* monotonic time of the last beat; 0: none has come */
    bool ready;
};

/* Makes the pipe. Both ends close on exec and do not block. */
enum err pulse_pipe(int *ret_read_fd, int *ret_write_fd) MUST_CHECK;

/* Reads the beats that have arrived. Returns false when the child has closed its end. */
bool pulse_read(int fd, struct pulse_heard *heard);
