#include "gateway/hooks/receive.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/hooks/mapping.h"
#include "gateway/bus/commands.h"
#include "gateway/hooks/message.h"
#include "gateway/hooks/sources.h"
#include "gateway/http/authorize.h"
#include "gateway/http/preconditions.h"
#include "gateway/limit/rate.h"

enum { BURST_S = 5, CHALLENGE_MAX = 1024 };

#define COMMAND      "hook_event.create"
#define NOT_A_SOURCE "No active hook source has signed this."

/* A webhook on its way to the broker. */
struct receipt {
    struct call *call;
    struct hook_source *source;
    json_t *content; /* NULL: the body has not been read, or cannot be */
    struct slice event, sender_id, time;
    struct uuid id;
};

static struct slice header_once(void *arg, const char *name)
{
    struct slice value = SLICE_NONE;
    return call_header_once(arg, name, &value) ? value : SLICE_NONE;
}

/* ---- whose it is ---- */

static bool is_signed(struct call *call, const struct hook_source *source)
{
    struct hook_signing signing = source->signing;
    const struct hook_request request = {
        .header = header_once, .arg = call, .body = call->body, .now_s = clock_wall_ms() / 1000};
    if (source->before_until_s < request.now_s)
        signing.secrets[1] = SLICE_NONE;
    return hook_is_signed(&signing, &request);
}

/* Microsoft's services ask so, and sign nothing, before they send anything. */
static bool answer_validation(struct call *call, const struct hook_source *source)
{
    struct slice token = source && source->is_active ? call_query(call, "validationToken") : SLICE_NONE;
    if (!token.data || token.len > CHALLENGE_MAX)
        return false;
    call_respond(call, 200, "text/plain; charset=utf-8", token);
    return true;
}

/* NULL: the call has been answered. */
static struct hook_source *authenticate(struct call *call)
{
    struct hook_sources *sources = call->gateway->hooks;
    struct uuid id;
    struct hook_source *source = uuid_parse(call->params[0], &id) ? hook_sources_find(sources, &id) : NULL;
    if (!authorize_may_try(call->conn)) {
        call_fail(call, ERR_TOO_MANY_REQUESTS, NULL);
        return NULL;
    }
    if (answer_validation(call, source))
        return NULL;
    if (!source && !hook_sources_are_known(sources)) {
        call_fail(call, ERR_DATABASE_UNAVAILABLE, NULL);
        return NULL;
    }
    if (source && source->is_active && is_signed(call, source))
        return source;
    authorize_refused(call->conn, "a webhook that no active source has signed");
    call_fail(call, ERR_UNAUTHENTICATED, NOT_A_SOURCE);
    return NULL;
}

static bool is_compressed(const struct call *call)
{
    struct slice coding = call_header(call, "content-encoding");
    return coding.len > 0 && !slice_equal_nocase(coding, SLICE("identity"));
}

static bool has_room(struct call *call, struct hook_source *source)
{
    int64_t per_s = call->gateway->config->hook_source_per_s;
    if (rate_take(&source->repaid_at, clock_monotonic_s(), per_s, per_s * BURST_S) == RATE_FITS)
        return true;
    call_fail(call, ERR_TOO_MANY_REQUESTS, "The hook source sends too many webhooks.");
    return false;
}

/* ---- which one it is ---- */

/* Where each type has the sender's id, and the time that is signed. */
static const struct {
    const char *header, *other_header, *pointer, *time;
} ids[HOOK_TYPES] = {
    [HOOK_STRIPE] = {.pointer = "/id", .time = "stripe-signature"},
    [HOOK_GITHUB] = {.header = "x-github-delivery"},
    [HOOK_SLACK] = {.pointer = "/event_id", .time = "x-slack-request-timestamp"},
    [HOOK_SHOPIFY] = {.header = "x-shopify-webhook-id"},
    [HOOK_STANDARD] = {.header = "webhook-id", .other_header = "svix-id"},
};

static struct slice scalar_at(const json_t *content, const char *pointer, struct arena *arena)
{
    const json_t *value = content && pointer ? hook_pointer_find(content, slice_of(pointer)) : NULL;
    char number[24];
    if (json_is_string(value))
        return (struct slice){json_string_value(value), json_string_length(value)};
    if (!json_is_integer(value))
        return SLICE_NONE;
    int len = snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return arena_copy(arena, (struct slice){number, (size_t)len});
}

static struct slice header_named(struct call *call, const char *name)
{
    return name ? header_once(call, name) : SLICE_NONE;
}

static struct slice sender_id(struct receipt *r)
{
    enum hook_type type = r->source->signing.type;
    const char *named = json_string_value(json_object_get(r->source->json, "id_header"));
    const char *pointer = json_string_value(json_object_get(r->source->json, "id_pointer"));
    struct slice id = header_named(r->call, named);
    if (!id.data)
        id = scalar_at(r->content, pointer, &r->call->arena);
    if (!id.data && !named && !pointer) {
        id = header_named(r->call, ids[type].header);
        if (!id.data)
            id = header_named(r->call, ids[type].other_header);
        if (!id.data)
            id = scalar_at(r->content, ids[type].pointer, &r->call->arena);
    }
    return id.len > 0 ? id : SLICE_NONE;
}

/* Without an id of the sender's, the same octets signed at the same time are the same event. */
static struct uuid derive_id(const struct receipt *r)
{
    const char *time = ids[r->source->signing.type].time;
    const char *named = r->source->signing.timestamp_header;
    const struct slice parts[] = {
        SLICE("hook_event"),
        {(const char *)r->source->id.octet, sizeof(r->source->id.octet)},
        r->sender_id.data ? SLICE("id") : SLICE("body"),
        r->sender_id.data ? r->sender_id : r->call->body,
        r->sender_id.data ? SLICE("") : header_named(r->call, named ? named : time),
    };
    return uuid_derive(parts, ARRAY_LEN(parts));
}

/* ---- the command ---- */

/* The broker has it. The same answer for one that comes again. */
static void on_accepted(struct call *call, const struct uuid *command_id)
{
    char id[UUID_TEXT_LEN + 1], body[64];
    uuid_format(command_id, id);
    int len = snprintf(body, sizeof(body), "{\"id\":\"%s\"}", id);
    call_respond(call, 200, "application/json", (struct slice){body, (size_t)len});
}

/* A retry may have other octets (Stripe counts in the body), so the fingerprint is that of the id alone. */
static void submit(struct receipt *r, struct slice body)
{
    struct call *call = r->call;
    const struct slice parts[] = {SLICE(COMMAND), {(const char *)r->id.octet, sizeof(r->id.octet)}};
    struct slice traceparent = call_header(call, "traceparent");
    const struct envelope envelope = {
        .id = r->id,
        .type = SLICE(COMMAND),
        .company = r->source->company,
        .actor = r->source->user,
        .role = SLICE("company_admin"), /* whoever made the source; the commands have the rights of its own */
        .fingerprint = msg_fingerprint(parts, ARRAY_LEN(parts)),
        .timestamp = (int64_t)ev_now(call->gateway->loop),
        .traceparent = traceparent_is_valid(traceparent) ? traceparent : SLICE_NONE,
        .body = body,
    };
    call->on_accepted = on_accepted;
    commands_submit(call->gateway->commands, call, &envelope, 0);
}

static void send(struct receipt *r)
{
    struct call *call = r->call;
    char source_id[UUID_TEXT_LEN + 1];
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, HOOK_MESSAGE_MAX);
    uuid_format(&r->source->id, source_id);
    r->sender_id = sender_id(r);
    r->event = hook_event_name(r->source->json, r->content, header_once, call);
    r->id = derive_id(r);
    const struct hook_message message = {
        .source_id = source_id,
        .source = r->source->json,
        .sender_id = r->sender_id,
        .event = r->event,
        .content_type = call_header(call, "content-type"),
        .headers = call->headers,
        .header_count = call->header_count,
        .body = call->body,
    };
    enum err err = hook_message_write(&message, call, &body);
    if (err)
        call_fail(call, err == ERR_VALIDATION ? ERR_INTERNAL : err, NULL);
    else
        submit(r, buf_slice(&body));
}

/* A sender that asks, with its signature, whether we are there: Slack's url_verification, and a challenge alone. */
static bool answer_challenge(struct call *call, const json_t *content)
{
    const char *type = json_string_value(json_object_get(content, "type"));
    const json_t *challenge = json_object_get(content, "challenge");
    bool is_asked = json_object_size(content) == 1 || (type && strcmp(type, "url_verification") == 0);
    if (!is_asked || !json_is_string(challenge) || json_string_length(challenge) > CHALLENGE_MAX)
        return false;
    CLEANUP(json_cleanup) json_t *answer = json_pack("{s:O}", "challenge", challenge);
    CLEANUP_FREE char *text = json_dumps(answer, JSON_COMPACT);
    call_respond(call, 200, "application/json", slice_of(text));
    return true;
}

void hook_receive(struct call *call)
{
    char why[160];
    struct receipt r = {.call = call};
    if (!call->conn) /* a request over a WebSocket: its octets are not those that were signed */
        call_fail(call, ERR_NOT_IMPLEMENTED, NULL);
    else if (is_compressed(call))
        call_fail(call, ERR_UNSUPPORTED_MEDIA, NULL);
    else
        r.source = authenticate(call);
    if (!r.source)
        return;
    if (hook_content_read(call_header(call, "content-type"), call->body, &r.content, why))
        r.content = NULL; /* it is kept all the same */
    if (!answer_challenge(call, r.content) && has_room(call, r.source))
        send(&r);
    json_decref(r.content);
}
