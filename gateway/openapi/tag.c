/* The groups of operations. A resource is a group; the others are told by their paths. */

#include "gateway/openapi/openapi.h"

static const struct {
    const char *prefix, *name, *description; /* of paths that begin so */
} tags[] = {
    {"/v1/admin", "operators", "What operators see and change: pools, schedules, dead letters."},
    {"/v1/operations", "operations", "What became of commands, and which of them wait."},
    {"/v1/exports", "exports", NULL}, /* a resource, which describes itself */
    {"/v1/events", "events", "What has happened in the company, as a stream or page by page."},
    {"/v1/event-types", "events", NULL},
    {"/v1/tickets", "events", NULL},
    {"/", "service", "The service itself: whether it works, this document, the types of problems."},
};

static size_t row_of(const char *pattern)
{
    size_t i = 0;
    while (strncmp(tags[i].prefix, pattern, strlen(tags[i].prefix)) != 0)
        i++;
    return i;
}

static const struct msg_resource *resource_of(const struct route *route)
{
    bool is_operation = strncmp(route->pattern, "/v1/operations", strlen("/v1/operations")) == 0;
    return route->resource && !is_operation ? msg_resource_by_name(slice_of(route->resource)) : NULL;
}

const char *openapi_tag(const struct route *route)
{
    const struct msg_resource *resource = resource_of(route);
    return resource ? resource->collection : tags[row_of(route->pattern)].name;
}

static json_t *described(const char *name, const char *description)
{
    return json_pack("{s:s, s:s}", "name", name, "description", description);
}

static json_t *tag_of_resource(const struct msg_resource *resource)
{
    json_t *schema = json_loads(resource->json, 0, NULL);
    json_t *tag = described(resource->collection, json_string_value(json_object_get(schema, "description")));
    json_decref(schema);
    return tag;
}

json_t *openapi_tags(const struct route_table *routes)
{
    json_t *all = json_array(), *seen = json_object();
    for (const struct route *route = routes->rows; route < routes->rows + routes->count; route++) {
        const struct msg_resource *resource = resource_of(route);
        const char *name = openapi_tag(route), *text = tags[row_of(route->pattern)].description;
        if (json_object_get(seen, name) || (!resource && !text))
            continue;
        json_object_set_new(seen, name, json_true());
        json_array_append_new(all, resource ? tag_of_resource(resource) : described(name, text));
    }
    json_decref(seen);
    return all;
}
