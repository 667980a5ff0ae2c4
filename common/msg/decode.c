/* Walks over the values of msgpack-c by the table of a message. The queue is not trusted, so everything is
 * checked again. */

#include <math.h>
#include <msgpack.h>
#include <stdio.h>

#include "common/base/base64.h"
#include "common/base/utf8.h"
#include "common/msg/check.h"
#include "common/msg/precheck.h"

enum { WHY_SIZE = 160 };

struct decoder {
    struct msg_sink sink;
    struct arena *arena;
    const char *field; /* the field that is being read, for the sentence in `why` */
    char *why;
    bool failed; /* the first complaint ends the walk */
};

static bool decode_value(struct decoder *d, const struct msg_shape *shape, const msgpack_object *item,
                         struct msg_value *value);

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

static bool take_text(struct decoder *d, const struct msg_shape *shape, const msgpack_object *item,
                      struct msg_value *value)
{
    struct slice text = {item->via.str.ptr, item->via.str.size};
    if (shape->format == MSG_FORMAT_OCTETS)
        return fail(d, "must be octets");
    if (text.len == 0)
        text = SLICE(""); /* msgpack-c has NULL for it, which would mean absent */
    if (!utf8_valid(text))
        return fail(d, "is not UTF-8");
    msg_check_text(shape, text, &d->sink);
    value->text = text;
    return !d->failed;
}

/* A bound of characters is one of the base64 text that JSON has. */
static bool take_octets(struct decoder *d, const struct msg_shape *shape, const msgpack_object *item,
                        struct msg_value *value)
{
    struct slice octets = {item->via.bin.ptr, item->via.bin.size};
    if (shape->format != MSG_FORMAT_OCTETS)
        return fail(d, msg_type_demand(shape->type));
    if (octets.len > base64_room((size_t)shape->max_length))
        return fail(d, "has too many octets");
    value->text = octets.len > 0 ? octets : SLICE("");
    return true;
}

static bool is_integer(const msgpack_object *item)
{
    return item->type == MSGPACK_OBJECT_POSITIVE_INTEGER || item->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
}

/* Above INT64_MAX; no field and no id is as large. */
static bool is_huge(const msgpack_object *item)
{
    return item->type == MSGPACK_OBJECT_POSITIVE_INTEGER && item->via.u64 > INT64_MAX;
}

static bool take_number(struct decoder *d, const struct msg_shape *shape, const msgpack_object *item,
                        struct msg_value *value)
{
    char text[MSG_NUMBER_TEXT_SIZE];
    value->integer = is_integer(item) ? item->via.i64 : 0;
    value->number = is_integer(item) ? (double)item->via.i64 : item->via.f64;
    if (!isfinite(value->number))
        return fail(d, "is not a finite number");
    msg_check_number(shape, value->number, &d->sink);
    if (d->failed)
        return false;
    bool whole = shape->type == MSG_INTEGER;
    return keep_text(d, value, text,
                     whole ? msg_integer_text(value->integer, text) : msg_number_text(value->number, text));
}

static bool take_boolean(struct decoder *d, const struct msg_shape *shape, const msgpack_object *item,
                         struct msg_value *value)
{
    (void)d, (void)shape;
    value->boolean = item->via.boolean;
    value->text = value->boolean ? SLICE("true") : SLICE("false");
    return true;
}

static bool take_array(struct decoder *d, const struct msg_shape *shape, const msgpack_object *item,
                       struct msg_value *value)
{
    const msgpack_object_array *array = &item->via.array;
    msg_check_count(shape, array->size, &d->sink);
    if (d->failed)
        return false;
    struct msg_value *elements = arena_calloc(d->arena, array->size, sizeof(*elements));
    if (!elements)
        return fail(d, "does not fit the memory for one message");
    value->elements = elements;
    value->element_count = array->size;
    for (uint32_t i = 0; i < array->size; i++)
        if (!decode_value(d, shape->items, &array->ptr[i], &elements[i]))
            return false;
    return true;
}

/* A secret is octets, which only its pool opens. */
static bool decode_field(struct decoder *d, const struct msg_field *field, const msgpack_object *item,
                         struct msg_value *value)
{
    if (!field->secret || item->type == MSGPACK_OBJECT_NIL)
        return decode_value(d, &field->shape, item, value);
    if (item->type != MSGPACK_OBJECT_BIN || item->via.bin.size == 0)
        return fail(d, "is a secret that is not sealed");
    value->state = MSG_PRESENT;
    value->text = (struct slice){item->via.bin.ptr, item->via.bin.size};
    return true;
}

/* Ids come in ascending order, so one pass over the table finds all of them and none can come twice. */
static bool decode_fields(struct decoder *d, const struct msg_object *object, const msgpack_object_map *map,
                          struct msg_value *values)
{
    const char *outer = d->field;
    size_t next = 0;
    int64_t last = -1;
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object_kv *pair = &map->ptr[i];
        if (!is_integer(&pair->key) || is_huge(&pair->key) || pair->key.via.i64 <= last)
            return fail(d, "field ids must be integers in ascending order");
        last = pair->key.via.i64;
        while (next < object->field_count && object->fields[next].id < last)
            next++;
        if (next == object->field_count || object->fields[next].id != last)
            continue;
        d->field = object->fields[next].name;
        if (!decode_field(d, &object->fields[next], &pair->val, &values[next]))
            return false;
        d->field = outer;
    }
    return true;
}

static bool take_object(struct decoder *d, const struct msg_shape *shape, const msgpack_object *item,
                        struct msg_value *value)
{
    const struct msg_object *object = shape->object;
    struct msg_value *values = arena_calloc(d->arena, object->field_count, sizeof(*values));
    if (!values)
        return fail(d, "does not fit the memory for one message");
    value->elements = values;
    value->element_count = object->field_count;
    return decode_fields(d, object, &item->via.map, values);
}

/* How a value of each msgpack-c type is read, by the type that the table asks for. */
enum { OBJECT_TYPES = MSGPACK_OBJECT_FLOAT32 + 1 };
typedef bool take(struct decoder *, const struct msg_shape *, const msgpack_object *, struct msg_value *);
static take *const takers[][OBJECT_TYPES] = {
    [MSG_OBJECT] = {[MSGPACK_OBJECT_MAP] = take_object},
    [MSG_ARRAY] = {[MSGPACK_OBJECT_ARRAY] = take_array},
    [MSG_STRING] = {[MSGPACK_OBJECT_STR] = take_text, [MSGPACK_OBJECT_BIN] = take_octets},
    [MSG_INTEGER] =
        {[MSGPACK_OBJECT_POSITIVE_INTEGER] = take_number, [MSGPACK_OBJECT_NEGATIVE_INTEGER] = take_number},
    [MSG_NUMBER] = {[MSGPACK_OBJECT_POSITIVE_INTEGER] = take_number,
                    [MSGPACK_OBJECT_NEGATIVE_INTEGER] = take_number,
                    [MSGPACK_OBJECT_FLOAT32] = take_number,
                    [MSGPACK_OBJECT_FLOAT64] = take_number},
    [MSG_BOOLEAN] = {[MSGPACK_OBJECT_BOOLEAN] = take_boolean},
    [MSG_ANY] = {NULL},
};

static bool decode_value(struct decoder *d, const struct msg_shape *shape, const msgpack_object *item,
                         struct msg_value *value)
{
    if (item->type == MSGPACK_OBJECT_NIL) {
        value->state = MSG_IS_NULL;
        return shape->nullable || shape->type == MSG_NULL || fail(d, "must not be null");
    }
    value->state = MSG_PRESENT;
    take *taker = is_huge(item) ? NULL : takers[shape->type][item->type];
    return taker ? taker(d, shape, item, value) : fail(d, msg_type_demand(shape->type));
}

/* After the pre-check msgpack-c can fail only for lack of memory. Its texts point into `bytes`. */
static bool unpack(struct decoder *d, struct slice bytes, msgpack_unpacked *unpacked)
{
    size_t offset = 0;
    const char *fault = msg_precheck(bytes);
    if (fault)
        return fail(d, fault);
    return msgpack_unpack_next(unpacked, bytes.data, bytes.len, &offset) == MSGPACK_UNPACK_SUCCESS ||
           fail(d, "cannot be unpacked");
}

enum err msg_decode(const struct msg_object *object, struct slice bytes, struct arena *arena,
                    struct msg_value **ret_values, char why[160])
{
    const struct msg_shape shape = {.type = MSG_OBJECT, .object = object, .max_length = -1, .max_items = -1};
    struct decoder d = {.sink = {on_complaint}, .arena = arena, .field = ""};
    d.why = why;
    struct msg_value whole = {.state = MSG_ABSENT};
    CLEANUP(msgpack_unpacked_destroy) msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    if (!unpack(&d, bytes, &unpacked) || !decode_value(&d, &shape, &unpacked.data, &whole))
        return ERR_POISON;
    *ret_values =
        (struct msg_value *)whole.elements; /* the elements came from our arena, so the cast is safe */
    return ERR_OK;
}

const struct msg_field *msg_missing(const struct msg_object *object, const struct msg_value *values)
{
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].required && values[i].state == MSG_ABSENT)
            return &object->fields[i];
    return NULL;
}
