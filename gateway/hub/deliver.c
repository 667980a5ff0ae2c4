#include <assert.h>

#include "gateway/hub/private.h"
#include "gateway/hub/shares.h"

struct delivery {
    const struct publication *const *publications; /* at most HUB_PAGE */
    size_t count;
    const struct channel *channel;
    const char *const *users[HUB_PAGE]; /* who alone see an event; NULL: all who may */
    struct shares shares;
};

static enum audience_of audience_of_channel(const struct channel *channel)
{
    return channel->kind == CHANNEL_COMPANY     ? AUDIENCE_OF_COMPANY
           : channel->kind == CHANNEL_OPERATION ? AUDIENCE_OF_ALL
                                                : AUDIENCE_OF_PROJECTS;
}

struct viewer subscriber_viewer(const struct subscriber *subscriber)
{
    return (struct viewer){.role = subscriber->role,
                           .of = audience_of_channel(subscriber->channel),
                           .ties = subscriber->view ? &subscriber->view->ties : NULL,
                           .user = &subscriber->user};
}

/* What the viewer's user is to an event: its ties to the project, and whether the event names it. */
static uint8_t ties_to_event(const struct delivery *delivery, const struct viewer *viewer, size_t i)
{
    const struct publication *publication = delivery->publications[i];
    const char *const *users = delivery->users[i];
    bool is_named = users && audience_names(users, publication->body->slice, viewer->user);
    return (uint8_t)(audience_ties_to(viewer, publication) | (is_named ? MSG_MAY_SELF : 0));
}

/* Those whose users are the same to these events share what is encoded: there are mostly two kinds of them, who see an
 * event and who do not. */
static struct share *share_of(struct delivery *delivery, const struct subscriber *subscriber)
{
    const struct viewer viewer = subscriber_viewer(subscriber);
    uint8_t ties[HUB_PAGE];
    bool is_new;
    for (size_t i = 0; i < delivery->count; i++)
        ties[i] = ties_to_event(delivery, &viewer, i);
    struct share *share =
        shares_obtain(&delivery->shares, audience_like(viewer.role), ties, delivery->count, &is_new);
    if (is_new)
        audience_init(&share->seen, &viewer, delivery->publications, delivery->count);
    return share;
}

/* NULL: there is nothing that the subscriber sees. */
static struct bytes *encoded_for(struct delivery *delivery, const struct subscriber *subscriber)
{
    struct share *share = share_of(delivery, subscriber);
    const struct subscriber_protocol *protocol = subscriber->protocol;
    size_t i = 0;
    while (i < PROTOCOLS_MAX && share->protocols[i] && share->protocols[i] != protocol)
        i++;
    assert(i < PROTOCOLS_MAX);
    if (!share->protocols[i]) {
        share->protocols[i] = protocol;
        if (share->seen.count > 0)
            share->encoded[i] =
                protocol->encode(delivery->channel, share->seen.publications, share->seen.count);
    }
    return share->encoded[i];
}

/* For a subscriber that was ahead of the others when it became live: only what is new to it. */
static void deliver_rest(struct subscriber *subscriber, const struct delivery *delivery)
{
    size_t skipped = 0;
    while (skipped < delivery->count && delivery->publications[skipped]->seq <= subscriber->after)
        skipped++;
    const struct viewer viewer = subscriber_viewer(subscriber);
    CLEANUP(audience_done) struct audience seen;
    audience_init(&seen, &viewer, delivery->publications + skipped, delivery->count - skipped);
    if (seen.count == 0)
        return;
    struct bytes *encoded = subscriber->protocol->encode(delivery->channel, seen.publications, seen.count);
    subscriber->protocol->on_publications(subscriber, encoded);
    bytes_unref(encoded);
}

/* Those who look through `view`, which has been held back; NULL: all who are not. */
static bool is_meant(const struct subscriber *subscriber, const struct view *view)
{
    return view ? subscriber->view == view : !subscriber->view || !subscriber->view->is_stale;
}

static void deliver(const struct channel *channel, const struct publication *const *publications,
                    size_t count, const struct view *view)
{
    struct delivery delivery = {.channel = channel, .publications = publications, .count = count};
    for (size_t i = 0; i < count; i++)
        delivery.users[i] = audience_users(publications[i]->body->slice);
    for (struct subscriber *subscriber = channel->live, *next; subscriber; subscriber = next) {
        next = subscriber->next; /* a subscriber whose socket is full may leave inside the call */
        if (!is_meant(subscriber, view))
            continue;
        if (publications[0]->seq > 0 && subscriber->after >= publications[0]->seq) {
            deliver_rest(subscriber, &delivery);
            continue;
        }
        struct bytes *encoded = encoded_for(&delivery, subscriber);
        if (encoded)
            subscriber->protocol->on_publications(subscriber, encoded);
    }
    shares_done(&delivery.shares);
}

void channel_send(struct channel *channel, const struct publication *publication)
{
    deliver(channel, &publication, 1, NULL);
}

/* The channel's events in [from, to], in pieces. `view`: of is_meant. */
static void flush_channel(struct channel *channel, int64_t from, int64_t to, const struct view *view)
{
    struct stream *stream = &channel->tenant->stream;
    const struct publication *piece[HUB_PAGE];
    size_t count = 0, bytes = 0;
    for (int64_t seq = from; seq <= to && channel->live; seq++) {
        const struct publication *publication = stream_recent(stream, seq);
        if (!channel_has(channel, publication))
            continue;
        piece[count++] = publication;
        bytes += publication->body->slice.len;
        if (count == HUB_PAGE || bytes >= HUB_FRAME_BYTES) {
            deliver(channel, piece, count, view);
            count = bytes = 0;
        }
    }
    if (count > 0)
        deliver(channel, piece, count, view);
}

void channel_deliver_held(struct channel *channel, const struct view *view)
{
    flush_channel(channel, view->held_at + 1, channel->tenant->flushed, view);
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
        flush_channel(channel, *(int64_t *)from, channel->tenant->flushed, NULL);
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
    views_look(tenant, after);
    if (tenant->company_channel)
        flush_channel(tenant->company_channel, after + 1, tenant->flushed, NULL);
    struct channel *channel = dirty_projects(tenant, after);
    while (channel) {
        int64_t from = channel->dirty_from;
        struct channel *next = channel->next_dirty;
        channel->dirty_from = 0;
        flush_channel(channel, from, tenant->flushed, NULL);
        channel = next;
    }
    int64_t from = after + 1;
    uuid_map_each(&tenant->sets, flush_set, &from);
    for (int64_t seq = from; seq <= tenant->flushed; seq++)
        right_look_at(tenant, stream_recent(&tenant->stream, seq));
    stream_trim(&tenant->stream, share_of_memory(tenant->hub), tenant->flushed);
}
