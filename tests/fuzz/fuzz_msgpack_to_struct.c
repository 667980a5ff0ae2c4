/* Fuzzes messages on the queue: any octets are refused as poison with a reason, or give values that survive the way
 * to JSON and back. */

#include <msgpack.h>
#include <stdio.h>

#include "common/base/json.h"
#include "common/msg/precheck.h"
#include "tests/fuzz/input.h"

enum { DEPTH = 32, MEMORY = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(const struct msg_object *object, struct slice text, struct arena *arena,
                   struct buf *ret_bytes)
{
    struct msg_problems problems = {.arena = arena};
    char why[160];
    json_t *json;
    MUST(json_parse(text, DEPTH, &json, why) == ERR_OK);
    MUST(msg_from_json(object, MSG_EXACT, json, ret_bytes, &problems) == ERR_OK);
    json_decref(json);
}

/* What was decoded is what the schema allows: its JSON is valid, and comes back from msgpack unchanged. */
static void check_decoded(const struct msg_object *object, struct slice bytes, struct arena *arena)
{
    CLEANUP(buf_done) struct buf text, packed, again;
    buf_init(&text, MEMORY);
    buf_init(&packed, MEMORY);
    buf_init(&again, MEMORY);
    MUST(msg_to_json(object, bytes, &text) == ERR_OK);
    encode(object, buf_slice(&text), arena, &packed);
    MUST(msg_to_json(object, buf_slice(&packed), &again) == ERR_OK);
    MUST(slice_equal(buf_slice(&text), buf_slice(&again)));
}

/* The first octets 0xdc to 0xdf: arrays and maps whose counts can ask for more than there is memory. */
static bool may_ask_for_much(struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if ((uint8_t)bytes.data[i] >= 0xdc && (uint8_t)bytes.data[i] <= 0xdf)
            return true;
    return false;
}

/* The pre-check passes exactly what msgpack-c unpacks as one whole value; what it refuses is tried where that is
 * harmless. */
static void check_precheck(struct slice bytes)
{
    bool passes = !msg_precheck(bytes);
    if (!passes && may_ask_for_much(bytes))
        return;
    msgpack_unpacked unpacked;
    size_t offset = 0;
    msgpack_unpacked_init(&unpacked);
    bool is_one_value =
        msgpack_unpack_next(&unpacked, bytes.data, bytes.len, &offset) == MSGPACK_UNPACK_SUCCESS &&
        offset == bytes.len;
    MUST(passes == is_one_value);
    msgpack_unpacked_destroy(&unpacked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    CLEANUP_FREE char *copy = input_copy(data + 1, size - 1);
    CLEANUP(arena_done) struct arena arena;
    struct slice bytes = {copy, size - 1};
    const struct msg_object *object = input_object(data[0]);
    struct msg_value *values;
    char why[160] = "";
    arena_init(&arena, 4096, MEMORY);
    check_precheck(bytes);
    enum err err = msg_decode(object, bytes, &arena, &values, why);
    MUST(err == ERR_OK || (err == ERR_POISON && why[0]));
    if (err)
        return 0;
    if (!msg_missing(object, values))
        check_decoded(object, bytes, &arena);
    return 0;
}
