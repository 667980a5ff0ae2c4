#pragma once
/* Inside of the session: for centrifuge*.c only.
 *
 *   centrifuge.c            the session's life: message by message, the clock, the end
 *   centrifuge_command.c    a line becomes a command; the table of commands
 *   centrifuge_connect.c    connect and refresh: tokens
 *   centrifuge_subscribe.c  subscribe and unsubscribe; what the hub tells
 *   centrifuge_reply.c      JSON text of replies
 *   centrifuge_push.c       JSON text and frames of publications
 */

#include <jansson.h>

#include "common/buf.h"
#include "gateway/centrifuge.h"
#include "gateway/centrifuge_codes.h"

/* centrifuge.c */
struct gateway *session_gateway(const struct session *session);
void session_disconnect(struct session *session, enum centrifuge_disconnect disconnect);
/* What is due next, and when. */
void session_schedule(struct session *session, enum session_due due, int64_t ms);
void session_arm(struct session *session); /* the token's exp has changed */

/* centrifuge_command.c: one line of a message. */
void session_on_line(struct session *session, struct slice line);

/* Handlers of commands. `params` is an object. */
void session_connect(struct session *session, uint32_t id, const json_t *params);
void session_refresh(struct session *session, uint32_t id, const json_t *params);
void session_subscribe(struct session *session, uint32_t id, const json_t *params);
void session_unsubscribe(struct session *session, uint32_t id, const json_t *params);

/* Text of a string member; SLICE_NONE when absent, null or another type. */
struct slice json_member(const json_t *object, const char *name);

/* centrifuge_subscribe.c */
void session_leave_all(struct session *session);
void session_free_subscriptions(struct session *session);

/* centrifuge_reply.c: `{"id":7,"subscribe":{` … `}}`, then out with it, with the others of its message. */
void reply_begin(struct buf *reply, const struct session *session, uint32_t id, const char *result);
void reply_end(struct buf *reply, struct session *session);
void reply_error(struct session *session, uint32_t id, enum centrifuge_error error);
void reply_ttl(struct buf *reply, const struct session *session); /* "expires":true,"ttl":3600 */
void reply_flush(struct session *session);                        /* what has gathered goes out */

/* centrifuge_push.c */
struct bytes *push_publications(const struct channel *channel, const struct publication *const *publications,
                                size_t count);
/* {"data":…,"offset":7} */
void push_append_publication(struct buf *out, const struct publication *publication);
