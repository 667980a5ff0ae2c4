/* GET /v1/event-types: what an endpoint of webhooks may name. The list follows from the schemas, so it is made on the first
 * request and kept as long as the process lives. */

#include "gateway/openapi/openapi.h"

#include <stdio.h>

#include "common/msg/event_type.h"
#include "gateway/http/etag.h"

#define EXAMPLE_USER "01890a5d-ac96-774b-bcce-b302099a8058"

static struct bytes *list;
static char etag[ETAG_SIZE];

/* "A purchase order was created." */
static json_t *description_of(const struct msg_event_type *event)
{
    char words[64];
    snprintf(words, sizeof(words), "%s", event->resource->name);
    for (char *at = words; *at; at++)
        *at = *at == '_' ? ' ' : *at;
    return json_sprintf("%s %s %s.", strchr("aeiou", *words) ? "An" : "A", words, event->says);
}

/* Of a deleted entity the event says only which one it was. */
static json_t *data_of(const struct msg_event_type *event)
{
    if (strcmp(event->past, "deleted") == 0)
        return json_pack("{s:s, s:i}", "id", EXAMPLE_ID, "version", 2);
    return openapi_example(event->resource);
}

static bool has_project(const struct msg_resource *resource)
{
    return resource->channel != MSG_CHANNEL_NONE;
}

static json_t *example_of(const struct msg_event_type *event)
{
    json_t *example = json_pack("{s:s++, s:s, s:i, s:s}", "type", event->resource->name, ".", event->past,
                                "timestamp", EXAMPLE_TIME, "seq", 1, "id", EXAMPLE_ID);
    if (has_project(event->resource))
        json_object_set_new(example, "project", json_string(EXAMPLE_ID));
    json_object_set_new(example, "actor", json_string(EXAMPLE_USER));
    json_object_set_new(example, "data", data_of(event));
    return example;
}

static void add_type(void *arg, const struct msg_event_type *event)
{
    json_array_append_new(arg, json_pack("{s:s++, s:o, s:o}", "type", event->resource->name, ".", event->past,
                                         "description", description_of(event), "example", example_of(event)));
}

static void on_release(void *text)
{
    free(text);
}

static void make_list(void)
{
    json_t *types = json_array();
    msg_event_types_each(add_type, types);
    json_t *json = json_pack("{s:o}", "data", types);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(json);
    if (!text)
        return;
    list = bytes_wrap(slice_of(text), on_release, text);
    etag_of_content(list->slice, etag);
}

void event_types_show(struct call *call)
{
    if (!list)
        make_list();
    if (!list) {
        call_fail(call, ERR_INTERNAL, NULL);
        return;
    }
    call_set_etag(call, slice_of(etag));
    call_respond_shared(call, 200, "application/json", list, list->slice);
}

/* clang-format off: a member a line */
void openapi_add_event_types(json_t *schemas)
{
    static const char text[] =
        "{\"EventTypeList\":{\"type\":\"object\",\"required\":[\"data\"],\"properties\":{"
        "\"data\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/EventType\"}}}},"
        "\"EventType\":{\"type\":\"object\",\"required\":[\"type\",\"description\",\"example\"],"
        "\"properties\":{"
        "\"type\":{\"type\":\"string\"},"
        "\"description\":{\"type\":\"string\"},"
        "\"example\":{\"$ref\":\"#/components/schemas/WebhookBody\"}}},"
        "\"WebhookBody\":{\"type\":\"object\",\"description\":\"What a webhook says of an event.\","
        "\"required\":[\"type\",\"timestamp\",\"seq\",\"id\",\"actor\"],\"properties\":{"
        "\"type\":{\"type\":\"string\"},"
        "\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\",\"description\":\"When it happened.\"},"
        "\"seq\":{\"type\":\"integer\",\"minimum\":1},"
        "\"id\":{\"type\":\"string\",\"format\":\"uuid\",\"description\":\"The id of the entity.\"},"
        "\"project\":{\"type\":[\"string\",\"null\"],\"format\":\"uuid\","
        "\"description\":\"The project that the entity is or belongs to, if there is one.\"},"
        "\"actor\":{\"type\":[\"string\",\"null\"],\"format\":\"uuid\",\"description\":\"Who caused the "
        "event.\"},"
        "\"data\":{\"type\":\"object\",\"description\":\"The `data` of the event. Thin webhooks have "
        "none.\"}}}}";
    json_t *both = json_loads(text, 0, NULL);
    json_object_update(schemas, both);
    json_decref(both);
}
/* clang-format on */
