/* The document around the operations: what several of them share. */

#include "gateway/openapi/openapi.h"

#include <stdio.h>

static const char *const method_names[] = {
    [METHOD_GET] = "get",     [METHOD_HEAD] = "head",     [METHOD_POST] = "post",       [METHOD_PUT] = "put",
    [METHOD_PATCH] = "patch", [METHOD_DELETE] = "delete", [METHOD_OPTIONS] = "options", [METHOD_OTHER] = NULL,
};

static const struct {
    const char *name, *in, *type, *description;
    int minimum, maximum; /* of an integer or of a length */
} parameters[] = {
    {"limit", "query", "integer", "Entries of one page.", 1, 1000},
    {"after", "query", "string", "The `next` of an earlier page.", 1, 256},
    {"channels", "query", "string",
     "`company:<id>` or `project:<id>`, several separated by commas; the company's own when absent.", 1,
     8192},
    {"Last-Event-ID", "header", "string",
     "The id of the last event that was seen: the stream goes on behind it.", 1, 64},
    {"If-Match", "header", "string", "Only when the ETag is still this one; otherwise 412.", 1, 256},
    {"If-None-Match", "header", "string", "304 when the ETag is still this one.", 1, 1024},
    {"Idempotency-Key", "header", "string", "The same key and body again give the first result again.", 1,
     255},
    {"Cortex-Run-At", "header", "string",
     "Not before this time (RFC 3339): 202 at once, and the operation says `scheduled` until then.", 20, 64},
    {"Prefer", "header", "string",
     "RFC 7240: `respond-async` answers 202 at once, `wait=N` waits N seconds at most.", 1, 256},
};

static const struct {
    const char *name, *description;
} headers[] = {
    {"ETag", "The version of the entity, for If-Match and If-None-Match."},
    {"Link", "rel=next: the next page, where there is one (RFC 8288)."},
    {"Location", "Where it is found."},
};

static json_t *parameter_components(void)
{
    json_t *all = json_object();
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        bool is_text = strcmp(parameters[i].type, "string") == 0;
        json_object_set_new(all, parameters[i].name,
                            json_pack("{s:s, s:s, s:s, s:{s:s, s:i, s:i}}", "name", parameters[i].name, "in",
                                      parameters[i].in, "description", parameters[i].description, "schema",
                                      "type", parameters[i].type, is_text ? "minLength" : "minimum",
                                      parameters[i].minimum, is_text ? "maxLength" : "maximum",
                                      parameters[i].maximum));
    }
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

/* RFC 9457, with the complaints about a body. */
static json_t *problem_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\"],\"properties\":{"
        "\"type\":{\"type\":\"string\",\"format\":\"uri-reference\"},\"title\":{\"type\":\"string\"},"
        "\"status\":{\"type\":\"integer\",\"minimum\":400,\"maximum\":599},\"detail\":{\"type\":\"string\"},"
        "\"instance\":{\"type\":\"string\",\"description\":\"The X-Request-Id of the request.\"},"
        "\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"pointer\",\"detail\"],"
        "\"properties\":{\"pointer\":{\"type\":\"string\",\"description\":\"JSON Pointer (RFC 6901) into the "
        "body; "
        "?name for a query parameter, the name alone for a header.\"},\"detail\":{\"type\":\"string\"}}}}}}";
    return json_loads(text, 0, NULL);
}

static json_t *operation_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"required\":[\"id\",\"status\"],\"properties\":{"
        "\"id\":{\"type\":\"string\",\"format\":\"uuid\"},"
        "\"status\":{\"type\":\"string\",\"enum\":[\"accepted\",\"scheduled\",\"pending\",\"running\","
        "\"succeeded\","
        "\"failed\",\"cancelled\"]},"
        "\"waits_for\":{\"type\":\"string\",\"enum\":[\"turn\",\"retry\",\"schedule\"],\"description\":\"Of "
        "one that has begun to wait: until its company's commands before it are done, for another attempt, "
        "for its "
        "time.\"},"
        "\"run_at\":{\"type\":\"string\",\"format\":\"date-time\",\"description\":\"Of one that is "
        "scheduled.\"},"
        "\"attempts\":{\"type\":\"integer\",\"description\":\"That failed; another follows.\"},"
        "\"next_attempt_at\":{\"type\":\"string\",\"format\":\"date-time\"},"
        "\"last_error\":{\"type\":\"string\",\"format\":\"uri-reference\",\"description\":\"The problem type "
        "of the "
        "last of them.\"},"
        "\"progress\":{\"type\":\"object\",\"description\":\"Of a long "
        "job.\",\"required\":[\"done\",\"total\",\"percent\"],"
        "\"properties\":{\"done\":{\"type\":\"integer\"},\"total\":{\"type\":\"integer\"},\"percent\":{"
        "\"type\":\"integer\"}}},"
        "\"started_at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
        "\"ended_at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
        "\"result\":{\"type\":[\"object\",\"null\"],\"description\":\"The entity, once it has succeeded.\"},"
        "\"problem\":{\"$ref\":\"#/components/schemas/Problem\"}}}";
    return json_loads(text, 0, NULL);
}

static json_t *event_page_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"required\":[\"data\",\"next\",\"more\"],\"properties\":{"
        "\"data\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
        "\"required\":[\"type\",\"seq\",\"id\",\"actor\",\"at\",\"data\"],\"properties\":{"
        "\"type\":{\"type\":\"string\"},\"seq\":{\"type\":\"integer\",\"minimum\":1},"
        "\"id\":{\"type\":\"string\",\"format\":\"uuid\"},\"project\":{\"type\":\"string\",\"format\":"
        "\"uuid\"},"
        "\"actor\":{\"type\":\"string\",\"format\":\"uuid\"},\"at\":{\"type\":\"string\",\"format\":\"date-"
        "time\"},"
        "\"data\":{\"description\":\"The entity after it.\"}}}},"
        "\"next\":{\"type\":\"string\",\"description\":\"The position behind this page, for `after`.\"},"
        "\"more\":{\"type\":\"boolean\",\"description\":\"There are more already.\"}}}";
    return json_loads(text, 0, NULL);
}

static json_t *schema_components(void)
{
    json_t *all = json_object();
    json_object_set_new(all, "Problem", problem_schema());
    json_object_set_new(all, "Operation", operation_schema());
    json_object_set_new(all, "EventPage", event_page_schema());
    openapi_add_operator_schemas(all);
    for (const struct msg_resource *const *resource = msg_resources; *resource; resource++)
        openapi_add_schemas(all, *resource);
    return all;
}

/* Every title of err.def that has this status. */
static void describe_status(int status, char *text, size_t size)
{
    size_t len = 0;
    text[0] = '\0';
    for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
        const struct err_info *info = err_info(err);
        if (info->http_status == status && len < size)
            len += (size_t)snprintf(text + len, size - len, "%s%s", len ? "; " : "", info->title);
    }
}

static json_t *response_components(void)
{
    json_t *all = json_object();
    for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
        char status[16], description[512];
        int http_status = err_info(err)->http_status;
        if (http_status < 400)
            continue;
        snprintf(status, sizeof(status), "%d", http_status);
        describe_status(http_status, description, sizeof(description));
        json_object_set_new(all, status,
                            json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", description, "content",
                                      "application/problem+json", "schema", "$ref",
                                      "#/components/schemas/Problem"));
    }
    json_object_set_new(all, "304", json_pack("{s:s}", "description", "It is still the same"));
    json_object_set_new(all, "Accepted",
                        json_pack("{s:s, s:{s:{s:s}}, s:{s:{s:{s:s}}}}", "description",
                                  "Accepted and safe, not yet done: Location says where to ask", "headers",
                                  "Location", "$ref", "#/components/headers/Location", "content",
                                  "application/json", "schema", "$ref", "#/components/schemas/Operation"));
    return all;
}

static json_t *components(void)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:{s:{s:s, s:s, s:s}}}", "schemas", schema_components(),
                     "responses", response_components(), "parameters", parameter_components(), "headers",
                     header_components(), "securitySchemes", "bearer", "type", "http", "scheme", "bearer",
                     "bearerFormat", "JWT");
}

static json_t *paths(const struct route_table *routes)
{
    json_t *all = json_object();
    for (const struct route *route = routes->rows; route < routes->rows + routes->count; route++) {
        json_t *path = json_object_get(all, route->pattern);
        if (!path) {
            path = json_object();
            json_object_set_new(all, route->pattern, path);
        }
        json_object_set_new(path, method_names[route->method], openapi_operation(route));
    }
    return all;
}

json_t *openapi_build(const struct route_table *routes)
{
    return json_pack(
        "{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:[{s:[]}], s:o, s:o}", "openapi", "3.1.0", "info", "title",
        "CortexBuild", "version", CORTEX_VERSION, "description",
        "Construction management. Every write is a command: it is answered with its result, or with 202 "
        "and where to ask for it. Every refusal is a problem document (RFC 9457).",
        "servers", "url", "/", "security", "bearer", "paths", paths(routes), "components", components());
}
