#include <jansson.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "gateway/bus/events.h"
#include "gateway/hub/presence/private.h"

enum { JSON_DEPTH_MAX = 4 };

static struct peer *peer_obtain(struct presence *presence, const struct uuid *id)
{
    struct uuid_node *node = uuid_map_find(&presence->peers, id);
    if (node)
        return CONTAINER_OF(node, struct peer, node);
    struct peer *peer = xcalloc(1, sizeof(*peer));
    peer->node.key = *id;
    uuid_map_insert(&presence->peers, &peer->node);
    return peer;
}

/* ---- silence ---- */

static void lose_peer(struct uuid_node *node, void *arg)
{
    struct roster *roster = CONTAINER_OF(node, struct roster, node);
    const struct uuid *peer = arg;
    uuid_set_remove(&roster->watchers, peer);
    uuid_set_remove(&roster->awaited, peer);
    roster_forget_peer(roster, peer, FORGET);
    roster_settle(roster);
}

static void drop_silent(struct uuid_node *node, void *arg)
{
    struct presence *presence = arg;
    struct peer *peer = CONTAINER_OF(node, struct peer, node);
    ev_tstamp beat = (ev_tstamp)presence->gateway->config->presence_beat_ms / 1000.;
    if (clock_monotonic_s() - peer->heard_at < PRESENCE_BEATS * beat)
        return;
    log_info("presence.peer_gone");
    uuid_map_each(&presence->rosters, lose_peer, &peer->node.key);
    uuid_map_remove(&presence->peers, node);
    free(peer);
}

void presence_expire(struct presence *presence)
{
    uuid_map_each(&presence->peers, drop_silent, presence);
}

/* ---- messages ---- */

struct heard {
    struct presence *presence;
    struct uuid from, company;
    const json_t *members;
};

static void watch_again(struct uuid_node *node, void *arg)
{
    struct roster *roster = CONTAINER_OF(node, struct roster, node);
    struct uuid *peer = arg;
    if (roster->is_watching)
        wire_watch(roster, peer, true);
}

/* A process has started or reconnected. It learns of this process by a beat, and which companies are
 * watched. */
static void on_hello(struct heard *heard)
{
    wire_beat(heard->presence, false);
    uuid_map_each(&heard->presence->rosters, watch_again, &heard->from);
}

static void on_beat(struct heard *heard)
{
    (void)heard; /* handle() has noted when the process was heard */
}

static void on_watch(struct heard *heard)
{
    struct roster *roster = roster_obtain(heard->presence, &heard->company);
    uuid_set_add(&roster->watchers, &heard->from);
    wire_changes_flush(roster);
    wire_state(heard->presence, &heard->company, roster, &heard->from);
}

static void on_unwatch(struct heard *heard)
{
    struct roster *roster = roster_find(heard->presence, &heard->company);
    if (!roster)
        return;
    uuid_set_remove(&roster->watchers, &heard->from);
    roster_tidy(roster);
}

static struct slice text_at(const json_t *array, size_t index)
{
    const json_t *text = json_array_get(array, index);
    return json_is_string(text) ? (struct slice){json_string_value(text), json_string_length(text)}
                                : SLICE_NONE;
}

static void apply(struct heard *heard, struct roster *roster)
{
    size_t i;
    const json_t *row;
    json_array_foreach(heard->members, i, row)
    {
        struct member member;
        enum channel_kind kind;
        struct uuid channel;
        if (channel_parse(text_at(row, 1), &kind, &channel) && uuid_parse(text_at(row, 2), &member.client) &&
            uuid_parse(text_at(row, 3), &member.user))
            roster_apply(roster, &heard->from, slice_is(text_at(row, 0), "+"), kind, &channel, &member);
    }
}

static void on_members(struct heard *heard)
{
    struct roster *roster = roster_find(heard->presence, &heard->company);
    if (roster && roster->is_watching)
        apply(heard, roster);
}

static void on_state_begin(struct heard *heard)
{
    struct roster *roster = roster_find(heard->presence, &heard->company);
    if (roster)
        roster_forget_peer(roster, &heard->from, FORGET_LATER);
}

static void on_state_end(struct heard *heard)
{
    struct roster *roster = roster_find(heard->presence, &heard->company);
    if (!roster || !roster->is_watching)
        return;
    apply(heard, roster);
    roster_forget_peer(roster, &heard->from, FORGET_STALE);
    uuid_set_remove(&roster->awaited, &heard->from);
    roster_settle(roster);
}

static const struct {
    const char *kind;
    bool of_company;
    void (*handle)(struct heard *heard);
} kinds[] = {
    {"beat", false, on_beat},
    {"hello", false, on_hello},
    {"watch", true, on_watch},
    {"unwatch", true, on_unwatch},
    {"changes", true, on_members},
    {"state", true, on_members},
    {"state_begin", true, on_state_begin},
    {"state_end", true, on_state_end},
};

static struct slice member_of(const json_t *object, const char *name)
{
    const json_t *text = json_object_get(object, name);
    return json_is_string(text) ? (struct slice){json_string_value(text), json_string_length(text)}
                                : SLICE_NONE;
}

static void handle(struct presence *presence, const json_t *message)
{
    struct heard heard = {.presence = presence, .members = json_object_get(message, "members")};
    if (!uuid_parse(member_of(message, "from"), &heard.from) || uuid_equal(&heard.from, &presence->self))
        return;
    peer_obtain(presence, &heard.from)->heard_at = clock_monotonic_s();
    events_hear_gateway(presence->gateway->events, json_is_true(json_object_get(message, "slots")),
                        json_is_true(json_object_get(message, "parcels")));
    bool has_company = uuid_parse(member_of(message, "company"), &heard.company);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (slice_is(member_of(message, "kind"), kinds[i].kind) && (has_company || !kinds[i].of_company))
            kinds[i].handle(&heard);
}

void presence_on_message(struct presence *presence, struct slice body)
{
    char why[160];
    json_t *message = NULL;
    if (json_parse(body, JSON_DEPTH_MAX, &message, why) != ERR_OK) {
        log_warn("presence.malformed", LOG_S("why", why));
        return;
    }
    handle(presence, message);
    json_decref(message);
}
