#pragma once
/* The partitions of the pool's commands that this worker consumes, each from a queue of its own.
 *
 *   FREE ── ours, and no other holds it ──▶ CONSUMING ── no longer ours ──▶ ENDING ── cancelled ──▶ FINISHING
 *     ▲                                         │                            │                         │
 *     └───────── the connection is gone ────────┴────────────────────────────┴─ nothing of it is left ─┘
 *
 * A partition is handed over by agreement. A worker holds it until the last command that was delivered of it
 * is finished, and only then may another worker consume it. So nothing is delivered twice, and a company's
 * commands stay in order.
 *
 * The prefetch stays the same after a process has died. A smaller one would spare the commands behind one
 * that kills its process some deliveries (each death costs them one, of CORTEX_DELIVERY_LIMIT). But a quorum
 * queue puts what comes back behind all else that has come back: with a smaller window a second death changes
 * the order. With the same window all of it comes back again.
 *
 * What must hold: on_gained and on_lost of a partition alternate; deliveries of it come after on_gained, and
 * until it is FINISHING. */

#include "common/broker/broker.h"

struct partitions;

struct partitions_callbacks {
    void (*on_gained)(void *ctx, unsigned partition);
    /* It is not ours any more: the worker begins nothing of it but what has been delivered. */
    void (*on_lost)(void *ctx, unsigned partition);
    /* Whether there is anything of a lost partition left to do or to ack. Called once per turn until there is
     * not. */
    bool (*has_work)(void *ctx, unsigned partition);
    /* The set that this worker holds has changed. */
    void (*on_changed)(void *ctx);
};

/* prefetch: of each of the `count` partitions (CORTEX_PARTITIONS). */
struct partitions *partitions_new(struct broker *broker, const char *pool, unsigned count, uint16_t prefetch,
                                  const struct partitions_callbacks *callbacks, void *ctx);
void partitions_free(struct partitions *partitions); /* after its broker */

/* The partition of a delivery that came to one of these consumers. */
unsigned partitions_of(const struct broker_delivery *delivery);

/* Sets of partitions: bit p is partition p. */
uint64_t partitions_held(const struct partitions *partitions); /* all that are not FREE */

/* Which partitions are to be ours, and which other workers still hold. Takes effect in partitions_turn. */
void partitions_assign(struct partitions *partitions, uint64_t ours, uint64_t held_by_others);

/* The queues of the connection are declared; the connection is gone. */
void partitions_up(struct partitions *partitions);
void partitions_down(struct partitions *partitions);

/* Once per turn of the loop. */
void partitions_turn(struct partitions *partitions);
