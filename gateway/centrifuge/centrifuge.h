#pragma once
/* The Centrifuge client protocol (JSON form) on one WebSocket: commands in, replies and pushes out.
 *
 *   NEW ── connect ──▶ CONNECTED ── token expired, no pong, slow, drain, bad request ──▶ ENDED
 *    │└─ refused (its token is missing or expired: the client was told) ──▶ REFUSED ──┐
 *    └────────────────── time (head_timeout_ms) ─────────────────────────────────────▶ ENDED
 *
 * A token may name channels (claims `channels` and `subs`, as Centrifugo has them): the session is subscribed to them by the
 * answer to connect, and to those of a refreshed token by a push.
 *
 * A message is one command a line; the replies that are ready at once go back in one message, a line each. Publications
 * are pushes, framed once a turn for all subscribers of a channel (hub.h).
 *
 * The clock of a session: connect within head_timeout_ms; then a ping (`{}`) every ws_ping_ms, answered (`{}`)
 * within ws_pong_ms; the token's exp, past which (and auth_leeway_ms) the session ends unless it is refreshed. When the
 * process drains the session is closed in its turn (conn_set_drain).
 */

#include "common/crypto/token.h"
#include "gateway/hub/hub.h"

struct ws;

enum session_state { SESSION_NEW, SESSION_REFUSED, SESSION_CONNECTED, SESSION_ENDED };

/* Whose wish a subscription is: a command's, the token's at connect, or the token's at a refresh. */
enum subscription_origin { BY_CLIENT, BY_TOKEN, BY_NEW_TOKEN };

enum session_due { DUE_CONNECT, DUE_PING, DUE_PONG };

/* One channel of one session. */
struct subscription {
    struct subscriber subscriber;
    struct session *session;
    struct subscription *next;
    struct uuid id;   /* of the channel, with `kind` */
    uint32_t command; /* that asked for it, until it is answered; then 0 */
    uint8_t kind;     /* enum channel_kind */
    uint8_t origin;   /* enum subscription_origin */
    bool is_live;     /* the hub has started it */
    bool is_named;    /* by the token */
};

struct session_welcome;
struct session_work;

/* A part of struct ws. All of it is kept for as long as a socket is open, so it is small. */
struct session {
    struct ws *ws;
    struct buf *batch; /* replies to the message that is being handled; NULL outside of that */
    struct subscription *subscriptions;
    struct session_welcome *welcome; /* until connect is answered */
    struct session_work *works;      /* commands that wait for their answers */
    struct uuid client;
    struct identity identity; /* of the token; its expiry changes with a refresh */
    ev_tstamp due_at;
    ev_tstamp commands, subscribes; /* rate.h */
    uint32_t subscription_count;
    uint16_t work_count;
    uint8_t state; /* enum session_state */
    uint8_t due;   /* enum session_due */
    bool owes_pong;
    bool is_counted; /* among its user's connections */
};

void session_init(struct session *session, struct ws *ws);
/* Leaves all channels; nothing is sent any more. Memory stays until session_done. */
void session_end(struct session *session);
void session_done(struct session *session);

void session_on_message(struct session *session, struct slice text);
void session_on_time(struct session *session); /* of ws_limit */
void session_on_slow(struct session *session); /* too much waits for the client */
void session_on_drain(struct session *session);
void session_on_revoked(struct session *session); /* some tokens are worth nothing any more */
