/* The document: the operations, and the components that several of them share. What no operation uses is left
 * out. */

#include "gateway/openapi/openapi.h"

#include <stdio.h>

static const char *const method_names[] = {
    [METHOD_GET] = "get",     [METHOD_HEAD] = "head",     [METHOD_POST] = "post",       [METHOD_PUT] = "put",
    [METHOD_PATCH] = "patch", [METHOD_DELETE] = "delete", [METHOD_OPTIONS] = "options", [METHOD_OTHER] = NULL,
};

static const struct {
    const char *component, *in, *type, *description;
    int minimum, maximum; /* of an integer, or of the length of a text; 0: the largest page */
    const char *name;     /* NULL: that of the component */
} parameters[] = {
    {"limit", "query", "integer", "The largest number of entries in the page.", 1, 0, NULL},
    {"after", "query", "string", "The `next` of the page before.", 1, 1200, NULL},
    {"channels", "query", "string",
     "The channels: `company:<id>` or `project:<id>`, separated by commas. Without it, the company's own "
     "channel.",
     1, 8192, NULL},
    {"Last-Event-ID", "header", "string",
     "The id of the last event that the client has seen. The stream begins with the next one.", 1, 64, NULL},
    {"If-Match", "header", "string",
     "Make the change only if the entity still has one of these ETags; otherwise answer 412. A weak tag "
     "never fits.",
     1, 1024, NULL},
    {"If-None-Match", "header", "string", "Answer 304 if the ETag is still one of these.", 1, 1024, NULL},
    {"If-None-Match-Write", "header", "string",
     "Make no change if the entity has one of these ETags, or with `*` if it exists; answer 412 then.", 1,
     1024, "If-None-Match"},
    {"Range", "header", "string",
     "Answer 206 with this part alone, as in `bytes=1000-` or `bytes=-500`. Several parts are answered with "
     "the whole.",
     1, 256, NULL},
    {"If-Range", "header", "string",
     "Let Range count only if this is the ETag; otherwise answer with the whole.", 1, 256, NULL},
    {"Idempotency-Key", "header", "string",
     "Makes the request safe to repeat: the same key and body give the result of the first request.", 1, 255,
     NULL},
    {"Cortex-Run-At", "header", "string",
     "Run the command at this time (RFC 3339), not before. The answer is 202, and the operation is "
     "`scheduled` "
     "until then.",
     20, 64, NULL},
    {"Prefer", "header", "string",
     "RFC 7240. With `respond-async` the answer is 202 at once. With `wait=N` the server waits for the "
     "result for "
     "at most N seconds.",
     1, 256, NULL},
    {"Prefer-Count", "header", "string",
     "With `count=exact` (RFC 7240) the page says how many entries the list has, as `count`.", 1, 256,
     "Prefer"},
};

static const struct {
    const char *name, *description;
} headers[] = {
    {"Accept-Ranges", "`bytes`: Range may ask for a part."},
    {"Content-Range", "Which octets of the file these are, and how many it has."},
    {"ETag", "The version of the entity, to be sent in If-Match or If-None-Match."},
    {"Idempotent-Replayed",
     "`true`: the command had run for an earlier request with the same Idempotency-Key. Absent otherwise."},
    {"Link", "The address of the next page with rel=next, if there is one (RFC 8288)."},
    {"Location", "The address of the entity or the operation."},
    {"Preference-Applied",
     "`count=exact`: the page has a `count`. Absent where nobody asked, or the time was over."},
    {"Retry-After", "Seconds after which the client may try again."},
};

/* The bounds of a page are the server's settings. */
static json_t *limit_schema(const struct config *config)
{
    return json_pack("{s:s, s:i, s:I, s:I}", "type", "integer", "minimum", 1, "maximum",
                     (json_int_t)config->page_max, "default", (json_int_t)config->page_default);
}

static json_t *parameter_components(const struct config *config)
{
    json_t *all = json_object();
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        bool is_text = strcmp(parameters[i].type, "string") == 0;
        const char *name = parameters[i].name ? parameters[i].name : parameters[i].component;
        json_object_set_new(all, parameters[i].component,
                            json_pack("{s:s, s:s, s:s, s:{s:s, s:i, s:i}}", "name", name, "in",
                                      parameters[i].in, "description", parameters[i].description, "schema",
                                      "type", parameters[i].type, is_text ? "minLength" : "minimum",
                                      parameters[i].minimum, is_text ? "maxLength" : "maximum",
                                      parameters[i].maximum));
    }
    json_object_set_new(json_object_get(all, "limit"), "schema", limit_schema(config));
    return all;
}

static json_t *header_components(void)
{
    json_t *all = json_object();
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        json_object_set_new(
            all, headers[i].name,
            json_pack("{s:s, s:{s:s}}", "description", headers[i].description, "schema", "type", "string"));
    return all;
}

/* clang-format off: a property a line */

/* RFC 9457, with an entry in `errors` for each member that is wrong. */
static json_t *problem_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\"],\"properties\":{"
        "\"type\":{\"type\":\"string\",\"format\":\"uri-reference\","
        "\"description\":\"What is wrong. It is an address that says more. Later versions may add types.\"},"
        "\"title\":{\"type\":\"string\"},"
        "\"status\":{\"type\":\"integer\",\"minimum\":400,\"maximum\":599},"
        "\"detail\":{\"type\":\"string\"},"
        "\"instance\":{\"type\":\"string\",\"description\":\"The X-Request-Id of the request.\"},"
        "\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
        "\"required\":[\"pointer\",\"detail\"],\"properties\":{"
        "\"pointer\":{\"type\":\"string\",\"description\":\"What is wrong: a JSON Pointer (RFC 6901) into "
        "the body, ?name for a query parameter, or the name of a header.\"},"
        "\"detail\":{\"type\":\"string\"}}}},"
        "\"version\":{\"type\":\"integer\",\"description\":\"In the operation of a command whose If-Match "
        "failed: "
        "the version that the entity had. The answer to a request has it as its ETag.\"}}}";
    json_t *schema = json_loads(text, 0, NULL), *types = json_array();
    for (enum err err = ERR_OK; err < ERR_COUNT; err++)
        if (err_info(err)->http_status >= 400)
            json_array_append_new(types, json_sprintf("/problems/%s", err_info(err)->slug));
    json_object_set_new(json_object_get(json_object_get(schema, "properties"), "type"), "enum", types);
    return schema;
}

/* The result of a command is the entity of one of the resources. */
static json_t *result_schema(void)
{
    char title[64];
    json_t *any = json_array();
    for (const struct msg_resource *const *resource = msg_resources; *resource; resource++)
        json_array_append_new(
            any, json_pack("{s:s+}", "$ref", "#/components/schemas/", openapi_title(*resource, title)));
    json_array_append_new(any, json_pack("{s:s}", "$ref", "#/components/schemas/Deleted"));
    json_array_append_new(any, json_pack("{s:s}", "type", "null"));
    return json_pack(
        "{s:s, s:o}", "description",
        "The entity, when the command has succeeded; its id and last version when it was deleted; or null.",
        "anyOf", any);
}

static json_t *operation_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"required\":[\"id\",\"status\"],\"properties\":{"
        "\"id\":{\"type\":\"string\",\"format\":\"uuid\"},"
        "\"status\":{\"type\":\"string\",\"enum\":[\"accepted\",\"scheduled\",\"pending\",\"running\","
        "\"succeeded\",\"failed\",\"cancelled\"]},"
        "\"waits_for\":{\"type\":\"string\",\"enum\":[\"turn\",\"retry\",\"schedule\"],\"description\":"
        "\"What a waiting command waits for. turn: earlier commands of the company are still to be done. "
        "retry: the time of the next attempt. schedule: the time at which it is to run.\"},"
        "\"run_at\":{\"type\":\"string\",\"format\":\"date-time\","
        "\"description\":\"The time at which a scheduled command is to run.\"},"
        "\"attempts\":{\"type\":\"integer\","
        "\"description\":\"How many attempts have failed. Another follows.\"},"
        "\"next_attempt_at\":{\"type\":\"string\",\"format\":\"date-time\"},"
        "\"last_error\":{\"type\":\"string\",\"format\":\"uri-reference\","
        "\"description\":\"The problem type of the last failed attempt.\"},"
        "\"progress\":{\"type\":\"object\",\"description\":\"The progress of a long job.\","
        "\"required\":[\"done\",\"total\",\"percent\"],\"properties\":{"
        "\"done\":{\"type\":\"integer\"},"
        "\"total\":{\"type\":\"integer\"},"
        "\"percent\":{\"type\":\"integer\"}}},"
        "\"started_at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
        "\"ended_at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
        "\"problem\":{\"$ref\":\"#/components/schemas/Problem\"}}}";
    json_t *schema = json_loads(text, 0, NULL);
    json_object_set_new(json_object_get(schema, "properties"), "result", result_schema());
    return schema;
}

static json_t *event_page_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"required\":[\"data\",\"next\",\"more\"],\"properties\":{"
        "\"data\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Event\"}},"
        "\"next\":{\"type\":\"string\","
        "\"description\":\"The position after this page: the `after` of the next one.\"},"
        "\"more\":{\"type\":\"boolean\","
        "\"description\":\"True when there are more events already.\"}}}";
    return json_loads(text, 0, NULL);
}

/* clang-format on */

static json_t *problem_type_list_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"required\":[\"data\"],\"properties\":{\"data\":{"
        "\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/ProblemType\"}}}}";
    return json_loads(text, 0, NULL);
}

/* What a problem document always says of its type. */
static json_t *problem_type_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\"],\"properties\":{"
        "\"type\":{\"type\":\"string\",\"format\":\"uri-reference\"},"
        "\"title\":{\"type\":\"string\"},"
        "\"status\":{\"type\":\"integer\",\"minimum\":400,\"maximum\":599}}}";
    return json_loads(text, 0, NULL);
}

static json_t *schema_components(void)
{
    json_t *all = json_object();
    json_object_set_new(all, "Problem", problem_schema());
    json_object_set_new(all, "Operation", operation_schema());
    json_object_set_new(all, "EventPage", event_page_schema());
    json_object_set_new(all, "ProblemType", problem_type_schema());
    json_object_set_new(all, "ProblemTypeList", problem_type_list_schema());
    openapi_add_events(all);
    openapi_add_event_types(all);
    openapi_add_operator_schemas(all);
    for (const struct msg_resource *const *resource = msg_resources; *resource; resource++)
        openapi_add_schemas(all, *resource);
    return all;
}

/* Joins the types and titles of all errors in err.def that have this status. */
static void describe_status(int status, char *text, size_t size)
{
    size_t len = 0;
    text[0] = '\0';
    for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
        const struct err_info *info = err_info(err);
        if (info->http_status == status && len < size)
            len += (size_t)snprintf(text + len, size - len, "%s`%s`: %s", len ? "; " : "", info->slug,
                                    info->title);
    }
}

static json_t *problem_response(const char *description)
{
    return json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", description, "content",
                     "application/problem+json", "schema", "$ref", "#/components/schemas/Problem");
}

static json_t *response_components(void)
{
    json_t *all = json_object();
    for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
        char status[16], description[2048];
        int http_status = err_info(err)->http_status;
        if (http_status < 400)
            continue;
        snprintf(status, sizeof(status), "%d", http_status);
        describe_status(http_status, description, sizeof(description));
        json_t *response = problem_response(description);
        if (http_status == 429 || http_status == 503)
            json_object_set_new(
                response, "headers",
                json_pack("{s:{s:s}}", "Retry-After", "$ref", "#/components/headers/Retry-After"));
        if (http_status == 412)
            json_object_set_new(response, "headers",
                                json_pack("{s:{s:s}}", "ETag", "$ref", "#/components/headers/ETag"));
        json_object_set_new(all, status, response);
    }
    json_object_set_new(all, "Problem",
                        problem_response("Any other refusal. Its status and its `type` say why."));
    json_object_set_new(all, "304",
                        json_pack("{s:s}", "description", "Not modified: the entity still has this ETag"));
    json_object_set_new(all, "206",
                        json_pack("{s:s, s:{s:{s:s}}, s:{s:{s:{s:s}}, s:{s:{s:s}}}}", "description",
                                  "The part of the file that Range asks for", "headers", "Content-Range",
                                  "$ref", "#/components/headers/Content-Range", "content", "text/csv",
                                  "schema", "type", "string", "application/x-ndjson", "schema", "type",
                                  "string"));
    json_object_set_new(
        all, "Accepted",
        json_pack("{s:s, s:{s:{s:s}}, s:{s:{s:{s:s}}}}", "description",
                  "Accepted: the command is stored and will be run. Location is the address of the operation",
                  "headers", "Location", "$ref", "#/components/headers/Location", "content",
                  "application/json", "schema", "$ref", "#/components/schemas/Operation"));
    return all;
}

static json_t *components(const struct config *config)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:{s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s}}}", "schemas",
                     schema_components(), "responses", response_components(), "parameters",
                     parameter_components(config), "headers", header_components(), "securitySchemes",
                     "bearer", "type", "http", "scheme", "bearer", "bearerFormat", "JWT", "ticket", "type",
                     "apiKey", "in", "query", "name", "ticket", "description",
                     "Of POST /v1/tickets; it opens one request.");
}

static void bound_limit(json_t *operation, const struct config *config)
{
    size_t i;
    json_t *parameter;
    json_array_foreach(json_object_get(operation, "parameters"), i, parameter)
    {
        const char *name = json_string_value(json_object_get(parameter, "name"));
        json_t *schema = json_object_get(parameter, "schema");
        if (!name || strcmp(name, "limit") != 0)
            continue;
        json_object_set_new(schema, "default", json_integer((json_int_t)config->page_default));
        json_object_set_new(
            parameter, "description",
            json_sprintf("Entries of one page, which has %lld at most.", (long long)config->page_max));
    }
}

static json_t *paths(const struct route_table *routes, const struct config *config)
{
    json_t *all = json_object();
    for (const struct route *route = routes->rows; route < routes->rows + routes->count; route++) {
        json_t *path = json_object_get(all, route->pattern), *operation = openapi_operation(route);
        if (!operation)
            continue;
        if (route->method == METHOD_GET)
            bound_limit(operation, config);
        if (!path) {
            path = json_object();
            json_object_set_new(all, route->pattern, path);
        }
        json_object_set_new(path, method_names[route->method], operation);
    }
    return all;
}

/* ---- what is not used ---- */

static void collect_references(const json_t *value, json_t *used)
{
    size_t i;
    const char *name;
    json_t *inner;
    if (json_is_string(json_object_get(value, "$ref")))
        json_object_set_new(used, json_string_value(json_object_get(value, "$ref")), json_true());
    json_object_foreach((json_t *)value, name, inner) collect_references(inner, used);
    json_array_foreach(value, i, inner) collect_references(inner, used);
}

static bool drop_unused(json_t *components, const char *section, const json_t *used)
{
    bool dropped = false;
    void *next;
    const char *name;
    json_t *component;
    json_object_foreach_safe(json_object_get(components, section), next, name, component)
    {
        char reference[192];
        snprintf(reference, sizeof(reference), "#/components/%s/%s", section, name);
        if (json_object_get(used, reference))
            continue;
        json_object_del(json_object_get(components, section), name);
        dropped = true;
    }
    return dropped;
}

/* A component may be used by one that is not used itself, so this goes on until all are. */
static void drop_all_unused(json_t *document)
{
    static const char *const sections[] = {"schemas", "responses", "parameters", "headers"};
    for (bool dropped = true; dropped;) {
        json_t *used = json_object();
        collect_references(document, used);
        dropped = false;
        for (size_t i = 0; i < ARRAY_LEN(sections); i++)
            dropped = drop_unused(json_object_get(document, "components"), sections[i], used) || dropped;
        json_decref(used);
    }
}

/* ---- the whole ---- */

static json_t *info(void)
{
    return json_pack(
        "{s:s, s:s, s:s, s:{s:s}, s:{s:s, s:s}}", "title", "CortexBuild", "version", CORTEX_VERSION,
        "description",
        "Construction management. Every write is a command. Its answer is the result, or 202 and the address "
        "of "
        "the operation that will have the result. Every error is a problem document (RFC 9457), whose `type` "
        "is "
        "an address at `/problems`. A token has one role: `super_admin`, `company_admin`, `project_manager`, "
        "`supervisor`, `operative` or `developer`; `x-roles` of an operation names those that may use it, "
        "`x-rights` with the conditions. "
        "Events "
        "come in real time by the Centrifuge client protocol, over a WebSocket at `/connection/websocket`, "
        "which "
        "OpenAPI cannot describe, or as Server-Sent Events.",
        "contact", "name", "The operators of this server", "license", "name", "Proprietary", "identifier",
        "LicenseRef-Proprietary");
}

json_t *openapi_build(const struct route_table *routes, const struct config *config)
{
    json_t *document =
        json_pack("{s:s, s:o, s:[{s:s}], s:[{s:[]}], s:o, s:o, s:o}", "openapi", "3.1.0", "info", info(),
                  "servers", "url", "/", "security", "bearer", "tags", openapi_tags(routes), "paths",
                  paths(routes, config), "components", components(config));
    drop_all_unused(document);
    return document;
}
