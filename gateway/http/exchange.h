#pragma once
/* A request and its answer, from the first octet of the one to the last of the other. Exchanges that are not
 * in use wait in a pool with a little memory, so that the next request costs no allocation.
 *
 *   READING ── head and body ──▶ WORKING ── answered ──▶ ANSWERED ── handler off the stack ──▶ freed
 *                                   └── another protocol takes over ──▶ LEFT ──────────────────▲
 */

#include "gateway/http/call.h"
#include "gateway/http/request.h"

enum exchange_state {
    READING,
    WORKING,  /* its handler has it */
    ANSWERED, /* the answer is in the output */
    LEFT,     /* the connection speaks another protocol now */
};

struct exchange {
    struct call call;
    struct request request;
    enum exchange_state state; /* exchange_set_state */
    bool in_handler;
    bool body_limit_set, head_limit_set;
    enum err refusal; /* known from the head; the client gets it when the body has been read */
    const char *why;
    struct exchange_pool *pool;
    struct exchange *next; /* in a list of the pool */
};

enum { EXCHANGE_ARENA_BLOCK = 4096 }; /* octets: the least memory of a call that allocates anything */

/* The exchanges of a process that are in no request's use. */
struct exchange_pool {
    struct gateway *gateway;
    struct exchange *unused;
    size_t unused_count;
    struct exchange *retired; /* freed when the turn ends */
    ev_prepare turn;
};

void exchange_pool_init(struct exchange_pool *pool, struct gateway *gateway);
void exchange_pool_done(struct exchange_pool *pool); /* every exchange has been freed or retired */

struct exchange *exchange_new(struct exchange_pool *pool); /* READING, its call's gateway set */
void exchange_free(struct exchange *exchange);             /* to the pool */
/* The same, in the next turn of the loop: the functions that answered it are still on the stack. */
void exchange_retire(struct exchange *exchange);

void exchange_set_state(struct exchange *exchange, enum exchange_state state);

size_t exchange_memory(const struct exchange *exchange); /* octets, itself included */
/* The handler has made what it needs of the body (a command, a query), so a large body is freed while the call
 * waits. */
void exchange_drop_body(struct exchange *exchange);

static inline struct exchange *exchange_of(struct call *call)
{
    return CONTAINER_OF(call, struct exchange, call);
}
