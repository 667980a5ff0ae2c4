#pragma once
/* A request and its answer, while they are under way. Those at rest wait in a pool with a little memory, so that the next
 * request costs no allocation. */

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
    enum exchange_state state;
    bool in_handler;
    bool body_limit_set, head_limit_set;
    enum err refusal; /* known from the head: told when the body has been read */
    const char *why;
    struct exchange *next_resting;
};

struct exchange *exchange_new(struct gateway *gateway);
void exchange_free(struct exchange *exchange); /* to the pool */
/* The same, in the next turn of the loop: those who answered it are still on the stack. */
void exchange_retire(struct exchange *exchange);

static inline struct exchange *exchange_of(struct call *call)
{
    return CONTAINER_OF(call, struct exchange, call);
}
