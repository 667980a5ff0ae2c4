#include "gateway/centrifuge/socket.h"

#include "gateway/centrifuge/centrifuge.h"
#include "gateway/http/authorize.h"
#include "gateway/http/response.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/handshake.h"

/*   OPEN ── ws_close: sends a close frame ────────────▶ CLOSING ── peer's close frame or ws_close_ms ──▶ end
 *    ├───── peer's close frame: answers it ─────────────▶ CLOSING ── at once ──▶ end
 *    ├───── peer broke a rule: close frame with a code ─▶ CLOSING ── at once ──▶ end
 *    └───── connection ended without a close frame ─────▶ CLOSING ── at once ──▶ end (conn_close)
 */
enum ws_state { WS_OPEN, WS_CLOSING };

struct ws {
    struct conn *conn;
    struct ws_reader *reader;   /* exists in the middle of a frame or message; else NULL */
    struct ws_deflate *deflate; /* the process's; NULL: this socket is not compressed */
    enum ws_state state;
    struct session session;
};

struct gateway *ws_gateway(const struct ws *ws)
{
    return conn_gateway(ws->conn);
}

const char *ws_peer(const struct ws *ws)
{
    return conn_peer(ws->conn);
}

enum err ws_authorize(struct ws *ws, struct slice token, struct identity *ret_identity, const char **ret_why)
{
    return authorize_token(ws->conn, token, ret_identity, ret_why);
}

static void set_state(struct ws *ws, enum ws_state state)
{
    static const char *const names[] = {[WS_OPEN] = "open", [WS_CLOSING] = "closing"};
    if (ws->state != state)
        log_debug("ws.state", LOG_S("peer", ws_peer(ws)), LOG_S("from", names[ws->state]),
                  LOG_S("to", names[state]));
    ws->state = state;
}

/* Output. */

static void send_control(struct ws *ws, enum ws_opcode opcode, struct slice payload)
{
    uint8_t frame[WS_HEAD_MAX + WS_CONTROL_MAX];
    size_t len = ws_frame_head(opcode, payload.len, frame);
    if (payload.len > 0)
        memcpy(frame + len, payload.data, payload.len);
    conn_write(ws->conn, (struct slice){(const char *)frame, len + payload.len});
}

void ws_send(struct ws *ws, struct slice messages)
{
    if (ws->state != WS_OPEN)
        return;
    char *payload;
    struct bytes *frame = form_new(ws->session.form, messages.len, &payload);
    memcpy(payload, messages.data, messages.len);
    ws_send_frames(ws, frame);
    bytes_unref(frame);
}

void ws_send_frames(struct ws *ws, struct bytes *frame)
{
    if (ws->state != WS_OPEN)
        return;
    struct bytes *sent = ws->deflate ? ws_deflate_frame(ws->deflate, frame) : bytes_ref(frame);
    conn_write_shared(ws->conn, sent);
    bytes_unref(sent);
}

size_t ws_backlog(const struct ws *ws)
{
    return conn_output(ws->conn);
}

void ws_limit(struct ws *ws, int64_t ms)
{
    if (ws->state == WS_OPEN)
        conn_limit(ws->conn, ms);
}

/* The end. */

static void send_close(struct ws *ws, int code, struct slice reason)
{
    char payload[WS_CONTROL_MAX];
    size_t len = code == WS_CODE_NO_STATUS ? 0 : ws_close_payload(code, reason, payload);
    session_end(&ws->session);
    send_control(ws, WS_CLOSE, (struct slice){payload, len});
    set_state(ws, WS_CLOSING);
}

void ws_close(struct ws *ws, int code, const char *reason)
{
    if (ws->state != WS_OPEN)
        return;
    send_close(ws, code, slice_of(reason));
    conn_limit(ws->conn, ws_gateway(ws)->config->ws_close_ms);
}

/* RFC 6455 7.1.7: after an error the rest of the input means nothing, so the peer's close frame is not
 * waited for. */
static void fail(struct ws *ws, int code)
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
        if (ws->state == WS_OPEN && reasons[i].code == code)
            send_close(ws, code, slice_of(reasons[i].reason));
    conn_close(ws->conn);
}

/* What the reader hears. */

/* A client that has not connected yet may send its connect command and little else. */
static size_t most_of_message(const struct ws *ws)
{
    const struct config *config = ws_gateway(ws)->config;
    bool is_less = ws->session.state != SESSION_CONNECTED && config->ws_max_connect < config->ws_max_message;
    return (size_t)(is_less ? config->ws_max_connect : config->ws_max_message);
}

static bool on_message(void *ctx, struct slice message)
{
    struct ws *ws = ctx;
    bool was_connected = ws->session.state == SESSION_CONNECTED;
    if (ws->state == WS_OPEN)
        session_on_message(&ws->session, message);
    if (!was_connected && ws->session.state == SESSION_CONNECTED) {
        conn_set_known(ws->conn);
        ws_reader_allow(ws->reader, most_of_message(ws));
    }
    return true;
}

static bool on_ping(void *ctx, struct slice payload)
{
    struct ws *ws = ctx;
    if (ws->state == WS_OPEN)
        send_control(ws, WS_PONG, payload);
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
    struct ws *ws = ctx;
    (void)reason;
    if (ws->state == WS_OPEN)
        send_close(ws, code, SLICE(""));
    conn_close(ws->conn);
    return false;
}

/* Connection. */

static size_t on_bytes(struct conn *conn, void *state, struct slice bytes)
{
    static const struct ws_reader_callbacks callbacks = {on_message, on_ping, on_pong, on_close};
    (void)conn;
    struct ws *ws = state;
    if (!ws->reader)
        ws->reader = ws_reader_new(form_info(ws->session.form)->is_protobuf ? WS_BINARY : WS_TEXT,
                                   most_of_message(ws), ws->deflate);
    int code = ws_reader_feed(ws->reader, bytes, &callbacks, ws);
    if (code != 0)
        fail(ws, code);
    if (code != 0 || ws_reader_at_rest(ws->reader))
        ws_reader_free(TAKE(ws->reader));
    return bytes.len;
}

static void on_end(struct conn *conn, void *state)
{
    struct ws *ws = state;
    session_end(&ws->session);
    set_state(ws, WS_CLOSING);
    conn_close(conn);
}

static void on_timeout(struct conn *conn, void *state)
{
    struct ws *ws = state;
    if (ws->state == WS_OPEN)
        session_on_time(&ws->session);
    else if (conn_output(conn) > 0)
        conn_abort(conn); /* the peer has not even read the close frame */
    else
        conn_close(conn);
}

static void on_overflow(struct conn *conn, void *state)
{
    struct ws *ws = state;
    if (ws->state != WS_OPEN)
        return;
    conn_cut(conn); /* the client recovers what it has not read, so only the close frame is still sent */
    session_on_slow(&ws->session);
}

static size_t input(const struct conn *conn, const void *state)
{
    (void)conn;
    const struct ws *ws = state;
    return ws->session.work_bytes + (ws->reader ? ws_reader_memory(ws->reader) : 0);
}

/* Its client connects again and recovers. */
static void on_input_overflow(struct conn *conn, void *state)
{
    struct ws *ws = state;
    if (ws->state == WS_OPEN)
        session_on_flood(&ws->session);
    ws_reader_free(TAKE(ws->reader));
    conn_close(conn); /* the rest of the message that was cut off means nothing */
}

static void on_drain(struct conn *conn, void *state)
{
    (void)conn;
    struct ws *ws = state;
    if (ws->state == WS_OPEN)
        session_on_drain(&ws->session);
}

static void on_revoked(struct conn *conn, void *state)
{
    (void)conn;
    struct ws *ws = state;
    if (ws->state == WS_OPEN)
        session_on_revoked(&ws->session);
}

static void on_free(struct conn *conn, void *state)
{
    (void)conn;
    struct ws *ws = state;
    session_end(&ws->session);
    session_done(&ws->session);
    ws_reader_free(ws->reader);
    free(ws);
}

static const struct conn_protocol ws_protocol = {
    .name = "ws",
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_timeout = on_timeout,
    .on_overflow = on_overflow,
    .input = input,
    .on_input_overflow = on_input_overflow,
    .on_drain = on_drain,
    .on_revoked = on_revoked,
    .on_free = on_free,
    .is_stream = true,
};

void ws_upgrade(struct call *call)
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
    struct ws *ws = xcalloc(1, sizeof(*ws));
    ws->conn = call->conn;
    ws->deflate = deflates ? call->gateway->deflate : NULL;
    const char *subprotocol = ws_handshake_subprotocol(call);
    enum form form =
        subprotocol && strcmp(subprotocol, WS_SUBPROTOCOL_PROTOBUF) == 0 ? FORM_PROTOBUF : FORM_JSON;
    response_upgrade(call, lines, &ws_protocol, ws);
    session_init(&ws->session, ws, form);
}
