#include "gateway/http/http.h"

#include "gateway/auth/auth.h"
#include "gateway/auth/revocations.h"
#include "gateway/http/access_log.h"
#include "gateway/http/authorize.h"
#include "gateway/http/cors.h"
#include "gateway/http/exchange.h"
#include "gateway/http/field.h"
#include "gateway/http/response.h"
#include "gateway/http/router.h"
#include "gateway/http/target.h"

enum { DRAIN_SILENCE_MS = 1000 };

struct http {
    struct exchange_pool exchanges;
    struct response_writer writer;
};

/* ---- the head ---- */

static enum http_method method_of(const struct request *request)
{
    static const struct {
        uint8_t llhttp;
        enum http_method method;
    } methods[] = {
        {HTTP_GET, METHOD_GET},         {HTTP_HEAD, METHOD_HEAD},   {HTTP_POST, METHOD_POST},
        {HTTP_PUT, METHOD_PUT},         {HTTP_PATCH, METHOD_PATCH}, {HTTP_DELETE, METHOD_DELETE},
        {HTTP_OPTIONS, METHOD_OPTIONS},
    };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (methods[i].llhttp == request->parser.method)
            return methods[i].method;
    return METHOD_OTHER;
}

static enum err take_headers(struct call *call, const struct request *request)
{
    call->headers = arena_alloc(&call->arena, (request->field_count + 1) * sizeof(*call->headers));
    if (!call->headers)
        return ERR_HEADERS_TOO_LARGE;
    size_t count = request->field_count; /* the last one may be cut while the head is incomplete */
    if (!request->has_head && count > 0)
        count--;
    for (size_t i = 0; i < count; i++)
        call->headers[i] =
            (struct call_header){request_name(request, i), field_trim(request_value(request, i))};
    call->header_count = count;
    return ERR_OK;
}

static bool shows_ticket(struct call *call)
{
    return call->route->access == ACCESS_TICKET && !call_header(call, "authorization").data &&
           call_query(call, "ticket").data;
}

/* Finds the handler and who is calling. What can be refused by the head alone is refused before the body is
 * kept. */
static enum err look_at_head(struct exchange *exchange)
{
    struct call *call = &exchange->call;
    struct request *request = &exchange->request;
    call->method = method_of(request);
    call->keep_alive = request->keep_alive && !call->gateway->draining && !conn_is_guest(call->conn);
    call->is_1_0 = request_is_1_0(request);
    enum err err = take_headers(call, request);
    call_give_correlation_id(call);
    if (err)
        return err;
    cors_allow(call);
    if (call->method == METHOD_OTHER) {
        call->keep_alive = false; /* what follows a CONNECT is not HTTP */
        exchange->why = "the method is not supported";
        return ERR_NOT_IMPLEMENTED;
    }
    err = target_parse(&call->arena, request_target(request), &call->path, &call->query);
    if (!err && slice_is(call->path, "*") && call->method != METHOD_OPTIONS) /* RFC 9112 3.2.4 */
        err = ERR_BAD_REQUEST;
    if (cors_is_preflight(call))
        return ERR_OK;
    if (err) {
        exchange->why = "the request target is malformed";
        return err;
    }
    if (call->method == METHOD_OPTIONS)
        return ERR_OK;
    err = router_find(call);
    if (!err && conn_is_guest(call->conn) && call->route->access != ACCESS_HEALTH)
        return ERR_TOO_MANY_CONNECTIONS;
    if (!err && shows_ticket(call)) {
        call->has_ticket = true;
        return ERR_OK;
    }
    if (!err && route_asks_token(call->route)) {
        err = authorize_bearer(call, &exchange->why);
        if (!err)
            conn_set_known(call->conn);
    }
    return err ? err : authorize_role(call, &exchange->why);
}

static void set_limit(struct exchange *exchange, bool *set, int64_t ms)
{
    if (!*set)
        conn_limit(exchange->call.conn, ms);
    *set = true;
}

/* ---- answers ---- */

/* The exchange is over. The connection waits for the next request, or closes. */
static void finish(struct exchange *exchange)
{
    struct conn *conn = exchange->call.conn;
    struct gateway *gateway = exchange->call.gateway;
    bool keep_alive = exchange->call.keep_alive;
    conn_set_protocol(conn, &http_protocol, NULL);
    exchange_free(exchange);
    if (keep_alive && !gateway->draining)
        conn_limit(conn, gateway->config->idle_timeout_ms);
    else
        conn_close(conn);
}

/* The head is malformed, too large or late: what has arrived of it says whose the request is. */
static void look_at_part_of_head(struct exchange *exchange)
{
    struct call *call = &exchange->call;
    if (exchange->request.target_len > 0) /* so its method has arrived */
        call->method = method_of(&exchange->request);
    if (exchange->request.has_target &&
        target_parse(&call->arena, request_target(&exchange->request), &call->path, &call->query))
        call->path = call->query = SLICE_NONE;
    if (take_headers(call, &exchange->request) == ERR_OK)
        call_give_correlation_id(call);
    if (call_header(call, "origin").data || exchange->request.has_head)
        cors_allow(call);
    else
        cors_allow_unknown(call);
}

/* Answers with a refusal and closes, since what follows on this connection cannot be understood or is not
 * wanted. */
static void refuse(struct exchange *exchange, enum err err, const char *why)
{
    struct call *call = &exchange->call;
    if (!call->headers)
        look_at_part_of_head(exchange);
    call->keep_alive = false;
    exchange->in_handler = true;
    if (!cors_answers_early(call, err))
        call_fail(call, err, why);
    finish(exchange);
}

static void run_handler(struct exchange *exchange)
{
    struct call *call = &exchange->call;
    exchange_set_state(exchange, WORKING);
    exchange->in_handler = true;
    call->body = buf_slice(&exchange->request.body);
    if (exchange->refusal)
        call_fail(call, exchange->refusal, exchange->why);
    else if (call->method == METHOD_OPTIONS)
        cors_options(call);
    else
        call->route->handler(call);
    exchange->in_handler = false;
}

/* The request is complete. False when it will be answered later. */
static bool work(struct exchange *exchange)
{
    struct conn *conn = exchange->call.conn;
    run_handler(exchange);
    switch (exchange->state) {
    case ANSWERED:
        finish(exchange);
        return true;
    case LEFT:
        exchange_free(exchange);
        return false;
    default:
        exchange_drop_body(exchange);
        conn_limit(conn, 0); /* the handler has time limits of its own */
        conn_pause(conn, true);
        return false;
    }
}

/* The body of another method has no meaning (RFC 9110 9.3.1), so it is not kept. */
static bool takes_body(enum http_method method)
{
    return method == METHOD_POST || method == METHOD_PUT || method == METHOD_PATCH;
}

static size_t body_limit(const struct call *call)
{
    const struct config *config = call->gateway->config;
    bool is_hook = call->route && call->route->access == ACCESS_HOOK;
    return (size_t)(is_hook ? config->hook_max_body_bytes : config->max_body_bytes);
}

/* The head is complete. False when the connection is closed. */
static bool on_head(struct exchange *exchange, bool more_has_arrived)
{
    static const struct slice go_on = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
    struct request *request = &exchange->request;
    exchange->refusal = look_at_head(exchange);
    if (!request_limit_body(request, body_limit(&exchange->call))) {
        refuse(exchange, ERR_BODY_TOO_LARGE, NULL);
        return false;
    }
    request->discard_body = exchange->refusal != ERR_OK || !takes_body(exchange->call.method);
    if (!request->expects_continue || !request_has_body(request))
        return true;
    if (exchange->refusal) { /* RFC 9110 10.1.1: the final answer instead, and the body is not waited for */
        refuse(exchange, exchange->refusal, exchange->why);
        return false;
    }
    if (!more_has_arrived)
        conn_write(exchange->call.conn, go_on);
    return true;
}

/* ---- the protocol ---- */

static struct exchange *begin(struct conn *conn)
{
    struct gateway *gateway = conn_gateway(conn);
    struct exchange *exchange = exchange_new(&gateway->http->exchanges);
    exchange->call.conn = conn;
    exchange->call.began_us = conn_now_us(conn);
    exchange->call.deliver = response_deliver;
    exchange->call.deliver_arg = &gateway->http->writer;
    conn_set_protocol(conn, &http_protocol, exchange);
    return exchange;
}

/* A part of a request has arrived. Limits the time in which the rest must come. */
static void wait_for_rest(struct exchange *exchange)
{
    const struct config *config = exchange->call.gateway->config;
    if (exchange->request.phase < PHASE_BODY)
        set_limit(exchange, &exchange->head_limit_set, config->head_timeout_ms);
    else
        set_limit(exchange, &exchange->body_limit_set, config->body_timeout_ms);
}

/* Feeds one request up to its end or the end of the bytes. False when no more is to be fed. */
static bool feed(struct exchange *exchange, struct slice bytes, size_t *used)
{
    for (;;) {
        size_t taken = 0;
        struct slice rest = {bytes.data + *used, bytes.len - *used};
        enum request_step step = request_feed(&exchange->request, rest, &taken);
        *used += taken;
        switch (step) {
        case REQUEST_HEAD:
            if (!on_head(exchange, *used < bytes.len))
                return false;
            break;
        case REQUEST_DONE:
            return work(exchange);
        case REQUEST_REFUSED:
            refuse(exchange, exchange->request.refusal, exchange->request.why);
            return false;
        case REQUEST_MORE:
            wait_for_rest(exchange);
            return false;
        }
    }
}

static size_t on_bytes(struct conn *conn, void *state, struct slice bytes)
{
    struct exchange *exchange = state;
    size_t used = 0;
    if (exchange && exchange->state == ANSWERED) {
        finish(exchange);
        exchange = NULL;
    }
    while (used < bytes.len && conn_is_open(conn) && !conn_is_congested(conn)) {
        if (!feed(exchange ? exchange : begin(conn), bytes, &used))
            break;
        exchange = NULL;
    }
    return used;
}

static void on_end(struct conn *conn, void *state)
{
    (void)state; /* the request is incomplete, so there is nothing to answer */
    conn_close(conn);
}

static void on_timeout(struct conn *conn, void *state)
{
    struct exchange *exchange = state;
    if (conn_is_guest(conn))
        refuse(exchange ? exchange : begin(conn), ERR_TOO_MANY_CONNECTIONS, NULL);
    else if (exchange && exchange->request.phase > PHASE_LEAD)
        refuse(exchange, ERR_REQUEST_TIMEOUT, NULL);
    else
        conn_close(conn);
}

/* It is one large answer. No other begins before it is written, and write_timeout_ms bounds that time. */
static void on_overflow(struct conn *conn, void *state)
{
    (void)conn;
    (void)state;
}

static size_t input(const struct conn *conn, const void *state)
{
    (void)conn;
    const struct exchange *exchange = state;
    return exchange ? exchange_memory(exchange) : 0;
}

/* A request that is in work cannot be taken back, so its client is told nothing that could be wrong: it finds
 * out what became of it as after any other lost connection. */
static void on_input_overflow(struct conn *conn, void *state)
{
    struct exchange *exchange = state;
    if (exchange && exchange->state == READING)
        refuse(exchange, ERR_INPUT_FULL, NULL);
    else
        conn_abort(conn);
}

/* Nothing is lost by the end of an idle connection. */
static void on_crowded(struct conn *conn, void *state)
{
    (void)conn;
    struct exchange *exchange = state;
    if (exchange && exchange->state == READING)
        refuse(exchange, ERR_TOO_MANY_CONNECTIONS, NULL);
}

/* An idle connection is not closed at once. Its client may be sending a request at this moment; it would lose
 * that request and could not know whether it was carried out. It gets an answer with "Connection: close"
 * instead. A connection on which nothing arrives for a while is closed. */
static void on_drain(struct conn *conn, void *state)
{
    struct exchange *exchange = state;
    int64_t share_ms = conn_gateway(conn)->config->drain_ms / 4;
    if (exchange && exchange->state == WORKING && exchange->call.on_drain)
        exchange->call.on_drain(&exchange->call);
    else if (exchange)
        exchange->call.keep_alive = false;
    else
        conn_limit(conn, share_ms < DRAIN_SILENCE_MS ? share_ms + 1 : DRAIN_SILENCE_MS);
}

/* A read that waits is answered now. A write that has been sent to the workers is told what becomes of it. */
static void on_revoked(struct conn *conn, void *state)
{
    (void)conn;
    struct exchange *exchange = state;
    if (!exchange || !exchange->call.route || !route_asks_token(exchange->call.route) ||
        !revocations_have(exchange->call.gateway->revocations, &exchange->call.identity))
        return;
    struct call *call = &exchange->call;
    bool is_read = call->method == METHOD_GET || call->method == METHOD_HEAD;
    if (exchange->state == READING && !exchange->refusal) {
        exchange->refusal = ERR_UNAUTHENTICATED;
        exchange->why = auth_why_revoked;
    } else if (exchange->state == WORKING && is_read && call->on_gone) {
        call->on_gone(call);
        call->on_gone = NULL;
        call->on_drain = NULL;
        call_fail(call, ERR_UNAUTHENTICATED, auth_why_revoked);
    }
}

static void on_free(struct conn *conn, void *state)
{
    (void)conn;
    struct exchange *exchange = state;
    if (!exchange)
        return;
    if (exchange->state == WORKING || (exchange->state == READING && exchange->call.headers))
        access_log_answer(&exchange->call, true, ACCESS_LOG_GONE, 0);
    if (exchange->state == WORKING && exchange->call.on_gone)
        exchange->call.on_gone(&exchange->call);
    exchange_free(exchange);
}

const struct conn_protocol http_protocol = {
    .name = "http",
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_timeout = on_timeout,
    .on_overflow = on_overflow,
    .input = input,
    .on_input_overflow = on_input_overflow,
    .on_crowded = on_crowded,
    .on_drain = on_drain,
    .on_revoked = on_revoked,
    .on_free = on_free,
};

/* ---- what requests share ---- */

struct http *http_new(struct gateway *gateway)
{
    struct http *http = xcalloc(1, sizeof(*http));
    exchange_pool_init(&http->exchanges, gateway);
    response_writer_init(&http->writer, gateway->loop);
    return http;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    exchange_pool_done(&http->exchanges);
    response_writer_done(&http->writer);
    free(http);
}

struct exchange_pool *http_exchanges(struct http *http)
{
    return &http->exchanges;
}
