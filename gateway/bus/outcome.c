#include "gateway/bus/outcome.h"

#include <stdio.h>

#include "common/base/json.h"
#include "common/msg/members.h"
#include "gateway/http/etag.h"

enum { REFUSAL_DEPTH_MAX = 8, LOCATION_MAX = 256 };

static struct slice text_of(const json_t *json, const char *member)
{
    const json_t *value = json_object_get(json, member);
    return json_is_string(value) ? (struct slice){json_string_value(value), json_string_length(value)}
                                 : SLICE_NONE;
}

/* The texts stay in the JSON, which outlives the answer. */
static void take_errors(struct call *call, const json_t *errors, struct msg_problems *problems)
{
    size_t i;
    const json_t *error;
    json_array_foreach(errors, i, error)
    {
        struct msg_problem *problem = arena_calloc(&call->arena, 1, sizeof(*problem));
        if (!problem || i == MSG_PROBLEMS_MAX)
            return;
        problem->pointer = text_of(error, "pointer");
        problem->detail = text_of(error, "detail");
        if (problems->last)
            problems->last->next = problem;
        else
            problems->first = problem;
        problems->last = problem;
        problems->count++;
    }
}

static void add_etag(struct call *call, int64_t version)
{
    char etag[ETAG_SIZE];
    if (version > 0 && !call->etag_is_of_content)
        call_add_header(call, "ETag", etag_format(version, etag));
}

/* RFC 9110 13.1.1: the client sees by it whether somebody else has made the same change. */
static void add_present_etag(struct call *call, const json_t *refusal)
{
    add_etag(call, json_integer_value(json_object_get(refusal, "version")));
    if (call->etag_is_of_content && call->etag.data)
        call_add_header(call, "ETag", call->etag);
}

static void answer_refusal(struct call *call, const struct outcome *outcome)
{
    CLEANUP(json_cleanup) json_t *json = NULL;
    struct msg_problems problems = {.arena = &call->arena};
    char why[160];
    if (outcome->refusal.len > 0 && json_parse(outcome->refusal, REFUSAL_DEPTH_MAX, &json, why)) {
        log_warn("refusal.malformed", LOG_S("why", why), LOG_S("correlation", call->correlation_id));
        json = NULL;
    }
    take_errors(call, json_object_get(json, "errors"), &problems);
    if (outcome->status == ERR_VERSION_CONFLICT)
        add_present_etag(call, json);
    call_fail_fields(call, outcome->status, text_of(json, "detail").data, &problems);
}

/* A created entity is found below the collection that it was posted to. */
static void add_location(struct call *call, struct slice subject)
{
    char text[LOCATION_MAX];
    int len = snprintf(text, sizeof(text), "%.*s/%.*s", (int)call->path.len, call->path.data,
                       (int)subject.len, subject.data);
    if (len > 0 && (size_t)len < sizeof(text))
        call_add_header(call, "Location", (struct slice){text, (size_t)len});
}

/* The entity without the fields that the caller's role does not see. */
static void answer_seen(struct call *call, const struct outcome *outcome)
{
    CLEANUP(buf_done) struct buf seen;
    buf_init(&seen, outcome->entity.len + 3);
    members_append_seen(call->resource, msg_role_hidden(call->identity.role_row), outcome->entity, &seen);
    call_respond(call, outcome->http_status, "application/json", buf_slice(&seen));
}

void outcome_answer(struct call *call, const struct outcome *outcome)
{
    if (outcome->status != ERR_OK) {
        answer_refusal(call, outcome);
        return;
    }
    if (outcome->http_status == 204) {
        call_respond(call, 204, NULL, SLICE_NONE);
        return;
    }
    if (outcome->http_status == 201)
        add_location(call, outcome->subject);
    add_etag(call, outcome->version);
    if (members_have_hidden(call->resource, msg_role_hidden(call->identity.role_row)))
        answer_seen(call, outcome);
    else
        call_respond_shared(call, outcome->http_status, "application/json", outcome->whole, outcome->entity);
}

void outcome_note_replay(struct call *call)
{
    call_add_header(call, "Idempotent-Replayed", SLICE("true"));
}

void outcome_answer_accepted(struct call *call, const struct uuid *command_id, bool preferred)
{
    char id[UUID_TEXT_LEN + 1], location[sizeof("/v1/operations/") + UUID_TEXT_LEN], body[128];
    uuid_format(command_id, id);
    int location_len = snprintf(location, sizeof(location), "/v1/operations/%s", id);
    int body_len = snprintf(body, sizeof(body), "{\"id\":\"%s\",\"status\":\"accepted\"}", id);
    call_add_header(call, "Location", (struct slice){location, (size_t)location_len});
    if (preferred)
        call_add_header(call, "Preference-Applied", SLICE("respond-async"));
    call_respond(call, 202, "application/json", (struct slice){body, (size_t)body_len});
}
