#pragma once
/* A session of the Centrifuge client protocol on one connection (link.h): commands in, replies and pushes out, in the form in
 * which it began (form.h). Handlers know JSON only: what comes and goes in Protobuf is turned into it and
 * from it at the edge (protobuf.h), but for publications, which are encoded once for each form.
 *
 * A token may name channels (claims `channels` and `subs`, as Centrifugo has them): the reply to connect
 * subscribes the session to them, and a push subscribes it to those of a refreshed token.
 *
 * A message has one or more commands. The replies that are ready at once go back in one message.
 * Publications are pushes; the hub has them framed once a turn for all subscribers of a channel (hub.h).
 *
 * The clock of a session: the client must connect within head_timeout_ms. Then it gets a ping (an empty reply)
 * every ws_ping_ms and must answer it (with an empty command) within ws_pong_ms. The session ends auth_leeway_ms after the token's
 * exp unless the client refreshes the token. When the process drains, each session is closed in its turn
 * (conn_set_drain).
 */

#include "common/crypto/token.h"
#include "gateway/centrifuge/form.h"
#include "gateway/hub/hub.h"

struct link;

/*   NEW ── connect ──▶ CONNECTED ── token expired, no pong, slow, drain, bad request ───────▶ ENDED
 *    │└─ connect without a valid token, or the database failed: error reply ──▶ REFUSED ──┐
 *    └─────────────────────────────── head_timeout_ms have passed ────────────────────────▶ ENDED
 */
enum session_state { SESSION_NEW, SESSION_REFUSED, SESSION_CONNECTED, SESSION_ENDED };

/* Who asked for a subscription: a command, the token of connect, or the token of a refresh. */
enum subscription_origin { BY_CLIENT, BY_TOKEN, BY_NEW_TOKEN };

enum session_due { DUE_CONNECT, DUE_PING, DUE_PONG };

/* One channel of one session. */
struct subscription {
    struct subscriber subscriber;
    struct session *session;
    struct subscription *next;
    struct uuid id;   /* of the channel, with `kind` */
    uint32_t command; /* the id of the subscribe command, until it is answered; then 0 */
    uint8_t kind;     /* enum channel_kind */
    uint8_t origin;   /* enum subscription_origin */
    bool is_live;     /* the hub has started it */
    bool is_named;    /* by the token */
};

struct session_welcome;
struct session_work;

/* A part of struct link. It is kept for as long as the connection is open, so it is small. */
struct session {
    struct link *link;
    struct buf *batch; /* replies to the message that is being handled; NULL between messages */
    struct subscription *subscriptions;
    struct session_welcome *welcome; /* until connect is answered */
    struct session_work *works;      /* commands that wait for their answers */
    struct uuid client;
    struct identity identity; /* of the token; its expiry changes with a refresh */
    ev_tstamp due_at;
    ev_tstamp commands, subscribes; /* how many of each a second: rate.h */
    uint32_t subscription_count;
    uint32_t work_bytes; /* that the waiting commands hold of what the client has sent */
    uint16_t work_count;
    uint8_t state; /* enum session_state */
    uint8_t due;   /* enum session_due */
    uint8_t form;  /* enum form */
    bool owes_pong;
    bool is_counted; /* in user_counts */
};

void session_init(struct session *session, struct link *link, enum form form);
/* Leaves all channels and sends nothing more. The memory stays until session_done. */
void session_end(struct session *session);
void session_done(struct session *session);

void session_on_message(struct session *session, struct slice message);
void session_on_time(struct session *session);  /* the time that link_limit was given has passed */
void session_on_slow(struct session *session);  /* more output waits for the client than max_output_bytes */
void session_on_flood(struct session *session); /* the process holds too much of what clients send */
void session_on_drain(struct session *session);
void session_on_revoked(struct session *session); /* tokens were revoked, perhaps this session's */
