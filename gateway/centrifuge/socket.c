#include "gateway/centrifuge/socket.h"

#include "gateway/centrifuge/link_private.h"
#include "gateway/http/response.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/handshake.h"

/* How a link that is a WebSocket ends:
 *
 *   link_close: a close frame is sent ───────────── the peer's close frame, or ws_close_ms ──▶ end
 *   the peer's close frame: it is answered ──────── at once ──▶ end
 *   the peer broke a rule: close frame with a code ─ at once ──▶ end
 *   the connection ended without a close frame ──── at once ──▶ end (conn_close)
 */
struct socket {
    struct link link;           /* the first member: link.c is given the state of the connection */
    struct ws_reader *reader;   /* exists in the middle of a frame or message; else NULL */
    struct ws_deflate *deflate; /* the process's; NULL: this socket is not compressed */
};

/* Output. */

static void send_control(struct socket *socket, enum ws_opcode opcode, struct slice payload)
{
    uint8_t frame[WS_HEAD_MAX + WS_CONTROL_MAX];
    size_t len = ws_frame_head(opcode, payload.len, frame);
    if (payload.len > 0)
        memcpy(frame + len, payload.data, payload.len);
    conn_write(socket->link.conn, (struct slice){(const char *)frame, len + payload.len});
}

static void send_frame(struct link *link, struct bytes *frame)
{
    const struct socket *socket = CONTAINER_OF(link, struct socket, link);
    struct bytes *sent = socket->deflate ? ws_deflate_frame(socket->deflate, frame) : bytes_ref(frame);
    conn_write_shared(link->conn, sent);
    bytes_unref(sent);
}

/* The end. */

static void send_close(struct link *link, int code, const char *reason)
{
    char payload[WS_CONTROL_MAX];
    size_t len = code == WS_CODE_NO_STATUS ? 0 : ws_close_payload(code, slice_of(reason), payload);
    session_end(&link->session);
    send_control(CONTAINER_OF(link, struct socket, link), WS_CLOSE, (struct slice){payload, len});
}

static const struct link_kind socket_kind = {.send = send_frame, .say_goodbye = send_close};

/* RFC 6455 7.1.7: after an error the rest of the input means nothing, so the peer's close frame is not
 * waited for. */
static void fail(struct socket *socket, int code)
{
    static const struct {
        int code;
        const char *reason;
    } reasons[] = {
        {WS_CODE_PROTOCOL_ERROR, "protocol error"},
        {WS_CODE_UNSUPPORTED_DATA, "only messages of the form that was negotiated"},
        {WS_CODE_INVALID_PAYLOAD, "not valid UTF-8"},
        {WS_CODE_TOO_BIG, "message too big"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].code == code)
            link_close(&socket->link, code, reasons[i].reason);
    conn_close(socket->link.conn);
}

/* What the reader hears. */

/* A client that has not connected yet may send its connect command and little else. */
static size_t most_of_message(const struct socket *socket)
{
    const struct config *config = link_gateway(&socket->link)->config;
    bool is_less =
        socket->link.session.state != SESSION_CONNECTED && config->ws_max_connect < config->ws_max_message;
    return (size_t)(is_less ? config->ws_max_connect : config->ws_max_message);
}

static bool on_message(void *ctx, struct slice message)
{
    struct socket *socket = ctx;
    if (link_hear(&socket->link, message))
        ws_reader_allow(socket->reader, most_of_message(socket));
    return true;
}

static bool on_ping(void *ctx, struct slice payload)
{
    struct socket *socket = ctx;
    if (socket->link.state == LINK_OPEN)
        send_control(socket, WS_PONG, payload);
    return true;
}

static bool on_pong(void *ctx, struct slice payload)
{
    (void)ctx;
    (void)payload;
    return true; /* we send no pings of this kind, but RFC 6455 5.5.3 allows unsolicited pongs */
}

static bool on_close(void *ctx, int code, struct slice reason)
{
    struct socket *socket = ctx;
    (void)reason;
    link_close(&socket->link, code, "");
    conn_close(socket->link.conn);
    return false;
}

/* Connection. */

static size_t on_bytes(struct conn *conn, void *state, struct slice bytes)
{
    static const struct ws_reader_callbacks callbacks = {on_message, on_ping, on_pong, on_close};
    (void)conn;
    struct socket *socket = state;
    if (!socket->reader)
        socket->reader =
            ws_reader_new(form_info(socket->link.session.form)->is_protobuf ? WS_BINARY : WS_TEXT,
                          most_of_message(socket), socket->deflate);
    int code = ws_reader_feed(socket->reader, bytes, &callbacks, socket);
    if (code != 0)
        fail(socket, code);
    if (code != 0 || ws_reader_at_rest(socket->reader))
        ws_reader_free(TAKE(socket->reader));
    return bytes.len;
}

static size_t input(const struct conn *conn, const void *state)
{
    (void)conn;
    const struct socket *socket = state;
    return socket->link.session.work_bytes + (socket->reader ? ws_reader_memory(socket->reader) : 0);
}

/* Its client connects again and recovers. */
static void on_input_overflow(struct conn *conn, void *state)
{
    struct socket *socket = state;
    if (socket->link.state == LINK_OPEN)
        session_on_flood(&socket->link.session);
    ws_reader_free(TAKE(socket->reader));
    conn_close(conn); /* the rest of the message that was cut off means nothing */
}

static void on_free(struct conn *conn, void *state)
{
    (void)conn;
    struct socket *socket = state;
    session_end(&socket->link.session);
    session_done(&socket->link.session);
    ws_reader_free(socket->reader);
    free(socket);
}

static const struct conn_protocol ws_protocol = {
    .name = "ws",
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

void socket_upgrade(struct call *call)
{
    const char *detail = NULL;
    enum err err = ws_handshake_check(call, &detail);
    bool deflates = false;
    struct slice lines = err ? SLICE_NONE : ws_handshake_lines(call, &deflates);
    if (!err && !lines.data)
        err = ERR_HEADERS_TOO_LARGE;
    if (err) {
        call_fail(call, err, detail);
        return;
    }
    struct socket *socket = xcalloc(1, sizeof(*socket));
    const char *subprotocol = ws_handshake_subprotocol(call);
    enum form form =
        subprotocol && strcmp(subprotocol, WS_SUBPROTOCOL_PROTOBUF) == 0 ? FORM_PROTOBUF : FORM_JSON;
    socket->link = (struct link){.conn = call->conn, .kind = &socket_kind};
    socket->deflate = deflates ? call->gateway->deflate : NULL;
    response_upgrade(call, lines, &ws_protocol, socket);
    session_init(&socket->link.session, &socket->link, form);
}
