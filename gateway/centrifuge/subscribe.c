#include "common/base/clock.h"
#include "gateway/centrifuge/link.h"
#include "gateway/centrifuge/private.h"
#include "gateway/limit/rate.h"

static struct subscription *subscription_of(struct subscriber *subscriber)
{
    return CONTAINER_OF(subscriber, struct subscription, subscriber);
}

static struct subscription *find(const struct session *session, enum channel_kind kind, const struct uuid *id)
{
    struct subscription *subscription = session->subscriptions;
    while (subscription && (subscription->kind != (uint8_t)kind || !uuid_equal(&subscription->id, id)))
        subscription = subscription->next;
    return subscription;
}

static void discard(struct subscription *subscription)
{
    struct session *session = subscription->session;
    struct subscription **at = &session->subscriptions;
    while (*at != subscription)
        at = &(*at)->next;
    *at = subscription->next;
    session->subscription_count--;
    free(subscription);
}

/* What the hub calls. */

static void append_position(struct buf *out, const struct hub_start *start)
{
    buf_append_text(out, "\"recoverable\":true,\"positioned\":true,\"epoch\":");
    buf_append_json_string(out, slice_of(start->epoch));
    buf_append_text(out, ",\"offset\":");
    buf_append_i64(out, start->offset);
}

void append_start(struct buf *out, const struct hub_start *start)
{
    append_position(out, start);
    if (start->recover)
        buf_printf(out, ",\"was_recovering\":true,\"recovered\":%s", start->recovered ? "true" : "false");
    for (size_t i = 0; i < start->publication_count; i++) {
        buf_append_text(out, i == 0 ? ",\"publications\":[" : ",");
        push_append_publication(out, start->publications[i]);
    }
    if (start->publication_count > 0)
        buf_append_char(out, ']');
}

static void push_begin(struct buf *push, const struct subscription *subscription, const char *kind)
{
    char name[CHANNEL_NAME_SIZE];
    channel_format((enum channel_kind)subscription->kind, &subscription->id, name);
    buf_init(push, 512);
    buf_printf(push, "{\"push\":{\"channel\":\"%s\",\"%s\":{", name, kind);
}

static void push_end(struct buf *push, struct session *session)
{
    buf_append_text(push, "}}}");
    reply_push(push, session);
}

static void push_unsubscribe(struct session *session, const struct subscription *subscription, int code,
                             const char *reason)
{
    struct buf push;
    push_begin(&push, subscription, "unsubscribe");
    buf_printf(&push, "\"code\":%d,\"reason\":\"%s\"", code, reason);
    push_end(&push, session);
}

/* A channel that a refreshed token names starts now, so there is nothing to recover. */
static void push_subscribe(struct session *session, const struct subscription *subscription,
                           const struct hub_start *start)
{
    struct buf push;
    push_begin(&push, subscription, "subscribe");
    append_position(&push, start);
    push_end(&push, session);
}

static void on_started(struct subscriber *subscriber, const struct hub_start *start)
{
    struct subscription *subscription = subscription_of(subscriber);
    struct session *session = subscription->session;
    struct buf reply;
    subscription->is_live = true;
    switch ((enum subscription_origin)subscription->origin) {
    case BY_CLIENT:
        reply_begin(&reply, session, subscription->command, "subscribe");
        append_start(&reply, start);
        reply_end(&reply, session);
        break;
    case BY_TOKEN:
        welcome_add(session, subscription, start);
        break;
    case BY_NEW_TOKEN:
        push_subscribe(session, subscription, start);
        break;
    }
}

static void on_publications(struct subscriber *subscriber, struct bytes *frames)
{
    struct session *session = subscription_of(subscriber)->session;
    if (session->welcome) {
        welcome_hold(session, frames);
        return;
    }
    reply_flush(session); /* replies that were made earlier are sent earlier */
    link_send_shared(session->link, frames);
}

/* Answers for a subscription that the hub refused: its command gets an error, the welcome goes on without
 * it. */
static void answer_refused(struct session *session, const struct subscription *subscription, enum err err)
{
    enum centrifuge_error error = err == ERR_FORBIDDEN   ? CENTRIFUGE_ERROR_PERMISSION_DENIED
                                  : err == ERR_NOT_FOUND ? CENTRIFUGE_ERROR_UNKNOWN_CHANNEL
                                                         : CENTRIFUGE_ERROR_INTERNAL;
    if (subscription->origin == BY_CLIENT)
        reply_error(session, subscription->command, error);
    else if (subscription->origin == BY_TOKEN)
        welcome_skip(session, err);
}

static void on_refused(struct subscriber *subscriber, enum err err)
{
    struct subscription *subscription = subscription_of(subscriber);
    struct session *session = subscription->session;
    const struct subscription refused = *subscription;
    discard(subscription);
    answer_refused(session, &refused, err);
}

/* The client subscribes again to its own channels. It gets the channels of its token by connecting again. */
static void on_lost(struct subscriber *subscriber)
{
    struct subscription *subscription = subscription_of(subscriber);
    struct session *session = subscription->session;
    if (!subscription->is_live) {
        on_refused(subscriber, ERR_INTERNAL);
        return;
    }
    if (subscription->origin == BY_CLIENT)
        push_unsubscribe(session, subscription, CENTRIFUGE_UNSUBSCRIBE_INSUFFICIENT, "insufficient state");
    bool by_client = subscription->origin == BY_CLIENT;
    discard(subscription);
    if (!by_client)
        session_disconnect(session, CENTRIFUGE_DISCONNECT_INSUFFICIENT_STATE);
}

static size_t backlog(const struct subscriber *subscriber)
{
    const struct session *session = CONTAINER_OF(subscriber, const struct subscription, subscriber)->session;
    return link_backlog(session->link) + (session->batch ? buf_len(session->batch) : 0) +
           welcome_bytes(session);
}

static bool member(const struct subscriber *subscriber, struct member *ret_member)
{
    const struct session *session = CONTAINER_OF(subscriber, const struct subscription, subscriber)->session;
    *ret_member = (struct member){.client = session->client, .user = session->identity.user};
    return true;
}

/* One for each form, so that the hub has each event encoded once for all sessions of a form. */
#define SUBSCRIBER(form_publications, form_members)                                                  \
    {                                                                                                \
        .encode = (form_publications), .on_started = on_started, .on_publications = on_publications, \
        .on_refused = on_refused, .on_lost = on_lost, .backlog = backlog, .member = member,          \
        .encode_members = (form_members),                                                            \
    }

static const struct subscriber_protocol subscribers[] = {
    [FORM_JSON] = SUBSCRIBER(push_json, push_members_json),
    [FORM_PROTOBUF] = SUBSCRIBER(push_protobuf, push_members_protobuf),
    [FORM_JSON_STREAM] = SUBSCRIBER(push_json_stream, push_members_json_stream),
    [FORM_PROTOBUF_STREAM] = SUBSCRIBER(push_protobuf_stream, push_members_protobuf_stream),
    [FORM_SSE] = SUBSCRIBER(push_sse, push_members_sse),
};

/* Commands. */

static bool read_position(const json_t *params, struct hub_request *request)
{
    const json_t *epoch = json_object_get(params, "epoch");
    request->epoch = json_member(params, "epoch");
    return (!epoch || json_is_null(epoch) || json_is_string(epoch)) &&
           json_read_flag(params, "recover", &request->recover) &&
           json_read_integer(params, "offset", 0, INT64_MAX, &request->offset);
}

static struct subscription *add(struct session *session, uint32_t id, const struct hub_request *request,
                                enum subscription_origin origin)
{
    struct subscription *subscription = xcalloc(1, sizeof(*subscription));
    subscription->subscriber.protocol = &subscribers[session->form];
    subscription->session = session;
    subscription->command = id;
    subscription->kind = (uint8_t)request->kind;
    subscription->origin = (uint8_t)origin;
    subscription->is_named = origin != BY_CLIENT;
    subscription->id = request->id;
    subscription->next = session->subscriptions;
    session->subscriptions = subscription;
    session->subscription_count++;
    return subscription;
}

static bool is_full(const struct session *session)
{
    return session->subscription_count >= session_gateway(session)->config->ws_max_channels;
}

/* A client that reconnects subscribes to all of its channels at once, so the burst is ws_max_channels. */
static bool is_too_fast(struct session *session)
{
    const struct gateway *gateway = session_gateway(session);
    int64_t per_s = gateway->config->ws_subscribes_per_s;
    return rate_take(&session->subscribes, clock_monotonic_s(), per_s,
                     gateway->config->ws_max_channels + per_s) != RATE_FITS;
}

static void subscribe(struct session *session, uint32_t id, const struct hub_request *request,
                      bool join_leave)
{
    struct subscription *subscription = add(session, id, request, BY_CLIENT);
    subscription->subscriber.join_leave = join_leave;
    hub_subscribe(session_gateway(session)->hub, &subscription->subscriber, request);
}

void session_subscribe(struct session *session, uint32_t id, const json_t *params)
{
    struct hub_request request = {.company = session->identity.company,
                                  .user = session->identity.user,
                                  .role = session->identity.role_row};
    struct slice channel = json_member(params, "channel");
    bool join_leave = false;
    if (channel.len == 0)
        session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
    else if (is_too_fast(session))
        reply_error(session, id, CENTRIFUGE_ERROR_TOO_MANY_REQUESTS);
    else if (!channel_parse(channel, &request.kind, &request.id))
        reply_error(session, id, CENTRIFUGE_ERROR_UNKNOWN_CHANNEL);
    else if (!read_position(params, &request) || !json_read_flag(params, "join_leave", &join_leave))
        reply_error(session, id, CENTRIFUGE_ERROR_BAD_REQUEST);
    else if (find(session, request.kind, &request.id))
        reply_error(session, id, CENTRIFUGE_ERROR_ALREADY_SUBSCRIBED);
    else if (is_full(session))
        reply_error(session, id, CENTRIFUGE_ERROR_LIMIT_EXCEEDED);
    else
        subscribe(session, id, &request, join_leave);
}

/* The subscription to the channel that `params` names; `ret_channel` tells whether there can be one. */
static struct subscription *find_named(struct session *session, const json_t *params,
                                       struct slice *ret_channel)
{
    enum channel_kind kind;
    struct uuid id;
    *ret_channel = json_member(params, "channel");
    return channel_parse(*ret_channel, &kind, &id) ? find(session, kind, &id) : NULL;
}

static void drop(struct subscription *subscription)
{
    struct session *session = subscription->session;
    const struct subscription dropped = *subscription;
    hub_unsubscribe(&subscription->subscriber);
    discard(subscription);
    if (!dropped.is_live) /* its subscribe command has not been answered yet */
        answer_refused(session, &dropped, dropped.origin == BY_TOKEN ? ERR_NOT_FOUND : ERR_INTERNAL);
}

void session_unsubscribe(struct session *session, uint32_t id, const json_t *params)
{
    struct slice channel;
    struct buf reply;
    struct subscription *subscription = find_named(session, params, &channel);
    if (channel.len == 0) {
        session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
        return;
    }
    if (subscription)
        drop(subscription);
    reply_begin(&reply, session, id, "unsubscribe");
    reply_end(&reply, session);
}

struct subscription *session_subscribed(struct session *session, uint32_t id, const json_t *params)
{
    struct slice channel;
    struct subscription *subscription = find_named(session, params, &channel);
    if (channel.len == 0)
        session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
    else if (!subscription || !subscription->is_live)
        reply_error(session, id, CENTRIFUGE_ERROR_PERMISSION_DENIED);
    else
        return subscription;
    return NULL;
}

/* A subscription lives as long as the token of its connection and has no token of its own to refresh. */
void session_sub_refresh(struct session *session, uint32_t id, const json_t *params)
{
    struct buf reply;
    if (!session_subscribed(session, id, params))
        return;
    reply_begin(&reply, session, id, "sub_refresh");
    reply_end(&reply, session);
}

/* Clients do not publish. A channel carries the events of what they write through the API (rpc). */
void session_publish(struct session *session, uint32_t id, const json_t *params)
{
    enum channel_kind kind;
    struct uuid channel_id;
    struct slice channel = json_member(params, "channel");
    if (channel.len == 0)
        session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
    else
        reply_error(session, id,
                    channel_parse(channel, &kind, &channel_id) ? CENTRIFUGE_ERROR_PERMISSION_DENIED
                                                               : CENTRIFUGE_ERROR_UNKNOWN_CHANNEL);
}

/* The channels of tokens. */

void session_subscribe_by_token(struct session *session, struct slice channel, bool join_leave,
                                enum subscription_origin origin, const json_t *positions)
{
    char name[CHANNEL_NAME_SIZE];
    struct hub_request request = {.company = session->identity.company,
                                  .user = session->identity.user,
                                  .role = session->identity.role_row};
    if (session->state == SESSION_ENDED || !channel_parse(channel, &request.kind, &request.id))
        return; /* no channel of ours: the token may serve other systems too */
    struct subscription *subscription = find(session, request.kind, &request.id);
    if (subscription) {
        subscription->is_named = true;
        return;
    }
    if (is_full(session)) {
        session_disconnect(session, CENTRIFUGE_DISCONNECT_CHANNEL_LIMIT);
        return;
    }
    channel_format(request.kind, &request.id, name);
    const json_t *position = json_object_get(positions, name);
    if (position && !read_position(position, &request))
        request.recover = false;
    subscription = add(session, 0, &request, origin);
    subscription->subscriber.join_leave = join_leave;
    welcome_expect(session, origin);
    hub_subscribe(session_gateway(session)->hub, &subscription->subscriber, &request);
}

void session_unname(struct session *session)
{
    for (struct subscription *s = session->subscriptions; s; s = s->next)
        s->is_named = false;
}

void session_leave_unnamed(struct session *session)
{
    for (struct subscription *s = session->subscriptions, *next; s; s = next) {
        next = s->next;
        if (s->origin == BY_CLIENT || s->is_named)
            continue;
        if (s->is_live)
            push_unsubscribe(session, s, CENTRIFUGE_UNSUBSCRIBE_SERVER, "unsubscribed by server");
        drop(s);
    }
}

void session_leave_all(struct session *session)
{
    for (struct subscription *subscription = session->subscriptions; subscription;
         subscription = subscription->next)
        hub_unsubscribe(&subscription->subscriber);
}

void session_free_subscriptions(struct session *session)
{
    struct subscription *subscription = TAKE(session->subscriptions);
    while (subscription) {
        struct subscription *next = subscription->next;
        free(subscription);
        subscription = next;
    }
}
