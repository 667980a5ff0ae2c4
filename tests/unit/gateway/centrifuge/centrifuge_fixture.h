#pragma once
/* A session without a network: the socket under it, tokens and the HTTP API are scripted here, the database and the broker in
 * scripted.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "gateway/auth/auth.h"
#include "gateway/centrifuge/centrifuge.h"
#include "gateway/centrifuge/link.h"
#include "gateway/http/rpc_call.h"
#include "gateway/hub/presence/presence.h"
#include "gateway/limit/user_counts.h"

#include "tests/unit/gateway/hub/scripted.h"

#define USER    "0199cccc-0000-7000-8000-00000000000c"
#define COMPANY "0199dddd-0000-7000-8000-00000000000d"
#define PROJECT "0199aaaa-0000-7000-8000-00000000000a"

/* The socket under a session: what was sent, a message a line after "> ", the close code, the timer. */
struct link {
    struct session session;
    struct buf sent;
    int closed;
    int64_t limit_ms, late_ms; /* late_ms: since the step of the test that set the limit began */
    size_t backlog;
};

static struct config config;
static struct gateway gateway;
static struct link socket_of_test;
static int64_t token_expires_at;
static int64_t step_began_ms;

static inline void begin_step(void)
{
    step_began_ms = clock_monotonic_ms();
}

struct gateway *link_gateway(const struct link *link)
{
    (void)link;
    return &gateway;
}

const char *link_peer(const struct link *link)
{
    (void)link;
    return "test";
}

void link_send(struct link *link, struct slice text)
{
    if (link->closed)
        return;
    buf_append_text(&link->sent, "> ");
    buf_append_slice(&link->sent, text);
    buf_append_char(&link->sent, '\n');
}

void link_send_shared(struct link *link, struct bytes *frames)
{
    size_t head = (frames->slice.data[1] & 0x7f) < 126 ? 2 : 4;
    link_send(link, (struct slice){frames->slice.data + head, frames->slice.len - head});
}

size_t link_backlog(const struct link *link)
{
    return link->backlog;
}

void link_close(struct link *link, int code, const char *reason)
{
    (void)reason;
    session_end(&link->session);
    link->closed = code;
}

const struct uuid *link_secret(const struct link *link)
{
    (void)link;
    return NULL;
}

void link_limit(struct link *link, int64_t ms)
{
    link->limit_ms = ms;
    link->late_ms = clock_monotonic_ms() - step_began_ms;
}

/* Tokens are words here: what they are made of is token.c's business. */
enum err link_authorize(struct link *link, struct slice token, struct identity *ret_identity,
                        const char **ret_why)
{
    (void)link;
    *ret_identity = (struct identity){
        .role = "company_admin", .role_row = MSG_ROLE_COMPANY_ADMIN, .expires_at = token_expires_at};
    assert_true(uuid_parse(SLICE(USER), &ret_identity->user));
    assert_true(uuid_parse(SLICE(COMPANY), &ret_identity->company));
    if (slice_is(token, "good"))
        return ERR_OK;
    if (slice_is(token, "stranger")) {
        ret_identity->user.octet[0]++;
        return ERR_OK;
    }
    *ret_why = slice_is(token, "old") ? token_why_expired : "the token is malformed";
    return ERR_UNAUTHENTICATED;
}

/* "named" is in order and names channels. */
static const char *named_channels[4];

void auth_channels(struct slice token, token_on_channel *on_channel, void *arg)
{
    (void)token;
    for (size_t i = 0; named_channels[i]; i++)
        on_channel(arg, slice_of(named_channels[i]), false);
}

/* The HTTP API is others' business: what is asked of it is kept, and answered when the test says so. */
static struct rpc_call *rpc_asked;
static char rpc_line[128], rpc_body[128], rpc_header[128];
static int rpc_forgotten;

void rpc_call_start(struct gateway *owner, const struct rpc_request *request, struct rpc_call *rpc)
{
    (void)owner;
    rpc_asked = rpc;
    snprintf(rpc_line, sizeof(rpc_line), "%.*s", (int)request->line.len, request->line.data);
    snprintf(rpc_body, sizeof(rpc_body), "%.*s", (int)request->body.len, request->body.data);
    rpc_header[0] = '\0';
    if (request->header_count > 0)
        snprintf(rpc_header, sizeof(rpc_header), "%.*s: %.*s", (int)request->headers[0].name.len,
                 request->headers[0].name.data, (int)request->headers[0].value.len,
                 request->headers[0].value.data);
}

size_t rpc_request_memory(const struct rpc_request *request)
{
    return request->line.len + request->body.len;
}

void rpc_call_forget(struct rpc_call *rpc)
{
    (void)rpc;
    rpc_forgotten++;
}

static inline int set_up(void **state)
{
    (void)state;
    config = (struct config){.max_output_bytes = 1 << 20,
                             .input_total_bytes = 64 << 20,
                             .max_json_depth = 32,
                             .recover_max = 1000,
                             .recent_bytes = 1 << 20,
                             .gap_wait_ms = 1000,
                             .gap_limit_ms = 1000,
                             .position_check_ms = 3600000,
                             .head_timeout_ms = 10000,
                             .ws_ping_ms = 25000,
                             .ws_pong_ms = 8000,
                             .ws_max_channels = 3,
                             .ws_max_calls = 2,
                             .ws_commands_per_s = 100,
                             .ws_commands_burst = 100,
                             .ws_subscribes_per_s = 100,
                             .ws_history_max = 10,
                             .presence_beat_ms = 3600000,
                             .presence_wait_ms = 1,
                             .presence_max = 100,
                             .drain_ms = 1000};
    gateway = (struct gateway){.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV), .config = &config};
    gateway.hub = hub_new(&gateway);
    snprintf(gateway.peer_key, sizeof(gateway.peer_key), "reply." PROJECT);
    gateway.presence = presence_new(&gateway);
    gateway.user_counts = user_counts_new(0);
    memset(named_channels, 0, sizeof(named_channels));
    rpc_asked = NULL;
    rpc_forgotten = 0;
    token_expires_at = (int64_t)ev_now(gateway.loop) + 3601; /* a part of the last second has passed */
    socket_of_test = (struct link){0};
    buf_init(&socket_of_test.sent, 1 << 20);
    begin_step();
    session_init(&socket_of_test.session, &socket_of_test, FORM_JSON);
    assert_true(
        uuid_parse(SLICE(USER), &socket_of_test.session.client)); /* a client id that tests can foresee */
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    session_end(&socket_of_test.session);
    session_done(&socket_of_test.session);
    buf_done(&socket_of_test.sent);
    hub_free(gateway.hub);
    presence_free(gateway.presence);
    user_counts_free(gateway.user_counts);
    script_shut_down();
    ev_loop_destroy(gateway.loop);
    return 0;
}

static inline void say(const char *message)
{
    begin_step();
    session_on_message(&socket_of_test.session, slice_of(message));
}

/* The limit is what is left of a time: that much, less what has passed since the step began. */
static inline void assert_limit(int64_t ms)
{
    assert_in_range(socket_of_test.limit_ms, ms - socket_of_test.late_ms - 2, ms);
}

static inline void forget_sent(void)
{
    buf_clear(&socket_of_test.sent);
}

/* What has been sent since the last look. */
static inline void assert_sent(const char *expected)
{
    buf_append_char(&socket_of_test.sent, '\0');
    assert_string_equal(buf_data(&socket_of_test.sent), expected);
    forget_sent();
}

static inline void assert_closed(int code)
{
    assert_int_equal(socket_of_test.closed, code);
}

static inline void connect_client(void)
{
    say("{\"id\":1,\"connect\":{\"token\":\"good\"}}");
    forget_sent();
}

static inline void subscribe_company(const char *seq)
{
    say("{\"id\":2,\"subscribe\":{\"channel\":\"company:" COMPANY "\"}}");
    script_row("hub.position", "e1", seq);
    forget_sent();
}

static inline void event(int64_t seq)
{
    char body[SCRIPT_TEXT];
    script_body(seq, body);
    struct event event = {.seq = seq, .status = ERR_OK, .body = slice_of(body)};
    assert_true(uuid_parse(SLICE(COMPANY), &event.company));
    hub_on_event(gateway.hub, &event);
}

static inline void pass_to(ev_tstamp seconds)
{
    begin_step();
    socket_of_test.session.due_at -= seconds;
    session_on_time(&socket_of_test.session);
}
