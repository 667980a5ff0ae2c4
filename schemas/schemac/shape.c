#include "schemas/schemac/compiler.h"

#include <math.h>

#include "common/msg/format.h"

#define EXACT_INTEGERS \
    9007199254740991.0 /* 2^53 - 1, which every JSON reader keeps exact (RFC 8259 section 6) */

typedef bool read_keyword(struct compiler *c, const struct spot *spot, struct msg_shape *shape);

static const struct {
    const char *name;
    enum msg_type type;
} types[] = {
    {"object", MSG_OBJECT}, {"array", MSG_ARRAY},     {"string", MSG_STRING}, {"integer", MSG_INTEGER},
    {"number", MSG_NUMBER}, {"boolean", MSG_BOOLEAN}, {"null", MSG_NULL},
};

static bool type_from(struct compiler *c, const struct spot *spot, const json_t *json,
                      enum msg_type *ret_type)
{
    const char *name = json_string_value(json);
    for (size_t i = 0; name && i < ARRAY_LEN(types); i++)
        if (strcmp(name, types[i].name) == 0) {
            *ret_type = types[i].type;
            return true;
        }
    return refuse(c, spot, "type must be the name of a type, or that and \"null\" in an array");
}

/* Reads "string", or ["string", "null"] in either order. */
static bool read_type(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    if (!json_is_array(spot->json))
        return type_from(c, spot, spot->json, &shape->type);
    enum msg_type first = MSG_ANY, second = MSG_ANY;
    if (json_array_size(spot->json) != 2)
        return refuse(c, spot, "a type in an array must be one type and \"null\"");
    if (!type_from(c, spot, json_array_get(spot->json, 0), &first) ||
        !type_from(c, spot, json_array_get(spot->json, 1), &second))
        return false;
    if ((first == MSG_NULL) == (second == MSG_NULL))
        return refuse(c, spot, "a type in an array must be one type and \"null\"");
    shape->type = first == MSG_NULL ? second : first;
    shape->nullable = true;
    return true;
}

static bool count_from(struct compiler *c, const struct spot *spot, int64_t *ret_count)
{
    double value = json_number_value(spot->json);
    if (!json_is_number(spot->json) || value < 0 || value > EXACT_INTEGERS || value != trunc(value))
        return refuse(c, spot, "must be a whole number that is not negative");
    *ret_count = (int64_t)value;
    return true;
}

static bool read_min_length(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    return count_from(c, spot, &shape->min_length);
}

static bool read_max_length(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    return count_from(c, spot, &shape->max_length);
}

static bool read_min_items(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    return count_from(c, spot, &shape->min_items);
}

static bool read_max_items(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    return count_from(c, spot, &shape->max_items);
}

static bool bound_from(struct compiler *c, const struct spot *spot, bool *has, double *ret_bound)
{
    if (!json_is_number(spot->json))
        return refuse(c, spot, "must be a number");
    if (*has)
        return refuse(c, spot, "a bound is either inclusive or exclusive");
    *has = true;
    *ret_bound = json_number_value(spot->json);
    return true;
}

static bool read_minimum(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    return bound_from(c, spot, &shape->has_minimum, &shape->minimum);
}

static bool read_maximum(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    return bound_from(c, spot, &shape->has_maximum, &shape->maximum);
}

static bool read_exclusive_minimum(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    shape->minimum_exclusive = true;
    return bound_from(c, spot, &shape->has_minimum, &shape->minimum);
}

static bool read_exclusive_maximum(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    shape->maximum_exclusive = true;
    return bound_from(c, spot, &shape->has_maximum, &shape->maximum);
}

static bool read_multiple_of(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    shape->multiple_of = json_number_value(spot->json);
    return shape->multiple_of > 0 || refuse(c, spot, "must be a number above zero");
}

static bool read_format(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    const char *name = json_string_value(spot->json);
    return (name && msg_format_from_name(name, &shape->format)) ||
           refuse(c, spot, "format must be uuid, date, date-time, email or uri");
}

/* Octets: no schema names them as a format. */
static bool read_encoding(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    if (!json_is_string(spot->json) || strcmp(json_string_value(spot->json), "base64") != 0 || shape->format)
        return refuse(c, spot, "contentEncoding must be base64, of a text without a format");
    shape->format = MSG_FORMAT_OCTETS;
    return true;
}

/* An enum must list null exactly when the type allows it: without it in the enum, null would not be
 * allowed. */
static bool read_enum(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    size_t count = json_array_size(spot->json), kept = 0;
    bool null_listed = false;
    if (count == 0)
        return refuse(c, spot, "enum must be an array that is not empty");
    const char **allowed = compiler_alloc(c, count + 1, sizeof(*allowed));
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(spot->json, i);
        struct spot at = spot_at(c, spot, i, value);
        const char *text = json_string_value(value);
        if (json_is_null(value)) {
            null_listed = true;
            continue;
        }
        if (!text || strlen(text) != json_string_length(value))
            return refuse(c, &at, "enum values must be strings without U+0000");
        for (size_t k = 0; k < kept; k++)
            if (strcmp(allowed[k], text) == 0)
                return refuse(c, &at, "`%s` is listed twice", text);
        allowed[kept++] = compiler_format(c, "%s", text);
    }
    if (shape->type == MSG_ANY)
        shape->nullable = null_listed;
    if (shape->nullable != null_listed)
        return refuse(c, spot, "null must be in the enum exactly when the type is nullable");
    shape->allowed = allowed;
    return true;
}

static bool read_items(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    struct msg_shape *items = compiler_alloc(c, 1, sizeof(*items));
    shape->items = items;
    return compile_shape(c, spot, ROLE_VALUE, items);
}

/* The keywords of shapes, in the order in which they are read, because `enum` needs the type. A keyword
 * without a reader is read elsewhere (object.c, field.c, resource.c) or says nothing about values. */
#define ANY_TYPE  (~0u)
#define BIT(type) (1u << (type))
#define NUMBERS   (BIT(MSG_INTEGER) | BIT(MSG_NUMBER))
#define ANYWHERE  (ROLE_ROOT | ROLE_FIELD | ROLE_VALUE)
static const struct keyword {
    const char *name;
    read_keyword *read;
    unsigned types; /* types about whose values it says something */
    unsigned roles; /* roles of the schemas that may have it */
    bool beside_ref;
} keywords[] = {
    {"type", read_type, ANY_TYPE, ANYWHERE, false},
    {"enum", read_enum, BIT(MSG_STRING), ANYWHERE, false},
    {"format", read_format, BIT(MSG_STRING), ANYWHERE, false},
    {"contentEncoding", read_encoding, BIT(MSG_STRING), ANYWHERE, false},
    {"minLength", read_min_length, BIT(MSG_STRING), ANYWHERE, false},
    {"maxLength", read_max_length, BIT(MSG_STRING), ANYWHERE, false},
    {"minimum", read_minimum, NUMBERS, ANYWHERE, false},
    {"maximum", read_maximum, NUMBERS, ANYWHERE, false},
    {"exclusiveMinimum", read_exclusive_minimum, NUMBERS, ANYWHERE, false},
    {"exclusiveMaximum", read_exclusive_maximum, NUMBERS, ANYWHERE, false},
    {"multipleOf", read_multiple_of, NUMBERS, ANYWHERE, false},
    {"minItems", read_min_items, BIT(MSG_ARRAY), ANYWHERE, false},
    {"maxItems", read_max_items, BIT(MSG_ARRAY), ANYWHERE, false},
    {"items", read_items, BIT(MSG_ARRAY), ANYWHERE, false},
    {"properties", NULL, BIT(MSG_OBJECT), ANYWHERE, false},
    {"required", NULL, BIT(MSG_OBJECT), ANYWHERE, false},
    {"additionalProperties", NULL, BIT(MSG_OBJECT), ANYWHERE, false},
    {"$ref", NULL, ANY_TYPE, ANYWHERE, true},
    {"title", NULL, ANY_TYPE, ANYWHERE, true},
    {"description", NULL, ANY_TYPE, ANYWHERE, true},
    {"$comment", NULL, ANY_TYPE, ANYWHERE, true},
    {"default", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"readOnly", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-id", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-create-only", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-filter", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-indexed", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-search", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-sort", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-column", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-transitions", NULL, BIT(MSG_STRING), ROLE_FIELD, true},
    {"x-reference", NULL, BIT(MSG_STRING), ROLE_FIELD, true},
    {"x-number", NULL, BIT(MSG_STRING), ROLE_FIELD, true},
    {"x-class", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-tie", NULL, BIT(MSG_STRING), ROLE_FIELD, true},
    {"x-money", NULL, BIT(MSG_NUMBER), ROLE_FIELD | ROLE_VALUE, true},
    {"x-unique", NULL, ANY_TYPE, ROLE_FIELD, true},
    {"x-outbound", NULL, BIT(MSG_STRING), ROLE_FIELD, true},
    {"x-event-types", NULL, BIT(MSG_ARRAY), ROLE_FIELD, true},
    {"x-secret", NULL, BIT(MSG_STRING), ROLE_FIELD, true},
    {"writeOnly", NULL, BIT(MSG_STRING), ROLE_FIELD, true},
    {"$schema", NULL, ANY_TYPE, ROLE_ROOT, true},
    {"$id", NULL, ANY_TYPE, ROLE_ROOT, true},
    {"$defs", NULL, ANY_TYPE, ROLE_ROOT, true},
    {"x-resource", NULL, ANY_TYPE, ROLE_ROOT, false},
    {"x-request", NULL, ANY_TYPE, ROLE_ROOT, false},
    {"x-rights", NULL, ANY_TYPE, ROLE_ROOT, false},
    {"x-rules", NULL, ANY_TYPE, ROLE_ROOT, false},
    {"x-compute", NULL, ANY_TYPE, ROLE_ROOT, false},
    {"x-sum", NULL, ANY_TYPE, ROLE_ROOT, false},
    {"x-audience", NULL, ANY_TYPE, ROLE_ROOT, false},
};

static const struct keyword *keyword_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

static bool check_keywords(struct compiler *c, const struct spot *spot, enum role role)
{
    bool has_ref = json_object_get(spot->json, "$ref") != NULL;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)spot->json, name, value)
    {
        const struct keyword *keyword = keyword_named(name);
        struct spot below = spot_below(c, spot, name, value);
        if (!keyword)
            return refuse(c, &below, "keyword `%s` is not supported", name);
        if (!(keyword->roles & role))
            return refuse(c, &below, "keyword `%s` has no meaning here", name);
        if (has_ref && !keyword->beside_ref)
            return refuse(c, &below, "keyword `%s` cannot stand beside $ref", name);
    }
    return true;
}

static bool read_keywords(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        const json_t *value = json_object_get(spot->json, keywords[i].name);
        if (!value)
            continue;
        struct spot below = spot_below(c, spot, keywords[i].name, value);
        if (is_message(c) && !(keywords[i].types & BIT(shape->type)))
            return refuse(c, &below, "keyword `%s` says nothing about this type", keywords[i].name);
        if (keywords[i].read && !keywords[i].read(c, &below, shape))
            return false;
    }
    return true;
}

/* A format of fixed length bounds the string by itself. */
static void bound_by_format(struct msg_shape *shape)
{
    static const int64_t lengths[] = {[MSG_FORMAT_UUID] = 36, [MSG_FORMAT_DATE] = 10, [MSG_FORMAT_URI] = 0};
    if (shape->max_length < 0 && lengths[shape->format] > 0)
        shape->min_length = shape->max_length = lengths[shape->format];
}

static bool check_number_bounds(struct compiler *c, const struct spot *spot, const struct msg_shape *shape)
{
    if (!shape->has_minimum || !shape->has_maximum)
        return refuse(c, spot, "a number needs a minimum and a maximum");
    if (shape->type == MSG_INTEGER &&
        (fabs(shape->minimum) > EXACT_INTEGERS || fabs(shape->maximum) > EXACT_INTEGERS))
        return refuse(c, spot, "an integer must stay within 2^53 - 1 either way");
    return shape->minimum <= shape->maximum || refuse(c, spot, "the minimum is above the maximum");
}

/* Checks that a message bounds every value. */
static bool check_bounds(struct compiler *c, const struct spot *spot, struct msg_shape *shape)
{
    switch (shape->type) {
    case MSG_ANY:
    case MSG_NULL:
        return refuse(c, spot, "type is missing, or says nothing");
    case MSG_STRING:
        bound_by_format(shape);
        if (shape->max_length < 0 && !shape->allowed)
            return refuse(c, spot, "a string needs maxLength, an enum, or a format of one length");
        return shape->max_length < 0 || shape->min_length <= shape->max_length ||
               refuse(c, spot, "minLength is above maxLength");
    case MSG_INTEGER:
    case MSG_NUMBER:
        return check_number_bounds(c, spot, shape);
    case MSG_ARRAY:
        if (shape->max_items < 0 || !shape->items)
            return refuse(c, spot, "an array needs items and maxItems");
        return shape->min_items <= shape->max_items || refuse(c, spot, "minItems is above maxItems");
    case MSG_OBJECT:
    case MSG_BOOLEAN:
        return true;
    }
    return false;
}

static bool is_object_schema(const struct spot *spot, const struct msg_shape *shape)
{
    return shape->type == MSG_OBJECT ||
           (shape->type == MSG_ANY &&
            (json_object_get(spot->json, "properties") || json_object_get(spot->json, "required") ||
             json_object_get(spot->json, "additionalProperties")));
}

bool compile_shape(struct compiler *c, const struct spot *spot, enum role role, struct msg_shape *ret_shape)
{
    struct msg_shape shape = {.type = MSG_ANY, .max_length = -1, .max_items = -1};
    struct spot inside = *spot, target;
    if (++inside.depth > SHAPE_DEPTH_MAX)
        return refuse(c, spot, "nested deeper than %d levels", SHAPE_DEPTH_MAX);
    if (json_is_true(spot->json) && !is_message(c)) {
        *ret_shape = shape;
        return true;
    }
    if (!json_is_object(spot->json))
        return refuse(c, spot, "a schema must be an object");
    if (!check_keywords(c, spot, role))
        return false;
    if (json_object_get(spot->json, "$ref"))
        return resolve(c, &inside, &target) &&
               compile_shape(c, &target, *target.pointer ? ROLE_VALUE : ROLE_ROOT, ret_shape);
    if (!read_keywords(c, &inside, &shape))
        return false;
    if (is_object_schema(spot, &shape) && !compile_object(c, &inside, &shape.object))
        return false;
    if (is_message(c) && !check_bounds(c, spot, &shape))
        return false;
    *ret_shape = shape;
    return true;
}
