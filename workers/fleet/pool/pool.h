#pragma once
/* A pool on one host: the parent that keeps a number of worker processes alive, and beside them one process
 * that speaks for it with the pool's parents on other hosts (manager.h).
 *
 *   FREE ── wanted ──▶ WAITING ── its time has come ──▶ RUNNING ── fewer wanted, or drain ──▶ LEAVING ──▶ FREE
 *                         ▲                                │
 *                         └── at once after a good life, ──┘ died
 *                             later and later after short ones, and when the pool's workers keep dying: give up
 *
 *   SIGTERM, SIGINT    the workers drain; the parent leaves after the last (who does not leave in time is killed)
 *   SIGTTIN, SIGTTOU   one worker more, one less, of all that the pool has on all hosts
 *   SIGHUP             settings are read again and the workers replaced one by one (reload.c)
 *
 * The parent has no thread, no connection and reads nothing that comes from outside, so that nothing a
 * command or a message does can take it down. Workers leave when it dies. What it says to systemd:
 * common/process/service.h. */

#include "common/process/config.h"

/* pulse_fd: where a worker tells that it turns and whether it is ready (common/process/pulse.h); owned by
 * it. */
typedef int pool_work(const struct config *config, const char *name, int pulse_fd);

/* Runs until told to leave, or until it gives up. In the parent it returns the exit status of the pool; in
 * each child, forked from here, it returns what the child's work returned: the caller passes it on to its own
 * caller either way. */
int pool_run(const struct config *config, const char *name, pool_work *work);
