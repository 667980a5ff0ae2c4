#pragma once
/* The bindings of this process's queue to one exchange, many thousands of them perhaps. Each is a part of its
 * owner's struct, and is bound or unbound until it is as the owner wants it.
 *
 *            wanted, its turn has come               the broker confirms
 *   FREE ───────────────────────────────▶ BINDING ─────────────────────────▶ BOUND
 *     ▲                                                                        │
 *     └──────── the broker confirms ───── UNBINDING ◀── not wanted, its turn ──┘
 *
 * What must hold: at most BINDINGS_IN_FLIGHT declarations are on their way, so that neither the connection's
 * output nor a broker that makes a thousand bindings a second is overrun, whatever is wanted, and however
 * often it changes. They are made in the order in which they were wanted. */

#include "common/broker/broker.h"

enum { BINDINGS_IN_FLIGHT = 256, BINDING_KEY_SIZE = 64 };

enum binding_state { BINDING_FREE, BINDING_BINDING, BINDING_BOUND, BINDING_UNBINDING };

/* All zero: free and not wanted. */
struct binding {
    enum binding_state state;
    bool is_wanted;
    bool is_waiting; /* for its turn */
    struct binding *next;
};

struct bindings_options {
    const char *exchange;
    void (*write_key)(void *ctx, const struct binding *binding, char key[BINDING_KEY_SIZE]);
    /* It is BOUND or FREE, as wanted. The call may end the binding's life if it is FREE. */
    void (*on_settled)(void *ctx, struct binding *binding);
};

struct bindings_list {
    struct binding *first, **last;
};

struct bindings {
    const struct bindings_options *options;
    void *ctx;
    struct broker *broker;
    const char *queue; /* NULL: there is none */
    struct bindings_list waiting, in_flight;
    size_t in_flight_count;
    uint64_t asked, settled; /* turns that were asked for, and that are over, in that order */
    uint64_t mark;           /* on_marked is called when so many are over */
    void (*on_marked)(void *ctx);
};

void bindings_init(struct bindings *bindings, const struct bindings_options *options, void *ctx);

/* The queue is declared. The owner calls bindings_want for what it wants. */
void bindings_up(struct bindings *bindings, struct broker *broker, const char *queue);
/* The queue is gone. The owner calls binding_forget for each of its bindings. */
void bindings_down(struct bindings *bindings);
void binding_forget(struct binding *binding);

/* Without a queue it is only noted. on_settled never comes from inside of this call. */
void bindings_want(struct bindings *bindings, struct binding *binding, bool is_wanted);
/* Calls on_marked once all that is wanted now is settled, never from inside of this call. A later mark
 * replaces an earlier one; none outlives the queue. */
void bindings_mark(struct bindings *bindings, void (*on_marked)(void *ctx));
