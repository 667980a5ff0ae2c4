#include "gateway/centrifuge/http_stream.h"

#include <sys/random.h>

#include "common/base/uuid_map.h"
#include "gateway/centrifuge/link_private.h"
#include "gateway/http/preconditions.h"
#include "gateway/http/response.h"
#include "gateway/ws/handshake.h"

struct http_streams {
    struct uuid_map by_secret;
};

enum { HEARD_NUMBERS = 16 };

struct http_stream {
    struct link link; /* the first member: link.c is given the state of the connection */
    struct http_streams *streams;
    struct uuid_node node; /* key: the secret, 128 random bits */
    uint64_t
        heard[HEARD_NUMBERS]; /* the last questions; what comes twice comes soon after a connection broke */
    unsigned heard_count;
};

struct http_streams *http_streams_new(void)
{
    struct http_streams *streams = xcalloc(1, sizeof(*streams));
    uuid_map_init(&streams->by_secret);
    return streams;
}

void http_streams_free(struct http_streams *streams)
{
    if (!streams)
        return;
    uuid_map_done(&streams->by_secret);
    free(streams);
}

static bool is_heard(struct http_stream *stream, uint64_t number)
{
    for (size_t i = 0; i < HEARD_NUMBERS; i++)
        if (number != 0 && stream->heard[i] == number)
            return true;
    if (number != 0)
        stream->heard[stream->heard_count++ % HEARD_NUMBERS] = number;
    return false;
}

bool http_streams_hear(struct http_streams *streams, const struct uuid *secret, uint64_t number,
                       struct slice commands)
{
    struct uuid_node *node = uuid_map_find(&streams->by_secret, secret);
    if (!node)
        return false;
    struct http_stream *stream = CONTAINER_OF(node, struct http_stream, node);
    if (is_heard(stream, number))
        return true;
    (void)link_hear(&stream->link, commands);
    conn_count_input(stream->link.conn);
    return true;
}

/* Output. */

static void send_piece(struct link *link, struct bytes *piece)
{
    conn_write_shared(link->conn, piece);
}

/* A stream has no close frames: the protocol has a push that says the same. */
static void push_disconnect(struct link *link, int code, const char *reason)
{
    CLEANUP(buf_done) struct buf json, message;
    buf_init(&json, 256);
    buf_init(&message, 512);
    buf_printf(&json, "{\"push\":{\"disconnect\":{\"code\":%d,\"reason\":\"%s\"}}}", code, reason);
    form_append(link->session.form, &message, buf_slice(&json));
    link_send(link, buf_slice(&message));
    conn_close(link->conn);
}

static const struct link_kind stream_kind = {.send = send_piece, .say_goodbye = push_disconnect};

/* Connection. */

static size_t on_bytes(struct conn *conn, void *state, struct slice bytes)
{
    (void)conn;
    (void)state;
    return bytes.len; /* the answer has no end, so a request that follows it is never read */
}

static size_t input(const struct conn *conn, const void *state)
{
    (void)conn;
    return ((const struct http_stream *)state)->link.session.work_bytes;
}

static void on_input_overflow(struct conn *conn, void *state)
{
    (void)conn;
    struct http_stream *stream = state;
    if (stream->link.state == LINK_OPEN)
        session_on_flood(&stream->link.session);
}

static void on_free(struct conn *conn, void *state)
{
    (void)conn;
    struct http_stream *stream = state;
    uuid_map_remove(&stream->streams->by_secret, &stream->node);
    session_end(&stream->link.session);
    session_done(&stream->link.session);
    free(stream);
}

static const struct conn_protocol stream_protocol = {
    .name = "stream",
    .on_bytes = on_bytes,
    .on_end = link_on_end,
    .on_timeout = link_on_timeout,
    .on_overflow = link_on_overflow,
    .input = input,
    .on_input_overflow = on_input_overflow,
    .on_crowded = link_on_drain,
    .on_drain = link_on_drain,
    .on_revoked = link_on_revoked,
    .on_free = on_free,
    .is_stream = true,
};

/* X-Accel-Buffering: no makes nginx, and proxies that know the header too, pass on what they have at once. */
#define HEAD_LINES(content_type) SLICE("Content-Type: " content_type "\r\nX-Accel-Buffering: no\r\n")

static void begin(struct call *call, enum form form, struct slice head_lines, struct slice commands)
{
    struct http_stream *stream = xcalloc(1, sizeof(*stream));
    if (getrandom(stream->node.key.octet, sizeof(stream->node.key.octet), 0) !=
        (ssize_t)sizeof(stream->node.key.octet))
        abort(); /* the kernel has no randomness, and nothing here would be secret */
    stream->streams = call->gateway->streams;
    stream->link = (struct link){.conn = call->conn, .kind = &stream_kind, .secret = &stream->node.key};
    uuid_map_insert(&stream->streams->by_secret, &stream->node);
    call->cache = "no-store";
    response_stream(call, 200, head_lines, &stream_protocol, stream);
    session_init(&stream->link.session, &stream->link, form);
    (void)link_hear(&stream->link, commands);
}

static enum err check(struct call *call, struct slice commands, const char **ret_detail)
{
    if (!ws_origin_may(call)) {
        *ret_detail = "Pages of this origin are not allowed to connect.";
        return ERR_FORBIDDEN;
    }
    if (commands.len == 0) {
        *ret_detail = "The request must have the connect command.";
        return ERR_BAD_REQUEST;
    }
    return commands.len > (size_t)call->gateway->config->ws_max_connect ? ERR_BODY_TOO_LARGE : ERR_OK;
}

void http_stream_open(struct call *call)
{
    const char *detail = NULL;
    bool is_protobuf = media_type_is(call_header(call, "content-type"), "application/octet-stream");
    enum err err = check(call, call->body, &detail);
    if (err)
        call_fail(call, err, detail);
    else if (is_protobuf)
        begin(call, FORM_PROTOBUF_STREAM, HEAD_LINES("application/octet-stream"), call->body);
    else
        begin(call, FORM_JSON_STREAM, HEAD_LINES("application/json"), call->body);
}

void http_stream_open_sse(struct call *call)
{
    const char *detail = NULL;
    struct slice commands = call_query(call, "cf_connect");
    enum err err = check(call, commands, &detail);
    if (err)
        call_fail(call, err, detail);
    else if (call->method == METHOD_HEAD)
        call_respond(call, 200, "text/event-stream", SLICE(""));
    else
        begin(call, FORM_SSE, HEAD_LINES("text/event-stream"), commands);
}
