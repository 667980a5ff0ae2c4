/* The walk over msgpack by a message's table, into values. The queue is not trusted: everything is checked
 * again. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "common/msg_check.h"
#include "common/msg_reader.h"
#include "common/utf8.h"

enum { SKIP_DEPTH = 32, WHY_SIZE = 160 };

struct decoder {
    struct msg_sink sink;
    struct msg_reader reader;
    struct arena *arena;
    const char *field; /* in hand, for the sentence in `why` */
    char *why;
    bool failed; /* the first complaint ends the walk */
};

static bool decode_value(struct decoder *d, const struct msg_shape *shape, struct msg_value *value);

static void on_complaint(struct msg_sink *sink, const char *detail)
{
    struct decoder *d = CONTAINER_OF(sink, struct decoder, sink);
    if (!d->failed)
        snprintf(d->why, WHY_SIZE, "%.60s%s%.90s", d->field, *d->field ? ": " : "", detail);
    d->failed = true;
}

static bool fail(struct decoder *d, const char *detail)
{
    on_complaint(&d->sink, detail);
    return false;
}

static bool keep_text(struct decoder *d, struct msg_value *value, const char *text, size_t len)
{
    value->text = arena_copy(d->arena, (struct slice){text, len});
    return value->text.data || fail(d, "does not fit the memory for one message");
}

static bool take_text(struct decoder *d, const struct msg_shape *shape, const struct msg_item *item,
                      struct msg_value *value)
{
    if (!utf8_valid(item->text))
        return fail(d, "is not UTF-8");
    msg_check_text(shape, item->text, &d->sink);
    value->text = item->text;
    return !d->failed;
}

static bool take_number(struct decoder *d, const struct msg_shape *shape, const struct msg_item *item,
                        struct msg_value *value)
{
    char text[MSG_NUMBER_TEXT_SIZE];
    if (!isfinite(item->real))
        return fail(d, "is not a finite number");
    msg_check_number(shape, item->real, &d->sink);
    if (d->failed)
        return false;
    value->integer = item->integer;
    value->number = item->real;
    return keep_text(d, value, text, msg_number_text(item->real, text));
}

static bool take_integer(struct decoder *d, const struct msg_shape *shape, const struct msg_item *item,
                         struct msg_value *value)
{
    char text[MSG_NUMBER_TEXT_SIZE];
    msg_check_number(shape, item->real, &d->sink);
    if (d->failed)
        return false;
    value->integer = item->integer;
    value->number = item->real;
    return keep_text(d, value, text, msg_integer_text(item->integer, text));
}

static bool take_boolean(struct decoder *d, const struct msg_shape *shape, const struct msg_item *item,
                         struct msg_value *value)
{
    (void)d, (void)shape;
    value->boolean = item->integer != 0;
    value->text = value->boolean ? SLICE("true") : SLICE("false");
    return true;
}

static bool take_array(struct decoder *d, const struct msg_shape *shape, const struct msg_item *item,
                       struct msg_value *value)
{
    msg_check_count(shape, item->count, &d->sink);
    if (d->failed)
        return false;
    struct msg_value *elements = arena_calloc(d->arena, item->count, sizeof(*elements));
    if (!elements)
        return fail(d, "does not fit the memory for one message");
    value->elements = elements;
    value->element_count = item->count;
    for (uint32_t i = 0; i < item->count; i++)
        if (!decode_value(d, shape->items, &elements[i]))
            return false;
    return true;
}

/* Ids come in ascending order, so that one pass over the table finds all of them and none can come twice. */
static bool decode_fields(struct decoder *d, const struct msg_object *object, uint32_t count,
                          struct msg_value *values)
{
    const char *outer = d->field;
    size_t next = 0;
    int64_t last = -1;
    for (uint32_t i = 0; i < count; i++) {
        struct msg_item key = msg_read(&d->reader);
        if (key.kind != KIND_INTEGER || key.integer <= last)
            return fail(d, "field ids must be integers in ascending order");
        last = key.integer;
        while (next < object->field_count && object->fields[next].id < last)
            next++;
        if (next == object->field_count || object->fields[next].id != last) {
            if (!msg_skip(&d->reader, SKIP_DEPTH))
                return fail(d, "a field that is not known here is malformed");
            continue;
        }
        d->field = object->fields[next].name;
        if (!decode_value(d, &object->fields[next].shape, &values[next]))
            return false;
        d->field = outer;
    }
    return true;
}

static bool take_object(struct decoder *d, const struct msg_shape *shape, const struct msg_item *item,
                        struct msg_value *value)
{
    const struct msg_object *object = shape->object;
    struct msg_value *values = arena_calloc(d->arena, object->field_count, sizeof(*values));
    if (!values)
        return fail(d, "does not fit the memory for one message");
    value->elements = values;
    value->element_count = object->field_count;
    return decode_fields(d, object, item->count, values);
}

/* What each kind of item is read as, by the type that the table asks for. */
typedef bool take(struct decoder *, const struct msg_shape *, const struct msg_item *, struct msg_value *);
static take *const takers[][KIND_MAP + 1] = {
    [MSG_OBJECT] = {[KIND_MAP] = take_object},
    [MSG_ARRAY] = {[KIND_ARRAY] = take_array},
    [MSG_STRING] = {[KIND_TEXT] = take_text},
    [MSG_INTEGER] = {[KIND_INTEGER] = take_integer},
    [MSG_NUMBER] = {[KIND_INTEGER] = take_number, [KIND_REAL] = take_number},
    [MSG_BOOLEAN] = {[KIND_BOOLEAN] = take_boolean},
    [MSG_ANY] = {NULL},
};

static bool decode_value(struct decoder *d, const struct msg_shape *shape, struct msg_value *value)
{
    struct msg_item item = msg_read(&d->reader);
    if (item.kind == KIND_MALFORMED)
        return fail(d, "is malformed or cut short");
    if (item.kind == KIND_NIL) {
        value->state = MSG_IS_NULL;
        return shape->nullable || shape->type == MSG_NULL || fail(d, "must not be null");
    }
    value->state = MSG_PRESENT;
    take *taker = takers[shape->type][item.kind];
    return taker ? taker(d, shape, &item, value) : fail(d, msg_type_demand(shape->type));
}

enum err msg_decode(const struct msg_object *object, struct slice bytes, struct arena *arena,
                    struct msg_value **ret_values, char why[160])
{
    const struct msg_shape shape = {.type = MSG_OBJECT, .object = object, .max_length = -1, .max_items = -1};
    struct decoder d = {.sink = {on_complaint}, .arena = arena, .field = ""};
    d.why = why;
    struct msg_value whole = {.state = MSG_ABSENT};
    msg_reader_init(&d.reader, bytes);
    if (!decode_value(&d, &shape, &whole))
        return ERR_POISON;
    if (!msg_reader_is_done(&d.reader)) {
        fail(&d, "something follows the message");
        return ERR_POISON;
    }
    *ret_values = (struct msg_value *)whole.elements; /* ours: they came from the arena */
    return ERR_OK;
}

const struct msg_field *msg_missing(const struct msg_object *object, const struct msg_value *values)
{
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].required && values[i].state == MSG_ABSENT)
            return &object->fields[i];
    return NULL;
}
