/* Examples of entities, made from the schemas: each member has a value that its schema allows. */

#include "gateway/openapi/openapi.h"

#include <ctype.h>
#include <math.h>

static json_t *example_of(const struct msg_shape *shape, const char *name);

/* "Start date" of "start_date", as long as the schema wants it. */
static json_t *words(const struct msg_shape *shape, const char *name)
{
    enum { WORDS_MAX = 64 };
    char text[WORDS_MAX + 1];
    size_t len = strlen(name), most = shape->max_length < 0 ? WORDS_MAX : (size_t)shape->max_length;
    len = len < most ? len : most;
    len = len < WORDS_MAX ? len : WORDS_MAX;
    for (size_t i = 0; i < len; i++)
        text[i] = name[i] == '_' ? ' ' : (char)(i == 0 ? toupper((unsigned char)name[i]) : name[i]);
    while (len < (size_t)shape->min_length && len < WORDS_MAX)
        text[len++] = 'x';
    return json_stringn(text, len);
}

static json_t *text_of(const struct msg_shape *shape, const char *name)
{
    static const char *const formats[] = {
        [MSG_FORMAT_UUID] = EXAMPLE_ID,
        [MSG_FORMAT_DATE] = "2026-06-01",
        [MSG_FORMAT_DATE_TIME] = EXAMPLE_TIME,
        [MSG_FORMAT_EMAIL] = "somebody@example.com",
        [MSG_FORMAT_URI] = "https://example.com/",
        [MSG_FORMAT_OCTETS] = "AAECAw==",
    };
    if (shape->allowed)
        return json_string(shape->allowed[0]);
    return shape->format ? json_string(formats[shape->format]) : words(shape, name);
}

/* 1, or the bound that is nearest to it. */
static json_t *number_of(const struct msg_shape *shape)
{
    double value = 1;
    if (shape->has_minimum && value <= shape->minimum)
        value = shape->minimum + (shape->minimum_exclusive ? 1 : 0);
    if (shape->has_maximum && value >= shape->maximum)
        value = shape->maximum - (shape->maximum_exclusive ? 1 : 0);
    return value == trunc(value) ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *object_of(const struct msg_object *object)
{
    json_t *json = json_object();
    for (size_t i = 0; object && i < object->field_count; i++)
        if (msg_is_shown(&object->fields[i]))
            json_object_set_new(json, object->fields[i].name,
                                example_of(&object->fields[i].shape, object->fields[i].name));
    return json;
}

static json_t *example_of(const struct msg_shape *shape, const char *name)
{
    switch (shape->type) {
    case MSG_OBJECT:
        return object_of(shape->object);
    case MSG_ARRAY:
        return shape->max_items == 0 ? json_array() : json_pack("[o]", example_of(shape->items, name));
    case MSG_STRING:
        return text_of(shape, name);
    case MSG_INTEGER:
    case MSG_NUMBER:
        return number_of(shape);
    case MSG_BOOLEAN:
        return json_true();
    case MSG_NULL:
    case MSG_ANY:
        break;
    }
    return json_null();
}

json_t *openapi_example(const struct msg_resource *resource)
{
    return object_of(resource->object);
}
