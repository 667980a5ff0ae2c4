/* Turns msgpack into JSON text. */

#include "common/base/base64.h"
#include "common/msg/check.h"

static void print_octets(struct slice octets, struct buf *out)
{
    buf_append_char(out, '"');
    base64_append(out, octets);
    buf_append_char(out, '"');
}

static void print_array(const struct msg_shape *shape, const struct msg_value *value, struct buf *out)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < value->element_count; i++) {
        if (i)
            buf_append_char(out, ',');
        msg_value_to_json(shape->items, &value->elements[i], out);
    }
    buf_append_char(out, ']');
}

static void print_object(const struct msg_object *object, const struct msg_value *values, struct buf *out)
{
    bool first = true;
    buf_append_char(out, '{');
    for (size_t i = 0; i < object->field_count; i++) {
        if (values[i].state == MSG_ABSENT || object->fields[i].secret)
            continue;
        if (!first)
            buf_append_char(out, ',');
        first = false;
        buf_append_json_string(out, slice_of(object->fields[i].name));
        buf_append_char(out, ':');
        msg_value_to_json(&object->fields[i].shape, &values[i], out);
    }
    buf_append_char(out, '}');
}

void msg_value_to_json(const struct msg_shape *shape, const struct msg_value *value, struct buf *out)
{
    if (value->state == MSG_IS_NULL)
        buf_append_text(out, "null");
    else if (shape->type == MSG_OBJECT)
        print_object(shape->object, value->elements, out);
    else if (shape->type == MSG_ARRAY)
        print_array(shape, value, out);
    else if (shape->format == MSG_FORMAT_OCTETS)
        print_octets(value->text, out);
    else if (shape->type == MSG_STRING)
        buf_append_json_string(out, value->text);
    else
        buf_append_slice(out, value->text);
}

enum err msg_to_json(const struct msg_object *object, struct slice bytes, struct buf *out)
{
    CLEANUP(arena_done) struct arena arena;
    struct msg_value *values;
    char why[160];
    size_t before = buf_len(out);
    arena_init(&arena, 4096, 0);
    enum err err = msg_decode(object, bytes, &arena, &values, why);
    if (err)
        return err;
    print_object(object, values, out);
    if (!out->truncated)
        return ERR_OK;
    out->end = out->begin + before;
    return ERR_BODY_TOO_LARGE;
}
