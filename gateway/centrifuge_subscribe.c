#include "gateway/centrifuge_private.h"
#include "gateway/ws.h"

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

/* What the hub tells. */

static void append_position(struct buf *reply, const struct hub_start *start)
{
    buf_append_text(reply, "\"recoverable\":true,\"positioned\":true,\"epoch\":");
    buf_append_json_string(reply, slice_of(start->epoch));
    buf_append_text(reply, ",\"offset\":");
    buf_append_i64(reply, start->offset);
    if (start->recover)
        buf_printf(reply, ",\"was_recovering\":true,\"recovered\":%s", start->recovered ? "true" : "false");
}

static void on_started(struct subscriber *subscriber, const struct hub_start *start)
{
    struct subscription *subscription = subscription_of(subscriber);
    struct buf reply;
    reply_begin(&reply, subscription->session, subscription->command, "subscribe");
    subscription->command = 0;
    append_position(&reply, start);
    for (size_t i = 0; i < start->publication_count; i++) {
        buf_append_text(&reply, i == 0 ? ",\"publications\":[" : ",");
        push_append_publication(&reply, start->publications[i]);
    }
    if (start->publication_count > 0)
        buf_append_char(&reply, ']');
    reply_end(&reply, subscription->session);
}

static void on_publications(struct subscriber *subscriber, struct bytes *frames)
{
    struct session *session = subscription_of(subscriber)->session;
    reply_flush(session); /* what was told before comes before */
    ws_send_frames(session->ws, frames);
}

static void on_refused(struct subscriber *subscriber, enum err err)
{
    struct subscription *subscription = subscription_of(subscriber);
    enum centrifuge_error error = err == ERR_FORBIDDEN   ? CENTRIFUGE_ERROR_PERMISSION_DENIED
                                  : err == ERR_NOT_FOUND ? CENTRIFUGE_ERROR_UNKNOWN_CHANNEL
                                                         : CENTRIFUGE_ERROR_INTERNAL;
    reply_error(subscription->session, subscription->command, error);
    discard(subscription);
}

static void push_unsubscribe(struct session *session, const struct subscription *subscription)
{
    char name[CHANNEL_NAME_SIZE], push[256];
    channel_format((enum channel_kind)subscription->kind, &subscription->id, name);
    int len = snprintf(
        push, sizeof(push),
        "{\"push\":{\"channel\":\"%s\",\"unsubscribe\":{\"code\":%d,\"reason\":\"insufficient state\"}}}",
        name, CENTRIFUGE_UNSUBSCRIBE_INSUFFICIENT);
    ws_send(session->ws, (struct slice){push, (size_t)len});
}

static void on_lost(struct subscriber *subscriber)
{
    struct subscription *subscription = subscription_of(subscriber);
    struct session *session = subscription->session;
    if (subscription->command != 0)
        reply_error(session, subscription->command, CENTRIFUGE_ERROR_INTERNAL);
    else
        push_unsubscribe(session, subscription);
    discard(subscription);
}

static size_t backlog(const struct subscriber *subscriber)
{
    const struct session *session = CONTAINER_OF(subscriber, const struct subscription, subscriber)->session;
    return ws_backlog(session->ws) + (session->batch ? buf_len(session->batch) : 0);
}

static const struct feed centrifuge_feed = {
    .encode = push_publications,
    .on_started = on_started,
    .on_publications = on_publications,
    .on_refused = on_refused,
    .on_lost = on_lost,
    .backlog = backlog,
};

/* Commands. */

/* Absent and null members are the protocol's zero values. False for what has another type. */
static bool read_position(const json_t *params, struct hub_ask *ask)
{
    const json_t *recover = json_object_get(params, "recover");
    const json_t *epoch = json_object_get(params, "epoch");
    const json_t *offset = json_object_get(params, "offset");
    if ((recover && !json_is_boolean(recover)) || (epoch && !json_is_string(epoch)) ||
        (offset && (!json_is_integer(offset) || json_integer_value(offset) < 0)))
        return false;
    ask->recover = json_is_true(recover);
    ask->epoch = json_member(params, "epoch");
    ask->offset = json_integer_value(offset);
    return true;
}

static struct subscription *add(struct session *session, uint32_t id, const struct hub_ask *ask)
{
    struct subscription *subscription = xcalloc(1, sizeof(*subscription));
    subscription->subscriber.feed = &centrifuge_feed;
    subscription->session = session;
    subscription->command = id;
    subscription->kind = (uint8_t)ask->kind;
    subscription->id = ask->id;
    subscription->next = session->subscriptions;
    session->subscriptions = subscription;
    session->subscription_count++;
    return subscription;
}

void session_subscribe(struct session *session, uint32_t id, const json_t *params)
{
    struct hub_ask ask = {.company = session->company};
    struct slice channel = json_member(params, "channel");
    if (channel.len == 0)
        session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
    else if (!channel_parse(channel, &ask.kind, &ask.id))
        reply_error(session, id, CENTRIFUGE_ERROR_UNKNOWN_CHANNEL);
    else if (!read_position(params, &ask))
        reply_error(session, id, CENTRIFUGE_ERROR_BAD_REQUEST);
    else if (find(session, ask.kind, &ask.id))
        reply_error(session, id, CENTRIFUGE_ERROR_ALREADY_SUBSCRIBED);
    else if (session->subscription_count >= session_gateway(session)->config->ws_max_channels)
        reply_error(session, id, CENTRIFUGE_ERROR_LIMIT_EXCEEDED);
    else
        hub_subscribe(session_gateway(session)->hub, &add(session, id, &ask)->subscriber, &ask);
}

void session_unsubscribe(struct session *session, uint32_t id, const json_t *params)
{
    enum channel_kind kind;
    struct uuid channel_id;
    struct slice channel = json_member(params, "channel");
    if (channel.len == 0) {
        session_disconnect(session, CENTRIFUGE_DISCONNECT_BAD_REQUEST);
        return;
    }
    struct subscription *subscription =
        channel_parse(channel, &kind, &channel_id) ? find(session, kind, &channel_id) : NULL;
    if (subscription) {
        if (subscription->command != 0) /* its subscribe has not been answered yet */
            reply_error(session, subscription->command, CENTRIFUGE_ERROR_INTERNAL);
        hub_unsubscribe(&subscription->subscriber);
        discard(subscription);
    }
    struct buf reply;
    reply_begin(&reply, session, id, "unsubscribe");
    reply_end(&reply, session);
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
