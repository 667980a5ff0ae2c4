#pragma once
/* A request to the HTTP API that does not come over HTTP: an rpc on a WebSocket. It meets the same routes,
 * checks and handlers, and gets the same answer, without a connection. */

#include "gateway/http/call.h"

struct rpc_request {
    const struct identity *identity;
    struct slice line; /* "POST /v1/projects?…" */
    const struct call_header *headers;
    size_t header_count;
    struct slice body; /* JSON; empty: none */
};

struct rpc_answer {
    int status;
    const char *content_type; /* NULL: no body */
    struct slice headers;     /* lines, each with its CRLF */
    struct slice body;
};

/* Embedded in the caller's struct; all zero but for on_answer. */
struct rpc_call {
    /* Called once, unless the call is forgotten: from inside of rpc_call_start, or later. */
    void (*on_answer)(struct rpc_call *rpc, const struct rpc_answer *answer);
    struct call *call; /* NULL: no call is on its way */
};

/* The request, which holds no more than a request head may, is copied but for its body. */
void rpc_call_start(struct gateway *gateway, const struct rpc_request *request, struct rpc_call *rpc);
size_t rpc_request_memory(const struct rpc_request *request); /* octets that it holds while it waits */
/* No answer is wanted any more; a command that was published goes on. A call that has been answered may be
 * forgotten, too. */
void rpc_call_forget(struct rpc_call *rpc);
