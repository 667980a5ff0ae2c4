#pragma once
/* The commands that this process holds and has not begun: in the order of delivery, bounded by the prefetch.
 *
 *   delivery ─▶ waiting ─ intake_take ─▶ a batch
 *                  ▲
 *   retry ─▶ resting (a moment, with jitter)
 */

#include "workers/job.h"

struct intake;

struct intake *intake_new(struct ev_loop *loop);
void intake_free(struct intake *intake);

void intake_add(struct intake *intake, struct job *job);
/* Adds it again, in front of the others, after a rest. */
void intake_rest(struct intake *intake, struct job *job);

/* The next batch, as a list: at most `max` commands and about a megabyte of bodies, no two with the same id
 * (the second finds the result of the first in the inbox, if it comes after it). A command that has been
 * delivered several times may be what kills its workers: it goes alone. NULL when nothing waits. */
struct job *intake_take(struct intake *intake, size_t max);

/* The connection is gone: all of this will be delivered again. */
void intake_clear(struct intake *intake);

size_t intake_waiting(const struct intake *intake);
size_t intake_resting(const struct intake *intake);
