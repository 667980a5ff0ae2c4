#include "gateway/http/rpc_call.h"

#include "common/base/clock.h"
#include "gateway/http/access_log.h"
#include "gateway/http/authorize.h"
#include "gateway/http/exchange.h"
#include "gateway/http/http.h"
#include "gateway/http/router.h"
#include "gateway/http/target.h"

static void deliver(struct call *call, int status, const char *content_type, struct bytes *whole,
                    struct slice body)
{
    (void)whole;
    struct exchange *exchange = exchange_of(call);
    struct rpc_call *rpc = call->deliver_arg;
    const struct rpc_answer answer = {.status = status,
                                      .content_type = content_type,
                                      .headers = buf_slice(&call->added),
                                      .body = content_type && call->method != METHOD_HEAD ? body : SLICE("")};
    access_log_answer(call, call->path.data != NULL, status, answer.body.len);
    exchange_set_state(exchange, ANSWERED);
    rpc->call = NULL;
    exchange_retire(exchange);
    rpc->on_answer(rpc, &answer);
}

static struct slice keep(struct call *call, struct slice text)
{
    char *copy = arena_alloc(&call->arena, text.len + 1);
    if (!copy)
        return SLICE_NONE;
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return (struct slice){copy, text.len};
}

static size_t head_size(const struct rpc_request *request)
{
    size_t size = request->line.len;
    for (size_t i = 0; i < request->header_count; i++)
        size += request->headers[i].name.len + request->headers[i].value.len;
    return size;
}

/* A body counts as application/json unless a header says otherwise. */
static enum err take_headers(struct call *call, const struct rpc_request *request)
{
    static const struct call_header json = {{"content-type", 12}, {"application/json", 16}};
    if (head_size(request) > (size_t)call->gateway->config->max_head_bytes)
        return ERR_HEADERS_TOO_LARGE;
    call->headers = arena_alloc(&call->arena, (request->header_count + 1) * sizeof(*call->headers));
    if (!call->headers)
        return ERR_HEADERS_TOO_LARGE;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct call_header *header = &request->headers[i];
        call->headers[i] = (struct call_header){keep(call, header->name), keep(call, header->value)};
        if (!call->headers[i].name.data || !call->headers[i].value.data)
            return ERR_HEADERS_TOO_LARGE;
    }
    call->header_count = request->header_count;
    if (request->body.len > 0 && !call_header(call, "content-type").data)
        call->headers[call->header_count++] = json;
    return ERR_OK;
}

static enum err take_line(struct call *call, struct slice line)
{
    const char *space = memchr(line.data, ' ', line.len);
    size_t method_len = space ? (size_t)(space - line.data) : line.len;
    call->method = router_method((struct slice){line.data, method_len});
    if (!space || call->method == METHOD_OTHER)
        return ERR_BAD_REQUEST;
    struct slice target = keep(call, (struct slice){space + 1, line.len - method_len - 1});
    return target.data ? target_parse(&call->arena, target, &call->path, &call->query)
                       : ERR_HEADERS_TOO_LARGE;
}

static enum err take(struct call *call, const struct rpc_request *request)
{
    enum err err = take_headers(call, request);
    call_give_correlation_id(call);
    if (!err)
        err = take_line(call, request->line);
    if (!err)
        err = router_find(call);
    if (err)
        return err;
    call->body = request->body; /* handlers are done with it when they return */
    return request->body.len <= (size_t)call->gateway->config->max_body_bytes ? ERR_OK : ERR_BODY_TOO_LARGE;
}

void rpc_call_start(struct gateway *gateway, const struct rpc_request *request, struct rpc_call *rpc)
{
    struct exchange *exchange = exchange_new(http_exchanges(gateway->http));
    struct call *call = &exchange->call;
    call->deliver = deliver;
    call->deliver_arg = rpc;
    call->identity = *request->identity;
    call->began_us = clock_monotonic_us();
    exchange_set_state(exchange, WORKING);
    rpc->call = call;
    const char *why = NULL;
    enum err err = take(call, request);
    if (!err && !route_asks_token(call->route)) /* they are about the process, or need a connection */
        err = ERR_NOT_FOUND;
    if (!err)
        err = authorize_role(call, &why);
    if (err)
        call_fail(call, err, why);
    else
        call->route->handler(call);
    if (exchange->state == WORKING)
        exchange_drop_body(exchange);
}

size_t rpc_request_memory(const struct rpc_request *request)
{
    return sizeof(struct exchange) + EXCHANGE_ARENA_BLOCK + head_size(request);
}

void rpc_call_forget(struct rpc_call *rpc)
{
    struct call *call = TAKE(rpc->call);
    if (!call)
        return;
    access_log_answer(call, true, ACCESS_LOG_GONE, 0);
    if (call->on_gone)
        call->on_gone(call);
    exchange_free(exchange_of(call));
}
