/* Fuzzes what a WebSocket client sends after its handshake. The first octet says in what portions the rest arrives, whether
 * it is frames or one message of commands, and in which form.
 *
 * The reader of frames must come to the same messages and the same verdict, whatever the portions. Whatever the
 * commands say, each answer must be lines of JSON or a list of Protobuf messages, and nothing may follow a goodbye.
 */

#include <jansson.h>
#include <stdio.h>

#include "common/base/buf.h"
#include "gateway/auth/auth.h"
#include "gateway/centrifuge/centrifuge.h"
#include "gateway/centrifuge/link.h"
#include "gateway/centrifuge/protobuf.h"
#include "gateway/http/rpc_call.h"
#include "gateway/hub/presence/presence.h"
#include "gateway/limit/user_counts.h"
#include "gateway/ws/frame.h"
#include "tests/fuzz/must.h"

enum { TRACE_MAX = 1 << 20, MESSAGE_MAX = 4096 };

struct link {
    struct session session;
    bool closed;
    size_t backlog;
};

static struct config config = {.max_output_bytes = 1 << 20,
                               .max_json_depth = 32,
                               .head_timeout_ms = 10000,
                               .ws_ping_ms = 25000,
                               .ws_pong_ms = 8000,
                               .ws_max_channels = 4,
                               .ws_max_calls = 2,
                               .ws_commands_per_s = 10,
                               .ws_commands_burst = 10,
                               .ws_subscribes_per_s = 10,
                               .ws_history_max = 10,
                               .drain_ms = 1000};
static struct gateway gateway = {.config = &config};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- frames ---- */

struct heard {
    struct buf *trace;
    bool closed;
};

static bool note(struct heard *heard, char what, struct slice payload)
{
    buf_printf(heard->trace, "%c%zu:", what, payload.len);
    buf_append_slice(heard->trace, payload);
    return true;
}

static bool on_message(void *ctx, struct slice message)
{
    must(message.len <= MESSAGE_MAX, "a message is within its limit");
    return note(ctx, 't', message);
}

static bool on_ping(void *ctx, struct slice payload)
{
    must(payload.len <= WS_CONTROL_MAX, "a ping is short");
    return note(ctx, 'i', payload);
}

static bool on_pong(void *ctx, struct slice payload)
{
    return note(ctx, 'o', payload);
}

static bool on_close(void *ctx, int code, struct slice reason)
{
    struct heard *heard = ctx;
    buf_printf(heard->trace, "c%d", code);
    note(heard, 'r', reason);
    heard->closed = true;
    return false;
}

static void read_frames(enum ws_opcode kind, struct slice bytes, size_t portion, struct buf *trace)
{
    static const struct ws_reader_callbacks callbacks = {on_message, on_ping, on_pong, on_close};
    struct ws_reader *reader = ws_reader_new(kind, MESSAGE_MAX, NULL);
    struct heard heard = {.trace = trace};
    int code = 0;
    buf_init(trace, TRACE_MAX);
    for (size_t at = 0; at < bytes.len && code == 0 && !heard.closed; at += portion) {
        size_t left = bytes.len - at;
        code = ws_reader_feed(reader, (struct slice){bytes.data + at, left < portion ? left : portion},
                              &callbacks, &heard);
    }
    buf_printf(trace, "=%d", code);
    ws_reader_free(reader);
}

static void fuzz_frames(enum ws_opcode kind, struct slice bytes, size_t portion)
{
    struct buf whole, parts;
    read_frames(kind, bytes, bytes.len ? bytes.len : 1, &whole);
    read_frames(kind, bytes, portion, &parts);
    must(slice_equal(buf_slice(&whole), buf_slice(&parts)), "portions change nothing");
    buf_done(&whole);
    buf_done(&parts);
}

/* ---- commands ---- */

struct gateway *link_gateway(const struct link *link)
{
    (void)link;
    return &gateway;
}

const char *link_peer(const struct link *link)
{
    (void)link;
    return "fuzz";
}

static void must_be_json(struct slice line)
{
    json_t *json = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, NULL);
    must(json != NULL, "an answer is lines of JSON");
    json_decref(json);
}

static void must_be_messages(struct slice bytes)
{
    struct slice message;
    while (bytes.len > 0)
        must(protobuf_next(&bytes, &message), "an answer is a list of messages");
}

void link_send(struct link *link, struct slice text)
{
    must(!link->closed, "nothing follows a goodbye");
    if (link->session.form == FORM_PROTOBUF) {
        must_be_messages(text);
        return;
    }
    while (text.len > 0) {
        const char *newline = memchr(text.data, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.data) : text.len;
        must_be_json((struct slice){text.data, len});
        len += newline ? 1 : 0;
        text = (struct slice){text.data + len, text.len - len};
    }
}

void link_send_shared(struct link *link, struct bytes *frames)
{
    (void)frames;
    must(!link->closed, "nothing follows a goodbye");
}

size_t link_backlog(const struct link *link)
{
    return link->backlog;
}

void link_close(struct link *link, int code, const char *reason)
{
    must(!link->closed, "goodbye is said once");
    must(code >= 3000 && code < 4000 && strlen(reason) <= WS_REASON_MAX,
         "a goodbye has a code of the protocol");
    session_end(&link->session);
    link->closed = true;
}

const struct uuid *link_secret(const struct link *link)
{
    (void)link;
    return NULL;
}

void link_limit(struct link *link, int64_t ms)
{
    (void)link;
    must(ms > 0, "the clock goes on");
}

enum err link_authorize(struct link *link, struct slice token, struct identity *ret_identity,
                        const char **ret_why)
{
    (void)link;
    *ret_identity = (struct identity){.role = "developer", .expires_at = INT32_MAX};
    *ret_why = token.data[0] == 'e' ? token_why_expired : "no";
    return token.data[0] == 'g' ? ERR_OK : ERR_UNAUTHENTICATED;
}

/* A token "gn" names channels of ours, which start, are refused and are waited for. */
void auth_channels(struct slice token, token_on_channel *on_channel, void *arg)
{
    static const char *const names[] = {"project:0199aaaa-0000-7000-8000-000000000000",
                                        "project:0199aaaa-0000-7000-8000-000000000001", "x"};
    for (size_t i = 0; i < ARRAY_LEN(names) && token.len > 1 && token.data[1] == 'n'; i++)
        on_channel(arg, slice_of(names[i]), i == 0);
}

/* By the length of what is asked: answered at once, or not at all. */
void rpc_call_start(struct gateway *owner, const struct rpc_request *request, struct rpc_call *rpc)
{
    (void)owner;
    static const struct rpc_answer answer = {.status = 200,
                                             .content_type = "application/json",
                                             .headers = {"ETag: \"1\"\r\n", 11},
                                             .body = {"{\n}", 3}};
    if (request->line.len % 2 == 0)
        rpc->on_answer(rpc, &answer);
}

size_t rpc_request_memory(const struct rpc_request *request)
{
    return request->line.len + request->body.len;
}

void rpc_call_forget(struct rpc_call *rpc)
{
    (void)rpc;
}

void hub_history(struct subscriber *subscriber, const struct hub_history_request *request,
                 struct hub_history *history)
{
    (void)subscriber;
    if (request->reverse)
        return;
    snprintf(history->epoch, sizeof(history->epoch), "\"e\\1");
    history->on_answer(history, request->limit == 7 ? ERR_CONFLICT : ERR_OK);
}

void hub_history_forget(struct hub_history *history)
{
    (void)history;
}

void presence_request_start(struct subscriber *subscriber, struct presence_request *request)
{
    (void)subscriber;
    request->on_answer(request);
}

void presence_request_forget(struct presence_request *request)
{
    (void)request;
}

void presence_request_each(const struct presence_request *request,
                           void (*visit)(void *arg, const struct member *member), void *arg)
{
    (void)request;
    visit(arg, &(struct member){.client = uuid_v7()});
    visit(arg, &(struct member){.client = uuid_v7()});
}

/* By the last digit of the channel: at once, refused, or not answered at all. */
void hub_subscribe(struct hub *hub, struct subscriber *subscriber, const struct hub_request *request)
{
    (void)hub;
    static const struct hub_start start = {.epoch = "\"e\\1", .offset = 7};
    uint8_t choice = request->id.octet[15] % 4;
    subscriber->state = SUBSCRIBER_WAITING;
    if (choice == 0)
        subscriber->protocol->on_started(subscriber, &start);
    else if (choice == 1)
        subscriber->protocol->on_refused(subscriber, ERR_FORBIDDEN);
    else if (choice == 2)
        subscriber->protocol->on_lost(subscriber);
}

void hub_unsubscribe(struct subscriber *subscriber)
{
    subscriber->state = SUBSCRIBER_OUT;
}

static void fuzz_commands(struct slice message, bool connected, enum form form)
{
    static const struct slice connects[] = {
        [FORM_JSON] = {"{\"id\":1,\"connect\":{\"token\":\"good\"}}", 35},
        [FORM_PROTOBUF] = {"\x0a\x08\x01\x22\x06\x0a\x04good", 11},
    };
    struct link ws = {0};
    session_init(&ws.session, &ws, form);
    if (connected)
        session_on_message(&ws.session, connects[form]);
    if (!ws.closed)
        session_on_message(&ws.session, message);
    if (!ws.closed)
        session_on_time(&ws.session);
    session_end(&ws.session);
    session_done(&ws.session);
}

static void fuzz_emulation(struct slice message)
{
    struct uuid node, session;
    struct slice commands;
    if (protobuf_read_emulation(message, &node, &session, &commands))
        must(commands.len > 0 && commands.data >= message.data &&
                 commands.data + commands.len <= message.data + message.len,
             "the commands are a part of the message");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    gateway.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    gateway.user_counts = user_counts_new(0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *copy = xmalloc(size); /* of its very size, so that reading past its end is seen */
    memcpy(copy, data + 1, size - 1);
    struct slice bytes = {copy, size - 1};
    if (data[0] >= 128 && data[0] & 4)
        fuzz_emulation(bytes);
    else if (data[0] >= 128)
        fuzz_commands(bytes, data[0] & 1, data[0] & 2 ? FORM_PROTOBUF : FORM_JSON);
    else
        fuzz_frames(data[0] & 64 ? WS_BINARY : WS_TEXT, bytes, (size_t)(data[0] & 63) + 1);
    free(copy);
    return 0;
}
