#pragma once
/* A pool: the parent that keeps a number of worker processes alive.
 *
 *   FREE ── wanted ──▶ WAITING ── its time has come ──▶ RUNNING ── fewer wanted, or drain ──▶ LEAVING ──▶ FREE
 *                         ▲                                │
 *                         └── at once after a good life, ──┘ died
 *                             later after a short one
 *
 *   SIGTERM, SIGINT    the workers drain; the parent leaves after the last (who does not leave in time is killed)
 *   SIGTTIN, SIGTTOU   one worker more, one less
 *
 * The parent does no work of its own, so that nothing a command does can take it down; workers leave when it
 * dies. */

#include "common/config.h"

/* Runs until told to leave. In the parent it returns the exit status of the pool; in each child, forked from
 * here, it returns what `work` returned: the caller passes it on to its own caller either way. */
int pool_run(const struct config *config, const char *name,
             int (*work)(const struct config *config, const char *name));
