#include <stdio.h>

#include "common/broker/envelope.h"
#include "gateway/bus/commands.h"
#include "gateway/hub/presence/private.h"

/* {"from":"<process>","slots":true,"parcels":true,"kind":"changes","company":"<id>",
 *  "members":[["+","project:<id>","<client>","<user>"],…]}
 *
 * slots: the process binds slots. parcels: on `events.gateways`, and it reads parcels of events. One of a version before
 * does not say so. */

static void begin(struct buf *body, const struct presence *presence, const char *kind)
{
    char self[UUID_TEXT_LEN + 1];
    uuid_format(&presence->self, self);
    buf_init(body, 2 * PRESENCE_PIECE);
    buf_printf(body, "{\"from\":\"%s\",\"slots\":true,\"parcels\":true,\"kind\":\"%s\"", self, kind);
}

static void append_company(struct buf *body, const struct uuid *company)
{
    char text[UUID_TEXT_LEN + 1];
    uuid_format(company, text);
    buf_printf(body, ",\"company\":\"%s\"", text);
}

/* slot_key: of what goes to all who watch a company; else NULL. */
static enum err send(struct presence *presence, const char *key, const char *slot_key, struct buf *body)
{
    buf_append_char(body, '}');
    enum err err =
        commands_announce(presence->gateway->commands, slice_of(key),
                          slot_key ? slice_of(slot_key) : SLICE_NONE, SLICE(PRESENCE_TYPE), buf_slice(body));
    buf_done(body);
    if (err)
        log_debug("presence.unsent", LOG_S("error", err_info(err)->name));
    return err;
}

static void key_of_peer(const struct uuid *peer, char key[ENVELOPE_KEY_MAX])
{
    char text[UUID_TEXT_LEN + 1];
    uuid_format(peer, text);
    snprintf(key, ENVELOPE_KEY_MAX, "reply.%s", text);
}

void wire_beat(struct presence *presence, bool hello)
{
    struct buf body;
    begin(&body, presence, hello ? "hello" : "beat");
    (void)send(presence, PRESENCE_ALL_KEY, NULL, &body);
}

void wire_watch(struct roster *roster, const struct uuid *peer, bool watch)
{
    struct buf body;
    char key[ENVELOPE_KEY_MAX] = PRESENCE_ALL_KEY;
    if (peer)
        key_of_peer(peer, key);
    begin(&body, roster->presence, watch ? "watch" : "unwatch");
    append_company(&body, &roster->node.key);
    (void)send(roster->presence, key, NULL, &body);
}

static void append_member(struct buf *out, const char *sign, const struct channel *channel,
                          const struct member *member)
{
    char name[CHANNEL_NAME_SIZE], client[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    channel_name(channel, name);
    uuid_format(&member->client, client);
    uuid_format(&member->user, user);
    buf_printf(out, "%s[\"%s\",\"%s\",\"%s\",\"%s\"]", buf_len(out) > 0 ? "," : "", sign, name, client, user);
}

void wire_changes_flush(struct roster *roster)
{
    struct buf body;
    char key[ENVELOPE_KEY_MAX], slot_key[ENVELOPE_KEY_MAX];
    if (buf_len(&roster->changes) == 0)
        return;
    envelope_company_keys(&roster->node.key, PRESENCE_TYPE, key, slot_key);
    begin(&body, roster->presence, "changes");
    append_company(&body, &roster->node.key);
    buf_append_text(&body, ",\"members\":[");
    buf_append_slice(&body, buf_slice(&roster->changes));
    buf_append_char(&body, ']');
    if (send(roster->presence, key, slot_key, &body) != ERR_OK)
        roster->must_resend = true;
    buf_done(&roster->changes);
}

void wire_change(struct roster *roster, bool joined, const struct channel *channel,
                 const struct member *member)
{
    if (buf_len(&roster->changes) == 0)
        buf_init(&roster->changes, 2 * PRESENCE_PIECE);
    append_member(&roster->changes, joined ? "+" : "-", channel, member);
    if (buf_len(&roster->changes) > PRESENCE_PIECE)
        wire_changes_flush(roster);
}

/* The state of a company in this process. It is sent in pieces, of which the first and the last have their
 * own kinds. */
struct state {
    struct presence *presence;
    const struct uuid *company;
    char key[ENVELOPE_KEY_MAX];
    struct buf members;
    bool failed;
};

static void send_state(struct state *state, const char *kind)
{
    struct buf body;
    begin(&body, state->presence, kind);
    append_company(&body, state->company);
    buf_append_text(&body, ",\"members\":[");
    buf_append_slice(&body, buf_slice(&state->members));
    buf_append_char(&body, ']');
    state->failed = send(state->presence, state->key, NULL, &body) != ERR_OK || state->failed;
    buf_clear(&state->members);
}

static void add_channel(struct channel *channel, void *arg)
{
    struct state *state = arg;
    struct member member;
    for (struct subscriber *s = channel->live; s; s = s->next) {
        if (channel->kind == CHANNEL_PROJECTS || !s->protocol->member || !s->protocol->member(s, &member))
            continue;
        append_member(&state->members, "+", channel, &member);
        if (buf_len(&state->members) > PRESENCE_PIECE)
            send_state(state, "state");
    }
}

void wire_state(struct presence *presence, const struct uuid *company, struct roster *roster,
                const struct uuid *peer)
{
    struct state state = {.presence = presence, .company = company};
    key_of_peer(peer, state.key);
    buf_init(&state.members, 2 * PRESENCE_PIECE);
    send_state(&state, "state_begin");
    if (roster && roster->tenant)
        tenant_each_channel(roster->tenant, add_channel, &state);
    send_state(&state, "state_end");
    buf_done(&state.members);
    if (roster && state.failed)
        roster->must_resend = true;
}
