/* Walks over a JSON value by its shape: checks everything, and packs it on the way where asked to. */

#include <math.h>
#include <msgpack.h>

#include "common/base/base64.h"
#include "common/msg/check.h"
#include "common/msg/problem.h"

#define EXACT_INTEGERS 9007199254740992.0 /* 2^53: up to it every integer is a double */

struct walk {
    struct msg_sink sink;
    struct msg_problems *problems;
    const struct msg_place *place;   /* where the value stands that is being read */
    msgpack_packer *packer;          /* NULL: nothing is to be packed, or something was wrong already */
    const struct msg_sealer *sealer; /* NULL: secrets are refused */
    bool valid;
};

static void walk_value(struct walk *w, const struct msg_shape *shape, enum msg_mode mode, const json_t *json);

static void on_complaint(struct msg_sink *sink, const char *detail)
{
    struct walk *w = CONTAINER_OF(sink, struct walk, sink);
    msg_problem_add(w->problems, w->place, detail);
    w->valid = false;
    w->packer = NULL;
}

static struct walk walk_begin(struct msg_problems *problems, msgpack_packer *packer)
{
    return (struct walk){.sink = {on_complaint}, .problems = problems, .packer = packer, .valid = true};
}

static bool complain(struct walk *w, const char *detail)
{
    on_complaint(&w->sink, detail);
    return false;
}

/* The text is base64: msg_check_text has said so. */
static void pack_octets(msgpack_packer *packer, struct slice text)
{
    size_t len = 0;
    CLEANUP_FREE char *octets = xmalloc(base64_room(text.len) + 1);
    if (base64_decode(text, octets, &len))
        msgpack_pack_bin_with_body(packer, octets, len);
}

static void walk_text(struct walk *w, const struct msg_shape *shape, enum msg_mode mode, const json_t *json)
{
    (void)mode;
    struct slice text = {json_string_value(json), json_string_length(json)};
    msg_check_text(shape, text, &w->sink);
    if (w->packer && shape->format == MSG_FORMAT_OCTETS)
        pack_octets(w->packer, text);
    else if (w->packer)
        msgpack_pack_str_with_body(w->packer, text.data, text.len);
}

/* 5000 and 5000.0 are one value and must become the same bytes, because a replay is recognised by its
 * fingerprint. */
static void pack_real(msgpack_packer *packer, double value)
{
    if (fabs(value) <= EXACT_INTEGERS && value == trunc(value))
        msgpack_pack_int64(packer, (int64_t)value);
    else
        msgpack_pack_double(packer, value);
}

static void walk_number(struct walk *w, const struct msg_shape *shape, enum msg_mode mode, const json_t *json)
{
    (void)mode;
    double value = json_number_value(json);
    /* A double from 2^53 on may be another integer than the one that was written. */
    if (shape->type == MSG_INTEGER &&
        (value != trunc(value) || (json_is_real(json) && fabs(value) >= EXACT_INTEGERS))) {
        complain(w, msg_type_demand(MSG_INTEGER));
        return;
    }
    msg_check_number(shape, value, &w->sink);
    if (!w->packer)
        return;
    if (json_is_integer(json))
        msgpack_pack_int64(w->packer, json_integer_value(json));
    else
        pack_real(w->packer, value);
}

static void walk_boolean(struct walk *w, const struct msg_shape *shape, enum msg_mode mode,
                         const json_t *json)
{
    (void)shape, (void)mode;
    if (w->packer)
        json_is_true(json) ? msgpack_pack_true(w->packer) : msgpack_pack_false(w->packer);
}

/* A merge patch replaces an array as a whole, so each of its elements must be complete. */
static void walk_array(struct walk *w, const struct msg_shape *shape, enum msg_mode mode, const json_t *json)
{
    size_t count = json_array_size(json);
    msg_check_count(shape, count, &w->sink);
    if (!shape->items || (shape->max_items >= 0 && count > (uint64_t)shape->max_items))
        return;
    if (w->packer)
        msgpack_pack_array(w->packer, count);
    struct msg_place place = {.above = w->place};
    for (size_t i = 0; i < count; i++) {
        place.index = i;
        w->place = &place;
        walk_value(w, shape->items, mode == MSG_UPDATE ? MSG_CREATE : mode, json_array_get(json, i));
    }
    w->place = place.above;
}

static size_t field_index(const struct msg_object *object, const char *name)
{
    size_t i = 0;
    while (i < object->field_count && strcmp(object->fields[i].name, name) != 0)
        i++;
    return i;
}

/* Sets members[i] to the value of object->fields[i], or NULL when it is absent. Returns how many are
 * there. */
static size_t match_members(struct walk *w, const struct msg_object *object, const json_t *json,
                            const json_t *members[])
{
    struct msg_place place = {.above = w->place};
    size_t matched = 0;
    json_t *iterable = (json_t *)json; /* the iterators of jansson change nothing */
    for (size_t i = 0; i < object->field_count; i++)
        members[i] = NULL;
    for (void *i = json_object_iter(iterable); i; i = json_object_iter_next(iterable, i)) {
        const char *name = json_object_iter_key(i);
        size_t index = field_index(object, name);
        if (index < object->field_count) {
            members[index] = json_object_iter_value(i);
            matched++;
        } else if (object->closed) {
            place.name = name;
            w->place = &place;
            complain(w, "is not a known field");
            w->place = place.above;
        }
    }
    return matched;
}

static bool may_be_sent(struct walk *w, const struct msg_field *field, enum msg_mode mode)
{
    if (mode != MSG_EXACT && field->read_only)
        return complain(w, "is set by the server");
    if (mode == MSG_UPDATE && field->create_only)
        return complain(w, "can only be given on creation");
    return true;
}

/* The value is checked as it is, and packed as the sealer makes it. */
static void walk_secret(struct walk *w, const struct msg_field *field, enum msg_mode mode, const json_t *json)
{
    enum { SEALED_MAX = 128 << 10 };
    CLEANUP(buf_done) struct buf sealed;
    msgpack_packer *packer = TAKE(w->packer);
    buf_init(&sealed, SEALED_MAX);
    walk_value(w, &field->shape, mode, json);
    struct slice value = {json_string_value(json), json_string_length(json)};
    if (!w->sealer)
        complain(w, "is a secret, which can only be given in a request of its own");
    else if (packer && w->valid && value.data && !w->sealer->seal(w->sealer->arg, field, value, &sealed))
        complain(w, "is a secret that cannot be sealed");
    if (!packer || !w->valid)
        return;
    w->packer = packer;
    if (value.data)
        msgpack_pack_bin_with_body(packer, buf_data(&sealed), buf_len(&sealed));
    else
        msgpack_pack_nil(packer);
}

static void walk_member(struct walk *w, const struct msg_field *field, enum msg_mode mode, const json_t *json)
{
    if (!json) {
        if (field->required && mode != MSG_UPDATE)
            complain(w, "is required");
        return;
    }
    if (!may_be_sent(w, field, mode))
        return;
    if (w->packer)
        msgpack_pack_uint32(w->packer, field->id);
    if (field->secret)
        walk_secret(w, field, mode, json);
    else
        walk_value(w, &field->shape, mode, json);
}

static void walk_object(struct walk *w, const struct msg_shape *shape, enum msg_mode mode, const json_t *json)
{
    const struct msg_object *object = shape->object;
    const json_t *members[MSG_FIELDS_MAX];
    if (!object)
        return;
    size_t count = match_members(w, object, json, members);
    if (w->packer)
        msgpack_pack_map(w->packer, count);
    struct msg_place place = {.above = w->place};
    w->place = &place;
    for (size_t i = 0; i < object->field_count; i++) {
        place.name = object->fields[i].name;
        walk_member(w, &object->fields[i], mode, members[i]);
    }
    w->place = place.above;
}

static void walk_null(struct walk *w, const struct msg_shape *shape, enum msg_mode mode, const json_t *json)
{
    (void)json;
    bool fits = shape->nullable || shape->type == MSG_NULL || (shape->type == MSG_ANY && !shape->allowed);
    if (!fits)
        complain(w, mode == MSG_UPDATE ? "cannot be cleared" : "must not be null");
    if (w->packer)
        msgpack_pack_nil(w->packer);
}

static enum msg_type type_of(const json_t *json)
{
    static const enum msg_type types[] = {
        [JSON_OBJECT] = MSG_OBJECT,  [JSON_ARRAY] = MSG_ARRAY, [JSON_STRING] = MSG_STRING,
        [JSON_INTEGER] = MSG_NUMBER, [JSON_REAL] = MSG_NUMBER, [JSON_TRUE] = MSG_BOOLEAN,
        [JSON_FALSE] = MSG_BOOLEAN,  [JSON_NULL] = MSG_NULL,
    };
    return types[json_typeof(json)];
}

static void walk_value(struct walk *w, const struct msg_shape *shape, enum msg_mode mode, const json_t *json)
{
    static void (*const walkers[])(struct walk *, const struct msg_shape *, enum msg_mode, const json_t *) = {
        [MSG_OBJECT] = walk_object, [MSG_ARRAY] = walk_array,     [MSG_STRING] = walk_text,
        [MSG_NUMBER] = walk_number, [MSG_BOOLEAN] = walk_boolean, [MSG_NULL] = walk_null,
    };
    enum msg_type type = type_of(json);
    bool fits = shape->type == type || shape->type == MSG_ANY || type == MSG_NULL ||
                (shape->type == MSG_INTEGER && type == MSG_NUMBER);
    if (!fits) {
        complain(w, msg_type_demand(shape->type));
        return;
    }
    if (shape->allowed && type != MSG_STRING && type != MSG_NULL)
        complain(w, "must be one of the allowed values");
    walkers[type](w, shape, mode, json);
}

bool msg_validate(const struct msg_shape *shape, enum msg_mode mode, const json_t *json,
                  struct msg_problems *problems)
{
    struct walk walk = walk_begin(problems, NULL);
    walk_value(&walk, shape, mode, json);
    return walk.valid;
}

static int append(void *out, const char *data, size_t len)
{
    return buf_append(out, data, len) ? 0 : -1;
}

enum err msg_from_json(const struct msg_object *object, enum msg_mode mode, const json_t *json,
                       struct buf *out, struct msg_problems *problems)
{
    return msg_from_json_sealing(object, mode, json, NULL, out, problems);
}

enum err msg_from_json_sealing(const struct msg_object *object, enum msg_mode mode, const json_t *json,
                               const struct msg_sealer *sealer, struct buf *out,
                               struct msg_problems *problems)
{
    const struct msg_shape shape = {.type = MSG_OBJECT, .object = object, .max_length = -1, .max_items = -1};
    size_t before = buf_len(out);
    bool truncated = out->truncated;
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, append);
    struct walk walk = walk_begin(problems, &packer);
    walk.sealer = sealer;
    walk_value(&walk, &shape, mode, json);
    enum err err = !walk.valid ? ERR_VALIDATION : out->truncated ? ERR_BODY_TOO_LARGE : ERR_OK;
    if (err) {
        out->end = out->begin + before;
        out->truncated = truncated;
    }
    return err;
}
