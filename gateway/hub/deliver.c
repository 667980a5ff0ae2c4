#include <assert.h>

#include "gateway/hub/private.h"

/* Events are encoded for the first subscriber of a protocol and shared by the others. There are few
 * protocols (the forms of sessions, streams, polls), and a channel's list has their subscribers mixed. */
enum { PROTOCOLS_MAX = 8 };

struct delivery {
    const struct publication *const *publications;
    size_t count;
    const struct channel *channel;
    const struct subscriber_protocol *protocols[PROTOCOLS_MAX];
    struct bytes *encoded[PROTOCOLS_MAX];
};

static struct bytes *encoded_for(struct delivery *delivery, const struct subscriber_protocol *protocol)
{
    size_t i = 0;
    while (i < PROTOCOLS_MAX && delivery->protocols[i] && delivery->protocols[i] != protocol)
        i++;
    assert(i < PROTOCOLS_MAX);
    if (!delivery->protocols[i]) {
        delivery->protocols[i] = protocol;
        delivery->encoded[i] = protocol->encode(delivery->channel, delivery->publications, delivery->count);
    }
    return delivery->encoded[i];
}

/* For a subscriber that was ahead of the others when it became live: only what is new to it. */
static void deliver_rest(struct subscriber *subscriber, const struct delivery *delivery)
{
    size_t seen = 0;
    while (seen < delivery->count && delivery->publications[seen]->seq <= subscriber->after)
        seen++;
    if (seen == delivery->count)
        return;
    struct bytes *encoded = subscriber->protocol->encode(delivery->channel, delivery->publications + seen,
                                                         delivery->count - seen);
    subscriber->protocol->on_publications(subscriber, encoded);
    bytes_unref(encoded);
}

static void deliver(const struct channel *channel, const struct publication *const *publications,
                    size_t count)
{
    struct delivery delivery = {.channel = channel, .publications = publications, .count = count};
    for (struct subscriber *subscriber = channel->live, *next; subscriber; subscriber = next) {
        next = subscriber->next; /* a subscriber whose socket is full may leave inside the call */
        if (publications[0]->seq > 0 && subscriber->after >= publications[0]->seq)
            deliver_rest(subscriber, &delivery);
        else
            subscriber->protocol->on_publications(subscriber, encoded_for(&delivery, subscriber->protocol));
    }
    for (size_t i = 0; i < PROTOCOLS_MAX; i++)
        bytes_unref(delivery.encoded[i]);
}

void channel_send(struct channel *channel, const struct publication *publication)
{
    deliver(channel, &publication, 1);
}

/* The channel's events in [from, last], in pieces. */
static void flush_channel(struct channel *channel, int64_t from)
{
    struct stream *stream = &channel->tenant->stream;
    const struct publication *piece[HUB_PAGE];
    size_t count = 0, bytes = 0;
    for (int64_t seq = from; seq <= stream->last && channel->live; seq++) {
        const struct publication *publication = stream_recent(stream, seq);
        if (!channel_has(channel, publication))
            continue;
        piece[count++] = publication;
        bytes += publication->body->slice.len;
        if (count == HUB_PAGE || bytes >= HUB_FRAME_BYTES) {
            deliver(channel, piece, count);
            count = bytes = 0;
        }
    }
    if (count > 0)
        deliver(channel, piece, count);
}

/* The project channels with live subscribers that the events in (after, last] concern, each with its first
 * event. */
static struct channel *dirty_projects(struct tenant *tenant, int64_t after)
{
    struct channel *dirty = NULL;
    if (tenant->projects.count == 0)
        return NULL;
    for (int64_t seq = after + 1; seq <= tenant->stream.last; seq++) {
        const struct publication *publication = stream_recent(&tenant->stream, seq);
        struct uuid_node *node =
            publication->has_project ? uuid_map_find(&tenant->projects, &publication->project) : NULL;
        struct channel *channel = node ? CONTAINER_OF(node, struct channel, node) : NULL;
        if (!channel || !channel->live || channel->dirty_from > 0)
            continue;
        channel->dirty_from = seq;
        channel->next_dirty = dirty;
        dirty = channel;
    }
    return dirty;
}

/* There are few sets of projects, so each of them checks every event; a project channel is found by the
 * event. */
static void flush_set(struct uuid_node *node, void *from)
{
    struct channel *channel = CONTAINER_OF(node, struct channel, node);
    if (channel->live)
        flush_channel(channel, *(int64_t *)from);
}

static size_t share_of_memory(const struct hub *hub)
{
    return (size_t)hub->gateway->config->recent_bytes / (hub->tenants.count ? hub->tenants.count : 1);
}

void tenant_flush(struct tenant *tenant)
{
    int64_t after = tenant->flushed;
    if (tenant->stream.last <= after)
        return;
    tenant->flushed = tenant->stream.last;
    if (tenant->company_channel)
        flush_channel(tenant->company_channel, after + 1);
    struct channel *channel = dirty_projects(tenant, after);
    while (channel) {
        int64_t from = channel->dirty_from;
        struct channel *next = channel->next_dirty;
        channel->dirty_from = 0;
        flush_channel(channel, from);
        channel = next;
    }
    int64_t from = after + 1;
    uuid_map_each(&tenant->sets, flush_set, &from);
    stream_trim(&tenant->stream, share_of_memory(tenant->hub), tenant->flushed);
}
