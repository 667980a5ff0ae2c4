#pragma once
/* A request of the HTTP API that came another way: the same routes, checks and handlers, and the same answer,
 * without a connection. */

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

/* Part of the asker's own struct, all zero but for on_answer. */
struct rpc_call {
    /* Once, unless it is forgotten; inside rpc_call_start or later. */
    void (*on_answer)(struct rpc_call *rpc, const struct rpc_answer *answer);
    struct call *call; /* NULL: nothing is on its way */
};

/* What it is given is copied. */
void rpc_call_start(struct gateway *gateway, const struct rpc_request *request, struct rpc_call *rpc);
void rpc_call_forget(
    struct rpc_call *rpc); /* also of one that is over; a command that was published goes on */
