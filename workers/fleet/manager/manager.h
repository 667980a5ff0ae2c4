#pragma once
/* The process that speaks for one host's part of a pool with the others: over the exchange `control` with the
 * managers on other hosts and with those who ask (wire.h), over a socket pair with its parent (pool_wire.h).
 *
 *                      announcements, requests                 order: this many are yours
 *   other managers ◀──────── control ────────▶ manager ◀──────────── socket ─────────────▶ parent ─ forks ─▶ workers
 *                                                         report: these live, these died
 *
 *   LISTENING ── another says how many are wanted, or nobody does in time: the settings ──▶ MANAGING
 *
 * Without the broker it goes on with what it knows: who was there stays counted until it can hear again. It
 * holds nothing that is not also with the parent, which starts another one when it dies. */

#include "common/base/uuid.h"
#include "common/process/config.h"

struct manager_options {
    struct uuid id; /* of this host's part of the pool, whatever process speaks for it */
    int order_fd;   /* to the parent; both are owned */
    int pulse_fd;
};

/* Until SIGTERM, or until the parent is gone. Returns the exit status. */
int manager_run(const struct config *config, const char *pool, const struct manager_options *options);
