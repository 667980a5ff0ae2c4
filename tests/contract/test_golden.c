/* The bytes of each message, for ever: JSON becomes exactly the committed msgpack, which becomes the JSON
 * again. A new version that fails here would misread what an old one has put on the queue. The files are
 * golden/<resource>.<verb>. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/json.h"
#include "common/msg/msg.h"

static void read_file(const char *name, const char *verb, const char *suffix, struct buf *ret_text)
{
    char path[256];
    snprintf(path, sizeof(path), "tests/contract/golden/%s.%s.%s", name, verb, suffix);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s is missing: every message needs its golden bytes, which ./cortex schemas writes", path);
    buf_init(ret_text, 1 << 20);
    for (int c; (c = fgetc(file)) != EOF;)
        buf_append_char(ret_text, (char)c);
    fclose(file);
}

static void read_hex(const char *name, const char *verb, struct buf *ret_bytes)
{
    CLEANUP(buf_done) struct buf text;
    unsigned octet;
    int used;
    read_file(name, verb, "msgpack.hex", &text);
    buf_append_char(&text, '\0');
    buf_init(ret_bytes, 1 << 20);
    for (const char *at = buf_data(&text); sscanf(at, " %2x%n", &octet, &used) == 1; at += used)
        buf_append_char(ret_bytes, (char)octet);
}

static json_t *parse(struct slice text)
{
    json_t *json = NULL;
    char why[160];
    if (json_parse(text, 32, &json, why))
        fail_msg("%s", why);
    return json;
}

static void assert_encodes(const struct msg_resource *resource, enum msg_mode mode, const json_t *json,
                           struct slice expected)
{
    CLEANUP(arena_done) struct arena arena;
    CLEANUP(buf_done) struct buf out;
    arena_init(&arena, 4096, 0);
    buf_init(&out, 1 << 20);
    struct msg_problems problems = {.arena = &arena};
    assert_int_equal(msg_from_json(resource->object, mode, json, &out, &problems), ERR_OK);
    assert_int_equal(buf_len(&out), expected.len);
    assert_memory_equal(buf_data(&out), expected.data, expected.len);
}

static void assert_decodes(const struct msg_resource *resource, struct slice bytes, const json_t *expected)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 1 << 20);
    assert_int_equal(msg_to_json(resource->object, bytes, &text), ERR_OK);
    json_t *json = parse(buf_slice(&text));
    if (!json_equal(json, (json_t *)expected))
        fail_msg("came back as %.*s", (int)buf_len(&text), buf_data(&text));
    json_decref(json);
}

static void assert_golden(const struct msg_resource *resource, const char *verb, enum msg_mode mode)
{
    CLEANUP(buf_done) struct buf text, bytes;
    read_file(resource->name, verb, "json", &text);
    read_hex(resource->name, verb, &bytes);
    json_t *json = parse(buf_slice(&text));
    print_message("  %s.%s: %zu octets of msgpack\n", resource->name, verb, buf_len(&bytes));
    assert_encodes(resource, mode, json, buf_slice(&bytes));
    assert_decodes(resource, buf_slice(&bytes), json);
    json_decref(json);
}

static void test_messages_when_encoded_then_the_golden_bytes(void **state)
{
    (void)state;
    for (const struct msg_resource *const *resource = msg_resources; *resource; resource++) {
        assert_golden(*resource, "create", MSG_CREATE);
        assert_golden(*resource, "update", MSG_UPDATE);
    }
}

/* A map of 15 fields or fewer counts them in its first octet, a larger one in the two after it. */
static void add_to_map(const struct buf *bytes, struct buf *out, int fields, const char *octets, size_t len)
{
    struct slice map = buf_slice(bytes);
    unsigned char first = (unsigned char)map.data[0];
    size_t head = first == 0xde ? 3 : 1;
    int count = first == 0xde ? (unsigned char)map.data[1] << 8 | (unsigned char)map.data[2] : first & 15;
    assert_true(first == 0xde || (first & 0xf0) == 0x80);
    count += fields;
    const char header[] = {(char)0xde, (char)(count >> 8), (char)count};
    buf_append(out, header, sizeof(header));
    buf_append(out, map.data + head, map.len - head);
    buf_append(out, octets, len);
}

/* What a newer process sends: fields that this one does not know. */
static void test_messages_when_a_newer_process_adds_fields_then_they_are_skipped(void **state)
{
    (void)state;
    for (const struct msg_resource *const *resource = msg_resources; *resource; resource++) {
        CLEANUP(buf_done) struct buf text, bytes, newer;
        read_file((*resource)->name, "create", "json", &text);
        read_hex((*resource)->name, "create", &bytes);
        buf_init(&newer, 1 << 20);
        json_t *json = parse(buf_slice(&text));
        add_to_map(&bytes, &newer, 2, "\xcd\xff\xf0\x92\x01\x81\xa1k\xc0\xcd\xff\xf1\xa3new", 16);
        assert_decodes(*resource, buf_slice(&newer), json);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_when_encoded_then_the_golden_bytes),
        cmocka_unit_test(test_messages_when_a_newer_process_adds_fields_then_they_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
