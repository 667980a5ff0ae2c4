#pragma once
/* What a worker process does beside its pool's commands, on connections of its own, so that neither waits for the other:
 *
 *   control.<pool> ─▶ what operators ask for (operator.h)
 *   dead.<pool> ────▶ what the broker gave up (dead_queue.h)
 *   schedule ───────▶ what is due by the clock (schedules.h)
 *
 * Every process of the pool has a desk; what one of them leaves undone when it dies, another does. */

#include <ev.h>

#include "common/process/config.h"

struct desk;

/* Strings of `config` and `pool` must outlive it. */
enum err desk_new(struct ev_loop *loop, const struct config *config, const char *pool,
                  struct desk **ret_desk) MUST_CHECK;
void desk_free(struct desk *desk);

void desk_drain(struct desk *desk); /* takes nothing more */
bool desk_is_empty(const struct desk *desk);
