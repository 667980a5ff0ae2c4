#pragma once
/* One HTTP request and its answer. http.c makes the call when the head has arrived and frees it when the
 * answer is written. A handler answers it exactly once, at once or later. When the client goes away first,
 * on_gone is called, and the call must not be touched after that. */

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/bytes.h"
#include "common/crypto/token.h"
#include "common/msg/msg.h"
#include "gateway/gateway.h"

struct conn;
struct route;

enum http_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER
};

struct call_header {
    struct slice name, value; /* as sent; names compare without case */
};

/* Request headers on which an answer depends (Vary, RFC 9110 12.5.5). */
enum call_vary { VARY_ORIGIN = 1, VARY_AUTHORIZATION = 2, VARY_ACCEPT = 4 };

/* The media types of a PATCH: JSON Merge Patch (RFC 7396), and the same under the name of what it looks like. */
#define CALL_ACCEPT_PATCH "application/merge-patch+json, application/json"

enum {
    CALL_PARAMS_MAX = 3,
    CALL_ADDED_MAX = 16 * 1024, /* octets of header lines that an answer may add */
};

struct call {
    struct gateway *gateway;
    struct conn *conn;
    enum http_method method;
    struct slice path;  /* percent-decoded, without the query */
    struct slice query; /* raw */
    struct call_header *headers;
    size_t header_count;
    struct slice body;
    const struct route *route;
    const struct msg_resource *resource;  /* of the route, where it has one */
    struct slice params[CALL_PARAMS_MAX]; /* the {…} of the route, in order */
    struct identity identity;             /* of the token, where the route asks for one */
    /* Names the request in logs, messages and the answer (X-Request-Id): the client's own id, or one that is
     * made here. */
    char correlation_id[UUID_TEXT_LEN + 1];
    struct arena arena;      /* freed with the call */
    struct buf added;        /* header lines for the answer */
    struct slice etag;       /* call_set_etag */
    bool etag_is_of_content; /* of what a write changes: it follows from no version (an operation's) */
    unsigned vary;           /* enum call_vary */
    const char *cache; /* Cache-Control of the answer; NULL: as follows from route and status (caching.h) */
    bool keep_alive, is_1_0;
    int64_t began_us;  /* of the monotonic clock: the turn in which its first octet was read */
    bool asks_to_wait; /* for something to happen: how long that takes says nothing of us */
    bool has_ticket;   /* in place of a token: there is no identity until the handler has taken it */
    /* A handler that answers later sets it: the client has gone, so the call must be forgotten. */
    void (*on_gone)(struct call *call);
    /* A handler that waits for something to happen (conn_set_long_lived) sets it: answer now, with what there
     * is. */
    void (*on_drain)(struct call *call);
    /* A handler that sends a command and is content with the broker's confirm sets it: answers in place of 202. */
    void (*on_accepted)(struct call *call, const struct uuid *command_id);
    void *waiter; /* for the handler's own use */
    bool answered;
    /* Takes the answer to the client: by HTTP on a connection, or as the result of an rpc on a WebSocket
     * (conn is NULL then). */
    void (*deliver)(struct call *call, int status, const char *content_type, struct bytes *whole,
                    struct slice body);
    void *deliver_arg;
};

/* Sets correlation_id: the client's X-Request-Id if that has 1 to 36 letters, digits or "-_.", else a new
 * UUID. */
void call_give_correlation_id(struct call *call);

/* The first header of that name; SLICE_NONE when absent. */
struct slice call_header(const struct call *call, const char *name);
/* The same, for a header that may be sent once: false when it is sent more often, and which of them counts is
 * anybody's guess. */
bool call_header_once(const struct call *call, const char *name, struct slice *ret_value) MUST_CHECK;
/* All headers of that name, joined as the one list that they are (RFC 9110 5.3); in arena memory when there are
 * several. SLICE_NONE when absent. */
struct slice call_header_list(struct call *call, const char *name);
/* The decoded value of a query parameter (arena memory); SLICE_NONE when absent. */
struct slice call_query(struct call *call, const char *name);

/* Adds a header line to the answer, which must not have been given yet. Date, Content-Type, Content-Length,
 * X-Request-Id and Connection are written anyway. A value with a line end is dropped. */
void call_add_header(struct call *call, const char *name, struct slice value);

/* Adds the ETag of what the answer represents. Without it, call_respond makes one of a read's body. */
void call_set_etag(struct call *call, struct slice etag);

/* Answers the call. A read (GET, HEAD) that is answered with 200 becomes 304 where If-None-Match names its ETag,
 * and 412 where If-Match does not (RFC 9110 13.2.2). content_type NULL: the answer has no body. An answer to HEAD has no body either.
 * call_respond copies the body; call_respond_shared takes a reference of its own to `whole`, of which `body`
 * is a part. The call is freed when its handler has returned or, when it is answered later, in the next turn
 * of the loop. */
void call_respond(struct call *call, int status, const char *content_type, struct slice body);
void call_respond_shared(struct call *call, int status, const char *content_type, struct bytes *whole,
                         struct slice body);

/* For handlers that do not answer by call_respond: whether the conditions of a read let it have its answer, once
 * call_set_etag has been called; else the call has been answered with 304 or 412. */
bool call_conditions_hold(struct call *call);

/* A number of seconds for Retry-After: 1 to 3, at random, so that the clients of a moment do not come back in the
 * same moment. */
struct slice call_retry_after(char text[2]);

/* Answers the call with the problem document of `err` (problem.h) and the headers that its status needs:
 * Retry-After with 429 and 503, WWW-Authenticate with 401, the accepted types with 415. detail may be NULL. */
void call_fail(struct call *call, enum err err, const char *detail);
void call_fail_fields(struct call *call, enum err err, const char *detail,
                      const struct msg_problems *problems);
