#include "gateway/centrifuge/link_private.h"
#include "gateway/http/access_log.h"
#include "gateway/http/authorize.h"

struct gateway *link_gateway(const struct link *link)
{
    return conn_gateway(link->conn);
}

const char *link_peer(const struct link *link)
{
    return conn_peer(link->conn);
}

enum err link_authorize(struct link *link, struct slice token, struct identity *ret_identity,
                        const char **ret_why)
{
    enum err err = authorize_token(link->conn, token, ret_identity, ret_why);
    if (!err)
        access_log_identify(link->conn, ret_identity);
    return err;
}

const struct uuid *link_secret(const struct link *link)
{
    return link->secret;
}

static void set_state(struct link *link, enum link_state state)
{
    static const char *const names[] = {[LINK_OPEN] = "open", [LINK_CLOSING] = "closing"};
    if (link->state != state)
        log_debug("link.state", LOG_S("peer", link_peer(link)), LOG_S("from", names[link->state]),
                  LOG_S("to", names[state]));
    link->state = state;
}

/* Output. */

void link_send(struct link *link, struct slice messages)
{
    if (link->state != LINK_OPEN)
        return;
    char *at;
    struct bytes *piece = form_new(link->session.form, messages.len, &at);
    memcpy(at, messages.data, messages.len);
    link_send_shared(link, piece);
    bytes_unref(piece);
}

void link_send_shared(struct link *link, struct bytes *piece)
{
    if (link->state == LINK_OPEN)
        link->kind->send(link, piece);
}

size_t link_backlog(const struct link *link)
{
    return conn_output(link->conn);
}

void link_limit(struct link *link, int64_t ms)
{
    if (link->state == LINK_OPEN)
        conn_limit(link->conn, ms);
}

/* Input. */

bool link_hear(struct link *link, struct slice message)
{
    bool was_connected = link->session.state == SESSION_CONNECTED;
    if (link->state == LINK_OPEN)
        session_on_message(&link->session, message);
    if (was_connected || link->session.state != SESSION_CONNECTED)
        return false;
    conn_set_known(link->conn);
    return true;
}

/* The end. */

void link_end(struct link *link)
{
    session_end(&link->session);
    set_state(link, LINK_CLOSING);
}

void link_close(struct link *link, int code, const char *reason)
{
    if (link->state != LINK_OPEN)
        return;
    link->kind->say_goodbye(link, code, reason);
    link_end(link);
    conn_limit(link->conn, link_gateway(link)->config->ws_close_ms);
}

/* Connection. */

void link_on_end(struct conn *conn, void *state)
{
    link_end(state);
    conn_close(conn);
}

void link_on_timeout(struct conn *conn, void *state)
{
    struct link *link = state;
    if (link->state == LINK_OPEN)
        session_on_time(&link->session);
    else if (conn_output(conn) > 0)
        conn_abort(conn); /* the peer has not even read the goodbye */
    else
        conn_close(conn);
}

void link_on_overflow(struct conn *conn, void *state)
{
    struct link *link = state;
    if (link->state != LINK_OPEN)
        return;
    conn_cut(conn); /* the client recovers what it has not read, so only the goodbye is still sent */
    session_on_slow(&link->session);
}

void link_on_drain(struct conn *conn, void *state)
{
    (void)conn;
    struct link *link = state;
    if (link->state == LINK_OPEN)
        session_on_drain(&link->session);
}

void link_on_revoked(struct conn *conn, void *state)
{
    (void)conn;
    struct link *link = state;
    if (link->state == LINK_OPEN)
        session_on_revoked(&link->session);
}
