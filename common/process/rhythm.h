#pragma once
/* When work is done that comes again about every so often, and whose moment does not matter by itself: a look, a beat. All such work
 * of a process is done at the same moments, so that an idle process wakes once for all of it. Each process has moments of its
 * own, so that those of many do not ask the servers all at once. A wall clock that jumps moves the moments, and makes
 * nobody wait. */

#include <ev.h>

/* The seconds from now (ev_now) until the moment of this process that is nearest to `seconds` from now, and at least half of
 * them away. Moments are half a second apart: less than that is returned as it is, up to a tenth more or less. */
double rhythm_after(struct ev_loop *loop, double seconds);
