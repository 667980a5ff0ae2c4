#include "gateway/hooks/kept.h"

#include <stdio.h>

#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/hooks/mapping.h"
#include "gateway/bus/commands.h"
#include "gateway/hooks/message.h"
#include "gateway/http/authorize.h"
#include "gateway/http/preconditions.h"
#include "gateway/http/schema_input.h"
#include "gateway/resources/query.h"

enum { DEPTH_MAX = 16 };

#define SOURCE_MEMBERS "type, mapping, user_id, role, event_header, event_pointer"

/* The octets of bytea in its text form, in memory of the call; SLICE_NONE: there is no room. */
static struct slice octets_of(struct call *call, struct slice text)
{
    if (text.len < 2)
        return SLICE("");
    size_t len = (text.len - 2) / 2;
    char *octets = arena_alloc(&call->arena, len + 1);
    if (!octets || !hex_decode((struct slice){text.data + 2, text.len - 2}, octets))
        return SLICE_NONE;
    return (struct slice){octets, len};
}

/* ---- the octets ---- */

static const struct db_statement body_statement = {
    "read.hook_body", "SELECT body FROM hook_event WHERE company_id = $1 AND id = $2"};

static void on_body(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    if (db_rows(result) == 0) {
        call_fail(call, ERR_NOT_FOUND, NULL);
        return;
    }
    struct slice octets = octets_of(call, db_text(result, 0, 0));
    if (octets.data)
        call_respond(call, 200, "application/octet-stream", octets);
    else
        call_fail(call, ERR_INTERNAL, NULL);
}

void hook_body(struct call *call)
{
    if (!call->conn) /* a request over a WebSocket: its answers are texts */
        call_fail(call, ERR_NOT_IMPLEMENTED, NULL);
    else if (authorize_right(call, call->resource, MSG_RIGHT_READ))
        query_start(call, QUERY_ROW, &body_statement, call->params, 1, on_body, NULL);
}

/* ---- once more ---- */

static const struct db_statement replay_statement = {
    "read.hook_replay", "SELECT e.body, e.source_id, e.event, e.sender_id,"
                        " (SELECT h ->> 'value' FROM jsonb_array_elements(e.headers) AS h"
                        " WHERE lower(h ->> 'name') = 'content-type' LIMIT 1),"
                        " (SELECT row_to_json(r)::text FROM (SELECT " SOURCE_MEMBERS " FROM hook_source AS s"
                        " WHERE s.company_id = e.company_id AND s.id = e.source_id) AS r)"
                        " FROM hook_event AS e WHERE e.company_id = $1 AND e.id = $2"};

enum { BODY, SOURCE_ID, EVENT, SENDER_ID, CONTENT_TYPE, SOURCE };

static void submit_replay(struct call *call, struct slice body)
{
    static const struct slice type = {"hook_event.replay", 17};
    struct envelope envelope = {
        .id = uuid_v7(),
        .type = type,
        .company = call->identity.company,
        .actor = call->identity.user,
        .role = slice_of(call->identity.role),
        .has_subject = true,
        .timestamp = (int64_t)ev_now(call->gateway->loop),
        .body = body,
    };
    if (!uuid_parse(call->params[0], &envelope.subject)) {
        call_fail(call, ERR_NOT_FOUND, NULL);
        return;
    }
    const struct slice parts[] = {
        type, {(const char *)envelope.subject.octet, sizeof(envelope.subject.octet)}, SLICE(""), body};
    envelope.fingerprint = msg_fingerprint(parts, ARRAY_LEN(parts));
    commands_submit(call->gateway->commands, call, &envelope, call->gateway->config->wait_ms);
}

/* What is NULL in a row stays absent; texts of a result do not outlive it, and need not. */
static void on_kept(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    char why[160], source_id[UUID_TEXT_LEN + 1];
    CLEANUP(json_cleanup) json_t *source = NULL;
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, HOOK_MESSAGE_MAX);
    if (db_rows(result) == 0) {
        call_fail(call, ERR_NOT_FOUND, NULL);
        return;
    }
    if (!db_text(result, 0, SOURCE).data || json_parse(db_text(result, 0, SOURCE), DEPTH_MAX, &source, why)) {
        call_fail(call, ERR_CONFLICT, "The hook source is not there any more.");
        return;
    }
    struct slice id = db_text(result, 0, SOURCE_ID);
    snprintf(source_id, sizeof(source_id), "%.*s", (int)id.len, id.data);
    const struct hook_message message = {
        .source_id = source_id,
        .source = source,
        .sender_id = db_text(result, 0, SENDER_ID),
        .event = db_text(result, 0, EVENT),
        .content_type = db_text(result, 0, CONTENT_TYPE),
        .body = octets_of(call, db_text(result, 0, BODY)),
    };
    enum err err = message.body.data ? hook_message_write(&message, call, &body) : ERR_INTERNAL;
    if (err)
        call_fail(call, err == ERR_VALIDATION ? ERR_INTERNAL : err, NULL);
    else
        submit_replay(call, buf_slice(&body));
}

void hook_replay(struct call *call)
{
    if (authorize_right(call, call->resource, MSG_RIGHT_UPDATE))
        query_start(call, QUERY_FRESH, &replay_statement, call->params, 1, on_kept, NULL);
}

/* ---- what would become of one ---- */

static const struct db_statement source_statement = {
    "read.hook_preview", "SELECT row_to_json((SELECT r FROM (SELECT " SOURCE_MEMBERS ") AS r))::text"
                         " FROM hook_source WHERE company_id = $1 AND id = $2"};

static struct slice header_of(void *arg, const char *name)
{
    size_t i;
    const json_t *header;
    json_array_foreach((const json_t *)arg, i,
                       header) if (strcasecmp(json_string_value(json_object_get(header, "name")), name) ==
                                   0) return slice_of(json_string_value(json_object_get(header, "value")));
    return SLICE_NONE;
}

static json_t *shown(const struct hook_facts *facts, struct hook_outcome *outcome)
{
    size_t i;
    json_t *made;
    json_array_foreach(outcome->made, i, made)
    {
        json_t *command = json_array_get(outcome->commands, i);
        json_object_set(command, "body", json_object_get(made, "shown"));
        json_object_set(command, "subject",
                        json_object_get(made, "subject") ? json_object_get(made, "subject") : json_null());
        json_object_set(command, "parent",
                        json_object_get(made, "parent") ? json_object_get(made, "parent") : json_null());
        json_object_del(command, "id");
    }
    return json_pack("{s:s%, s:s, s:O, s:O}", "event", facts->event.data ? facts->event.data : "",
                     facts->event.len, "status", outcome->status, "reasons", outcome->reasons, "commands",
                     outcome->commands);
}

static void preview(struct call *call, const json_t *source, const json_t *asked)
{
    char why[160] = "";
    CLEANUP(json_cleanup) json_t *content = NULL;
    json_t *headers = json_object_get(asked, "headers");
    const json_t *body = json_object_get(asked, "content");
    struct hook_facts facts = {.source = source, .unreadable = why, .company = call->identity.company};
    struct hook_outcome outcome;
    if (hook_content_read(header_of(headers, "content-type"),
                          (struct slice){json_string_value(body), json_string_length(body)}, &content,
                          why) == ERR_OK)
        facts.content = content;
    facts.event = hook_event_name(source, content, header_of, headers);
    hook_map(&facts, &outcome);
    CLEANUP(json_cleanup) json_t *answer = shown(&facts, &outcome);
    CLEANUP_FREE char *text = json_dumps(answer, JSON_COMPACT);
    call_respond(call, 200, "application/json", slice_of(text));
    hook_outcome_done(&outcome);
}

static void on_source(struct call *call, struct db_result *result, void *context)
{
    char why[160];
    CLEANUP(json_cleanup) json_t *source = NULL;
    CLEANUP(json_cleanup) json_t *asked = NULL;
    const struct slice *text = context;
    if (db_rows(result) == 0)
        call_fail(call, ERR_NOT_FOUND, NULL);
    else if (json_parse(db_text(result, 0, 0), DEPTH_MAX, &source, why) ||
             json_parse(*text, call->gateway->config->max_json_depth, &asked, why))
        call_fail(call, ERR_INTERNAL, NULL); /* cannot happen: both were parsed before */
    else
        preview(call, source, asked);
}

void hook_preview(struct call *call)
{
    CLEANUP(json_cleanup) json_t *asked = NULL;
    if (!authorize_right(call, call->resource, MSG_RIGHT_UPDATE))
        return;
    if (call->body.len == 0) {
        call_fail(call, ERR_BAD_REQUEST, "The body is missing.");
        return;
    }
    if (!schema_input_read(call, "hook_preview", &asked))
        return;
    struct slice *text = arena_alloc(&call->arena, sizeof(*text));
    if (text)
        *text = arena_copy(&call->arena, call->body);
    if (!text || !text->data)
        call_fail(call, ERR_BODY_TOO_LARGE, NULL);
    else
        query_start(call, QUERY_FRESH, &source_statement, call->params, 1, on_source, text);
}
