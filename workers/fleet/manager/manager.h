#pragma once
/* The process that speaks for the part of a pool on one host. Over the exchange `control` it talks with the
 * managers on other hosts and answers requests (wire.h), over a socket pair with its parent (pool_wire.h).
 *
 *                     announcements, requests              order: this many are yours
 *   other managers ◀──────── control ────────▶ manager ◀─────────── socket ───────────▶ parent ─ forks ─▶ workers
 *                                                      report: these live, these died
 *
 *   LISTENING ── another manager says how many are wanted, or none does in time: the settings ──▶ MANAGING
 *
 * Without the broker it goes on with what it knows, and counts the managers that it knew until it can hear
 * again. All that it holds its parent has, too, so the parent starts another one when it dies. */

#include "common/base/uuid.h"
#include "common/process/config.h"

struct manager_options {
    struct uuid id; /* of this host's part of the pool; it outlives the process */
    int order_fd;   /* the socket to the parent; the manager closes both */
    int pulse_fd;
};

/* Runs until SIGTERM, or until the parent is gone, and returns the exit status. */
int manager_run(const struct config *config, const char *pool, const struct manager_options *options);
