/* Any octets as a request body: refused with complaints, or msgpack that decodes to the same again. */

#include <msgpack.h>
#include <stdio.h>

#include "common/json.h"
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
    size_t offset = 0;
    buf_init(&text, MEMORY);
    buf_init(&again, MEMORY);
    MUST(msg_to_json(object, bytes, &text) == ERR_OK);
    MUST(json_parse(buf_slice(&text), DEPTH, &json, why) == ERR_OK);
    MUST(msg_from_json(object, mode, json, &again, &problems) == ERR_OK);
    MUST(slice_equal(bytes, buf_slice(&again)));
    json_decref(json);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    MUST(msgpack_unpack_next(&unpacked, bytes.data, bytes.len, &offset) == MSGPACK_UNPACK_SUCCESS);
    MUST(offset == bytes.len);
    msgpack_unpacked_destroy(&unpacked);
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

/* Our reader and jansson's agree on what is JSON and on what it says; except where jansson takes the octet 0 for the end, and
 * where only we stop at a depth. */
static void check_reader(struct slice text, const json_t *ours, const char *why)
{
    if (text.len == 0 || memchr(text.data, '\0', text.len) || strstr(why, "nested too deeply"))
        return;
    json_error_t error;
    json_t *theirs =
        json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    MUST((ours != NULL) == (theirs != NULL));
    MUST(!ours || json_equal(ours, theirs));
    json_decref(theirs);
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
    check_reader((struct slice){text, size - 1}, json, why);
    if (err)
        return 0;
    run(input_object(data[0]), input_mode(data[0]), json);
    json_decref(json);
    return 0;
}
