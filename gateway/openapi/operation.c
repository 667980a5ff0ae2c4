/* One route as an OpenAPI operation: its parameters, its body, its answers. The route's verb names its row
 * here, so that this room needs to know no handler. */

#include "gateway/openapi/openapi.h"

#include <stdio.h>

enum { REFUSALS_MAX = 16, PARAMETERS_MAX = 6, OPERATION_ID_SIZE = 128 };

enum body {
    BODY_NONE,
    BODY_TEXT,
    BODY_ENTITY,
    BODY_LIST,
    BODY_OPERATION,
    BODY_EVENTS,
    BODY_DOCUMENT,
    BODY_FILE,
    BODY_OCTETS,
    BODY_CANCELLED,
};

/* Components are named as in document.c. */
static const struct kind {
    const char *verb; /* the route's; the operationId begins with it: "create" and the resource's title */
    const char *id;   /* the operationId where it is another; NULL: as above */
    const char *begin, *end; /* around the resource's title, where that is so; NULL: the verb before it */
    const char *meaning;     /* the description of the answer when the request succeeds */
    const char *request;     /* the body's schema: a suffix of the resource's; NULL: none of a resource */
    const char *msg_request; /* the schema of the body, or of the query where there is no body; NULL: none */
    const char *apart;       /* a member of it that the schema does not describe */
    const char *document;    /* the schema of the answer, where `body` is BODY_DOCUMENT; NULL: any object */
    const char *media;       /* the media type of the request's body, beside application/json */
    const char *parameters[PARAMETERS_MAX + 1]; /* components */
    const char *headers[PARAMETERS_MAX + 1];    /* of the answer: components */
    int status;
    enum body body; /* of the answer */
    int refusals[REFUSALS_MAX + 1];
    bool is_write;       /* the answer may be 202 */
    bool may_create;     /* the answer may be 201 */
    bool takes_anything; /* the request's body may be of any type */
} kinds[] = {
    {.verb = "get",
     .status = 200,
     .meaning = "The entity",
     .body = BODY_ENTITY,
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 404, 412, 500, 503}},
    {.verb = "list",
     .status = 200,
     .meaning = "One page of the list, in the order that `sort` names. A list has ended when `next` is null, "
                "not when "
                "a page is short",
     .body = BODY_LIST,
     .parameters = {"limit", "after", "Prefer-Count", "If-None-Match"},
     .headers = {"ETag", "Link", "Preference-Applied"},
     .refusals = {304, 400, 401, 403, 404, 412, 422, 500, 503}},
    {.verb = "create",
     .status = 201,
     .meaning = "The entity, created",
     .body = BODY_ENTITY,
     .request = "Create",
     .media = "application/json",
     .parameters = {"Idempotency-Key", "Cortex-Run-At", "Prefer"},
     .headers = {"ETag", "Location", "Idempotent-Replayed"},
     .is_write = true,
     .refusals = {400, 401, 403, 404, 409, 413, 415, 422, 500, 503}},
    {.verb = "update",
     .status = 200,
     .meaning = "The entity, changed",
     .body = BODY_ENTITY,
     .request = "Update",
     .media = "application/merge-patch+json",
     .parameters = {"If-Match", "If-None-Match-Write", "Idempotency-Key", "Cortex-Run-At", "Prefer"},
     .headers = {"ETag", "Idempotent-Replayed"},
     .is_write = true,
     .refusals = {400, 401, 403, 404, 409, 412, 413, 415, 422, 500, 503}},
    {.verb = "delete",
     .status = 204,
     .meaning = "The entity is deleted",
     .parameters = {"If-Match", "If-None-Match-Write", "Idempotency-Key", "Cortex-Run-At", "Prefer"},
     .headers = {"Idempotent-Replayed"},
     .is_write = true,
     .refusals = {400, 401, 403, 404, 409, 412, 422, 500, 503}},
    {.verb = "secret",
     .begin = "get",
     .end = "Secret",
     .status = 200,
     .meaning = "The secret, and the one before as long as that is valid. The answer is kept nowhere",
     .body = BODY_DOCUMENT,
     .document = "Secrets",
     .refusals = {400, 401, 403, 404, 500, 503}},
    {.verb = "rotate",
     .begin = "rotate",
     .end = "Secret",
     .status = 200,
     .meaning = "The entity, which has a new secret",
     .body = BODY_ENTITY,
     .parameters = {"If-Match", "If-None-Match-Write", "Idempotency-Key", "Cortex-Run-At", "Prefer"},
     .headers = {"ETag", "Idempotent-Replayed"},
     .is_write = true,
     .refusals = {400, 401, 403, 404, 409, 412, 422, 500, 503}},
    {.verb = "test",
     .status = 200,
     .meaning = "The endpoint. What became of the test is in its deliveries",
     .body = BODY_ENTITY,
     .parameters = {"If-Match", "If-None-Match-Write", "Idempotency-Key", "Cortex-Run-At", "Prefer"},
     .headers = {"ETag", "Idempotent-Replayed"},
     .is_write = true,
     .refusals = {400, 401, 403, 404, 409, 412, 422, 500, 503}},
    {.verb = "resend",
     .status = 200,
     .meaning = "The delivery, which is due",
     .body = BODY_ENTITY,
     .parameters = {"If-Match", "If-None-Match-Write", "Idempotency-Key", "Cortex-Run-At", "Prefer"},
     .headers = {"ETag", "Idempotent-Replayed"},
     .is_write = true,
     .refusals = {400, 401, 403, 404, 409, 412, 422, 500, 503}},
    {.verb = "listAttempts",
     .id = "listWebhookAttempts",
     .status = 200,
     .meaning = "All attempts of the delivery",
     .body = BODY_DOCUMENT,
     .document = "WebhookAttemptList",
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 404, 412, 500, 503}},
    {.verb = "receiveHook",
     .status = 200,
     .meaning = "The webhook is safe: the broker has confirmed it. Its id is that of the hook event, the "
                "same when it "
                "comes again",
     .body = BODY_DOCUMENT,
     .document = "HookTaken",
     .takes_anything = true,
     .refusals = {400, 401, 413, 415, 429, 500, 503}},
    {.verb = "downloadHookEvent",
     .id = "downloadHookEvent",
     .status = 200,
     .meaning = "The octets of the body",
     .body = BODY_OCTETS,
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 404, 412, 500, 503}},
    {.verb = "replay",
     .status = 200,
     .meaning = "The webhook, mapped again",
     .body = BODY_ENTITY,
     .headers = {"ETag"},
     .is_write = true,
     .refusals = {400, 401, 403, 404, 409, 500, 503}},
    {.verb = "preview",
     .status = 200,
     .meaning = "What would become of it",
     .msg_request = "hook_preview",
     .body = BODY_DOCUMENT,
     .document = "HookPreviewed",
     .refusals = {400, 401, 403, 404, 413, 415, 422, 500, 503}},
    {.verb = "cancel",
     .id = "cancelOperation",
     .status = 202,
     .meaning = "The waiting command will never run, or the long job will end at its next step: the long "
                "job, or, while "
                "this is still under way or the client does not wait, its operation",
     .body = BODY_CANCELLED,
     .parameters = {"If-Match", "If-None-Match-Write", "Idempotency-Key", "Prefer"},
     .headers = {"Idempotent-Replayed"},
     .refusals = {400, 401, 403, 404, 409, 412, 422, 500, 503}},
    {.verb = "downloadExport",
     .status = 200,
     .meaning = "The file of the export",
     .body = BODY_FILE,
     .parameters = {"If-None-Match", "Range", "If-Range"},
     .headers = {"ETag", "Accept-Ranges"},
     .refusals = {206, 304, 400, 401, 403, 404, 409, 412, 416, 500, 503}},
    {.verb = "getOperation",
     .status = 200,
     .meaning = "The state of the command, and its result when it is done",
     .body = BODY_OPERATION,
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 404, 412, 500, 503}},
    {.verb = "listOperations",
     .status = 200,
     .meaning = "One page of the list, in the order of the ids",
     .msg_request = "operation_selection",
     .body = BODY_DOCUMENT,
     .document = "WaitingList",
     .parameters = {"after", "If-None-Match"},
     .headers = {"ETag", "Link"},
     .refusals = {304, 400, 401, 403, 412, 500, 503}},
    {.verb = "listActs",
     .status = 200,
     .meaning = "One page of the list, oldest first",
     .msg_request = "act_selection",
     .body = BODY_DOCUMENT,
     .document = "ActList",
     .parameters = {"after", "If-None-Match"},
     .headers = {"ETag", "Link"},
     .refusals = {304, 400, 401, 403, 412, 500, 503}},
    {.verb = "listPools",
     .status = 200,
     .meaning =
         "All pools. A pool whose managers do not answer is shown with the counts from the database alone",
     .body = BODY_DOCUMENT,
     .document = "PoolList",
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 412, 503}},
    {.verb = "getPool",
     .status = 200,
     .meaning = "The pool, as one of its managers reports it",
     .body = BODY_DOCUMENT,
     .document = "Pool",
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 404, 412, 503}},
    {.verb = "resizePool",
     .status = 200,
     .meaning = "The pool with its new size",
     .msg_request = "pool_size",
     .body = BODY_DOCUMENT,
     .document = "Pool",
     .parameters = {"If-Match", "If-None-Match-Write"},
     .headers = {"ETag"},
     .refusals = {400, 401, 403, 404, 412, 413, 415, 422, 503}},
    {.verb = "listDeadLetters",
     .status = 200,
     .meaning = "One page of the list, oldest first",
     .msg_request = "dead_selection",
     .body = BODY_DOCUMENT,
     .document = "DeadLetterList",
     .parameters = {"after", "If-None-Match"},
     .headers = {"ETag", "Link"},
     .refusals = {304, 400, 401, 403, 412, 500, 503}},
    {.verb = "getDeadLetter",
     .status = 200,
     .meaning = "The dead letter",
     .body = BODY_DOCUMENT,
     .document = "DeadLetter",
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 404, 412, 500, 503}},
    {.verb = "replayDeadLetters",
     .status = 200,
     .meaning = "`count` commands will be run again; `locked` dead letters were held by another transaction "
                "and are left. Repeat the request while `more` is true",
     .msg_request = "dead_selection",
     .body = BODY_DOCUMENT,
     .document = "DeadLetterCount",
     .parameters = {"If-Match", "If-None-Match-Write"},
     .refusals = {400, 401, 403, 412, 413, 415, 422, 500, 503}},
    {.verb = "dropDeadLetters",
     .status = 200,
     .meaning = "`count` dead letters are deleted; `locked` others were held by another transaction and are "
                "left. Repeat the request while `more` is true",
     .msg_request = "dead_selection",
     .body = BODY_DOCUMENT,
     .document = "DeadLetterCount",
     .parameters = {"If-Match", "If-None-Match-Write"},
     .refusals = {400, 401, 403, 412, 500, 503}},
    {.verb = "replayDeadLetter",
     .status = 200,
     .meaning = "The command will be run again",
     .body = BODY_DOCUMENT,
     .document = "DeadLetterReplayed",
     .parameters = {"If-Match", "If-None-Match-Write"},
     .refusals = {400, 401, 403, 404, 409, 412, 500, 503}},
    {.verb = "dropDeadLetter",
     .status = 204,
     .meaning = "The dead letter is deleted",
     .parameters = {"If-Match", "If-None-Match-Write"},
     .refusals = {400, 401, 403, 404, 409, 412, 500, 503}},
    {.verb = "listSchedules",
     .status = 200,
     .meaning = "One page of the list, oldest first",
     .msg_request = "schedule_selection",
     .body = BODY_DOCUMENT,
     .document = "ScheduleList",
     .parameters = {"after", "If-None-Match"},
     .headers = {"ETag", "Link"},
     .refusals = {304, 400, 401, 403, 412, 500, 503}},
    {.verb = "getSchedule",
     .status = 200,
     .meaning = "The schedule, with the body of its command",
     .body = BODY_DOCUMENT,
     .document = "Schedule",
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 404, 412, 500, 503}},
    {.verb = "putSchedule",
     .status = 200,
     .meaning = "The schedule is replaced (201: created)",
     .msg_request = "schedule",
     .apart = "body",
     .body = BODY_DOCUMENT,
     .document = "ScheduleKept",
     .may_create = true,
     .parameters = {"If-Match", "If-None-Match-Write"},
     .headers = {"ETag"},
     .refusals = {400, 401, 403, 412, 413, 415, 422, 500, 503}},
    {.verb = "deleteSchedule",
     .status = 204,
     .meaning = "The schedule is deleted",
     .parameters = {"If-Match", "If-None-Match-Write"},
     .refusals = {400, 401, 403, 404, 412, 500, 503}},
    {.verb = "runSchedule",
     .status = 202,
     .meaning = "The schedule will run once, at once",
     .body = BODY_DOCUMENT,
     .document = "ScheduleAsked",
     .parameters = {"If-Match", "If-None-Match-Write"},
     .refusals = {400, 401, 403, 404, 412, 500, 503}},
    {.verb = "listEvents",
     .status = 200,
     .meaning = "A page of events, or a stream of them that stays open until one side closes it",
     .body = BODY_EVENTS,
     .parameters = {"channels", "limit", "after", "Last-Event-ID", "Prefer", "If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 404, 406, 410, 412, 500, 503}},
    {.verb = "listEventTypes",
     .status = 200,
     .meaning = "All types of events, each with what it says and an example of what a webhook gets",
     .body = BODY_DOCUMENT,
     .document = "EventTypeList",
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 401, 403, 412, 503}},
    {.verb = "createTicket",
     .status = 201,
     .meaning = "The ticket: it opens one stream of these channels within 60 seconds",
     .msg_request = "ticket",
     .body = BODY_DOCUMENT,
     .document = "Ticket",
     .refusals = {400, 401, 403, 413, 415, 422, 429, 500, 503}},
    {.verb = "getHealth",
     .status = 200,
     .meaning = "The process answers",
     .body = BODY_TEXT,
     .refusals = {400}},
    {.verb = "getReadiness",
     .status = 200,
     .meaning = "The process can serve requests",
     .body = BODY_TEXT,
     .refusals = {400, 503}},
    {.verb = "getOpenApi",
     .status = 200,
     .meaning = "This document",
     .body = BODY_DOCUMENT,
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 412}},
    {.verb = "listProblemTypes",
     .status = 200,
     .meaning = "All types of problems",
     .body = BODY_DOCUMENT,
     .document = "ProblemTypeList",
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 412}},
    {.verb = "getProblemType",
     .status = 200,
     .meaning = "The type of problem",
     .body = BODY_DOCUMENT,
     .document = "ProblemType",
     .parameters = {"If-None-Match"},
     .headers = {"ETag"},
     .refusals = {304, 400, 404, 412}},
};

static const struct kind *kind_of(const struct route *route)
{
    static const struct kind unknown = {.verb = "call", .status = 200, .meaning = "Done"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].verb, route->verb) == 0)
            return &kinds[i];
    return &unknown;
}

static json_t *component(const char *section, const char *name)
{
    return json_pack("{s:s+++}", "$ref", "#/components/", section, "/", name);
}

static json_t *content(const char *media, json_t *schema)
{
    return json_pack("{s:{s:o}}", media, "schema", schema);
}

static const struct msg_resource *resource_of(const struct route *route)
{
    return route->resource ? msg_resource_by_name(slice_of(route->resource)) : NULL;
}

static json_t *schema_of(const struct msg_resource *resource, const char *suffix)
{
    char title[64], name[96];
    snprintf(name, sizeof(name), "%s%s", resource ? openapi_title(resource, title) : "Any", suffix);
    return component("schemas", name);
}

static bool takes_body(const struct route *route)
{
    return route->method == METHOD_POST || route->method == METHOD_PUT || route->method == METHOD_PATCH;
}

static json_t *answer_content(const struct route *route, const struct kind *kind)
{
    switch (kind->body) {
    case BODY_TEXT:
        return content("text/plain", json_pack("{s:s}", "type", "string"));
    case BODY_DOCUMENT:
        return content("application/json", kind->document ? component("schemas", kind->document)
                                                          : json_pack("{s:s}", "type", "object"));
    case BODY_FILE:
        return json_pack("{s:{s:{s:s}},s:{s:{s:s}}}", "text/csv", "schema", "type", "string",
                         "application/x-ndjson", "schema", "type", "string");
    case BODY_OCTETS:
        return content("application/octet-stream", json_pack("{s:s}", "type", "string"));
    case BODY_OPERATION:
        return content("application/json", component("schemas", "Operation"));
    case BODY_EVENTS: {
        json_t *either = content("application/json", component("schemas", "EventPage"));
        json_object_set_new(either, "text/event-stream", json_pack("{s:{s:s}}", "schema", "type", "string"));
        return either;
    }
    case BODY_CANCELLED:
        return content("application/json", json_pack("{s:[o, o]}", "anyOf", schema_of(resource_of(route), ""),
                                                     component("schemas", "Operation")));
    case BODY_ENTITY:
        return content("application/json", schema_of(resource_of(route), ""));
    case BODY_LIST:
        return content("application/json", schema_of(resource_of(route), "List"));
    case BODY_NONE:
        break;
    }
    return NULL;
}

static json_t *answer(const struct route *route, const struct kind *kind)
{
    json_t *response = json_pack("{s:s}", "description", kind->meaning), *headers = json_object();
    json_t *body = answer_content(route, kind);
    if (body)
        json_object_set_new(response, "content", body);
    for (const char *const *name = kind->headers; *name; name++)
        json_object_set_new(headers, *name, component("headers", *name));
    if (json_object_size(headers))
        json_object_set(response, "headers", headers);
    json_decref(headers);
    return response;
}

static json_t *responses_of(const struct route *route, const struct kind *kind)
{
    char status[16];
    json_t *responses = json_object();
    snprintf(status, sizeof(status), "%d", kind->status);
    json_object_set_new(responses, status, answer(route, kind));
    if (kind->may_create)
        json_object_set_new(responses, "201", answer(route, kind));
    if (kind->is_write)
        json_object_set_new(responses, "202", component("responses", "Accepted"));
    for (const int *refusal = kind->refusals; *refusal; refusal++) {
        snprintf(status, sizeof(status), "%d", *refusal);
        json_object_set_new(responses, status, component("responses", status));
    }
    json_object_set_new(responses, "default", component("responses", "Problem"));
    return responses;
}

/* A path parameter is an id or a word (router.h). */
static json_t *path_schema(struct slice parameter)
{
    if (router_is_word(parameter))
        return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[a-z0-9._-]{1,64}$");
    return json_pack("{s:s, s:s}", "type", "string", "format", "uuid");
}

static void add_path_parameters(json_t *parameters, const char *pattern)
{
    for (const char *open = strchr(pattern, '{'); open; open = strchr(open + 1, '{')) {
        size_t len = strcspn(open + 1, "}");
        json_t *name = json_stringn(open + 1, len);
        json_array_append_new(parameters,
                              json_pack("{s:o, s:s, s:b, s:o}", "name", name, "in", "path", "required", 1,
                                        "schema", path_schema((struct slice){open, len + 2})));
    }
}

static void add_query_parameter(json_t *parameters, const char *name, const char *description, json_t *schema)
{
    json_array_append_new(parameters, json_pack("{s:s, s:s, s:s, s:o}", "name", name, "in", "query",
                                                "description", description, "schema", schema));
}

/* A list leaves archived entities out unless the query asks for them. */
static json_t *archived_schema(void)
{
    return json_pack("{s:s, s:[s, s, s], s:s}", "type", "string", "enum", "true", "false", "any", "default",
                     "false");
}

/* One value, or several with commas between them: status=a,b. Clients that were made when there was only one go on to
 * compile. */
static void add_set(json_t *parameters, const struct msg_resource *resource, const struct msg_field *field,
                    const char *name, const char *description)
{
    json_t *one = openapi_filter_schema(resource, field);
    if (field->shape.nullable)
        one = json_pack("{s:[o, {s:s}]}", "anyOf", one, "const", "null");
    json_t *several = json_pack("{s:s, s:O, s:i, s:i}", "type", "array", "items", one, "minItems", 1,
                                "maxItems", (int)MSG_VALUES_MAX);
    json_array_append_new(parameters, json_pack("{s:s, s:s, s:s, s:s, s:b, s:{s:[o, o]}}", "name", name, "in",
                                                "query", "description", description, "style", "form",
                                                "explode", 0, "schema", "anyOf", one, several));
}

static void add_operators(json_t *parameters, const struct msg_resource *resource,
                          const struct msg_field *field)
{
    static const struct {
        const char *name, *description;
    } bounds[] = {
        {"gte", "Lists only entities whose value is this one or greater."},
        {"gt", "Lists only entities whose value is greater."},
        {"lte", "Lists only entities whose value is this one or less."},
        {"lt", "Lists only entities whose value is less."},
    };
    char name[96];
    snprintf(name, sizeof(name), "%s[ne]", field->name);
    add_set(parameters, resource, field, name,
            field->shape.nullable
                ? "Lists only entities with none of these values. Those without a value are "
                  "among them, unless `null` is one."
                : "Lists only entities with none of these values.");
    for (size_t i = 0; i < ARRAY_LEN(bounds) && msg_is_ordered(field); i++) {
        snprintf(name, sizeof(name), "%s[%s]", field->name, bounds[i].name);
        add_query_parameter(parameters, name, bounds[i].description, openapi_filter_schema(resource, field));
    }
}

static void add_sort(json_t *parameters, const struct msg_resource *resource)
{
    json_t *names = json_pack("[s, s]", "created_at", "-created_at");
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (resource->object->fields[i].sort) {
            json_array_append_new(names, json_string(resource->object->fields[i].name));
            json_array_append_new(names, json_sprintf("-%s", resource->object->fields[i].name));
        }
    add_query_parameter(
        parameters, "sort",
        "The field whose values order the list, with `-` in front the greatest first. Entities "
        "without a value come last; those with equal ones are ordered by id.",
        json_pack("{s:s, s:o, s:s}", "type", "string", "enum", names, "default", "created_at"));
}

/* Names with commas between them. */
static void add_names(json_t *parameters, const char *name, const char *description, json_t *names)
{
    json_array_append_new(parameters, json_pack("{s:s, s:s, s:s, s:s, s:b, s:{s:s, s:{s:s, s:o}, s:i}}",
                                                "name", name, "in", "query", "description", description,
                                                "style", "form", "explode", 0, "schema", "type", "array",
                                                "items", "type", "string", "enum", names, "minItems", 1));
}

static const struct msg_resource *resource_of_table(const char *table)
{
    for (const struct msg_resource *const *resource = msg_resources; table && *resource; resource++)
        if (strcmp((*resource)->table, table) == 0)
            return *resource;
    return NULL;
}

static void add_members(json_t *parameters, const struct msg_resource *resource)
{
    json_t *fields = json_array(), *includes = json_array();
    bool has_transitions = false;
    if (resource->parent)
        json_array_append_new(includes, json_string(resource->parent));
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const struct msg_field *field = &resource->object->fields[i];
        size_t len = strlen(field->name);
        if (msg_is_shown(field))
            json_array_append_new(fields, json_string(field->name));
        has_transitions = has_transitions || field->transitions;
        if (resource_of_table(field->reference) && len > 3 && strcmp(field->name + len - 3, "_id") == 0)
            json_array_append_new(includes, json_stringn(field->name, len - 3));
    }
    if (has_transitions)
        json_array_append_new(includes, json_string("allowed"));
    add_names(parameters, "fields",
              "The only members that entries have, beside `id`; without it, all of them.", fields);
    if (json_array_size(includes) > 0)
        add_names(
            parameters, "include",
            "Members that entries have besides: the entity that is meant, or null; `allowed` has, for each "
            "field with x-transitions, what this caller may change its value to.",
            json_incref(includes));
    json_decref(includes);
}

static void add_filters(json_t *parameters, const struct msg_resource *resource)
{
    bool searchable = false;
    add_sort(parameters, resource);
    add_members(parameters, resource);
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const struct msg_field *field = &resource->object->fields[i];
        bool is_archived = strcmp(field->name, "archived") == 0 && field->shape.type == MSG_BOOLEAN;
        searchable = searchable || field->search;
        if (!field->filter)
            continue;
        if (is_archived)
            add_query_parameter(parameters, field->name, "Lists only entities with this value.",
                                archived_schema());
        else
            add_set(parameters, resource, field, field->name,
                    field->shape.nullable
                        ? "Lists only entities with one of these values; `null` stands for no value."
                        : "Lists only entities with one of these values.");
        add_operators(parameters, resource, field);
    }
    if (searchable)
        add_query_parameter(
            parameters, "text",
            "Lists only entities whose texts contain this one, whatever its case and however its "
            "accents are encoded (Unicode's full case folding, NFC).",
            json_pack("{s:s, s:i, s:i}", "type", "string", "minLength", 1, "maxLength", 200));
}

/* Adds the fields of a request that comes as a query. */
static void add_query_fields(json_t *parameters, const char *request)
{
    json_t *schema = openapi_request_schema(msg_request_by_name(slice_of(request)));
    const char *name;
    json_t *property;
    json_object_foreach(json_object_get(schema, "properties"), name, property)
    {
        const char *description = json_string_value(json_object_get(property, "description"));
        add_query_parameter(parameters, name,
                            description ? description : "Selects only those with this value.",
                            json_incref(property));
    }
    json_decref(schema);
}

static json_t *parameters_of(const struct route *route, const struct kind *kind)
{
    const struct msg_resource *resource = resource_of(route);
    json_t *parameters = json_array();
    add_path_parameters(parameters, route->pattern);
    for (const char *const *name = kind->parameters; *name; name++)
        json_array_append_new(parameters, component("parameters", *name));
    if (kind->body == BODY_LIST && resource)
        add_filters(parameters, resource);
    if (kind->msg_request && !takes_body(route))
        add_query_fields(parameters, kind->msg_request);
    return parameters;
}

static void add_request(json_t *operation, const struct route *route, const struct kind *kind)
{
    json_t *media = content("application/json", schema_of(resource_of(route), kind->request));
    json_object_set_new(media, kind->media, json_deep_copy(json_object_get(media, "application/json")));
    json_object_set_new(operation, "requestBody", json_pack("{s:b, s:o}", "required", 1, "content", media));
}

/* What the route does with its resource. */
static enum msg_right right_of(const struct route *route)
{
    return route->method == METHOD_GET           ? MSG_RIGHT_READ
           : strcmp(route->verb, "rotate") == 0  ? MSG_RIGHT_UPDATE
           : strcmp(route->verb, "test") == 0    ? MSG_RIGHT_UPDATE
           : strcmp(route->verb, "resend") == 0  ? MSG_RIGHT_UPDATE
           : strcmp(route->verb, "replay") == 0  ? MSG_RIGHT_UPDATE
           : strcmp(route->verb, "preview") == 0 ? MSG_RIGHT_UPDATE
           : route->method == METHOD_POST        ? MSG_RIGHT_CREATE
           : route->method == METHOD_PATCH       ? MSG_RIGHT_UPDATE
           : strcmp(route->verb, "cancel")       ? MSG_RIGHT_DELETE
                                                 : MSG_RIGHT_UPDATE;
}

/* The conditions under which the role may use the route, as bits; 0: never. */
static unsigned conditions_of(const struct route *route, const struct msg_resource *resource,
                              enum msg_role role)
{
    if (route->access == ACCESS_OPERATOR)
        return role == MSG_ROLE_SUPER_ADMIN ? MSG_MAY_ANY : 0;
    if (strcmp(route->verb, "secret") == 0)
        return role == MSG_ROLE_COMPANY_ADMIN ? MSG_MAY_ANY : 0;
    return resource ? resource->rights[role][right_of(route)] : MSG_MAY_ANY;
}

static json_t *names_of_conditions(unsigned conditions)
{
    json_t *names = json_array();
    for (unsigned n = 0; n < MSG_CONDITIONS; n++)
        if (conditions & 1U << n)
            json_array_append_new(names, json_string(msg_condition_name(n)));
    return names;
}

/* Says who may use the route: in words, in x-roles, and with the conditions in x-rights. */
static void add_roles(json_t *operation, const struct route *route, const struct msg_resource *resource)
{
    bool is_for_some = route_asks_token(route) && (route->access == ACCESS_OPERATOR || resource);
    json_t *roles = json_array(), *rights = json_object();
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 1024);
    for (unsigned role = MSG_ROLE_UNKNOWN + 1; role < MSG_ROLES && is_for_some; role++) {
        unsigned conditions = conditions_of(route, resource, (enum msg_role)role);
        const char *name = msg_role_name((enum msg_role)role);
        if (!conditions)
            continue;
        json_array_append_new(roles, json_string(name));
        json_object_set_new(rights, name, names_of_conditions(conditions));
    }
    buf_append_text(&text, !route_asks_token(route)         ? "Needs no token."
                           : route->access == ACCESS_TICKET ? "Needs a token of any role, or a ticket."
                           : !is_for_some                   ? "Needs a token of any role."
                                                            : "Needs a token with the role ");
    size_t count = json_array_size(roles);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s`%s`%s",
                   i == 0          ? ""
                   : i + 1 < count ? ", "
                                   : " or ",
                   json_string_value(json_array_get(roles, i)), i + 1 == count ? "." : "");
    if (is_for_some) {
        json_object_set(operation, "x-roles", roles);
        json_object_set(operation, "x-rights", rights);
    }
    json_decref(roles);
    json_decref(rights);
    json_object_set_new(operation, "description", json_stringn(buf_data(&text), buf_len(&text)));
}

/* The body is required when one of its members is. */
static void add_msg_request(json_t *operation, const char *request, const char *apart)
{
    json_t *schema = openapi_request_schema(msg_request_by_name(slice_of(request)));
    if (apart)
        json_object_set_new(json_object_get(schema, "properties"), apart,
                            json_pack("{s:s}", "type", "object"));
    int required = json_array_size(json_object_get(schema, "required")) > 0;
    json_object_set_new(
        operation, "requestBody",
        json_pack("{s:b, s:o}", "required", required, "content", content("application/json", schema)));
}

/* "listProjects", "createProject": a list has the name of the collection, everything else that of one entity. */
static void operation_id(const struct kind *kind, const struct msg_resource *resource,
                         char id[OPERATION_ID_SIZE])
{
    char title[64];
    if (kind->id || !resource)
        snprintf(id, OPERATION_ID_SIZE, "%s", kind->id ? kind->id : kind->verb);
    else if (kind->body != BODY_LIST)
        snprintf(id, OPERATION_ID_SIZE, "%s%s%s", kind->begin ? kind->begin : kind->verb,
                 openapi_title(resource, title), kind->end ? kind->end : "");
    else {
        size_t len = (size_t)snprintf(id, OPERATION_ID_SIZE, "%s", kind->verb);
        bool upper = true;
        for (const char *c = resource->collection; *c && len + 1 < OPERATION_ID_SIZE; c++) {
            bool is_between = *c == '_' || *c == '-';
            if (!is_between)
                id[len++] = upper && *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
            upper = is_between;
        }
        id[len] = '\0';
    }
}

json_t *openapi_operation(const struct route *route)
{
    char id[OPERATION_ID_SIZE];
    const struct kind *kind = kind_of(route);
    const struct msg_resource *resource = resource_of(route);
    if (strncmp(route->verb, "connect", strlen("connect")) ==
        0) /* the Centrifuge protocol, which this document does not describe */
        return NULL;
    operation_id(kind, resource, id);
    json_t *operation = json_pack("{s:s, s:s, s:[s], s:o}", "operationId", id, "summary", route->summary,
                                  "tags", openapi_tag(route), "responses", responses_of(route, kind));
    add_roles(operation, route, resource);
    json_t *parameters = parameters_of(route, kind);
    if (json_array_size(parameters))
        json_object_set(operation, "parameters", parameters);
    json_decref(parameters);
    if (kind->request)
        add_request(operation, route, kind);
    if (kind->msg_request && takes_body(route))
        add_msg_request(operation, kind->msg_request, kind->apart);
    if (kind->takes_anything)
        json_object_set_new(operation, "requestBody",
                            json_pack("{s:b, s:o}", "required", 0, "content", content("*/*", json_object())));
    if (!route_asks_token(route))
        json_object_set_new(operation, "security", json_array());
    if (route->access == ACCESS_TICKET)
        json_object_set_new(operation, "security", json_pack("[{s:[]}, {s:[]}]", "bearer", "ticket"));
    return operation;
}
