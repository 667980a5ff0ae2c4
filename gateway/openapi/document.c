/* The document: the operations, and the components that several of them share. */

#include "gateway/openapi/openapi.h"

#include <stdio.h>

static const char *const method_names[] = {
    [METHOD_GET] = "get",     [METHOD_HEAD] = "head",     [METHOD_POST] = "post",       [METHOD_PUT] = "put",
    [METHOD_PATCH] = "patch", [METHOD_DELETE] = "delete", [METHOD_OPTIONS] = "options", [METHOD_OTHER] = NULL,
};

static const struct {
    const char *component, *in, *type, *description;
    int minimum, maximum; /* of an integer, or of the length of a text */
    const char *name;     /* NULL: that of the component */
} parameters[] = {
    {"limit", "query", "integer", "The largest number of entries in the page.", 1, 1000, NULL},
    {"after", "query", "string", "The `next` of the page before.", 1, 256, NULL},
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
};

static const struct {
    const char *name, *description;
} headers[] = {
    {"ETag", "The version of the entity, to be sent in If-Match or If-None-Match."},
    {"Link", "The address of the next page with rel=next, if there is one (RFC 8288)."},
    {"Location", "The address of the entity or the operation."},
};

static json_t *parameter_components(void)
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
        "\"type\":{\"type\":\"string\",\"format\":\"uri-reference\"},"
        "\"title\":{\"type\":\"string\"},"
        "\"status\":{\"type\":\"integer\",\"minimum\":400,\"maximum\":599},"
        "\"detail\":{\"type\":\"string\"},"
        "\"instance\":{\"type\":\"string\",\"description\":\"The X-Request-Id of the request.\"},"
        "\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
        "\"required\":[\"pointer\",\"detail\"],\"properties\":{"
        "\"pointer\":{\"type\":\"string\",\"description\":\"What is wrong: a JSON Pointer (RFC 6901) into "
        "the body, ?name for a query parameter, or the name of a header.\"},"
        "\"detail\":{\"type\":\"string\"}}}}}}";
    return json_loads(text, 0, NULL);
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
        "\"result\":{\"type\":[\"object\",\"null\"],"
        "\"description\":\"The entity, when the command has succeeded.\"},"
        "\"problem\":{\"$ref\":\"#/components/schemas/Problem\"}}}";
    return json_loads(text, 0, NULL);
}

static json_t *event_page_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"required\":[\"data\",\"next\",\"more\"],\"properties\":{"
        "\"data\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
        "\"required\":[\"type\",\"seq\",\"id\",\"actor\",\"at\",\"data\"],\"properties\":{"
        "\"type\":{\"type\":\"string\"},"
        "\"seq\":{\"type\":\"integer\",\"minimum\":1},"
        "\"id\":{\"type\":\"string\",\"format\":\"uuid\"},"
        "\"project\":{\"type\":\"string\",\"format\":\"uuid\"},"
        "\"actor\":{\"type\":\"string\",\"format\":\"uuid\"},"
        "\"at\":{\"type\":\"string\",\"format\":\"date-time\"},"
        "\"data\":{\"description\":\"The entity after the event.\"}}}},"
        "\"next\":{\"type\":\"string\","
        "\"description\":\"The position after this page: the `after` of the next one.\"},"
        "\"more\":{\"type\":\"boolean\","
        "\"description\":\"True when there are more events already.\"}}}";
    return json_loads(text, 0, NULL);
}

/* clang-format on */

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

/* Joins the titles of all errors in err.def that have this status. */
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
    json_object_set_new(all, "304",
                        json_pack("{s:s}", "description", "Not modified: the entity still has this ETag"));
    json_object_set_new(
        all, "Accepted",
        json_pack("{s:s, s:{s:{s:s}}, s:{s:{s:{s:s}}}}", "description",
                  "Accepted: the command is stored and will be run. Location is the address of the operation",
                  "headers", "Location", "$ref", "#/components/headers/Location", "content",
                  "application/json", "schema", "$ref", "#/components/schemas/Operation"));
    return all;
}

static json_t *components(void)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:{s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s}}}", "schemas",
                     schema_components(), "responses", response_components(), "parameters",
                     parameter_components(), "headers", header_components(), "securitySchemes", "bearer",
                     "type", "http", "scheme", "bearer", "bearerFormat", "JWT", "ticket", "type", "apiKey",
                     "in", "query", "name", "ticket", "description",
                     "Of POST /v1/tickets; it opens one request.");
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
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:[{s:[]}], s:o, s:o}", "openapi", "3.1.0", "info",
                     "title", "CortexBuild", "version", CORTEX_VERSION, "description",
                     "Construction management. Every write is a command. Its answer is the result, or 202 "
                     "and the address of the "
                     "operation that will have the result. Every error is a problem document (RFC 9457).",
                     "servers", "url", "/", "security", "bearer", "paths", paths(routes), "components",
                     components());
}
