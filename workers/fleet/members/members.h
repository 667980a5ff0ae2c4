#pragma once
/* The workers of a pool, seen from one of them: it says on the exchange `control` that it lives and what it
 * holds, hears the same of the others, and works out which partitions are meant for it.
 *
 *   DEAF ── bound ──▶ LISTENING ── it hears itself, and then the others for a moment ──▶ JOINED
 *    ▲                    │                                                                │
 *    └── connection gone ─┴────────────────────────────────────────────────────────────────┘
 *
 * What must hold:
 * - A partition is consumed only while no other worker that lives holds it. (Where two are mistaken, the
 *   queue serves
 *   one of them: single active consumer.)
 * - Others take over from who was silent for silent_ms; so who has not heard itself for less than that gives
 *   up all that
 *   it holds first.
 * - While the broker takes no messages (an alarm) nobody can be heard, and silence means nothing: who lives,
 *   and what is
 *   whose, stays as it was.
 * - What is not handed over in handover_ms is taken without it: its holder gives up all that it holds after
 *   half of that
 *   time, by connecting anew, and the queue serves the next one in any case when it goes. */

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
    /* Partitions, bit by bit: those that are ours to consume, and those that others hold for now. */
    void (*on_assigned)(void *ctx, uint64_t ours, uint64_t held_by_others);
    /* Stop consuming at once, so that all that is not acked goes back to the queues. `why` lives for ever. */
    void (*on_give_up)(void *ctx, const char *why);
};

/* broker: where it speaks and listens. Callbacks come from the loop, members_turn and members_leave. */
struct members *members_new(struct ev_loop *loop, struct broker *broker,
                            const struct members_options *options, const struct members_callbacks *callbacks,
                            void *ctx);
void members_free(struct members *members); /* after its broker */

/* What happens to the connection. */
void members_up(struct members *members);
void members_down(struct members *members);
void members_blocked(struct members *members, bool blocked);
void members_delivery(struct members *members, const struct broker_delivery *delivery);

/* What `describe` tells is not what it was. */
void members_changed(struct members *members);
/* Once per turn of the loop. */
void members_turn(struct members *members);

/* Nothing is meant for it any more. It goes on telling what it still holds. */
void members_leave(struct members *members);
