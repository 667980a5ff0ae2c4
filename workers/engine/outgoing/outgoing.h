#pragma once
/* Does what a pool does outside of us, where nobody knows how long it takes: requests to other people's servers.
 *
 *   outgoing_lane ── look ──▶ lanes that this process holds ── due ──▶ acts, in turn ──▶ the world
 *        ▲                                                                               │
 *        └────────────── one transaction: record ◀──────────── outcomes ◀────────────────┘
 *
 * - A lane is a destination. One process holds it at a time, under a lease that outlasts every act; so what a destination
 *   bears (acts at once, acts a second, one after the other) is kept by counting in memory. The outcome of an act whose lease was
 *   lost is not recorded.
 * - Nothing is locked while an act is under way. What waits, waits in the database, by its clock.
 * - Lanes take turns, and a company has a share of what is under way (CORTEX_OUTGOING_SHARE).
 * - A destination that has failed FAILURES_MAX times in a row gets one act at a time until one succeeds.
 * - A process looks for lanes once a second, and when it is told to (outgoing_poke): one statement, however many lanes
 *   rest.
 *
 * It has a database connection of its own. */

#include "common/process/config.h"
#include "workers/engine/command/partition_set.h"
#include "workers/engine/outgoing/kind.h"

struct outgoing;

struct outgoing_options {
    const struct config *config;
    const struct outgoing_kind *kind;
    const struct secrets *secrets;
    const struct partition_set *partitions;
};

/* What `options` point to must outlive it. */
enum err outgoing_new(struct ev_loop *loop, const struct outgoing_options *options,
                      struct outgoing **ret_outgoing) MUST_CHECK;
/* All functions here do nothing for one that is NULL. */
void outgoing_free(struct outgoing *outgoing);

/* Something may be due. */
void outgoing_poke(struct outgoing *outgoing);
/* A partition is ours from now on. */
void outgoing_gained(struct outgoing *outgoing);
/* The lanes of this partition are somebody else's from now on. */
void outgoing_lost(struct outgoing *outgoing, unsigned partition);
/* Begins nothing while `is_held`: the database lacks what it needs. */
void outgoing_hold(struct outgoing *outgoing, bool is_held);
/* Begins nothing more, and gives back what it holds. */
void outgoing_drain(struct outgoing *outgoing);
bool outgoing_is_idle(const struct outgoing *outgoing);
