/* The schemas of a resource, as clients send and get it, derived from its message schema. */

#include "gateway/openapi/openapi.h"

#include <stdio.h>

/* Keywords that only our own code reads. */
static const char *const internal[] = {
    "x-id",      "x-create-only", "x-filter",   "x-indexed",     "x-search", "x-column",
    "x-request", "x-reference",   "x-number",   "x-unique",      "x-sort",   "x-money",
    "x-tie",     "x-secret",      "x-outbound", "x-event-types", NULL};

enum variant { VARIANT_ENTITY, VARIANT_CREATE, VARIANT_UPDATE, VARIANT_COUNT };

static const char *const suffixes[] = {"", "Create", "Update"};
static const char *const descriptions[] = {
    "The entity in answers. Every field is present, and null where it has no value.",
    "The body of a create. A field that is left out gets its default.",
    "The body of an update (JSON Merge Patch, RFC 7396). A field that is left out stays; null clears it.",
};

static json_t *parse(const struct msg_resource *resource)
{
    json_t *schema = json_loads(resource->json, 0, NULL);
    if (!schema)
        abort(); /* schemac writes only valid JSON */
    return schema;
}

const char *openapi_title(const struct msg_resource *resource, char title[64])
{
    json_t *schema = parse(resource);
    const char *text = json_string_value(json_object_get(schema, "title"));
    snprintf(title, 64, "%s", text ? text : resource->name);
    json_decref(schema);
    return title;
}

static bool belongs_in(enum variant variant, const struct msg_field *field)
{
    if (!msg_is_shown(field) && variant == VARIANT_ENTITY)
        return false;
    return variant == VARIANT_ENTITY ||
           (!field->read_only && !(variant == VARIANT_UPDATE && field->create_only));
}

static bool is_required(enum variant variant, const struct msg_field *field)
{
    return variant == VARIANT_ENTITY || (variant == VARIANT_CREATE && field->required);
}

static void forget_internal(json_t *schema)
{
    void *next;
    const char *name;
    json_t *value;
    for (const char *const *x = internal; *x; x++)
        json_object_del(schema, *x);
    json_object_foreach_safe(schema, next, name, value)
    {
        if (json_is_object(value))
            forget_internal(value);
    }
}

static void append_description(json_t *property, const char *text)
{
    const char *before = json_string_value(json_object_get(property, "description"));
    json_object_set_new(property, "description",
                        before ? json_sprintf("%s %s", before, text) : json_string(text));
}

static json_t *property_of(const json_t *schema, const struct msg_field *field)
{
    json_t *property = json_deep_copy(json_object_get(json_object_get(schema, "properties"), field->name));
    bool is_money = json_is_true(json_object_get(property, "x-money"));
    forget_internal(property);
    if (is_money)
        append_description(property, "In the currency of the company, with no more decimals than that has.");
    if (field->outbound)
        append_description(property,
                           "It begins with https://, names no user, and leads to no private address.");
    if (field->event_types)
        append_description(property, "Of GET /v1/event-types: `task.created`, `task.*`, or `*` for all.");
    return property;
}

/* A multiple of 0.01 cannot be said of a binary number: 19.99 / 0.01 is none, so validators that compute with
 * doubles refuse it. The server counts decimals; the document says so in words. */
static void decimals_in_words(json_t *property, const struct msg_shape *shape)
{
    char text[64];
    int decimals = 0;
    double step = shape->multiple_of;
    if (step == 0 || step >= 1)
        return;
    for (; step < 0.999; step *= 10)
        decimals++;
    json_object_del(property, "multipleOf");
    snprintf(text, sizeof(text), "At most %d decimals.", decimals);
    append_description(property, text);
}

/* Generators of clients take a property with a default for one that is always there, and then a create without it
 * does not compile. */
static void default_in_words(json_t *property)
{
    const json_t *value = json_object_get(property, "default");
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL, words[96];
    if (!text)
        return;
    snprintf(words, sizeof(words), "When left out: %s.", text);
    append_description(property, words);
    free(text);
}

/* A create begins with what stands under "", or else with any value. */
static void begin_of(json_t *property)
{
    json_t *begin = json_object_get(json_object_get(property, "x-transitions"), "");
    if (begin)
        json_object_set(property, "enum", begin);
    json_object_del(property, "x-transitions");
}

static json_t *variant_of(const struct msg_resource *resource, const json_t *schema, enum variant variant)
{
    json_t *properties = json_object(), *required = json_array();
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const struct msg_field *field = &resource->object->fields[i];
        if (!belongs_in(variant, field))
            continue;
        json_t *property = property_of(schema, field);
        if (variant == VARIANT_CREATE) {
            default_in_words(property);
            begin_of(property);
        }
        json_object_del(property, "default");
        decimals_in_words(property, &field->shape);
        if (field->unique)
            append_description(property, field->unique == MSG_UNIQUE_COMPANY
                                             ? "No two of a company have the same."
                                             : "No two below the same path have the same.");
        if (field->transitions && variant != VARIANT_CREATE)
            append_description(property,
                               "x-transitions says what each value may become; another change is 409.");
        json_object_set_new(properties, field->name, property);
        if (is_required(variant, field))
            json_array_append_new(required, json_string(field->name));
    }
    json_t *derived = json_pack("{s:s, s:s, s:o}", "type", "object", "description", descriptions[variant],
                                "properties", properties);
    if (json_array_size(required))
        json_object_set(derived, "required", required);
    if (variant != VARIANT_ENTITY) /* later versions may add fields to answers, so clients must allow them */
        json_object_set_new(derived, "additionalProperties", json_false());
    json_decref(required);
    return derived;
}

static json_t *reference(const char *title)
{
    return json_pack("{s:s+}", "$ref", "#/components/schemas/", title);
}

static json_t *list_of(const char *title)
{
    return json_pack(
        "{s:s, s:[s, s], s:{s:{s:s, s:o}, s:{s:[s, s], s:s}, s:{s:s, s:b, s:s}, s:{s:[s, s], s:s}}}", "type",
        "object", "required", "data", "next", "properties", "data", "type", "array", "items",
        reference(title), "next", "type", "string", "null", "description",
        "The `after` of the next page; null on the last one.", "partial", "type", "boolean", "const", 1,
        "description",
        "Present when looking for entries that match took so long that the page was ended before it was "
        "full. It may be empty. `next` goes on where looking ended.",
        "count", "type", "integer", "string", "description",
        "How many entries the list has, on all its pages, when Prefer: count=exact asks for it: a number up "
        "to "
        "10000. Beyond that it is `10000+`; `7+` says that there are 7 at least, when counting on took too "
        "long.");
}

void openapi_add_schemas(json_t *schemas, const struct msg_resource *resource)
{
    char title[64], name[96];
    json_t *schema = parse(resource);
    openapi_title(resource, title);
    for (enum variant v = VARIANT_ENTITY; v < VARIANT_COUNT; v++) {
        snprintf(name, sizeof(name), "%s%s", title, suffixes[v]);
        json_object_set_new(schemas, name, variant_of(resource, schema, v));
    }
    snprintf(name, sizeof(name), "%sList", title);
    json_object_set_new(schemas, name, list_of(title));
    json_decref(schema);
}

/* A value of a filter: the field's type without null, and without a default. */
json_t *openapi_filter_schema(const struct msg_resource *resource, const struct msg_field *field)
{
    json_t *schema = parse(resource);
    json_t *property = property_of(schema, field);
    json_t *type = json_object_get(property, "type");
    if (json_is_array(type)) {
        const char *first = json_string_value(json_array_get(type, 0));
        const char *second = json_string_value(json_array_get(type, 1));
        json_object_set_new(property, "type", json_string(strcmp(first, "null") == 0 ? second : first));
    }
    json_object_del(property, "default");
    json_object_del(property, "readOnly");
    json_object_del(property, "x-transitions");
    decimals_in_words(property, &field->shape);
    json_decref(schema);
    return property;
}

json_t *openapi_request_schema(const struct msg_request *request)
{
    json_t *schema = json_loads(request->json, 0, NULL);
    if (!schema)
        abort(); /* schemac writes only valid JSON */
    forget_internal(schema);
    return schema;
}
