#include "gateway/sse/sse.h"

#include <stdio.h>

#include "common/base/buf.h"
#include "gateway/auth/revocations.h"
#include "gateway/http/response.h"
#include "gateway/hub/event_text.h"
#include "gateway/hub/position.h"
#include "gateway/net/conn.h"
#include "gateway/sse/page.h"

enum {
    PIECE_MAX = 64 * 1024 * 1024, /* of the events of one turn; the hub splits them long before */
    LINES_MAX = 256,
    RETURN_MS = 200, /* `retry` of a stream that the server ends: the client should connect again at once */
};

/*   ASKING ── the hub has started it ──▶ STREAMING ── lost, expired, revoked, drain: sends `retry` ──▶ ENDED
 *     └── the hub refused it: a problem document         └── slow, or the client left: closed ───────▶ ENDED
 */
enum sse_state { SSE_ASKING, SSE_STREAMING, SSE_ENDED };

struct sse {
    struct subscriber subscriber;
    struct call *call; /* while ASKING; then NULL */
    struct conn *conn;
    struct identity identity; /* of the token: its expiry, and whether it was revoked */
    int64_t offset;           /* that was asked for */
    enum sse_state state;
};

static void set_state(struct sse *sse, enum sse_state state)
{
    static const char *const names[] = {
        [SSE_ASKING] = "asking",
        [SSE_STREAMING] = "streaming",
        [SSE_ENDED] = "ended",
    };
    if (sse->state != state)
        log_debug("sse.state", LOG_S("peer", conn_peer(sse->conn)), LOG_S("from", names[sse->state]),
                  LOG_S("to", names[state]));
    sse->state = state;
}

static struct sse *sse_of(struct subscriber *subscriber)
{
    return CONTAINER_OF(subscriber, struct sse, subscriber);
}

/* Text of events. */

static void append_field(struct buf *out, const char *name, struct slice value)
{
    buf_append_text(out, name);
    buf_append(out, ": ", 2);
    buf_append_slice(out, value);
    buf_append_char(out, '\n');
}

static struct bytes *encode(const struct channel *channel, const struct publication *const *publications,
                            size_t count)
{
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, PIECE_MAX);
    for (size_t i = 0; i < count; i++) {
        char position[POSITION_SIZE];
        append_field(&out, "id", position_format(channel_epoch(channel), publications[i]->seq, position));
        append_field(&out, "event", event_text_type(publications[i]->body->slice));
        append_field(&out, "data", publications[i]->body->slice);
        buf_append_char(&out, '\n');
    }
    return bytes_copy(buf_slice(&out));
}

/* The clock. */

static void schedule(struct sse *sse)
{
    const struct gateway *gateway = conn_gateway(sse->conn);
    const struct config *config = gateway->config;
    ev_tstamp left = (ev_tstamp)sse->identity.expires_at + (ev_tstamp)config->auth_leeway_ms / 1000. -
                     ev_now(gateway->loop);
    int64_t ms = config->sse_heartbeat_ms;
    if (left * 1000. < (ev_tstamp)ms)
        ms = left > 0. ? (int64_t)(left * 1000.) + 1 : 1;
    conn_limit(sse->conn, ms);
}

static void beat(struct sse *sse)
{
    char text[POSITION_SIZE + 8], position[POSITION_SIZE];
    const char *epoch;
    int64_t offset;
    int len =
        hub_position(&sse->subscriber, &epoch, &offset)
            ? snprintf(text, sizeof(text), ":\nid: %s\n\n", position_format(epoch, offset, position).data)
            : snprintf(text, sizeof(text), ":\n\n");
    conn_write(sse->conn, (struct slice){text, (size_t)len});
    schedule(sse);
}

/* The end. The client connects again with the last position that it has seen. */
static void end(struct sse *sse)
{
    char goodbye[32];
    if (sse->state == SSE_ENDED)
        return;
    set_state(sse, SSE_ENDED);
    hub_unsubscribe(&sse->subscriber);
    int len = snprintf(goodbye, sizeof(goodbye), "retry: %d\n\n", RETURN_MS);
    conn_write(sse->conn, (struct slice){goodbye, (size_t)len});
    conn_close(sse->conn);
}

/* Connection. */

static size_t on_bytes(struct conn *conn, void *state, struct slice bytes)
{
    (void)conn;
    (void)state;
    return bytes.len; /* the answer has no end, so a request that follows it is never read */
}

static void on_end(struct conn *conn, void *state)
{
    struct sse *sse = state;
    set_state(sse, SSE_ENDED);
    hub_unsubscribe(&sse->subscriber);
    conn_close(conn);
}

static void on_timeout(struct conn *conn, void *state)
{
    struct sse *sse = state;
    const struct gateway *gateway = conn_gateway(conn);
    int64_t leeway_s = gateway->config->auth_leeway_ms / 1000;
    if (ev_now(gateway->loop) >= (ev_tstamp)(sse->identity.expires_at + leeway_s))
        end(sse); /* a client that connects again with the same token gets 401 */
    else
        beat(sse);
}

/* The waiting output would be stale by the time it is read. It is cut off in the middle of an event, which
 * clients ignore. */
static void on_overflow(struct conn *conn, void *state)
{
    struct sse *sse = state;
    set_state(sse, SSE_ENDED);
    hub_unsubscribe(&sse->subscriber);
    log_debug("sse.slow", LOG_S("peer", conn_peer(conn)));
    conn_abort(conn);
}

static void on_drain(struct conn *conn, void *state)
{
    (void)conn;
    end(state);
}

/* A client that connects again with the same token gets 401. */
static void on_revoked(struct conn *conn, void *state)
{
    struct sse *sse = state;
    if (revocations_have(conn_gateway(conn)->revocations, &sse->identity))
        end(sse);
}

static void on_free(struct conn *conn, void *state)
{
    (void)conn;
    struct sse *sse = state;
    hub_unsubscribe(&sse->subscriber);
    free(sse);
}

static const struct conn_protocol sse_protocol = {
    .name = "sse",
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_timeout = on_timeout,
    .on_overflow = on_overflow,
    .on_crowded = on_drain,
    .on_drain = on_drain,
    .on_revoked = on_revoked,
    .on_free = on_free,
    .is_stream = true,
};

/* What the hub calls. */

/* X-Accel-Buffering: no makes nginx, and proxies that know the header too, pass on what they have at once. */
#define HEAD_LINES                        \
    "Content-Type: text/event-stream\r\n" \
    "X-Accel-Buffering: no\r\n"

static void write_welcome(struct sse *sse, const struct hub_start *start)
{
    char text[LINES_MAX], position[POSITION_SIZE];
    bool reload = start->recover && !start->recovered;
    int len = snprintf(text, sizeof(text),
                       "retry: %lld\nid: %s\nevent: %s\ndata: {\"epoch\":\"%s\",\"offset\":%lld}\n\n",
                       (long long)conn_gateway(sse->conn)->config->sse_retry_ms,
                       position_format(start->epoch, start->offset, position).data,
                       reload ? "reload" : "ready", start->epoch, (long long)start->offset);
    conn_write(sse->conn, (struct slice){text, (size_t)len});
}

/* A position that the stream has not reached: the client has seen events that are not, as after the database
 * was restored. Nothing that could follow would be right for it. */
static void refuse_ahead(struct sse *sse, struct call *call, const struct hub_start *start)
{
    char epoch[EPOCH_SIZE];
    int64_t last = start->offset;
    snprintf(epoch, sizeof(epoch), "%s", start->epoch);
    hub_unsubscribe(&sse->subscriber);
    call->on_gone = NULL;
    free(sse);
    event_position_gone(call, epoch, last, EVENT_POSITION_AHEAD);
}

static void on_started(struct subscriber *subscriber, const struct hub_start *start)
{
    struct sse *sse = sse_of(subscriber);
    struct call *call = TAKE(sse->call);
    bool only_head = call->method == METHOD_HEAD;
    if (start->recover && !start->recovered && sse->offset > start->offset) {
        refuse_ahead(sse, call, start);
        return;
    }
    call->cache = "private, no-store";
    response_stream(call, 200, SLICE(HEAD_LINES), &sse_protocol, sse);
    set_state(sse, only_head ? SSE_ENDED : SSE_STREAMING);
    if (only_head) {
        hub_unsubscribe(subscriber);
        conn_close(sse->conn);
        return;
    }
    write_welcome(sse, start);
    if (start->publication_count > 0) {
        struct bytes *missed = encode(subscriber->channel, start->publications, start->publication_count);
        conn_write_shared(sse->conn, missed);
        bytes_unref(missed);
    }
    schedule(sse);
}

static void on_publications(struct subscriber *subscriber, struct bytes *encoded)
{
    conn_write_shared(sse_of(subscriber)->conn, encoded);
}

static void on_refused(struct subscriber *subscriber, enum err err)
{
    struct sse *sse = sse_of(subscriber);
    struct call *call = sse->call;
    call->on_gone = NULL;
    free(sse);
    call_fail(call, err, NULL);
}

static void on_lost(struct subscriber *subscriber)
{
    struct sse *sse = sse_of(subscriber);
    if (sse->call)
        on_refused(subscriber, ERR_DATABASE_UNAVAILABLE);
    else
        end(sse);
}

static size_t backlog(const struct subscriber *subscriber)
{
    return conn_output(CONTAINER_OF(subscriber, const struct sse, subscriber)->conn);
}

static const struct subscriber_protocol sse_subscriber = {
    .encode = encode,
    .on_started = on_started,
    .on_publications = on_publications,
    .on_refused = on_refused,
    .on_lost = on_lost,
    .backlog = backlog,
};

/* Asking. */

static void on_gone(struct call *call)
{
    struct sse *sse = call->waiter;
    hub_unsubscribe(&sse->subscriber);
    free(sse);
}

void sse_start(struct call *call, const struct hub_request *request)
{
    if (!call->conn) { /* a request over a WebSocket, which has channels of its own */
        call_fail(call, ERR_NOT_ACCEPTABLE,
                  "A WebSocket cannot carry a stream of events. Subscribe to the channel instead.");
        return;
    }
    struct sse *sse = xcalloc(1, sizeof(*sse));
    sse->subscriber.protocol = &sse_subscriber;
    sse->call = call;
    sse->conn = call->conn;
    sse->identity = call->identity;
    sse->offset = request->offset;
    call->on_gone = on_gone;
    call->waiter = sse;
    hub_subscribe(call->gateway->hub, &sse->subscriber, request);
}
