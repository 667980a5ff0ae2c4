#pragma once
/* A link from inside: for link.c and the two kinds of it. */

#include "gateway/centrifuge/centrifuge.h"
#include "gateway/centrifuge/link.h"
#include "gateway/net/conn.h"

struct link_kind {
    void (*send)(struct link *link, struct bytes *piece);
    void (*say_goodbye)(struct link *link, int code, const char *reason);
};

/*   OPEN ── link_close, or the connection ends ──▶ CLOSING ── the peer has read that, or ws_close_ms ──▶ end */
enum link_state { LINK_OPEN, LINK_CLOSING };

struct link {
    struct conn *conn;
    const struct link_kind *kind;
    const struct uuid *secret; /* link_secret */
    enum link_state state;
    struct session session;
};

/* Ends the session; nothing more is sent but a goodbye. */
void link_end(struct link *link);
/* What the client has said. True: with it the session has become CONNECTED. */
bool link_hear(struct link *link, struct slice message);

/* Of a conn_protocol whose state begins with a link. */
void link_on_end(struct conn *conn, void *state);
void link_on_timeout(struct conn *conn, void *state);
void link_on_overflow(struct conn *conn, void *state);
void link_on_drain(struct conn *conn, void *state);
void link_on_revoked(struct conn *conn, void *state);
