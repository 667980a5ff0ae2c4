#include "gateway/centrifuge/link.h"
#include "gateway/centrifuge/private.h"

struct session_welcome {
    uint32_t command;
    size_t waiting; /* channels that have not started yet, and 1 until the end of the token's list */
    bool failed;
    struct buf subs;     /* "company:…":{…},… */
    struct bytes **held; /* frames that must come after the answer */
    size_t held_count, held_capacity, held_bytes;
};

void welcome_begin(struct session *session, uint32_t id)
{
    session->welcome = xcalloc(1, sizeof(*session->welcome));
    session->welcome->command = id;
    session->welcome->waiting = 1;
    buf_init(&session->welcome->subs, (size_t)session_gateway(session)->config->max_output_bytes);
}

void welcome_free(struct session *session)
{
    CLEANUP_FREE struct session_welcome *welcome = TAKE(session->welcome);
    if (!welcome)
        return;
    for (size_t i = 0; i < welcome->held_count; i++)
        bytes_unref(welcome->held[i]);
    free(welcome->held);
    buf_done(&welcome->subs);
}

size_t welcome_bytes(const struct session *session)
{
    const struct session_welcome *welcome = session->welcome;
    return welcome ? buf_len(&welcome->subs) + welcome->held_bytes : 0;
}

/* The first ping comes at random in the second half of the interval, so that sessions do not ping in step. */
static void begin_pings(struct session *session)
{
    int64_t interval = session_gateway(session)->config->ws_ping_ms;
    session_schedule(session, DUE_PING, interval / 2 + (int64_t)(drand48() * (double)interval / 2));
}

/* Where the client of a stream sends its commands. */
static void append_emulation(struct buf *reply, const struct session *session)
{
    const struct uuid *secret = link_secret(session->link);
    const char *node = strchr(session_gateway(session)->peer_key, '.');
    char text[UUID_TEXT_LEN + 1];
    if (!secret || !node)
        return;
    uuid_format(secret, text);
    buf_printf(reply, ",\"session\":\"%s\",\"node\":\"%s\"", text, node + 1);
}

static void answer(struct session *session)
{
    struct session_welcome *welcome = session->welcome;
    int64_t ping_s = (session_gateway(session)->config->ws_ping_ms + 999) / 1000;
    struct buf reply;
    reply_begin(&reply, session, welcome->command, "connect");
    reply_client(&reply, session);
    buf_printf(&reply, ",\"ping\":%lld,\"pong\":true", (long long)ping_s);
    append_emulation(&reply, session);
    if (buf_len(&welcome->subs) > 0) {
        buf_append_text(&reply, ",\"subs\":{");
        buf_append_slice(&reply, buf_slice(&welcome->subs));
        buf_append_char(&reply, '}');
    }
    reply.truncated = reply.truncated || welcome->subs.truncated;
    reply_end(&reply, session);
    if (welcome->held_count > 0)
        reply_flush(session);
    for (size_t i = 0; i < welcome->held_count; i++)
        link_send_shared(session->link, welcome->held[i]);
}

static void settle(struct session *session)
{
    if (--session->welcome->waiting > 0)
        return;
    if (session->welcome->failed) {
        session_leave_all(session);
        session_set_state(session, SESSION_REFUSED);
        reply_error(session, session->welcome->command, CENTRIFUGE_ERROR_INTERNAL);
    } else {
        answer(session);
        begin_pings(session);
    }
    welcome_free(session);
}

void welcome_expect(struct session *session, enum subscription_origin origin)
{
    if (origin == BY_TOKEN)
        session->welcome->waiting++;
}

void welcome_end_of_list(struct session *session)
{
    if (session->state != SESSION_ENDED)
        settle(session);
}

void welcome_add(struct session *session, const struct subscription *subscription,
                 const struct hub_start *start)
{
    char name[CHANNEL_NAME_SIZE];
    struct buf *subs = &session->welcome->subs;
    channel_format((enum channel_kind)subscription->kind, &subscription->id, name);
    buf_printf(subs, "%s\"%s\":{", buf_len(subs) > 0 ? "," : "", name);
    append_start(subs, start);
    buf_append_char(subs, '}');
    settle(session);
}

/* FORBIDDEN and NOT_FOUND: the project was deleted after the token was made. The reply leaves its channel
 * out. */
void welcome_skip(struct session *session, enum err err)
{
    if (err != ERR_FORBIDDEN && err != ERR_NOT_FOUND)
        session->welcome->failed = true;
    settle(session);
}

void welcome_hold(struct session *session, struct bytes *frames)
{
    struct session_welcome *welcome = session->welcome;
    if (welcome->held_bytes + frames->slice.len >
        (size_t)session_gateway(session)->config->max_output_bytes) {
        session_disconnect(session, CENTRIFUGE_DISCONNECT_SLOW);
        return;
    }
    if (welcome->held_count == welcome->held_capacity) {
        welcome->held_capacity = welcome->held_capacity ? welcome->held_capacity * 2 : 8;
        welcome->held = xrealloc(welcome->held, welcome->held_capacity * sizeof(struct bytes *));
    }
    welcome->held[welcome->held_count++] = bytes_ref(frames);
    welcome->held_bytes += frames->slice.len;
}
