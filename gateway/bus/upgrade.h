#pragma once
/* Whether a process of a version before may run, for each of two upgrades.
 *
 *   To slots: a worker whose events go to `events` alone, or a gateway that binds companies there. While one may, this
 *   process binds its companies on `events`, too, and workers publish under both keys
 *   (workers/engine/outbox/gateways.h).
 *   To parcels: a worker whose events go to `events.slots`, or a gateway that reads no parcels of events. While one
 *   may, this process binds its slots on `events.slots`, too, and workers publish each event by itself.
 *
 *   LISTENING ── no such process was heard for UPGRADE_LISTEN_MS ──▶ OVER
 *       └── one is heard ──▶ MIXED ── not for upgrade_silent_ms ─────▲ │
 *                              ▲────────────── one is heard ───────────┘
 *
 * Every process is heard: workers announce themselves each second on the exchange `control`, gateways by the
 * beats of presence. Those of this version say what they speak of. A process that starts later is heard
 * as well, so an upgrade may be taken back. What it publishes before that is found by the look at the
 * position that follows each new binding. */

#include "gateway/gateway.h"

enum { UPGRADE_LISTEN_MS = 3000 };

struct upgrade;

enum upgrade_to { UPGRADE_TO_SLOTS, UPGRADE_TO_PARCELS, UPGRADES };

/* on_change is called, from the loop or from upgrade_hear_old, when OVER begins or ends. */
struct upgrade *upgrade_new(struct gateway *gateway, void (*on_change)(void *ctx, enum upgrade_to to),
                            void *ctx);
void upgrade_free(struct upgrade *upgrade);

void upgrade_on_bound(struct upgrade *upgrade); /* from now on this process hears the others */
/* A process of the version before was heard. */
void upgrade_hear_old(struct upgrade *upgrade, enum upgrade_to to);
/* What a worker or a manager says under member.<pool>. */
void upgrade_on_member(struct upgrade *upgrade, struct slice body);

bool upgrade_is_over(const struct upgrade *upgrade, enum upgrade_to to);
