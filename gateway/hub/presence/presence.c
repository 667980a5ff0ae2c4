#include "gateway/hub/presence/presence.h"

#include "common/base/clock.h"
#include "common/process/rhythm.h"
#include "gateway/hub/presence/private.h"

/* ---- rosters ---- */

static void on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct roster *roster = CONTAINER_OF(timer, struct roster, limit);
    roster->awaited.count = 0; /* the answer does without these; their members join with their state */
    roster_settle(roster);
}

struct roster *roster_find(struct presence *presence, const struct uuid *company)
{
    struct uuid_node *node = uuid_map_find(&presence->rosters, company);
    return node ? CONTAINER_OF(node, struct roster, node) : NULL;
}

struct roster *roster_obtain(struct presence *presence, const struct uuid *company)
{
    struct roster *roster = roster_find(presence, company);
    if (roster)
        return roster;
    roster = xcalloc(1, sizeof(*roster));
    roster->node.key = *company;
    roster->presence = presence;
    uuid_map_init(&roster->channels);
    ev_timer_init(&roster->limit, on_limit, 0., 0.);
    uuid_map_insert(&presence->rosters, &roster->node);
    roster->tenant = hub_tenant(presence->gateway->hub, company);
    if (roster->tenant)
        roster->tenant->roster = roster;
    return roster;
}

static void roster_free(struct roster *roster)
{
    struct presence *presence = roster->presence;
    roster_forget_peer(roster, NULL, FORGET);
    uuid_map_done(&roster->channels);
    for (struct roster **at = &presence->dirty; *at; at = &(*at)->next_dirty)
        if (*at == roster) {
            *at = roster->next_dirty;
            break;
        }
    if (roster->tenant)
        roster->tenant->roster = NULL;
    ev_timer_stop(presence->gateway->loop, &roster->limit);
    uuid_map_remove(&presence->rosters, &roster->node);
    buf_done(&roster->changes);
    free(roster->watchers.items);
    free(roster->awaited.items);
    free(roster);
}

void roster_tidy(struct roster *roster)
{
    if (roster->watchers.count == 0 && !roster->is_watching && !roster->waiting)
        roster_free(roster);
}

void roster_touch(struct roster *roster)
{
    struct presence *presence = roster->presence;
    if (roster->dirty)
        return;
    roster->dirty = true;
    roster->next_dirty = presence->dirty;
    presence->dirty = roster;
    if (ev_is_active(&presence->gather))
        return;
    ev_timer_set(&presence->gather, PRESENCE_GATHER_MS / 1000., 0.);
    ev_timer_start(presence->gateway->loop, &presence->gather);
}

/* ---- watching ---- */

static void await_peer(struct uuid_node *node, void *arg)
{
    uuid_set_add(arg, &node->key);
}

void roster_watch(struct roster *roster)
{
    struct presence *presence = roster->presence;
    struct ev_loop *loop = presence->gateway->loop;
    roster->is_watching = true;
    uuid_map_each(&presence->peers, await_peer, &roster->awaited);
    /* In its first two beats a process may not know all others. Then the answer waits until the limit. */
    ev_tstamp beat = (ev_tstamp)presence->gateway->config->presence_beat_ms / 1000.;
    if (clock_monotonic_s() - presence->began_at < 2 * beat)
        uuid_set_add(&roster->awaited, &presence->self);
    wire_watch(roster, NULL, true);
    ev_timer_stop(loop, &roster->limit);
    ev_timer_set(&roster->limit, (ev_tstamp)presence->gateway->config->presence_wait_ms / 1000., 0.);
    ev_timer_start(loop, &roster->limit);
}

void roster_settle(struct roster *roster)
{
    if (roster->awaited.count > 0)
        return;
    ev_timer_stop(roster->presence->gateway->loop, &roster->limit);
    while (roster->waiting) {
        struct presence_request *request = roster->waiting;
        presence_request_forget(request);
        request->on_answer(request);
    }
}

static void stop_watching(struct roster *roster)
{
    wire_watch(roster, NULL, false);
    roster->is_watching = false;
    roster_forget_peer(roster, NULL, FORGET);
    roster_tidy(roster);
}

static void keep_or_stop(struct uuid_node *node, void *arg)
{
    struct presence *presence = arg;
    struct roster *roster = CONTAINER_OF(node, struct roster, node);
    for (size_t i = 0; i < roster->watchers.count && roster->must_resend; i++)
        wire_state(presence, &roster->node.key, roster, &roster->watchers.items[i]);
    roster->must_resend = false;
    if (roster->is_watching && roster->join_leave_count == 0 && !roster->waiting &&
        clock_monotonic_s() > roster->watch_until)
        stop_watching(roster);
    else
        roster_tidy(roster);
}

static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct presence *presence = CONTAINER_OF(timer, struct presence, beat);
    wire_beat(presence, false);
    presence_expire(presence);
    uuid_map_each(&presence->rosters, keep_or_stop, presence);
}

/* ---- what the hub reports ---- */

static struct presence *presence_of(const struct subscriber *subscriber)
{
    return subscriber->channel->kind == CHANNEL_PROJECTS
               ? NULL
               : subscriber->channel->tenant->hub->gateway->presence;
}

static void note(struct subscriber *subscriber, bool joined)
{
    struct channel *channel = subscriber->channel;
    struct roster *roster = channel->tenant->roster;
    struct member member;
    if (!roster || !subscriber->protocol->member || !subscriber->protocol->member(subscriber, &member))
        return;
    roster_add_change(roster, channel, &member, joined);
    if (roster->watchers.count == 0)
        return;
    wire_change(roster, joined, channel, &member);
    roster_touch(roster);
}

static void on_live(struct subscriber *subscriber)
{
    struct presence *presence = presence_of(subscriber);
    if (!presence)
        return;
    if (subscriber->join_leave) {
        struct roster *roster = roster_obtain(presence, &subscriber->channel->tenant->node.key);
        subscriber->channel->join_leave_count++;
        roster->join_leave_count++;
        if (!roster->is_watching)
            roster_watch(roster);
    }
    note(subscriber, true);
}

static void on_left(struct subscriber *subscriber)
{
    if (!presence_of(subscriber))
        return;
    struct channel *channel = subscriber->channel;
    if (subscriber->join_leave) {
        channel->join_leave_count--;
        channel->tenant->roster->join_leave_count--;
    }
    note(subscriber, false);
}

static void on_tenant_new(struct tenant *tenant)
{
    struct presence *presence = tenant->hub->gateway->presence;
    tenant->roster = presence ? roster_find(presence, &tenant->node.key) : NULL;
    if (tenant->roster)
        tenant->roster->tenant = tenant;
}

static void on_tenant_free(struct tenant *tenant)
{
    if (tenant->roster)
        tenant->roster->tenant = NULL;
}

/* Messages that were published before the broker confirmed the binding did not reach this process: ask
 * again. */
static void on_tenant_bound(struct tenant *tenant)
{
    if (tenant->roster && tenant->roster->is_watching)
        roster_watch(tenant->roster);
}

static const struct hub_listener hub_listener = {
    .on_tenant_new = on_tenant_new,
    .on_tenant_bound = on_tenant_bound,
    .on_tenant_free = on_tenant_free,
    .on_live = on_live,
    .on_left = on_left,
};

/* ---- joins and leaves, for the subscribers that want them ---- */

static void send_changes(struct channel *channel, void *unused)
{
    (void)unused;
    if (channel->change_count == 0)
        return;
    const struct subscriber_protocol *protocol = NULL;
    struct bytes *encoded = NULL;
    for (struct subscriber *s = channel->live, *next; s; s = next) {
        next = s->next;
        if (!s->join_leave)
            continue;
        if (s->protocol != protocol) {
            bytes_unref(encoded);
            protocol = s->protocol;
            encoded = protocol->encode_members(channel, channel->changes, channel->change_count);
        }
        protocol->on_publications(s, encoded);
    }
    bytes_unref(encoded);
    free(TAKE(channel->changes));
    channel->change_count = channel->change_capacity = 0;
}

static void on_gather(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct presence *presence = CONTAINER_OF(timer, struct presence, gather);
    while (presence->dirty) {
        struct roster *roster = presence->dirty;
        presence->dirty = roster->next_dirty;
        roster->dirty = false;
        wire_changes_flush(roster);
        if (roster->tenant)
            tenant_each_channel(roster->tenant, send_changes, NULL);
    }
}

/* ---- requests ---- */

void presence_request_start(struct subscriber *subscriber, struct presence_request *request)
{
    struct tenant *tenant = subscriber->channel->tenant;
    struct presence *presence = tenant->hub->gateway->presence;
    struct roster *roster = roster_obtain(presence, &tenant->node.key);
    request->roster = roster;
    request->kind = subscriber->channel->kind;
    request->id = subscriber->channel->node.key;
    request->next = roster->waiting;
    request->place = &roster->waiting;
    if (request->next)
        request->next->place = &request->next;
    roster->waiting = request;
    roster->watch_until = clock_monotonic_s() + PRESENCE_LINGER_S;
    if (!roster->is_watching)
        roster_watch(roster);
    else
        roster_settle(roster);
}

void presence_request_forget(struct presence_request *request)
{
    if (!request->place)
        return;
    *request->place = request->next;
    if (request->next)
        request->next->place = request->place;
    request->place = NULL;
}

struct visiting {
    void (*visit)(void *arg, const struct member *member);
    void *arg;
};

static void visit_distant(struct uuid_node *node, void *arg)
{
    const struct visiting *visiting = arg;
    const struct distant *distant = CONTAINER_OF(node, struct distant, node);
    visiting->visit(visiting->arg, &(struct member){.client = node->key, .user = distant->user});
}

void presence_request_each(const struct presence_request *request,
                           void (*visit)(void *arg, const struct member *member), void *arg)
{
    struct visiting visiting = {visit, arg};
    struct member member;
    const struct channel *here = roster_channel_here(request->roster, request->kind, &request->id);
    for (const struct subscriber *s = here ? here->live : NULL; s; s = s->next)
        if (s->protocol->member && s->protocol->member(s, &member))
            visit(arg, &member);
    struct distant_channel *elsewhere = distant_channel_find(request->roster, &request->id);
    if (elsewhere)
        uuid_map_each(&elsewhere->members, visit_distant, &visiting);
}

/* ---- beginning and end ---- */

static void watch_anew(struct uuid_node *node, void *unused)
{
    (void)unused;
    struct roster *roster = CONTAINER_OF(node, struct roster, node);
    if (roster->is_watching)
        roster_watch(roster);
}

void presence_on_bound(struct presence *presence)
{
    wire_beat(presence, true);
    uuid_map_each(&presence->rosters, watch_anew, NULL);
}

struct presence *presence_new(struct gateway *gateway)
{
    struct presence *presence = xcalloc(1, sizeof(*presence));
    presence->gateway = gateway;
    presence->began_at = clock_monotonic_s();
    if (!uuid_parse(slice_of(gateway->peer_key + sizeof("reply.") - 1), &presence->self))
        abort(); /* it is made of one */
    gateway->hub->listener = &hub_listener;
    uuid_map_init(&presence->rosters);
    uuid_map_init(&presence->peers);
    ev_tstamp beat = (ev_tstamp)gateway->config->presence_beat_ms / 1000.;
    ev_timer_init(&presence->gather, on_gather, 0., 0.);
    ev_timer_init(&presence->beat, on_beat, rhythm_after(gateway->loop, beat), beat);
    ev_timer_start(gateway->loop, &presence->beat);
    return presence;
}

static void free_roster(struct uuid_node *node, void *unused)
{
    (void)unused;
    roster_free(CONTAINER_OF(node, struct roster, node));
}

static void free_peer(struct uuid_node *node, void *arg)
{
    uuid_map_remove(arg, node);
    free(CONTAINER_OF(node, struct peer, node));
}

void presence_free(struct presence *presence)
{
    if (!presence)
        return;
    ev_timer_stop(presence->gateway->loop, &presence->beat);
    ev_timer_stop(presence->gateway->loop, &presence->gather);
    uuid_map_each(&presence->rosters, free_roster, NULL);
    uuid_map_each(&presence->peers, free_peer, &presence->peers);
    uuid_map_done(&presence->rosters);
    uuid_map_done(&presence->peers);
    free(presence);
}
