#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/json.h"
#include "gateway/centrifuge/protobuf.h"
#include "gateway/hub/hub.h"

#define BYTES(literal) ((struct slice){literal, sizeof(literal) - 1})

enum { DEPTH = 32 };

/* As JSON text, "" when refused; "cut " in front of a command with data that could not be read. */
static const char *command(struct slice message)
{
    static char text[1024];
    json_t *json = NULL;
    bool is_whole;
    text[0] = '\0';
    if (protobuf_read_command(message, DEPTH, &json, &is_whole) != ERR_OK)
        return text;
    char *dumped = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(text, sizeof(text), "%s%s", is_whole ? "" : "cut ", dumped);
    free(dumped);
    json_decref(json);
    return text;
}

static void test_command_when_read_then_as_in_json(void **state)
{
    (void)state;
    assert_string_equal(command(BYTES("")), "{}");
    assert_string_equal(command(BYTES("\x08\x01\x22\x03\x0a\x01t")),
                        "{\"connect\":{\"token\":\"t\"},\"id\":1}");
    /* subs {"c": {recover, epoch "e", offset 300}}, and a field that we do not know */
    assert_string_equal(command(BYTES("\x08\x01\x22\x16\x0a\x01t\x1a\x0d\x0a\x01"
                                      "c\x12\x08\x18\x01\x32\x01"
                                      "e\x38\xac\x02\x22\x02js")),
                        "{\"connect\":{\"subs\":{\"c\":{\"epoch\":\"e\",\"offset\":300,\"recover\":true}},"
                        "\"token\":\"t\"},\"id\":1}");
    /* history: limit -1, since {offset 2}, reverse */
    assert_string_equal(
        command(BYTES("\x08\x02\x52\x14\x0a\x01"
                      "c\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x42\x02\x08\x02\x48\x01")),
        "{\"history\":{\"channel\":\"c\",\"limit\":-1,\"reverse\":true,\"since\":{\"offset\":2}},\"id\":2}");
    assert_string_equal(command(BYTES("\x08\x03\x6a\x0e\x0a\x07{\"a\":1}\x12\x03G /")),
                        "{\"id\":3,\"rpc\":{\"data\":{\"a\":1},\"method\":\"G /\"}}");
}

static void test_command_when_its_data_is_no_json_then_said(void **state)
{
    (void)state;
    assert_string_equal(command(BYTES("\x08\x03\x6a\x04\x0a\x02{]")),
                        "cut {\"id\":3,\"rpc\":{\"data\":null}}");
    assert_string_equal(command(BYTES("\x08\x03\x6a\x02\x0a\x00")), "cut {\"id\":3,\"rpc\":{\"data\":null}}");
}

/* Else "company:…\0x" would be the channel "company:…". */
static void test_command_when_its_text_has_a_nul_then_it_does_not_end_there(void **state)
{
    (void)state;
    assert_string_equal(command(BYTES("\x08\x03\x6a\x05\x12\x03G\x00/")),
                        "{\"id\":3,\"rpc\":{\"method\":\"G\\u0000/\"}}");
    assert_string_equal(command(BYTES("\x08\x03\x2a\x04\x0a\x02"
                                      "c\x00")),
                        "{\"id\":3,\"subscribe\":{\"channel\":\"c\\u0000\"}}");
}

static void test_command_when_malformed_then_refused(void **state)
{
    (void)state;
    assert_string_equal(command(BYTES("\xff")), "");
    assert_string_equal(command(BYTES("\x08\x01\x22\x7f\x0a\x01t")), "");
    assert_string_equal(command(BYTES("\x08\x01\x22\x04\x0a\x02\xc3\x28")), ""); /* not UTF-8 */
    assert_string_equal(command(BYTES("\x08\x01\x22\x06\x1a\x04\x0a\x02\xc3\x28")),
                        ""); /* nor as a channel */
}

static void test_command_when_cut_anywhere_then_nothing_is_read_past_its_end(void **state)
{
    (void)state;
    static const char whole[] = "\x08\x01\x22\x16\x0a\x01t\x1a\x0d\x0a\x01"
                                "c\x12\x08\x18\x01\x32\x01"
                                "e\x38\xac\x02\x22\x02js";
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        char *copy = malloc(len + 1);
        memcpy(copy, whole, len);
        char *exact = realloc(copy, len > 0 ? len : 1);
        (void)command((struct slice){exact, len});
        free(exact);
    }
}

static void test_messages_when_listed_then_each_behind_its_length(void **state)
{
    (void)state;
    struct slice bytes = BYTES("\x00\x02xy\x01z"), message;
    assert_true(protobuf_next(&bytes, &message) && message.len == 0);
    assert_true(protobuf_next(&bytes, &message) && slice_is(message, "xy"));
    assert_true(protobuf_next(&bytes, &message) && slice_is(message, "z"));
    assert_int_equal(bytes.len, 0);
    static const struct slice wrong[] = {
        {"\x03xy", 3}, {"\x80", 1}, {"\xff\xff\xff\xff\xff\x01", 6}, {"\xff\xff\xff\xff\x7f", 5}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        bytes = wrong[i];
        assert_false(protobuf_next(&bytes, &message));
    }
}

static void assert_reply(const char *json, struct slice expected)
{
    struct buf out;
    buf_init(&out, 4096);
    protobuf_append_reply(&out, slice_of(json));
    assert_int_equal(buf_len(&out), expected.len);
    assert_memory_equal(buf_data(&out), expected.data, expected.len);
    buf_done(&out);
}

static void test_reply_when_written_then_of_the_protocols_numbers(void **state)
{
    (void)state;
    assert_reply("{}", BYTES("\x00"));
    assert_reply("{\"id\":300,\"unsubscribe\":{}}", BYTES("\x05\x08\xac\x02\x3a\x00"));
    assert_reply("{\"id\":1,\"error\":{\"code\":100,\"message\":\"a\\\"b\",\"temporary\":true}}",
                 BYTES("\x0d\x08\x01\x12\x09\x08\x64\x12\x03"
                       "a\"b\x18\x01"));
    assert_reply(
        "{\"id\":1,\"subscribe\":{\"recoverable\":true,\"epoch\":\"e\",\"offset\":7,\"recovered\":false,"
        "\"publications\":[{\"data\":{\"a\":[1]},\"offset\":6},{\"data\":2,\"offset\":7}]}}",
        BYTES("\x21\x08\x01\x32\x1d\x18\x01\x32\x01"
              "e\x48\x07\x3a\x0d\x22\x09{\"a\":[1]}\x30\x06\x3a\x05\x22\x01"
              "2\x30\x07"));
    assert_reply("{\"id\":1,\"presence\":{\"presence\":{\"k\":{\"client\":\"c\",\"user\":\"u\"}}}}",
                 BYTES("\x11\x08\x01\x4a\x0d\x0a\x0b\x0a\x01k\x12\x06\x12\x01"
                       "c\x0a\x01u"));
}

/* A message is behind a length of two octets, and so are those in it. */
static void test_reply_when_long_then_each_length_grows(void **state)
{
    (void)state;
    struct buf json, out;
    struct slice rest, message;
    buf_init(&json, 4096);
    buf_init(&out, 4096);
    buf_append_text(&json, "{\"id\":1,\"rpc\":{\"data\":\"");
    for (int i = 0; i < 1000; i++)
        buf_append_char(&json, 'x');
    buf_append_text(&json, "\"}}");
    protobuf_append_reply(&out, buf_slice(&json));
    rest = buf_slice(&out);
    assert_true(protobuf_next(&rest, &message));
    assert_int_equal(rest.len, 0);
    assert_int_equal(message.len, 2 + 3 + 3 + 1002);
    buf_done(&json);
    buf_done(&out);
}

static void test_publication_when_encoded_then_the_octets_of_its_json(void **state)
{
    (void)state;
    for (int64_t seq = 0; seq <= 300; seq += 150) {
        struct buf out;
        char json[256], *at = NULL, octets[256];
        struct bytes *body = bytes_new(sizeof("{\"seq\":[1, 2]}") - 1, &at);
        memcpy(at, "{\"seq\":[1, 2]}", sizeof("{\"seq\":[1, 2]}") - 1);
        const struct publication publication = {.seq = seq, .body = body};
        snprintf(json, sizeof(json),
                 "{\"push\":{\"channel\":\"company:x\",\"pub\":{\"data\":{\"seq\":[1, 2]},\"offset\":%lld}}}",
                 (long long)seq);
        buf_init(&out, 4096);
        protobuf_append_reply(&out, slice_of(json));
        assert_int_equal(protobuf_publication_size("company:x", &publication), buf_len(&out));
        assert_int_equal(protobuf_put_publication("company:x", &publication, octets), buf_len(&out));
        assert_memory_equal(octets, buf_data(&out), buf_len(&out));
        buf_done(&out);
        bytes_unref(body);
    }
}

#define NODE   "0199aaaa-0000-7000-8000-00000000000a"
#define SECRET "f1ffffff-0000-0000-0000-00000000000b"

static void test_emulation_when_read_then_node_session_and_commands(void **state)
{
    (void)state;
    struct uuid node, session;
    struct slice commands;
    char text[UUID_TEXT_LEN + 1];
    struct slice message = BYTES("\x0a\x24" NODE "\x12\x24" SECRET "\x1a\x02\x01\x00");
    assert_true(protobuf_read_emulation(message, &node, &session, &commands));
    uuid_format(&node, text);
    assert_string_equal(text, NODE);
    uuid_format(&session, text);
    assert_string_equal(text, SECRET);
    assert_ptr_equal(commands.data, message.data + message.len - 2);
    assert_int_equal(commands.len, 2);
    static const struct slice wrong[] = {{"", 0},
                                         {"\xff", 1},
                                         {"\x0a\x24" NODE "\x12\x24" SECRET, 76},
                                         {"\x0a\x24" NODE "\x1a\x01x", 41},
                                         {"\x0a\x01x\x12\x24" SECRET "\x1a\x01x", 44}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_false(protobuf_read_emulation(wrong[i], &node, &session, &commands));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_when_read_then_as_in_json),
        cmocka_unit_test(test_command_when_its_data_is_no_json_then_said),
        cmocka_unit_test(test_command_when_its_text_has_a_nul_then_it_does_not_end_there),
        cmocka_unit_test(test_command_when_malformed_then_refused),
        cmocka_unit_test(test_command_when_cut_anywhere_then_nothing_is_read_past_its_end),
        cmocka_unit_test(test_messages_when_listed_then_each_behind_its_length),
        cmocka_unit_test(test_reply_when_written_then_of_the_protocols_numbers),
        cmocka_unit_test(test_reply_when_long_then_each_length_grows),
        cmocka_unit_test(test_emulation_when_read_then_node_session_and_commands),
        cmocka_unit_test(test_publication_when_encoded_then_the_octets_of_its_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
