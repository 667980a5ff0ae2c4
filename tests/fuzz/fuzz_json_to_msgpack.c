/* Fuzzes request bodies: any octets are refused with complaints, or become msgpack that decodes to the same JSON. */

#include <stdio.h>
#include <sys/param.h>

#include "common/base/json.h"
#include "common/base/utf8.h"
#include "tests/fuzz/input.h"

enum { DEPTH = 32, MEMORY = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const struct msg_problems *problems)
{
    MUST(problems->count > 0);
    for (const struct msg_problem *p = problems->first; p; p = p->next) {
        MUST(p->pointer.len == 0 || p->pointer.data[0] == '/');
        MUST(p->detail.len > 0);
    }
}

/* JSON → msgpack → JSON → msgpack: the second time the same octets. */
static void check_encoded(const struct msg_object *object, enum msg_mode mode, struct slice bytes,
                          struct arena *arena)
{
    CLEANUP(buf_done) struct buf text, again;
    struct msg_problems problems = {.arena = arena};
    char why[160];
    json_t *json;
    buf_init(&text, MEMORY);
    buf_init(&again, MEMORY);
    MUST(msg_to_json(object, bytes, &text) == ERR_OK);
    MUST(json_parse(buf_slice(&text), DEPTH, &json, why) == ERR_OK);
    MUST(msg_from_json(object, mode, json, &again, &problems) == ERR_OK);
    MUST(slice_equal(bytes, buf_slice(&again)));
    json_decref(json);
}

static void run(const struct msg_object *object, enum msg_mode mode, const json_t *json)
{
    CLEANUP(arena_done) struct arena arena;
    CLEANUP(buf_done) struct buf out;
    arena_init(&arena, 4096, MEMORY);
    buf_init(&out, MEMORY);
    struct msg_problems problems = {.arena = &arena};
    enum err err = msg_from_json(object, mode, json, &out, &problems);
    if (err) {
        MUST(err == ERR_VALIDATION && buf_len(&out) == 0);
        check_problems(&problems);
    } else {
        check_encoded(object, mode, buf_slice(&out), &arena);
    }
}

static int64_t depth_of(const json_t *json)
{
    json_t *iterable = (json_t *)json; /* jansson's iterators change nothing */
    int64_t deepest = 0;
    for (size_t i = 0; i < json_array_size(json); i++)
        deepest = MAX(deepest, depth_of(json_array_get(json, i)));
    for (void *i = json_object_iter(iterable); i; i = json_object_iter_next(iterable, i))
        deepest = MAX(deepest, depth_of(json_object_iter_value(i)));
    return deepest + (json_is_array(json) || json_is_object(json));
}

/* The levels that were counted before parsing are those that the value has: it passes at its own depth, and not at one
 * less. */
static void check_accepted(struct slice text, const json_t *json)
{
    json_t *again = NULL;
    char why[160];
    int64_t depth = depth_of(json);
    MUST(depth <= DEPTH);
    MUST(!memchr(text.data, '\0', text.len));
    MUST(utf8_valid(text));
    MUST(json_parse(text, depth, &again, why) == ERR_OK);
    json_decref(again);
    MUST(depth == 0 || json_parse(text, depth - 1, &again, why) == ERR_BAD_REQUEST);
    MUST(depth == 0 || strstr(why, "nested too deeply"));
}

static void check_refused(const char *why)
{
    MUST(strncmp(why, "line ", 5) == 0);
    for (const char *c = why; *c; c++)
        MUST(*c >= ' ' && *c <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    CLEANUP_FREE char *text = input_copy(data + 1, size - 1);
    char why[160] = "";
    json_t *json = NULL;
    enum err err = json_parse((struct slice){text, size - 1}, DEPTH, &json, why);
    MUST(err ? !json && why[0] : json && !why[0]);
    if (err) {
        check_refused(why);
        return 0;
    }
    check_accepted((struct slice){text, size - 1}, json);
    run(input_object(data[0]), input_mode(data[0]), json);
    json_decref(json);
    return 0;
}
