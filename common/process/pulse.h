#pragma once
/* What a child tells the parent that forked it: that its loop turns, and whether it can do its work.
 *
 *   child   pulse ─ every PULSE_MS, and at once when it becomes ready or no more ─▶ pipe ─▶ pulse_read   parent
 *
 * The child never waits for the parent: what the pipe does not take is dropped, and the next beat tells the same. */

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

enum { PULSE_MS = 1000 };

/* ---- the child ---- */

struct pulse;

/* fd: the writing end, owned from now on; -1: nobody listens. Not ready until told. */
struct pulse *pulse_new(struct ev_loop *loop, int fd);
void pulse_free(struct pulse *pulse);
void pulse_set_ready(struct pulse *pulse, bool ready);

/* ---- the parent ---- */

struct pulse_heard {
    int64_t beat_us; /* monotonic, of the last beat; 0: none yet */
    bool ready;
};

/* Both ends close on exec and do not block. */
enum err pulse_pipe(int *ret_read_fd, int *ret_write_fd) MUST_CHECK;

/* Takes what has arrived. False when the child has closed its end. */
bool pulse_read(int fd, struct pulse_heard *heard);
