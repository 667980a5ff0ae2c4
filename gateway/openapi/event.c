/* The schemas of events: one for each type (common/msg/event_type.h), so that a client knows from `type` what `data` is. */

#include "gateway/openapi/openapi.h"

#include <stdio.h>

#include "common/msg/event_type.h"

static json_t *reference(const char *schema)
{
    return json_pack("{s:s+}", "$ref", "#/components/schemas/", schema);
}

/* Of a deleted entity the event says only which one it was. */
static json_t *data_of(const char *title, const char *past)
{
    return strcmp(past, "deleted") == 0 ? reference("Deleted") : reference(title);
}

/* clang-format off: a member a line */
static json_t *event_schema(const char *type, json_t *data)
{
    json_t *schema =
        json_pack("{s:s, s:[s, s, s, s, s, s], s:{s:{s:s, s:s}}}", "type", "object", "required", "type",
                  "seq", "id", "actor", "at", "data", "properties", "type", "type", "string", "const", type);
    json_t *members = json_loads(
        "{\"seq\":{\"type\":\"integer\",\"minimum\":1,"
        "\"description\":\"The number of the event. The events of a company are numbered without gaps.\"},"
        "\"id\":{\"type\":\"string\",\"format\":\"uuid\",\"description\":\"The id of the entity.\"},"
        "\"project\":{\"type\":\"string\",\"format\":\"uuid\","
        "\"description\":\"The project that the entity is or belongs to, if there is one.\"},"
        "\"actor\":{\"type\":\"string\",\"format\":\"uuid\",\"description\":\"The user who caused the "
        "event.\"},"
        "\"at\":{\"type\":\"string\",\"format\":\"date-time\"}}",
        0, NULL);
    json_t *properties = json_object_get(schema, "properties");
    json_object_update(properties, members);
    json_object_set_new(properties, "data", data);
    json_decref(members);
    return schema;
}
/* clang-format on */

struct events {
    json_t *schemas, *one_of, *mapping;
};

/* Adds ProjectCreated for the resource project and the past "created". */
static void add_event(void *arg, const struct msg_event_type *event)
{
    struct events *events = arg;
    const char *past = event->past;
    char title[64], type[96], name[96];
    openapi_title(event->resource, title);
    snprintf(type, sizeof(type), "%s.%s", event->resource->name, past);
    snprintf(name, sizeof(name), "%s%c%s", title, past[0] - 'a' + 'A', past + 1);
    if (json_object_get(events->schemas, name))
        return;
    json_object_set_new(events->schemas, name, event_schema(type, data_of(title, past)));
    json_array_append_new(events->one_of, reference(name));
    json_object_set_new(events->mapping, type, json_sprintf("#/components/schemas/%s", name));
}

void openapi_add_events(json_t *schemas)
{
    struct events events = {schemas, json_array(), json_object()};
    msg_event_types_each(add_event, &events);
    json_object_set_new(schemas, "Event",
                        json_pack("{s:s, s:o, s:{s:s, s:o}}", "description",
                                  "What has happened to an entity. Later versions may add types.", "oneOf",
                                  events.one_of, "discriminator", "propertyName", "type", "mapping",
                                  events.mapping));
    json_object_set_new(schemas, "Deleted",
                        json_pack("{s:s, s:[s, s], s:{s:{s:s, s:s}, s:{s:s, s:i, s:s}}}", "type", "object",
                                  "required", "id", "version", "properties", "id", "type", "string", "format",
                                  "uuid", "version", "type", "integer", "minimum", 1, "description",
                                  "The version after the last one that the entity had."));
}
