#include "schemas/schemac/compiler.h"

static int by_id(const void *left, const void *right)
{
    const struct msg_field *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

static bool read_closed(struct compiler *c, const struct spot *spot, bool *ret_closed)
{
    const json_t *additional = json_object_get(spot->json, "additionalProperties");
    struct spot at = spot_below(c, spot, "additionalProperties", additional);
    *ret_closed = json_is_false(additional);
    if (is_message(c) && !*ret_closed)
        return refuse(c, additional ? &at : spot, "an object needs \"additionalProperties\": false");
    return !additional || json_is_boolean(additional) || refuse(c, &at, "must be true or false");
}

/* In a plain schema no field has an x-id, so the fields are numbered in their order. */
static bool read_properties(struct compiler *c, const struct spot *spot, struct msg_field *fields,
                            size_t *ret_count)
{
    json_t *properties = json_object_get(spot->json, "properties");
    struct spot at = spot_below(c, spot, "properties", properties);
    if (properties && !json_is_object(properties))
        return refuse(c, &at, "must be an object");
    if (json_object_size(properties) > MSG_FIELDS_MAX)
        return refuse(c, &at, "an object can have %d fields at most", MSG_FIELDS_MAX);
    const char *name;
    json_t *value;
    json_object_foreach(properties, name, value)
    {
        struct spot property = spot_below(c, &at, name, value);
        struct msg_field *field = &fields[(*ret_count)++];
        if (!compile_field(c, &property, compiler_format(c, "%s", name), field))
            return false;
        if (!is_message(c))
            field->id = (uint32_t)*ret_count;
    }
    return true;
}

static struct msg_field *field_among(struct msg_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

/* In JSON Schema an open object may require a member that it does not describe. It becomes a field of any
 * shape. */
static bool add_undescribed(struct compiler *c, const struct spot *spot, const char *name,
                            struct msg_field *fields, size_t *ret_count, bool closed)
{
    if (closed || is_message(c))
        return refuse(c, spot, "`%s` is required and not among the properties", name);
    if (*ret_count == MSG_FIELDS_MAX)
        return refuse(c, spot, "an object can have %d fields at most", MSG_FIELDS_MAX);
    struct msg_field *field = &fields[(*ret_count)++];
    *field = (struct msg_field){.name = compiler_format(c, "%s", name),
                                .id = (uint32_t)*ret_count,
                                .shape = {.type = MSG_ANY, .max_length = -1, .max_items = -1}};
    return true;
}

static bool read_required(struct compiler *c, const struct spot *spot, struct msg_field *fields,
                          size_t *ret_count, bool closed)
{
    const json_t *required = json_object_get(spot->json, "required");
    struct spot at = spot_below(c, spot, "required", required);
    if (required && !json_is_array(required))
        return refuse(c, &at, "must be an array of names");
    for (size_t i = 0; i < json_array_size(required); i++) {
        struct spot entry = spot_at(c, &at, i, json_array_get(required, i));
        const char *name = json_string_value(entry.json);
        if (!name || strlen(name) != json_string_length(entry.json))
            return refuse(c, &entry, "must be the name of a property");
        if (!field_among(fields, *ret_count, name) &&
            !add_undescribed(c, &entry, name, fields, ret_count, closed))
            return false;
        struct msg_field *field = field_among(fields, *ret_count, name);
        if (field->required)
            return refuse(c, &entry, "`%s` is listed twice", name);
        if (is_message(c) && (field->read_only || field->fallback))
            return refuse(c, &entry, "`%s` cannot be required: it is read-only or has a default", name);
        field->required = true;
    }
    return true;
}

static bool check_ids(struct compiler *c, const struct spot *spot, const struct msg_field *fields,
                      size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (fields[i].id == fields[i - 1].id)
            return refuse(c, spot, "x-id %u is used by `%s` and by `%s`", fields[i].id, fields[i - 1].name,
                          fields[i].name);
    return true;
}

bool compile_object(struct compiler *c, const struct spot *spot, const struct msg_object **ret_object)
{
    struct msg_field *fields = compiler_alloc(c, MSG_FIELDS_MAX, sizeof(*fields));
    struct msg_object *object = compiler_alloc(c, 1, sizeof(*object));
    size_t count = 0;
    if (!read_closed(c, spot, &object->closed) || !read_properties(c, spot, fields, &count) ||
        !read_required(c, spot, fields, &count, object->closed))
        return false;
    if (is_message(c) && count == 0)
        return refuse(c, spot, "an object needs properties");
    qsort(fields, count, sizeof(*fields), by_id);
    object->fields = fields;
    object->field_count = count;
    *ret_object = object;
    return check_ids(c, spot, fields, count);
}
