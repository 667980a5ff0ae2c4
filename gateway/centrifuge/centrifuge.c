#include "gateway/centrifuge/centrifuge.h"

#include "common/base/clock.h"
#include "gateway/auth/revocations.h"
#include "gateway/centrifuge/link.h"
#include "gateway/centrifuge/private.h"
#include "gateway/centrifuge/protobuf.h"
#include "gateway/limit/user_counts.h"

struct gateway *session_gateway(const struct session *session)
{
    return link_gateway(session->link);
}

void session_set_state(struct session *session, enum session_state state)
{
    static const char *const names[] = {
        [SESSION_NEW] = "new",
        [SESSION_REFUSED] = "refused",
        [SESSION_CONNECTED] = "connected",
        [SESSION_ENDED] = "ended",
    };
    if (session->state != (uint8_t)state)
        log_debug("session.state", LOG_S("peer", link_peer(session->link)),
                  LOG_S("from", names[session->state]), LOG_S("to", names[state]));
    session->state = (uint8_t)state;
}

/* Two clocks: a token expires by the wall clock, pings and time limits go by the monotonic one. */

static ev_tstamp left_of_token(const struct session *session)
{
    const struct gateway *gateway = session_gateway(session);
    ev_tstamp leeway = (ev_tstamp)gateway->config->auth_leeway_ms / 1000.;
    return (ev_tstamp)session->identity.expires_at + leeway - ev_now(gateway->loop);
}

void session_arm(struct session *session)
{
    ev_tstamp left = session->due_at - clock_monotonic_s();
    if (session->state == SESSION_CONNECTED && left_of_token(session) < left)
        left = left_of_token(session);
    ev_tstamp ms = left * 1000.;
    link_limit(session->link, ms > 1. ? (int64_t)ms : 1);
}

void session_schedule(struct session *session, enum session_due due, int64_t ms)
{
    session->due = (uint8_t)due;
    session->due_at = clock_monotonic_s() + (ev_tstamp)ms / 1000.;
    session_arm(session);
}

static void send_ping(struct session *session)
{
    reply_ping(session);
    session->owes_pong = true;
    session_schedule(session, DUE_PONG, session_gateway(session)->config->ws_pong_ms);
}

static void miss_pong(struct session *session)
{
    /* Output is still unsent, so the ping may not have reached the client: net's limit for slow readers
     * decides. */
    if (link_backlog(session->link) > 0)
        session_schedule(session, DUE_PONG, session_gateway(session)->config->ws_pong_ms);
    else
        session_disconnect(session, CENTRIFUGE_DISCONNECT_NO_PONG);
}

void session_on_time(struct session *session)
{
    if (session->state == SESSION_ENDED)
        return;
    if (session->state == SESSION_CONNECTED && left_of_token(session) <= 0) {
        session_disconnect(session, CENTRIFUGE_DISCONNECT_EXPIRED);
        return;
    }
    if (clock_monotonic_s() < session->due_at) {
        session_arm(session);
        return;
    }
    switch ((enum session_due)session->due) {
    case DUE_CONNECT:
        session_disconnect(session, CENTRIFUGE_DISCONNECT_STALE);
        break;
    case DUE_PING:
        send_ping(session);
        break;
    case DUE_PONG:
        miss_pong(session);
        break;
    }
}

void session_on_drain(struct session *session)
{
    session_disconnect(session, CENTRIFUGE_DISCONNECT_SHUTDOWN);
}

/* Messages. */

static void each_line(struct session *session, struct slice text)
{
    while (text.len > 0 && session->state != SESSION_ENDED) {
        const char *newline = memchr(text.data, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.data) : text.len;
        if (len > 0)
            session_on_line(session, (struct slice){text.data, len});
        len += newline ? 1 : 0;
        text = (struct slice){text.data + len, text.len - len};
    }
}

static void each_message(struct session *session, struct slice bytes)
{
    struct slice message;
    while (bytes.len > 0 && session->state != SESSION_ENDED) {
        if (!protobuf_next(&bytes, &message)) {
            session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
            return;
        }
        session_on_protobuf(session, message);
    }
}

void session_on_message(struct session *session, struct slice message)
{
    if (message.len == 0) {
        session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
        return;
    }
    struct buf batch;
    buf_init(&batch, (size_t)session_gateway(session)->config->max_output_bytes);
    session->batch = &batch;
    if (form_info(session->form)->is_protobuf)
        each_message(session, message);
    else
        each_line(session, message);
    reply_flush(session);
    session->batch = NULL;
    buf_done(&batch);
}

/* The end. */

void session_disconnect(struct session *session, enum centrifuge_disconnect disconnect)
{
    const struct centrifuge_disconnect_info *info = centrifuge_disconnect_info(disconnect);
    if (session->state == SESSION_ENDED)
        return;
    log_debug("session.disconnected", LOG_S("peer", link_peer(session->link)), LOG_I("code", info->code),
              LOG_S("reason", info->reason));
    reply_flush(session);
    link_close(session->link, info->code, info->reason);
}

void session_on_slow(struct session *session)
{
    session_disconnect(session, CENTRIFUGE_DISCONNECT_SLOW);
}

void session_on_flood(struct session *session)
{
    session_disconnect(session, CENTRIFUGE_DISCONNECT_TOO_MANY_REQUESTS);
}

void session_on_revoked(struct session *session)
{
    if (session->state == SESSION_CONNECTED &&
        revocations_have(session_gateway(session)->revocations, &session->identity))
        session_disconnect(session, CENTRIFUGE_DISCONNECT_INVALID_TOKEN);
}

void session_init(struct session *session, struct link *link, enum form form)
{
    *session = (struct session){.link = link, .form = (uint8_t)form, .client = uuid_v7()};
    session_schedule(session, DUE_CONNECT, session_gateway(session)->config->head_timeout_ms);
}

void session_end(struct session *session)
{
    session_set_state(session, SESSION_ENDED);
    session_leave_all(session);
    session_drop_works(session);
    if (session->is_counted)
        user_counts_leave(session_gateway(session)->user_counts, &session->identity.user);
    session->is_counted = false;
}

void session_done(struct session *session)
{
    welcome_free(session);
    session_free_subscriptions(session);
}
