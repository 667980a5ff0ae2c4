#pragma once
/* Finds the row of the route table (gateway->routes) for the method and the path of a call. */

#include "gateway/http/call.h"

enum route_access {
    ACCESS_HEALTH, /* anybody, also while the process takes no other connections */
    ACCESS_PUBLIC,
    ACCESS_HOOK,   /* who can sign as the source that the path names; the handler asks (hooks/receive.h) */
    ACCESS_TICKET, /* a token, or a ticket in the query, which the handler takes (sse/tickets.h) */
    ACCESS_TOKEN,
    ACCESS_OPERATOR
};

/* One endpoint. */
struct route {
    enum http_method method;
    enum route_access access;
    /* "/v1/projects/{id}": a {…} stands for a UUID, or for a word (router_is_word). */
    const char *pattern;
    const char *resource; /* name of the msg_resource; NULL: none */
    void (*handler)(struct call *call);
    /* For /openapi.json: the row of openapi/operation.c that says what such a route takes and answers, and a
     * sentence. */
    const char *verb, *summary;
};

static inline bool route_asks_token(const struct route *route)
{
    return route->access >= ACCESS_TICKET;
}

struct route_table {
    const struct route *rows;
    size_t count;
    struct route_tree *tree; /* route_tree.h */
};

/* Sets the call's route, resource and params. ERR_NOT_FOUND, or ERR_METHOD_NOT_ALLOWED with an Allow header
 * added. */
enum err router_find(struct call *call) MUST_CHECK;

/* "POST" is METHOD_POST; a method that no route has is METHOD_OTHER. */
enum http_method router_method(struct slice name);

/* Adds the Allow header for the call's path (RFC 9110 10.2.1), and Accept-Patch where it takes PATCH (RFC 5789
 * 3.1); ERR_NOT_FOUND when no route has this path. */
enum err router_allow(struct call *call) MUST_CHECK;

/* Whether a parameter of a pattern stands for a word: {name} and {pool} stand for 1 to 64 lower-case letters,
 * digits and "._-". */
bool router_is_word(struct slice parameter);
