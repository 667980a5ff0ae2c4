#pragma once
/* Inside of the session: for this room only.
 *
 *   centrifuge.c  the session's life: its state, its messages, its clock, its end
 *   command.c     a line becomes a command; the table of commands; how many a second
 *   connect.c     connect and refresh: tokens
 *   welcome.c     the reply to connect, which waits for the channels of the token
 *   subscribe.c   subscribe and unsubscribe; what the hub calls
 *   history.c     history
 *   presence.c    who is on a channel
 *   rpc.c         rpc: a request of the HTTP API
 *   work.c        commands that are answered later
 *   reply.c       JSON text of replies, and its way out in the session's form
 *   push.c        publications in each form
 *   form.c        how messages stand on a connection
 *   link.c        the connection, of either kind: socket.c, http_stream.c
 *   emulation.c   what the clients of streams say
 *   protobuf.c    the Protobuf form into JSON, and back
 */

#include <jansson.h>

#include "common/base/buf.h"
#include "gateway/centrifuge/centrifuge.h"
#include "gateway/centrifuge/codes.h"

/* centrifuge.c */
struct gateway *session_gateway(const struct session *session);
void session_disconnect(struct session *session, enum centrifuge_disconnect disconnect);
/* The only function that changes the state. */
void session_set_state(struct session *session, enum session_state state);
/* `due` happens `ms` from now, in place of what was due before. */
void session_schedule(struct session *session, enum session_due due, int64_t ms);
void session_arm(struct session *session); /* the token's exp has changed */

/* command.c: one command of a message. */
void session_on_line(struct session *session, struct slice line);
void session_on_protobuf(struct session *session, struct slice message);

/* Handlers of commands. `params` is an object. Each replies to command `id`, at once or later, or
 * disconnects. */
void session_connect(struct session *session, uint32_t id, const json_t *params);
void session_refresh(struct session *session, uint32_t id, const json_t *params);
void session_subscribe(struct session *session, uint32_t id, const json_t *params);
void session_unsubscribe(struct session *session, uint32_t id, const json_t *params);
void session_sub_refresh(struct session *session, uint32_t id, const json_t *params);
void session_publish(struct session *session, uint32_t id, const json_t *params);
void session_history(struct session *session, uint32_t id, const json_t *params);
void session_presence(struct session *session, uint32_t id, const json_t *params);
void session_presence_stats(struct session *session, uint32_t id, const json_t *params);
void session_rpc(struct session *session, uint32_t id, const json_t *params);

/* The text of a string member; SLICE_NONE when it is absent, null or no string. */
struct slice json_member(const json_t *object, const char *name);

/* The value of an optional integer member in [min, max], 0 when it is absent or null; false for anything
 * else. */
bool json_read_integer(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *ret_value);
/* The value of an optional boolean member, false when it is absent or null; false is returned for anything
 * else. */
bool json_read_flag(const json_t *object, const char *name, bool *ret_value);

/* subscribe.c */
void session_leave_all(struct session *session);
void session_free_subscriptions(struct session *session);
/* The live subscription to the channel that `params` names. NULL when there is none: the command has been
 * refused. */
struct subscription *session_subscribed(struct session *session, uint32_t id, const json_t *params);
/* Subscribes to a channel that the token names. `positions` (the `subs` of connect, or NULL) may hold the
 * position from which to recover. */
void session_subscribe_by_token(struct session *session, struct slice channel, bool join_leave,
                                enum subscription_origin origin, const json_t *positions);
/* A refreshed token: forget what the old token named, subscribe by the new one, then leave what only the
 * old one named. */
void session_unname(struct session *session);
void session_leave_unnamed(struct session *session);
/* Appends "recoverable":true,"positioned":true,"epoch":…,"offset":…,"publications":[…]. */
void append_start(struct buf *out, const struct hub_start *start);

/* welcome.c: connect is answered when the channels of its token have started.
 *
 *   begin ─▶ waits for each expected channel ── all started ──▶ reply with positions, then the held frames
 *                              └─ the database failed ──▶ error 100, after which the client connects again
 */
void welcome_begin(struct session *session, uint32_t id);
void welcome_expect(struct session *session, enum subscription_origin origin);
void welcome_add(struct session *session, const struct subscription *subscription,
                 const struct hub_start *start);
void welcome_skip(struct session *session, enum err err);         /* the hub refused the channel */
void welcome_hold(struct session *session, struct bytes *frames); /* takes a reference of its own */
size_t welcome_bytes(const struct session *session);              /* held here */
void welcome_end_of_list(struct session *session);                /* no more channels will be expected */
void welcome_free(struct session *session);

/* work.c: a command that is answered later. A part of the struct that waits for the answer. */
struct session_work {
    struct session *session;
    struct session_work *next, **place;
    uint32_t command;
    uint32_t bytes; /* that it holds of what the client has sent: session_work_hold */
    void (*drop)(struct session_work *work); /* the session ends: frees it, and the answer is dropped */
};
/* True when fewer than ws_max_calls commands wait; otherwise the command has been refused with error 111. */
bool session_may_work(struct session *session, uint32_t id);
void session_work_begin(struct session *session, uint32_t id, struct session_work *work,
                        void (*drop)(struct session_work *work));
void session_work_hold(struct session_work *work, size_t bytes); /* at most once for each work */
void session_work_end(struct session_work *work);                /* before it is answered and freed */
void session_drop_works(struct session *session);

/* reply.c: reply_begin writes `{"id":7,"subscribe":{`, the caller the rest; reply_end writes `}}` and
 * sends it together with the other replies to the message. */
void reply_begin(struct buf *reply, const struct session *session, uint32_t id, const char *result);
void reply_end(struct buf *reply, struct session *session);
void reply_error(struct session *session, uint32_t id, enum centrifuge_error error);
void reply_client(struct buf *reply, const struct session *session); /* "client":…,"version":…, and its ttl */
void reply_flush(struct session *session);                           /* sends the replies gathered so far */
/* Sends a push after the replies that were made earlier. `push` is JSON, and is freed. */
void reply_push(struct buf *push, struct session *session);
void reply_ping(struct session *session);

/* push.c: each makes one piece of bytes for all sessions of a form (form_new), with a reference for the caller. */
#define PUSH_FORM(form)                                                                                     \
    struct bytes *push_##form(const struct channel *channel, const struct publication *const *publications, \
                              size_t count);                                                                \
    struct bytes *push_members_##form(const struct channel *channel, const struct member_change *changes,   \
                                      size_t count);
PUSH_FORM(json)
PUSH_FORM(protobuf)
PUSH_FORM(json_stream)
PUSH_FORM(protobuf_stream)
PUSH_FORM(sse)
#undef PUSH_FORM
/* "client":"…","user":"…" */
void push_append_member(struct buf *out, const struct member *member);
/* {"data":…,"offset":7} */
void push_append_publication(struct buf *out, const struct publication *publication);
