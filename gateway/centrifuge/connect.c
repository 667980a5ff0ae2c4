#include "common/msg/rights.h"
#include "gateway/auth/auth.h"
#include "gateway/centrifuge/link.h"
#include "gateway/centrifuge/private.h"
#include "gateway/limit/user_counts.h"

/* True when the token is valid; otherwise the client has been answered or disconnected. */
static bool verify(struct session *session, uint32_t id, struct slice token, struct identity *ret_identity)
{
    const char *why = NULL;
    enum err err = link_authorize(session->link, token, ret_identity, &why);
    if (err == ERR_OK && ret_identity->role_row != MSG_ROLE_UNKNOWN)
        return true;
    if (err == ERR_OK)
        reply_error(session, id, CENTRIFUGE_ERROR_PERMISSION_DENIED);
    else if (err == ERR_TOO_MANY_REQUESTS)
        reply_error(session, id, CENTRIFUGE_ERROR_TOO_MANY_REQUESTS);
    else if (err != ERR_UNAUTHENTICATED) /* nobody can tell at this moment */
        reply_error(session, id, CENTRIFUGE_ERROR_INTERNAL);
    else if (why == token_why_expired || why == token_why_key)
        reply_error(session, id, CENTRIFUGE_ERROR_TOKEN_EXPIRED);
    else
        session_disconnect(session, CENTRIFUGE_DISCONNECT_INVALID_TOKEN);
    return false;
}

/* Each channel that the token names. */

struct naming {
    struct session *session;
    enum subscription_origin origin;
    const json_t *positions;
};

static void on_named(void *arg, struct slice channel, bool join_leave)
{
    const struct naming *naming = arg;
    session_subscribe_by_token(naming->session, channel, join_leave, naming->origin, naming->positions);
}

static bool may_connect(struct session *session)
{
    struct gateway *gateway = session_gateway(session);
    session->is_counted = user_counts_enter(gateway->user_counts, &session->identity.user);
    if (!session->is_counted)
        session_disconnect(session, CENTRIFUGE_DISCONNECT_CONNECTION_LIMIT);
    return session->is_counted;
}

void session_connect(struct session *session, uint32_t id, const json_t *params)
{
    struct slice token = json_member(params, "token");
    struct naming naming = {session, BY_TOKEN, json_object_get(params, "subs")};
    if (token.len == 0) {
        reply_error(session, id, CENTRIFUGE_ERROR_UNAUTHORIZED);
        session_set_state(session, SESSION_REFUSED);
        return;
    }
    if (!verify(session, id, token, &session->identity)) {
        if (session->state == SESSION_NEW)
            session_set_state(session, SESSION_REFUSED);
        return;
    }
    if (!may_connect(session))
        return;
    session_set_state(session, SESSION_CONNECTED);
    welcome_begin(session, id);
    auth_channels(token, on_named, &naming);
    welcome_end_of_list(session);
}

static void name_channels_anew(struct session *session, struct slice token)
{
    struct naming naming = {session, BY_NEW_TOKEN, NULL};
    session_unname(session);
    auth_channels(token, on_named, &naming);
    session_leave_unnamed(session);
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
    if (!uuid_equal(&identity.user, &session->identity.user) ||
        !uuid_equal(&identity.company, &session->identity.company)) {
        session_disconnect(session, CENTRIFUGE_DISCONNECT_INVALID_TOKEN); /* another user's or company's */
        return;
    }
    if (identity.role_row !=
        session->identity.role_row) { /* it comes back, and each channel is asked for anew */
        session_disconnect(session, CENTRIFUGE_DISCONNECT_INSUFFICIENT_STATE);
        return;
    }
    session->identity = identity;
    session_arm(session);
    struct buf reply;
    reply_begin(&reply, session, id, "refresh");
    reply_client(&reply, session);
    reply_end(&reply, session);
    name_channels_anew(session, token);
}
