#pragma once
/* A pool on one host: the parent that keeps a number of worker processes alive, and beside them one process
 * that speaks for it with the pool's parents on other hosts (workers/fleet/manager/manager.h).
 *
 * The states of a worker are those of every child process (common/process/child.h). It is stopped when fewer
 * are wanted, or when the pool drains. When the pool's workers keep dying at once, the pool gives up
 * (crash_loop.h).
 *
 *   SIGTERM, SIGINT    the workers drain; the parent leaves after the last. A worker that does not leave in time is killed.
 *   SIGTTIN, SIGTTOU   one worker more, one less, of all that the pool has on all hosts
 *   SIGHUP             the settings are read again and the workers replaced one by one (reload.c)
 *
 * The parent has no thread and no connection, and reads nothing that comes from outside: no command and no
 * message can take it down. When it dies, its workers leave. What it says to systemd:
 * common/process/service.h. */

#include "common/process/config.h"

/* What a worker process does. It owns pulse_fd, on which it beats (common/process/pulse.h). */
typedef int pool_work(const struct config *config, const char *name, int pulse_fd);

/* Runs until a signal ends it, or until the pool gives up. In the parent it returns the exit status of the
 * pool. In each child, which is forked in here, it returns what the child's work returned. Either way the
 * caller returns it to its own caller. */
int pool_run(const struct config *config, const char *name, pool_work *work);
