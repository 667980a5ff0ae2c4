/* permessage-deflate (RFC 7692): negotiation, frames that are compressed once, and messages that claim to be larger than they may. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <zlib.h>

#include "common/base/buf.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/frame.h"

enum { MAX_MESSAGE = 65536, MIN = 64 };

static struct config config = {.ws_deflate_level = 1, .ws_deflate_min = MIN};
static struct ws_deflate *deflate_state;

static int set_up(void **state)
{
    (void)state;
    deflate_state = ws_deflate_new(&config);
    assert_non_null(deflate_state);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ws_deflate_free(deflate_state);
    return 0;
}

/* ---- negotiation ---- */

#define ANSWER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static void test_offer_when_we_can_keep_to_it_then_answered_and_else_declined(void **state)
{
    (void)state;
    static const struct {
        const char *offers, *answer; /* NULL: declined */
    } cases[] = {
        {"permessage-deflate", ANSWER},
        {"permessage-deflate; client_max_window_bits", ANSWER},
        {" Permessage-Deflate ;client_max_window_bits=8 ", ANSWER},
        {"permessage-deflate; server_no_context_takeover; client_no_context_takeover", ANSWER},
        {"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
         ANSWER "; server_max_window_bits=12"},
        {"permessage-deflate; server_max_window_bits=\"15\"", ANSWER "; server_max_window_bits=12"},
        {"permessage-deflate; server_max_window_bits=10, permessage-deflate", ANSWER},
        {"x-webkit-deflate-frame, permessage-deflate", ANSWER},
        {"", NULL},
        {"permessage-bzip2", NULL},
        {"permessage-deflate; server_max_window_bits=11", NULL},
        {"permessage-deflate; server_max_window_bits", NULL},
        {"permessage-deflate; server_max_window_bits=16", NULL},
        {"permessage-deflate; server_max_window_bits=012", NULL},
        {"permessage-deflate; server_max_window_bits=", NULL},
        {"permessage-deflate; client_max_window_bits=7", NULL},
        {"permessage-deflate; client_max_window_bits=\"9", NULL},
        {"permessage-deflate; server_no_context_takeover=1", NULL},
        {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", NULL},
        {"permessage-deflate; mux", NULL},
        {"permessage-deflate; ; mux", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char answer[WS_DEFLATE_ANSWER_MAX] = "untouched";
        bool accepted = ws_deflate_accept(slice_of(cases[i].offers), answer);
        if (accepted != (cases[i].answer != NULL))
            fail_msg("%s: %s", cases[i].offers, accepted ? "accepted" : "declined");
        assert_string_equal(answer, cases[i].answer ? cases[i].answer : "untouched");
    }
}

static void test_level_when_zero_then_there_is_nothing_to_negotiate(void **state)
{
    (void)state;
    static const struct config off = {.ws_deflate_level = 0};
    assert_null(ws_deflate_new(&off));
}

/* ---- out ---- */

static struct bytes *frame_of(struct slice text)
{
    char *payload;
    struct bytes *frame = ws_frame_new(WS_TEXT, text.len, &payload);
    memcpy(payload, text.data, text.len);
    return frame;
}

static void test_frame_when_compressed_then_marked_and_another_inflates_it(void **state)
{
    (void)state;
    static char text[4000];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "concrete for the north pier; "[i % 29];
    struct bytes *frame = frame_of((struct slice){text, sizeof(text)});
    struct bytes *compressed = ws_deflate_frame(deflate_state, frame);
    assert_true(compressed->slice.len < frame->slice.len / 4);
    assert_int_equal((uint8_t)compressed->slice.data[0], 0xC1); /* FIN, RSV1, text */
    struct slice payload = ws_frame_payload(compressed), message;
    assert_int_equal(ws_inflate(deflate_state, payload, sizeof(text), &message), 0);
    assert_int_equal(message.len, sizeof(text));
    assert_memory_equal(message.data, text, sizeof(text));
    bytes_unref(compressed);
    bytes_unref(frame);
}

static void test_frame_when_many_want_it_then_compressed_once(void **state)
{
    (void)state;
    static char text[1000];
    memset(text, 'x', sizeof(text));
    struct bytes *frame = frame_of((struct slice){text, sizeof(text)});
    struct bytes *first = ws_deflate_frame(deflate_state, frame);
    struct bytes *second = ws_deflate_frame(deflate_state, frame);
    assert_ptr_equal(first, second);
    bytes_unref(first);
    bytes_unref(second);
    bytes_unref(frame);
}

static void test_frame_when_short_or_no_shorter_for_it_then_sent_as_it_is(void **state)
{
    (void)state;
    char text[512];
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)((random = random * 1103515245U + 12345U) >> 24);
    const struct slice cases[] = {{"{}", 2}, {text, MIN - 1}, {text, sizeof(text)}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes *frame = frame_of(cases[i]);
        struct bytes *sent = ws_deflate_frame(deflate_state, frame);
        assert_ptr_equal(sent, frame);
        bytes_unref(sent);
        bytes_unref(frame);
    }
}

/* ---- in ---- */

/* The examples of RFC 7692 7.2.3: compressed, not compressed, with a block that says it is the last, in two blocks. */
static void test_message_when_from_the_rfc_then_hello(void **state)
{
    (void)state;
    static const struct slice cases[] = {
        {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7},
        {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11},
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8},
        {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice message;
        assert_int_equal(ws_inflate(deflate_state, cases[i], MAX_MESSAGE, &message), 0);
        assert_true(slice_is(message, "Hello"));
    }
}

static size_t compress_zeros(size_t len, Bytef *space, size_t size)
{
    z_stream out = {0};
    Bytef *zeros = xcalloc(len, 1);
    assert_int_equal(deflateInit2(&out, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    out.next_in = zeros;
    out.avail_in = (uInt)len;
    out.next_out = space;
    out.avail_out = (uInt)size;
    assert_int_equal(deflate(&out, Z_SYNC_FLUSH), Z_OK);
    size_t written = size - out.avail_out;
    deflateEnd(&out);
    free(zeros);
    return written - 4;
}

static void test_message_when_it_grows_past_the_limit_then_too_big_and_the_next_one_is_read(void **state)
{
    (void)state;
    static Bytef space[MAX_MESSAGE];
    struct slice message;
    size_t bomb = compress_zeros(50 << 20, space, sizeof(space));
    assert_true(bomb < sizeof(space));
    assert_int_equal(ws_inflate(deflate_state, (struct slice){(char *)space, bomb}, MAX_MESSAGE, &message),
                     WS_CODE_TOO_BIG);
    size_t largest = compress_zeros(MAX_MESSAGE, space, sizeof(space));
    assert_int_equal(ws_inflate(deflate_state, (struct slice){(char *)space, largest}, MAX_MESSAGE, &message),
                     0);
    assert_int_equal(message.len, MAX_MESSAGE);
    assert_int_equal(
        ws_inflate(deflate_state, (struct slice){(char *)space, largest}, MAX_MESSAGE - 1, &message),
        WS_CODE_TOO_BIG);
}

static void test_message_when_not_deflate_then_invalid(void **state)
{
    (void)state;
    struct slice message;
    assert_int_equal(ws_inflate(deflate_state, SLICE("\xff\xff\xff\xff"), MAX_MESSAGE, &message),
                     WS_CODE_INVALID_PAYLOAD);
    assert_int_equal(ws_inflate(deflate_state, SLICE(""), MAX_MESSAGE, &message), 0);
    assert_int_equal(message.len, 0);
}

/* ---- through the reader ---- */

static char heard[64];

static bool on_message(void *ctx, struct slice message)
{
    (void)ctx;
    snprintf(heard, sizeof(heard), "%.*s", (int)message.len, message.data);
    return true;
}

static bool on_control(void *ctx, struct slice payload)
{
    (void)ctx, (void)payload;
    return true;
}

static bool on_close(void *ctx, int code, struct slice reason)
{
    (void)ctx, (void)code, (void)reason;
    return false;
}

/* Octet by octet, masked with zeros. */
static int read_frames(struct ws_deflate *with, struct slice frames)
{
    static const struct ws_reader_callbacks callbacks = {on_message, on_control, on_control, on_close};
    struct ws_reader *reader = ws_reader_new(WS_TEXT, MAX_MESSAGE, with);
    int code = 0;
    heard[0] = '\0';
    for (size_t i = 0; i < frames.len && code == 0; i++)
        code = ws_reader_feed(reader, (struct slice){frames.data + i, 1}, &callbacks, NULL);
    ws_reader_free(reader);
    return code;
}

#define MASK "\x00\x00\x00\x00"

static void test_reader_when_frames_are_compressed_then_one_message_and_bits_only_where_they_belong(
    void **state)
{
    (void)state;
    /* In one frame; in two with a ping between; only where it was negotiated. */
    static const char whole[] = "\xc1\x87" MASK "\xf2\x48\xcd\xc9\xc9\x07\x00";
    static const char parts[] = "\x41\x83" MASK "\xf2\x48\xcd"
                                "\x89\x80" MASK "\x80\x84" MASK "\xc9\xc9\x07\x00";
    assert_int_equal(read_frames(deflate_state, SLICE(whole)), 0);
    assert_string_equal(heard, "Hello");
    assert_int_equal(read_frames(deflate_state, SLICE(parts)), 0);
    assert_string_equal(heard, "Hello");
    assert_int_equal(read_frames(NULL, SLICE(whole)), WS_CODE_PROTOCOL_ERROR);
    /* Uncompressed is allowed at any time. RSV1 on a continuation or a control frame, or RSV2, is not. */
    assert_int_equal(read_frames(deflate_state, SLICE("\x81\x85" MASK "Hello")), 0);
    assert_string_equal(heard, "Hello");
    assert_int_equal(read_frames(deflate_state, SLICE("\x41\x81" MASK "\xf2"
                                                      "\xc0\x81" MASK "\x48")),
                     WS_CODE_PROTOCOL_ERROR);
    assert_int_equal(read_frames(deflate_state, SLICE("\xc9\x80" MASK)), WS_CODE_PROTOCOL_ERROR);
    assert_int_equal(read_frames(deflate_state, SLICE("\xe1\x87" MASK "\xf2\x48\xcd\xc9\xc9\x07\x00")),
                     WS_CODE_PROTOCOL_ERROR);
}

static void test_reader_when_inflated_text_is_not_utf8_then_invalid(void **state)
{
    (void)state;
    assert_int_equal(read_frames(deflate_state, SLICE("\xc1\x88" MASK "\x00\x02\x00\xfd\xff\xc3\x28\x00")),
                     WS_CODE_INVALID_PAYLOAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offer_when_we_can_keep_to_it_then_answered_and_else_declined),
        cmocka_unit_test(test_level_when_zero_then_there_is_nothing_to_negotiate),
        cmocka_unit_test(test_frame_when_compressed_then_marked_and_another_inflates_it),
        cmocka_unit_test(test_frame_when_many_want_it_then_compressed_once),
        cmocka_unit_test(test_frame_when_short_or_no_shorter_for_it_then_sent_as_it_is),
        cmocka_unit_test(test_message_when_from_the_rfc_then_hello),
        cmocka_unit_test(test_message_when_it_grows_past_the_limit_then_too_big_and_the_next_one_is_read),
        cmocka_unit_test(test_message_when_not_deflate_then_invalid),
        cmocka_unit_test(
            test_reader_when_frames_are_compressed_then_one_message_and_bits_only_where_they_belong),
        cmocka_unit_test(test_reader_when_inflated_text_is_not_utf8_then_invalid),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
