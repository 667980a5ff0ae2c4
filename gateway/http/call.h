#pragma once
/* One HTTP request and its answer. http.c makes it when head and body are there and frees it when the answer
 * is written; a handler answers it exactly once, at once or later. When the client goes away first, on_gone
 * is called and the call must not be touched any more.
 */

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
    struct identity identity;             /* set where the route asks for a token */
    /* The client's X-Request-Id when it is sane, else ours; echoed as X-Request-Id. */
    char correlation_id[UUID_TEXT_LEN + 1];
    struct arena arena; /* freed with the call */
    struct buf added;   /* header lines for the answer */
    bool keep_alive, is_1_0;
    /* A handler that answers later sets it: the client has gone, so the call must be forgotten. */
    void (*on_gone)(struct call *call);
    /* A handler that waits for something to happen (conn_set_long_lived) sets it: answer now, with what there
     * is. */
    void (*on_drain)(struct call *call);
    void *waiter; /* for the handler's own use */
    bool answered;
    /* Takes the answer to whoever asked: HTTP on a connection, or rpc on a WebSocket (which has no conn). */
    void (*deliver)(struct call *call, int status, const char *content_type, struct bytes *whole,
                    struct slice body);
    void *deliver_arg;
};

/* The client's own X-Request-Id when it is sane, else one of ours. */
void call_give_correlation_id(struct call *call);

/* The first header of that name; SLICE_NONE when absent. */
struct slice call_header(const struct call *call, const char *name);
/* The same, for a header that may be sent once: false when it is sent more often, and which of them counts is
 * anybody's guess. */
bool call_header_once(const struct call *call, const char *name, struct slice *ret_value) MUST_CHECK;
/* The decoded value of a query parameter (arena memory); SLICE_NONE when absent. */
struct slice call_query(struct call *call, const char *name);

/* Header lines of the answer beyond status, Content-Length, Date, X-Request-Id and Connection; before the
 * answer. */
void call_add_header(struct call *call, const char *name, struct slice value);

/* The answer. content_type NULL: no body. HEAD gets the head alone. call_respond copies the body;
 * call_respond_shared takes a reference of its own to `whole`, of which `body` is a part. The call is freed
 * when its handler has returned, or, when it is answered later, in the next turn of the loop. */
void call_respond(struct call *call, int status, const char *content_type, struct slice body);
void call_respond_shared(struct call *call, int status, const char *content_type, struct bytes *whole,
                         struct slice body);

/* A problem document (RFC 9457): type, title, status, detail, instance (correlation id), errors[{pointer,
 * detail}]. 503 and 429 carry Retry-After, 401 WWW-Authenticate. detail may be NULL. */
void call_fail(struct call *call, enum err err, const char *detail);
void call_fail_fields(struct call *call, enum err err, const char *detail,
                      const struct msg_problems *problems);
