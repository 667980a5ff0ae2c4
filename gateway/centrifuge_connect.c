#include "gateway/auth.h"
#include "gateway/centrifuge_private.h"

/* Says to the client what is wrong with its token; true when it is in order. */
static bool verify(struct session *session, uint32_t id, struct slice token, struct identity *ret_identity)
{
    const char *why = NULL;
    if (auth_verify(session_gateway(session)->auth, token, ret_identity, &why) == ERR_OK)
        return true;
    if (why == token_why_expired)
        reply_error(session, id, CENTRIFUGE_ERROR_TOKEN_EXPIRED);
    else
        session_disconnect(session, CENTRIFUGE_DISCONNECT_INVALID_TOKEN);
    return false;
}

static void append_client(struct buf *reply, const struct session *session)
{
    char client[UUID_TEXT_LEN + 1];
    uuid_format(&session->client, client);
    buf_printf(reply, "\"client\":\"%s\",\"version\":\"cortexbuild %s\",", client, CORTEX_VERSION);
    reply_ttl(reply, session);
}

/* A first ping anywhere in the second half of the interval. */
static void begin_pings(struct session *session)
{
    int64_t interval = session_gateway(session)->config->ws_ping_ms;
    session_schedule(session, DUE_PING, interval / 2 + (int64_t)(drand48() * (double)interval / 2));
}

static void welcome(struct session *session, uint32_t id)
{
    struct buf reply;
    int64_t ping_s = (session_gateway(session)->config->ws_ping_ms + 999) / 1000;
    reply_begin(&reply, session, id, "connect");
    append_client(&reply, session);
    buf_printf(&reply, ",\"ping\":%lld,\"pong\":true", (long long)ping_s);
    reply_end(&reply, session);
}

void session_connect(struct session *session, uint32_t id, const json_t *params)
{
    struct slice token = json_member(params, "token");
    struct identity identity;
    if (token.len == 0) {
        reply_error(session, id, CENTRIFUGE_ERROR_UNAUTHORIZED);
        session->state = SESSION_REFUSED;
        return;
    }
    if (!verify(session, id, token, &identity)) {
        if (session->state == SESSION_NEW)
            session->state = SESSION_REFUSED;
        return;
    }
    session->state = SESSION_CONNECTED;
    session->user = identity.user;
    session->company = identity.company;
    session->expires_at = identity.expires_at;
    welcome(session, id);
    begin_pings(session);
}

void session_refresh(struct session *session, uint32_t id, const json_t *params)
{
    struct slice token = json_member(params, "token");
    struct identity identity;
    if (token.len == 0) {
        session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
        return;
    }
    if (!verify(session, id, token, &identity))
        return;
    if (!uuid_equal(&identity.user, &session->user) || !uuid_equal(&identity.company, &session->company)) {
        session_disconnect(session, CENTRIFUGE_DISCONNECT_INVALID_TOKEN); /* of somebody else */
        return;
    }
    session->expires_at = identity.expires_at;
    session_arm(session);
    struct buf reply;
    reply_begin(&reply, session, id, "refresh");
    append_client(&reply, session);
    reply_end(&reply, session);
}
