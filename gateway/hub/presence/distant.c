#include "gateway/hub/presence/private.h"

/* ---- sets ---- */

bool uuid_set_has(const struct uuid_set *set, const struct uuid *item)
{
    size_t i = 0;
    while (i < set->count && !uuid_equal(&set->items[i], item))
        i++;
    return i < set->count;
}

void uuid_set_add(struct uuid_set *set, const struct uuid *item)
{
    if (uuid_set_has(set, item))
        return;
    set->items = xrealloc(set->items, (set->count + 1) * sizeof(*set->items));
    set->items[set->count++] = *item;
}

void uuid_set_remove(struct uuid_set *set, const struct uuid *item)
{
    for (size_t i = 0; i < set->count; i++)
        if (uuid_equal(&set->items[i], item)) {
            set->items[i] = set->items[--set->count];
            return;
        }
}

/* ---- members in other processes ---- */

struct distant_channel *distant_channel_find(const struct roster *roster, const struct uuid *id)
{
    struct uuid_node *node = uuid_map_find(&roster->channels, id);
    return node ? CONTAINER_OF(node, struct distant_channel, node) : NULL;
}

static struct distant_channel *distant_channel_obtain(struct roster *roster, enum channel_kind kind,
                                                      const struct uuid *id)
{
    struct distant_channel *channel = distant_channel_find(roster, id);
    if (channel)
        return channel;
    channel = xcalloc(1, sizeof(*channel));
    channel->node.key = *id;
    channel->kind = kind;
    uuid_map_init(&channel->members);
    uuid_map_insert(&roster->channels, &channel->node);
    return channel;
}

struct channel *roster_channel_here(const struct roster *roster, enum channel_kind kind,
                                    const struct uuid *id)
{
    if (!roster->tenant)
        return NULL;
    if (kind == CHANNEL_COMPANY)
        return uuid_equal(id, &roster->node.key) ? roster->tenant->company_channel : NULL;
    struct uuid_node *node = uuid_map_find(&roster->tenant->projects, id);
    return node ? CONTAINER_OF(node, struct channel, node) : NULL;
}

void roster_add_change(struct roster *roster, struct channel *channel, const struct member *member,
                       bool joined)
{
    if (!channel || channel->join_leave_count == 0)
        return;
    if (channel->change_count == channel->change_capacity) {
        channel->change_capacity = channel->change_capacity ? channel->change_capacity * 2 : 8;
        channel->changes = xrealloc(channel->changes, channel->change_capacity * sizeof(*channel->changes));
    }
    channel->changes[channel->change_count++] = (struct member_change){.member = *member, .joined = joined};
    roster_touch(roster);
}

static void distant_free(struct roster *roster, struct distant_channel *channel, struct distant *distant)
{
    uuid_map_remove(&channel->members, &distant->node);
    roster->presence->distant_count--;
    free(distant);
}

static void distant_leave(struct roster *roster, struct distant_channel *channel, struct distant *distant)
{
    const struct member member = {.client = distant->node.key, .user = distant->user};
    roster_add_change(roster, roster_channel_here(roster, channel->kind, &channel->node.key), &member, false);
    distant_free(roster, channel, distant);
}

static void distant_join(struct roster *roster, struct distant_channel *channel, const struct uuid *peer,
                         const struct member *member)
{
    struct presence *presence = roster->presence;
    if (presence->distant_count >= (size_t)presence->gateway->config->presence_max)
        return;
    struct distant *distant = xcalloc(1, sizeof(*distant));
    *distant = (struct distant){.user = member->user, .peer = *peer};
    distant->node.key = member->client;
    uuid_map_insert(&channel->members, &distant->node);
    presence->distant_count++;
    roster_add_change(roster, roster_channel_here(roster, channel->kind, &channel->node.key), member, true);
}

static void distant_channel_tidy(struct roster *roster, struct distant_channel *channel)
{
    if (channel->members.count > 0)
        return;
    uuid_map_remove(&roster->channels, &channel->node);
    uuid_map_done(&channel->members);
    free(channel);
}

void roster_apply(struct roster *roster, const struct uuid *peer, bool joined, enum channel_kind kind,
                  const struct uuid *id, const struct member *member)
{
    struct distant_channel *channel =
        joined ? distant_channel_obtain(roster, kind, id) : distant_channel_find(roster, id);
    if (!channel)
        return;
    struct uuid_node *node = uuid_map_find(&channel->members, &member->client);
    struct distant *distant = node ? CONTAINER_OF(node, struct distant, node) : NULL;
    if (joined && distant)
        distant->is_stale = false;
    else if (joined)
        distant_join(roster, channel, peer, member);
    else if (distant)
        distant_leave(roster, channel, distant);
    distant_channel_tidy(roster, channel);
}

struct forgetting {
    struct roster *roster;
    struct distant_channel *channel;
    const struct uuid *peer; /* NULL: all members, without sending leaves */
    enum roster_forget what;
};

static void forget_distant(struct uuid_node *node, void *arg)
{
    struct forgetting *f = arg;
    struct distant *distant = CONTAINER_OF(node, struct distant, node);
    if (!f->peer)
        distant_free(f->roster, f->channel, distant);
    else if (!uuid_equal(&distant->peer, f->peer))
        return;
    else if (f->what == FORGET_LATER)
        distant->is_stale = true;
    else if (f->what == FORGET || distant->is_stale)
        distant_leave(f->roster, f->channel, distant);
}

static void forget_in_channel(struct uuid_node *node, void *arg)
{
    struct forgetting *f = arg;
    f->channel = CONTAINER_OF(node, struct distant_channel, node);
    uuid_map_each(&f->channel->members, forget_distant, f);
    distant_channel_tidy(f->roster, f->channel);
}

void roster_forget_peer(struct roster *roster, const struct uuid *peer, enum roster_forget what)
{
    struct forgetting f = {.roster = roster, .peer = peer, .what = what};
    uuid_map_each(&roster->channels, forget_in_channel, &f);
}
