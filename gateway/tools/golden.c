/* Writes the golden messages that a folder lacks: for each resource and verb a body with each field that a client
 * may send, as JSON, and its bytes. Where the JSON is there and the bytes are not, only the bytes. What is there
 * stays, for it proves that we still read what older versions sent. `./cortex schemas` calls it. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "common/msg/msg.h"

enum { BODY_MAX = 1 << 20, OCTETS_A_LINE = 32 };

static const struct {
    enum msg_mode mode;
    const char *name;
} verbs[] = {{MSG_CREATE, "create"}, {MSG_UPDATE, "update"}};

struct place {
    const char *folder, *resource, *verb;
};

static FILE *open_file(const struct place *place, const char *suffix, const char *mode)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.%s.%s", place->folder, place->resource, place->verb, suffix);
    FILE *file = fopen(path, mode);
    if (file && mode[0] == 'w')
        printf("%s\n", path);
    else if (!file && (mode[0] == 'w' || errno != ENOENT))
        fprintf(stderr, "cortex-golden: %s: %s\n", path, strerror(errno));
    return file;
}

/* ---- a value for a field ---- */

static json_t *text_value(const char *name, const struct msg_shape *shape)
{
    static const char *const samples[] = {
        [MSG_FORMAT_UUID] = "018f4c1e-7b5a-7c3d-8e9f-0a1b2c3d4e5f",
        [MSG_FORMAT_DATE] = "2026-12-31",
        [MSG_FORMAT_DATE_TIME] = "2026-11-24T15:20:00.5Z",
        [MSG_FORMAT_EMAIL] = "site@example.com",
        [MSG_FORMAT_URI] = "https://example.com/",
        [MSG_FORMAT_OCTETS] = "AAECA/8=",
    };
    if (shape->format != MSG_FORMAT_NONE)
        return json_string(samples[shape->format]);
    if (shape->allowed)
        return json_string(shape->allowed[shape->allowed[1] ? 1 : 0]);
    char text[256] = "";
    size_t least = (size_t)shape->min_length, most = sizeof(text) - 1;
    if (shape->max_length >= 0 && (size_t)shape->max_length < most)
        most = (size_t)shape->max_length;
    snprintf(text, most + 1, "The %s", name);
    for (size_t len = strlen(text); len < least && len < most; len++)
        text[len] = '.';
    return json_string(text);
}

/* The first of these numbers that the schema allows. */
static json_t *number_value(const struct msg_shape *shape)
{
    const double numbers[] = {19.99, shape->maximum, shape->maximum - 1, shape->minimum, 300, 1, 0};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        CLEANUP(arena_done) struct arena arena;
        arena_init(&arena, 4096, 0);
        struct msg_problems problems = {.arena = &arena};
        json_t *number =
            shape->type == MSG_INTEGER ? json_integer((json_int_t)numbers[i]) : json_real(numbers[i]);
        if (msg_validate(shape, MSG_EXACT, number, &problems))
            return number;
        json_decref(number);
    }
    return NULL;
}

static json_t *sample_of(const char *name, const struct msg_shape *shape);

static json_t *object_value(const struct msg_object *object)
{
    json_t *members = json_object();
    for (size_t i = 0; i < object->field_count; i++)
        json_object_set_new(members, object->fields[i].name,
                            sample_of(object->fields[i].name, &object->fields[i].shape));
    return members;
}

/* Two elements, or as many as there may be. */
static json_t *array_value(const char *name, const struct msg_shape *shape)
{
    json_t *elements = json_array();
    int64_t count = shape->max_items < 2 ? shape->max_items : shape->min_items > 2 ? shape->min_items : 2;
    for (int64_t i = 0; i < count; i++)
        json_array_append_new(elements, sample_of(name, shape->items));
    return elements;
}

static json_t *sample_of(const char *name, const struct msg_shape *shape)
{
    switch (shape->type) {
    case MSG_STRING:
        return text_value(name, shape);
    case MSG_INTEGER:
    case MSG_NUMBER:
        return number_value(shape);
    case MSG_BOOLEAN:
        return json_true();
    case MSG_ARRAY:
        return array_value(name, shape);
    case MSG_OBJECT:
        return object_value(shape->object);
    case MSG_NULL:
    case MSG_ANY:
        break;
    }
    return NULL; /* a resource has no others */
}

static json_t *value_of(const struct msg_field *field, enum msg_mode mode)
{
    bool is_cleared = mode == MSG_UPDATE && field->shape.nullable;
    return is_cleared ? json_null() : sample_of(field->name, &field->shape);
}

static json_t *body_of(const struct msg_object *object, enum msg_mode mode)
{
    json_t *body = json_object();
    for (size_t i = 0; i < object->field_count; i++) {
        const struct msg_field *field = &object->fields[i];
        if (field->read_only || field->secret || (mode == MSG_UPDATE && field->create_only))
            continue; /* what is sealed is never the same twice */
        json_t *value = value_of(field, mode);
        if (value)
            json_object_set_new(body, field->name, value);
        else
            fprintf(stderr, "cortex-golden: write a value for %s by hand\n", field->name);
    }
    return body;
}

/* ---- files ---- */

static json_t *read_json(const struct place *place)
{
    FILE *file = open_file(place, "json", "r");
    json_error_t error;
    json_t *body = file ? json_loadf(file, 0, &error) : NULL;
    if (file && !body)
        fprintf(stderr, "cortex-golden: %s.%s.json line %d: %s\n", place->resource, place->verb, error.line,
                error.text);
    if (file)
        fclose(file);
    return body;
}

static bool has_file(const struct place *place, const char *suffix)
{
    FILE *file = open_file(place, suffix, "r");
    if (file)
        fclose(file);
    return file != NULL;
}

static bool write_json(const struct place *place, const json_t *body)
{
    FILE *file = open_file(place, "json", "w");
    if (!file)
        return false;
    bool ok = json_dumpf(body, file, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) == 0;
    fputc('\n', file);
    return fclose(file) == 0 && ok;
}

static bool write_bytes(const struct place *place, struct slice bytes)
{
    FILE *file = open_file(place, "msgpack.hex", "w");
    if (!file)
        return false;
    for (size_t i = 0; i < bytes.len; i++)
        fprintf(file, "%02x%s", (unsigned char)bytes.data[i],
                (i + 1) % OCTETS_A_LINE == 0 || i + 1 == bytes.len ? "\n" : "");
    return fclose(file) == 0;
}

static bool encode(const struct place *place, const struct msg_resource *resource, enum msg_mode mode,
                   const json_t *body)
{
    CLEANUP(arena_done) struct arena arena;
    CLEANUP(buf_done) struct buf out;
    arena_init(&arena, 4096, 0);
    buf_init(&out, BODY_MAX);
    struct msg_problems problems = {.arena = &arena};
    if (!msg_from_json(resource->object, mode, body, &out, &problems))
        return write_bytes(place, buf_slice(&out));
    for (const struct msg_problem *p = problems.first; p; p = p->next)
        fprintf(stderr, "cortex-golden: %s.%s.json#%.*s: %.*s\n", place->resource, place->verb,
                (int)p->pointer.len, p->pointer.data, (int)p->detail.len, p->detail.data);
    return false;
}

static bool write_missing(const struct place *place, const struct msg_resource *resource, enum msg_mode mode)
{
    bool has_json = has_file(place, "json");
    if (has_json && has_file(place, "msgpack.hex"))
        return true;
    json_t *body = has_json ? read_json(place) : body_of(resource->object, mode);
    bool ok = body && (has_json || write_json(place, body)) && encode(place, resource, mode, body);
    json_decref(body);
    return ok;
}

int main(int argc, char **argv)
{
    bool ok = true;
    if (argc != 2) {
        fputs("usage: cortex-golden FOLDER\n", stderr);
        return 2;
    }
    for (const struct msg_resource *const *resource = msg_resources; *resource; resource++)
        for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
            const struct place place = {argv[1], (*resource)->name, verbs[i].name};
            ok = write_missing(&place, *resource, verbs[i].mode) && ok;
        }
    return ok ? 0 : 1;
}
