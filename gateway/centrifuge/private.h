#pragma once
/* Inside of the session: for centrifuge*.c only.
 *
 *   centrifuge.c            the session's life: message by message, the clock, the end
 *   command.c    a line becomes a command; the table of commands; how many and how often
 *   connect.c    connect and refresh: tokens
 *   welcome.c    the answer to connect
 *   subscribe.c  subscribe and unsubscribe; what the hub tells
 *   history.c    history
 *   presence.c   who is on a channel
 *   rpc.c        rpc: a request of the HTTP API
 *   work.c       commands that are answered later
 *   reply.c      JSON text of replies
 *   push.c       JSON text and frames of publications
 */

#include <jansson.h>

#include "common/base/buf.h"
#include "gateway/centrifuge/centrifuge.h"
#include "gateway/centrifuge/codes.h"

/* centrifuge.c */
struct gateway *session_gateway(const struct session *session);
void session_disconnect(struct session *session, enum centrifuge_disconnect disconnect);
/* What is due next, and when. */
void session_schedule(struct session *session, enum session_due due, int64_t ms);
void session_arm(struct session *session); /* the token's exp has changed */

/* command.c: one line of a message. */
void session_on_line(struct session *session, struct slice line);

/* Handlers of commands. `params` is an object. */
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

/* Text of a string member; SLICE_NONE when absent, null or another type. */
struct slice json_member(const json_t *object, const char *name);

/* The value of an optional integer member in [min, max], 0 when it is absent or null; false for anything else. */
bool json_read_integer(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *ret_value);
/* Of an optional boolean one. */
bool json_read_flag(const json_t *object, const char *name, bool *ret_value);

/* subscribe.c */
void session_leave_all(struct session *session);
void session_free_subscriptions(struct session *session);
/* The subscription to that channel, when it is live; else the command is refused and NULL returned. */
struct subscription *session_subscribed(struct session *session, uint32_t id, const json_t *params);
/* The token names this channel; `positions` (of the connect command, or NULL) may say from where to recover. */
void session_subscribe_by_token(struct session *session, struct slice channel, bool join_leave,
                                enum subscription_origin origin, const json_t *positions);
/* Before the channels of a new token are named, and after: those that only the old one named are left. */
void session_unname(struct session *session);
void session_leave_unnamed(struct session *session);
/* "recoverable":true,"positioned":true,"epoch":…  …  ,"publications":[…] */
void append_start(struct buf *out, const struct hub_start *start);

/* welcome.c: connect is answered when the channels of its token have started.
 *
 *   begin ─▶ waiting for each that is expected ── all there ──▶ answered, with their positions; then what came meanwhile
 *                              └─ the database failed ──▶ error 100: the client comes again
 */
void welcome_begin(struct session *session, uint32_t id);
void welcome_expect(struct session *session, enum subscription_origin origin);
void welcome_add(struct session *session, const struct subscription *subscription,
                 const struct hub_start *start);
void welcome_skip(struct session *session, enum err err);         /* it cannot be had */
void welcome_hold(struct session *session, struct bytes *frames); /* takes a reference of its own */
size_t welcome_bytes(const struct session *session);              /* that wait here */
void welcome_end_of_list(struct session *session);                /* no more is expected */
void welcome_free(struct session *session);

/* work.c: a part of the struct that waits for the answer. */
struct session_work {
    struct session *session;
    struct session_work *next, **place;
    uint32_t command;
    void (*drop)(struct session_work *work); /* the session ends: frees it, the answer finds nobody */
};
/* Room for one more; else the command is answered with 111. */
bool session_may_work(struct session *session, uint32_t id);
void session_work_begin(struct session *session, uint32_t id, struct session_work *work,
                        void (*drop)(struct session_work *work));
void session_work_end(struct session_work *work); /* before it is answered and freed */
void session_drop_works(struct session *session);

/* reply.c: `{"id":7,"subscribe":{` … `}}`, then out with it, with the others of its message. */
void reply_begin(struct buf *reply, const struct session *session, uint32_t id, const char *result);
void reply_end(struct buf *reply, struct session *session);
void reply_error(struct session *session, uint32_t id, enum centrifuge_error error);
void reply_client(struct buf *reply, const struct session *session); /* "client":…,"version":…, and its ttl */
void reply_flush(struct session *session);                           /* what has gathered goes out */

/* push.c */
struct bytes *push_publications(const struct channel *channel, const struct publication *const *publications,
                                size_t count);
struct bytes *push_members(const struct channel *channel, const struct member_change *changes, size_t count);
/* "client":"…","user":"…" */
void push_append_member(struct buf *out, const struct member *member);
/* {"data":…,"offset":7} */
void push_append_publication(struct buf *out, const struct publication *publication);
