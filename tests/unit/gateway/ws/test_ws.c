#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/handshake.h"

enum { MAX_MESSAGE = 1000 };

/* What a reader has told, as text: "text:hello ping:x close:1000:bye". */
struct heard {
    struct buf log;
    bool stop_at_text;
};

static bool note(struct heard *heard, const char *what, struct slice payload)
{
    if (buf_len(&heard->log) > 0)
        buf_append_char(&heard->log, ' ');
    buf_append_text(&heard->log, what);
    buf_append_slice(&heard->log, payload);
    return true;
}

static bool on_message(void *ctx, struct slice message)
{
    struct heard *heard = ctx;
    note(heard, "text:", message);
    return !heard->stop_at_text;
}

static bool on_ping(void *ctx, struct slice payload)
{
    return note(ctx, "ping:", payload);
}

static bool on_pong(void *ctx, struct slice payload)
{
    return note(ctx, "pong:", payload);
}

static bool on_close(void *ctx, int code, struct slice reason)
{
    char what[32];
    snprintf(what, sizeof(what), "close:%d:", code);
    note(ctx, what, reason);
    return false;
}

static const struct ws_reader_callbacks callbacks = {on_message, on_ping, on_pong, on_close};

/* A client's frame: `first` is FIN, RSV and opcode. */
static void add_frame(struct buf *wire, uint8_t first, bool masked, const char *payload, size_t len)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t head[WS_HEAD_MAX];
    size_t head_len = ws_frame_head(WS_TEXT, len, head);
    head[0] = first;
    head[1] = (uint8_t)(head[1] | (masked ? 0x80 : 0));
    assert_true(buf_append(wire, head, head_len));
    if (masked)
        assert_true(buf_append(wire, mask, sizeof(mask)));
    for (size_t i = 0; i < len; i++)
        assert_true(buf_append_char(wire, (char)(masked ? payload[i] ^ mask[i % 4] : payload[i])));
}

static void add(struct buf *wire, uint8_t first, const char *payload)
{
    add_frame(wire, first, true, payload, strlen(payload));
}

static struct buf wire;

static int set_up(void **state)
{
    (void)state;
    buf_init(&wire, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&wire);
    return 0;
}

/* Feeds the wire in steps of `step` octets; the code, and what was heard in *ret_log (to be freed). */
static int feed(size_t step, bool *ret_rest, char **ret_log)
{
    struct heard heard = {0};
    buf_init(&heard.log, 1 << 20);
    struct ws_reader *reader = ws_reader_new(WS_TEXT, MAX_MESSAGE, NULL);
    int code = 0;
    for (size_t at = 0; at < buf_len(&wire) && code == 0; at += step) {
        size_t left = buf_len(&wire) - at;
        code = ws_reader_feed(reader, (struct slice){buf_data(&wire) + at, left < step ? left : step},
                              &callbacks, &heard);
    }
    *ret_rest = ws_reader_at_rest(reader);
    ws_reader_free(reader);
    buf_append_char(&heard.log, '\0');
    *ret_log = xstrdup(buf_data(&heard.log));
    buf_done(&heard.log);
    return code;
}

/* The same whether the bytes come at once, one at a time or in odd pieces. */
static void assert_heard(int expected_code, const char *expected)
{
    static const size_t steps[] = {1, 2, 3, 7, 100, 4096, 1 << 20};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        bool rest;
        char *log;
        int code = feed(steps[i], &rest, &log);
        assert_int_equal(code, expected_code);
        assert_string_equal(log, expected);
        if (code == 0)
            assert_true(rest);
        free(log);
    }
}

static void test_text_when_whole_then_heard_unmasked(void **state)
{
    (void)state;
    add(&wire, 0x81, "{\"id\":1}");
    add(&wire, 0x81, "");
    add(&wire, 0x81, "\xc3\xa9t\xc3\xa9");
    assert_heard(0, "text:{\"id\":1} text: text:\xc3\xa9t\xc3\xa9");
}

static void test_text_when_in_fragments_then_heard_whole_and_controls_between(void **state)
{
    (void)state;
    add(&wire, 0x01, "one ");
    add(&wire, 0x89, "p");
    add(&wire, 0x00, "");
    add(&wire, 0x8a, "q");
    add(&wire, 0x00, "two ");
    add(&wire, 0x80, "three");
    add(&wire, 0x81, "next");
    assert_heard(0, "ping:p pong:q text:one two three text:next");
}

static void test_text_when_a_character_is_split_between_fragments_then_valid(void **state)
{
    (void)state;
    add(&wire, 0x01, "\xe2\x82");
    add(&wire, 0x80, "\xac");
    assert_heard(0, "text:\xe2\x82\xac");
}

static void assert_text_of_length_is_heard(size_t len, int expected_code)
{
    char *text = xmalloc(len + 1);
    memset(text, 'x', len);
    text[len] = '\0';
    buf_clear(&wire);
    add_frame(&wire, 0x81, true, text, len);
    char *expected = xmalloc(len + 6);
    snprintf(expected, len + 6, "%s%s", expected_code ? "" : "text:", expected_code ? "" : text);
    assert_heard(expected_code, expected);
    free(expected);
    free(text);
}

static void test_text_when_at_each_length_form_then_heard(void **state)
{
    (void)state;
    assert_text_of_length_is_heard(125, 0);
    assert_text_of_length_is_heard(126, 0);
    assert_text_of_length_is_heard(127, 0);
    assert_text_of_length_is_heard(MAX_MESSAGE, 0);
}

static void test_text_when_over_the_limit_then_too_big(void **state)
{
    (void)state;
    assert_text_of_length_is_heard(MAX_MESSAGE + 1, WS_CODE_TOO_BIG);
    assert_text_of_length_is_heard(70000, WS_CODE_TOO_BIG);
}

static void test_text_when_fragments_add_up_over_the_limit_then_too_big(void **state)
{
    (void)state;
    char text[MAX_MESSAGE / 2 + 2];
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    add(&wire, 0x01, text);
    add(&wire, 0x80, text);
    assert_heard(WS_CODE_TOO_BIG, "");
}

static void test_text_when_not_utf8_then_invalid_payload(void **state)
{
    (void)state;
    static const char *const bad[] = {"\xff", "a\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        buf_clear(&wire);
        add(&wire, 0x81, bad[i]);
        assert_heard(WS_CODE_INVALID_PAYLOAD, "");
        buf_clear(&wire);
        add(&wire, 0x01, "fine so far ");
        add(&wire, 0x80, bad[i]);
        assert_heard(WS_CODE_INVALID_PAYLOAD, "");
    }
}

static void test_control_when_of_any_length_up_to_125_then_heard(void **state)
{
    (void)state;
    char text[WS_CONTROL_MAX + 1];
    memset(text, 'p', WS_CONTROL_MAX);
    text[WS_CONTROL_MAX] = '\0';
    add(&wire, 0x89, text);
    add(&wire, 0x8a, "");
    char expected[200];
    snprintf(expected, sizeof(expected), "ping:%s pong:", text);
    assert_heard(0, expected);
}

static void test_close_when_well_formed_then_heard_with_its_code(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        size_t len;
        const char *heard;
    } cases[] = {
        {"", 0, "close:1005:"},
        {"\x03\xe8", 2, "close:1000:"},
        {"\x03\xe9going", 7, "close:1001:going"},
        {"\x0b\xb8", 2, "close:3000:"},
        {"\x13\x87", 2, "close:4999:"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&wire);
        add_frame(&wire, 0x88, true, cases[i].payload, cases[i].len);
        assert_heard(0, cases[i].heard);
    }
}

static void test_close_when_malformed_then_refused(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        size_t len;
        int code;
    } cases[] = {
        {"\x03", 1, WS_CODE_PROTOCOL_ERROR},          /* half a code */
        {"\x00\x00", 2, WS_CODE_PROTOCOL_ERROR},      /* 0 */
        {"\x03\xe7", 2, WS_CODE_PROTOCOL_ERROR},      /* 999 */
        {"\x03\xec", 2, WS_CODE_PROTOCOL_ERROR},      /* 1004 */
        {"\x03\xed", 2, WS_CODE_PROTOCOL_ERROR},      /* 1005 */
        {"\x03\xee", 2, WS_CODE_PROTOCOL_ERROR},      /* 1006 */
        {"\x03\xf7", 2, WS_CODE_PROTOCOL_ERROR},      /* 1015 */
        {"\x07\xd0", 2, WS_CODE_PROTOCOL_ERROR},      /* 2000 */
        {"\x13\x88", 2, WS_CODE_PROTOCOL_ERROR},      /* 5000 */
        {"\x03\xe8\xff", 3, WS_CODE_INVALID_PAYLOAD}, /* reason is not UTF-8 */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&wire);
        add_frame(&wire, 0x88, true, cases[i].payload, cases[i].len);
        assert_heard(cases[i].code, "");
    }
}

static void assert_refused(int code)
{
    assert_heard(code, "");
    buf_clear(&wire);
}

static void test_frame_when_malformed_then_protocol_error(void **state)
{
    (void)state;
    add_frame(&wire, 0x81, false, "hello", 5); /* not masked */
    assert_refused(WS_CODE_PROTOCOL_ERROR);
    static const uint8_t firsts[] = {
        0xc1, 0xa1, 0x91,             /* reserved bits */
        0x83, 0x84, 0x85, 0x86, 0x87, /* reserved data opcodes */
        0x8b, 0x8c, 0x8d, 0x8e, 0x8f, /* reserved control opcodes */
        0x80, 0x00,                   /* continues nothing */
        0x09, 0x08, 0x0a,             /* control frames in fragments */
    };
    for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
        add(&wire, firsts[i], "hello");
        assert_refused(WS_CODE_PROTOCOL_ERROR);
    }
    char long_payload[WS_CONTROL_MAX + 2];
    memset(long_payload, 'p', sizeof(long_payload) - 1);
    long_payload[sizeof(long_payload) - 1] = '\0';
    add(&wire, 0x89, long_payload); /* a control frame of 126 octets */
    assert_refused(WS_CODE_PROTOCOL_ERROR);
    add(&wire, 0x01, "one");
    add(&wire, 0x81, "a new message inside another");
    assert_refused(WS_CODE_PROTOCOL_ERROR);
}

static void test_frame_when_its_length_is_not_minimal_then_protocol_error(void **state)
{
    (void)state;
    buf_append(&wire, "\x81\xfe\x00\x05\x01\x02\x03\x04hello", 13);
    assert_refused(WS_CODE_PROTOCOL_ERROR);
    buf_append(&wire, "\x81\xff\x00\x00\x00\x00\x00\x00\x01\x00\x01\x02\x03\x04hello", 19);
    assert_refused(WS_CODE_PROTOCOL_ERROR);
    buf_append(&wire, "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04hello", 19);
    assert_refused(WS_CODE_PROTOCOL_ERROR); /* the highest bit is set */
    buf_append(&wire, "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04hello", 19);
    assert_refused(WS_CODE_TOO_BIG); /* before anything is allocated for it */
}

static void test_binary_when_sent_then_unsupported(void **state)
{
    (void)state;
    add(&wire, 0x82, "hello");
    assert_refused(WS_CODE_UNSUPPORTED_DATA);
}

static void test_reader_when_cut_anywhere_then_not_at_rest_and_no_error(void **state)
{
    (void)state;
    add(&wire, 0x01, "one");
    add(&wire, 0x89, "ping");
    add(&wire, 0x80, "two");
    size_t whole = buf_len(&wire);
    for (size_t len = 1; len < whole; len++) {
        struct heard heard = {0};
        buf_init(&heard.log, 4096);
        struct ws_reader *reader = ws_reader_new(WS_TEXT, MAX_MESSAGE, NULL);
        assert_int_equal(ws_reader_feed(reader, (struct slice){buf_data(&wire), len}, &callbacks, &heard), 0);
        assert_false(ws_reader_at_rest(reader));
        ws_reader_free(reader);
        buf_done(&heard.log);
    }
}

static void test_reader_when_told_to_stop_then_hears_no_more(void **state)
{
    (void)state;
    add(&wire, 0x81, "one");
    add(&wire, 0x81, "two");
    struct heard heard = {.stop_at_text = true};
    buf_init(&heard.log, 4096);
    struct ws_reader *reader = ws_reader_new(WS_TEXT, MAX_MESSAGE, NULL);
    assert_int_equal(ws_reader_feed(reader, buf_slice(&wire), &callbacks, &heard), 0);
    assert_true(slice_is(buf_slice(&heard.log), "text:one"));
    ws_reader_free(reader);
    buf_done(&heard.log);
}

static void test_frame_head_when_at_each_length_form_then_as_rfc_6455_5_2(void **state)
{
    (void)state;
    uint8_t head[WS_HEAD_MAX];
    assert_int_equal(ws_frame_head(WS_TEXT, 125, head), 2);
    assert_memory_equal(head, "\x81\x7d", 2);
    assert_int_equal(ws_frame_head(WS_PONG, 0, head), 2);
    assert_memory_equal(head, "\x8a\x00", 2);
    assert_int_equal(ws_frame_head(WS_TEXT, 126, head), 4);
    assert_memory_equal(head, "\x81\x7e\x00\x7e", 4);
    assert_int_equal(ws_frame_head(WS_TEXT, 65535, head), 4);
    assert_memory_equal(head, "\x81\x7e\xff\xff", 4);
    assert_int_equal(ws_frame_head(WS_TEXT, 65536, head), 10);
    assert_memory_equal(head, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
}

static void test_close_payload_when_the_reason_is_long_then_cut(void **state)
{
    (void)state;
    char payload[WS_CONTROL_MAX];
    assert_int_equal(ws_close_payload(3001, SLICE("shutdown"), payload), 10);
    assert_memory_equal(payload, "\x0b\xb9shutdown", 10);
    char reason[300];
    memset(reason, 'r', sizeof(reason));
    assert_int_equal(ws_close_payload(3001, (struct slice){reason, sizeof(reason)}, payload), WS_CONTROL_MAX);
}

static void test_accept_when_the_key_is_that_of_the_rfc_then_its_answer_too(void **state)
{
    (void)state;
    char accept[WS_ACCEPT_LEN + 1];
    ws_handshake_accept(SLICE("dGhlIHNhbXBsZSBub25jZQ=="), accept); /* RFC 6455 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/* The opening handshake of RFC 6455 1.3, with that method. */
static enum err handshake_by(enum http_method method)
{
    static const struct config config = {.cors_origins = ""};
    static struct call_header headers[] = {
        {{"Upgrade", 7}, {"websocket", 9}},
        {{"Connection", 10}, {"Upgrade", 7}},
        {{"Sec-WebSocket-Key", 17}, {"dGhlIHNhbXBsZSBub25jZQ==", 24}},
        {{"Sec-WebSocket-Version", 21}, {"13", 2}},
    };
    struct gateway gateway = {.config = &config};
    struct call call = {
        .gateway = &gateway, .method = method, .headers = headers, .header_count = ARRAY_LEN(headers)};
    const char *detail = NULL;
    buf_init(&call.added, 1024);
    enum err err = ws_handshake_check(&call, &detail);
    assert_true(err == ERR_OK || detail);
    buf_done(&call.added);
    return err;
}

static void test_handshake_when_not_a_get_then_refused(void **state)
{
    (void)state;
    assert_int_equal(handshake_by(METHOD_GET), ERR_OK);
    static const enum http_method others[] = {METHOD_HEAD,   METHOD_POST,    METHOD_PUT,  METHOD_PATCH,
                                              METHOD_DELETE, METHOD_OPTIONS, METHOD_OTHER};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(handshake_by(others[i]), ERR_UPGRADE_REQUIRED);
}

#define WITH_WIRE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WIRE(test_text_when_whole_then_heard_unmasked),
        WITH_WIRE(test_text_when_in_fragments_then_heard_whole_and_controls_between),
        WITH_WIRE(test_text_when_a_character_is_split_between_fragments_then_valid),
        WITH_WIRE(test_text_when_at_each_length_form_then_heard),
        WITH_WIRE(test_text_when_over_the_limit_then_too_big),
        WITH_WIRE(test_text_when_fragments_add_up_over_the_limit_then_too_big),
        WITH_WIRE(test_text_when_not_utf8_then_invalid_payload),
        WITH_WIRE(test_control_when_of_any_length_up_to_125_then_heard),
        WITH_WIRE(test_close_when_well_formed_then_heard_with_its_code),
        WITH_WIRE(test_close_when_malformed_then_refused),
        WITH_WIRE(test_frame_when_malformed_then_protocol_error),
        WITH_WIRE(test_frame_when_its_length_is_not_minimal_then_protocol_error),
        WITH_WIRE(test_binary_when_sent_then_unsupported),
        WITH_WIRE(test_reader_when_cut_anywhere_then_not_at_rest_and_no_error),
        WITH_WIRE(test_reader_when_told_to_stop_then_hears_no_more),
        cmocka_unit_test(test_frame_head_when_at_each_length_form_then_as_rfc_6455_5_2),
        cmocka_unit_test(test_close_payload_when_the_reason_is_long_then_cut),
        cmocka_unit_test(test_handshake_when_not_a_get_then_refused),
        cmocka_unit_test(test_accept_when_the_key_is_that_of_the_rfc_then_its_answer_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
