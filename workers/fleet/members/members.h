#pragma once
/* The workers of a pool, seen from one of them. It says on the exchange `control` that it lives and what it
 * holds, hears the same of the others, and works out which partitions are meant for it.
 *
 *   DEAF ── bound ──▶ LISTENING ── it hears itself, and then the others for a moment ──▶ JOINED
 *    ▲                    │                                                                │
 *    └── connection gone ─┴────────────────────────────────────────────────────────────────┘
 *
 * What must hold:
 *
 * - A worker consumes a partition only while no other living worker holds it. Where two are mistaken, the
 *   queue
 *   serves one of them: it is a single active consumer.
 * - The others take over from a worker that was silent for silent_ms. A worker that has not heard itself for
 *   nearly
 *   that long gives up all that it holds before they do.
 * - While the broker takes no messages (an alarm) no worker can be heard, and silence means nothing:
 *   everybody
 *   keeps what it has.
 * - A partition that is not handed over within handover_ms is taken without that. Its holder gives up all
 *   that it
 *   holds after half of that time, by connecting anew, and the queue then serves the next consumer. */

#include "common/broker/broker.h"
#include "workers/fleet/members/wire.h"

struct members;

struct members_options {
    const char *pool; /* kept, not copied */
    unsigned partitions;
    int64_t silent_ms, handover_ms; /* CORTEX_MEMBER_SILENT_MS, CORTEX_HANDOVER_MS */
};

struct members_callbacks {
    void (*describe)(void *ctx, struct member_report *ret_report);
    /* Partitions, bit by bit: those that this worker is to consume, and those that others still hold. */
    void (*on_assigned)(void *ctx, uint64_t ours, uint64_t held_by_others);
    /* The worker must stop consuming at once, so that all that is not acked goes back to the queues. `why` is
     * static. */
    void (*on_give_up)(void *ctx, const char *why);
};

/* `broker` carries what it says and hears. Callbacks come from the loop, members_turn and members_leave. */
struct members *members_new(struct ev_loop *loop, struct broker *broker,
                            const struct members_options *options, const struct members_callbacks *callbacks,
                            void *ctx);
void members_free(struct members *members); /* after its broker */

/* The owner of the connection calls these. */
void members_up(struct members *members);
void members_down(struct members *members);
void members_blocked(struct members *members, bool blocked);
void members_delivery(struct members *members, const struct broker_delivery *delivery);

/* What `describe` fills in has changed. */
void members_changed(struct members *members);
/* Once per turn of the loop. */
void members_turn(struct members *members);

/* No partition is meant for this worker any more. It goes on saying what it still holds. */
void members_leave(struct members *members);
