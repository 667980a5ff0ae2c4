/* Whatever msgpack a stranger puts on the queue is decoded or refused, within bounds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/msg/check.h"
#include "common/msg/msg.h"
#include "common/msg/precheck.h"

static const char *const states[] = {"on", "off", NULL};
static const struct msg_shape word = {.type = MSG_STRING, .max_length = 3, .max_items = -1};
static const struct msg_field line_fields[] = {
    {.name = "quantity",
     .id = 1,
     .required = true,
     .shape = {.type = MSG_INTEGER,
               .max_length = -1,
               .max_items = -1,
               .has_minimum = true,
               .minimum = 1,
               .has_maximum = true,
               .maximum = 99}},
    {.name = "words",
     .id = 2,
     .shape = {.type = MSG_ARRAY, .max_length = -1, .max_items = 1000000, .items = &word}},
};
static const struct msg_object line = {line_fields, ARRAY_LEN(line_fields), true};
static const struct msg_shape line_shape = {
    .type = MSG_OBJECT, .max_length = -1, .max_items = -1, .object = &line};
static const struct msg_field fields[] = {
    {.name = "name",
     .id = 1,
     .required = true,
     .shape = {.type = MSG_STRING, .min_length = 1, .max_length = 5, .max_items = -1}},
    {.name = "state",
     .id = 2,
     .shape = {.type = MSG_STRING, .max_length = -1, .max_items = -1, .allowed = states}},
    {.name = "budget",
     .id = 3,
     .shape = {.type = MSG_NUMBER,
               .nullable = true,
               .max_length = -1,
               .max_items = -1,
               .has_minimum = true,
               .minimum = 0,
               .has_maximum = true,
               .maximum = 1e6,
               .multiple_of = 0.01}},
    {.name = "open", .id = 5, .shape = {.type = MSG_BOOLEAN, .max_length = -1, .max_items = -1}},
    {.name = "day",
     .id = 6,
     .shape = {.type = MSG_STRING, .format = MSG_FORMAT_DATE, .max_length = 10, .max_items = -1}},
    {.name = "lines",
     .id = 9,
     .shape = {.type = MSG_ARRAY, .max_length = -1, .min_items = 0, .max_items = 3, .items = &line_shape}},
};
static const struct msg_object object = {fields, ARRAY_LEN(fields), true};

static int setup(void **state)
{
    struct arena *arena = xcalloc(1, sizeof(*arena));
    arena_init(arena, 1024, 1 << 20);
    *state = arena;
    return 0;
}

static int teardown(void **state)
{
    arena_done(*state);
    free(*state);
    return 0;
}

/* Decodes from memory of exactly the size, so that reading past the end is noticed. */
static enum err decode(struct arena *arena, struct slice bytes, struct msg_value **ret_values, char why[160])
{
    char *exact = xmalloc(bytes.len);
    if (bytes.len)
        memcpy(exact, bytes.data, bytes.len);
    struct slice copy = {exact, bytes.len};
    enum err err = msg_decode(&object, copy, arena, ret_values, why);
    free(exact);
    return err;
}

static void assert_poison(struct arena *arena, struct slice bytes, const char *expected)
{
    struct msg_value *values = NULL;
    char why[160] = "";
    assert_int_equal(decode(arena, bytes, &values, why), ERR_POISON);
    assert_null(values);
    assert_string_equal(why, expected);
}

static const char whole[] = "\x86\x01\xa3"
                            "abc\x02\xa2on\x03\xcb\x40\x33\xfd\x70\xa3\xd7\x0a\x3d\x05\xc2\x06\xaa"
                            "2024-02-29\x09\x92\x81\x01\x07\x82\x01\x08\x02\x91\xa1x";

static void test_decode_when_valid_then_each_field_has_its_value(void **state)
{
    struct msg_value *v;
    char why[160];
    struct slice bytes = SLICE(whole);
    assert_int_equal(msg_decode(&object, bytes, *state, &v, why), ERR_OK);
    assert_true(slice_is(v[0].text, "abc"));
    assert_true(v[0].text.data >= bytes.data && v[0].text.data < bytes.data + bytes.len);
    assert_true(slice_is(v[1].text, "on"));
    assert_true(v[2].number == 19.99);
    assert_true(slice_is(v[2].text, "19.99"));
    assert_false(v[3].boolean);
    assert_true(slice_is(v[3].text, "false"));
    assert_int_equal(v[5].element_count, 2);
    const struct msg_value *second = v[5].elements[1].elements;
    assert_int_equal(second[0].integer, 8);
    assert_true(slice_is(second[0].text, "8"));
    assert_true(slice_is(second[1].elements[0].text, "x"));
    assert_int_equal(v[5].elements[0].elements[1].state, MSG_ABSENT);
}

/* An absent text is NULL; an empty one is not. */
static void test_decode_when_a_text_is_empty_then_it_is_there(void **state)
{
    struct msg_value *v;
    char why[160];
    assert_int_equal(msg_decode(&object, SLICE("\x81\x09\x91\x81\x02\x91\xa0"), *state, &v, why), ERR_OK);
    const struct msg_value *text = &v[5].elements[0].elements[1].elements[0];
    assert_non_null(text->text.data);
    assert_int_equal(text->text.len, 0);
}

static void test_decode_when_null_then_the_state_says_so(void **state)
{
    struct msg_value *v;
    char why[160];
    assert_int_equal(msg_decode(&object, SLICE("\x81\x03\xc0"), *state, &v, why), ERR_OK);
    assert_int_equal(v[0].state, MSG_ABSENT);
    assert_int_equal(v[2].state, MSG_IS_NULL);
    assert_null(v[2].text.data);
    assert_string_equal(msg_missing(&object, v)->name, "name");
    assert_poison(*state, SLICE("\x81\x01\xc0"), "name: must not be null");
}

static void test_decode_when_ids_are_unknown_then_they_are_skipped_whatever_they_hold(void **state)
{
    struct msg_value *v;
    char why[160];
    struct slice bytes =
        SLICE("\x86\x00\x93\x01\xc4\x02zz\x82\xa1k\xc0\x05\xd9\x01y\x01\xa1"
              "a\x04\xd6\x01\x01\x02\x03\x04\x05\xc3\x07\xcb\x7f\xf8\0\0\0\0\0\0\xcd\xff\xff\xdc\x00\x01\xcf"
              "\xff\xff\xff\xff\xff\xff\xff\xff");
    if (msg_decode(&object, bytes, *state, &v, why))
        fail_msg("%s", why);
    assert_true(slice_is(v[0].text, "a"));
    assert_true(v[3].boolean);
    assert_null(msg_missing(&object, v));
}

static void test_decode_when_truncated_anywhere_then_poison(void **state)
{
    struct msg_value *v;
    char why[160];
    for (size_t len = 0; len < sizeof(whole) - 1; len++)
        assert_int_equal(decode(*state, (struct slice){whole, len}, &v, why), ERR_POISON);
    assert_int_equal(decode(*state, SLICE(whole), &v, why), ERR_OK);
}

static void test_decode_when_something_follows_then_poison(void **state)
{
    assert_poison(*state, SLICE("\x80\xc0"), "something follows the message");
}

static void test_decode_when_counts_exceed_the_octets_then_poison_before_memory_is_taken(void **state)
{
    struct arena *arena = *state;
    static const char expected[] = "is malformed or cut short";
    assert_poison(arena, SLICE("\xdd\xff\xff\xff\xff"), expected);
    assert_poison(arena, SLICE("\xdf\xff\xff\xff\xff"), expected);
    assert_poison(arena, SLICE("\x81\x09\xdd\xff\xff\xff\xff"), expected);
    assert_poison(arena, SLICE("\x81\x01\xdb\xff\xff\xff\xff"), expected);
    assert_poison(arena, SLICE("\x81\x63\xc9\xff\xff\xff\xff\x01"), expected);
    assert_int_equal(arena->used, 0);
}

/* Each count alone fits the octets that remain; together they need more than there are. */
static void test_decode_when_counts_exceed_the_octets_in_sum_then_poison(void **state)
{
    assert_poison(*state, SLICE("\x82\x09\x92\x81\x02\x95\xa0\xa0\xa0\xa0\xa0"), "is malformed or cut short");
}

static void test_decode_when_unknown_values_nest_deeply_then_poison(void **state)
{
    struct msg_value *v;
    char why[160], deep[2 + 40 + 1] = "\x81\x63";
    memset(deep + 2, '\x91', 40);
    assert_poison(*state, (struct slice){deep, sizeof(deep)}, "nests too deeply");
    deep[2 + MSG_DEPTH_MAX] = 0;
    assert_poison(*state, (struct slice){deep, 2 + MSG_DEPTH_MAX + 1}, "nests too deeply");
    deep[2 + MSG_DEPTH_MAX - 1] = 0;
    assert_int_equal(decode(*state, (struct slice){deep, 2 + MSG_DEPTH_MAX}, &v, why), ERR_OK);
}

static void test_decode_when_ids_are_repeated_or_out_of_order_then_poison(void **state)
{
    static const char expected[] = "field ids must be integers in ascending order";
    assert_poison(*state, SLICE("\x82\x01\xa1x\x01\xa1x"), expected);
    assert_poison(*state, SLICE("\x82\x05\xc2\x01\xa1x"), expected);
    assert_poison(*state, SLICE("\x81\xff\xc2"), expected);
    assert_poison(*state, SLICE("\x81\xa4name\xa1x"), expected);
}

static void test_decode_when_types_are_wrong_then_poison(void **state)
{
    assert_poison(*state, SLICE(""), "is malformed or cut short");
    assert_poison(*state, SLICE("\xc1"), "is malformed or cut short");
    assert_poison(*state, SLICE("\x90"), "must be an object");
    assert_poison(*state, SLICE("\xc0"), "must not be null");
    assert_poison(*state, SLICE("\x81\x01\x05"), "name: must be a string");
    assert_poison(*state, SLICE("\x81\x01\xc4\x01x"), "name: must be a string");
    assert_poison(*state, SLICE("\x81\x03\xa1x"), "budget: must be a number");
    assert_poison(*state, SLICE("\x81\x03\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "budget: must be a number");
    assert_poison(*state, SLICE("\x81\x05\x01"), "open: must be true or false");
    assert_poison(*state, SLICE("\x81\x09\x91\x81\x01\xca\x3f\x80\0\0"), "quantity: must be an integer");
}

static void test_decode_when_bounds_are_broken_then_poison(void **state)
{
    assert_poison(*state, SLICE("\x81\x01\xa0"), "name: must have at least 1 character");
    assert_poison(*state,
                  SLICE("\x81\x01\xa6"
                        "abcdef"),
                  "name: must have at most 5 characters");
    assert_poison(*state,
                  SLICE("\x81\x01\xa3"
                        "a\0b"),
                  "name: must not contain the character U+0000");
    assert_poison(*state, SLICE("\x81\x01\xa1\xff"), "name: is not UTF-8");
    assert_poison(*state, SLICE("\x81\x02\xa2up"), "state: must be one of: on, off");
    assert_poison(*state, SLICE("\x81\x03\xff"), "budget: must be at least 0");
    assert_poison(*state, SLICE("\x81\x03\xca\x3b\x83\x12\x6f"), "budget: must be a multiple of 0.01");
    assert_poison(*state, SLICE("\x81\x03\xcb\x7f\xf0\0\0\0\0\0\0"), "budget: is not a finite number");
    assert_poison(*state,
                  SLICE("\x81\x06\xaa"
                        "2023-02-29"),
                  "day: must be a date (YYYY-MM-DD)");
    assert_poison(*state, SLICE("\x81\x09\x94\x80\x80\x80\x80"), "lines: must have at most 3 items");
    assert_poison(*state, SLICE("\x81\x09\x91\x81\x01\x64"), "quantity: must be at most 99");
}

static void test_decode_when_the_arena_is_full_then_poison_and_no_crash(void **state)
{
    (void)state;
    struct arena small;
    arena_init(&small, 64, 64);
    assert_poison(&small, SLICE("\x81\x01\xa1x"), "does not fit the memory for one message");
    arena_done(&small);
}

/* Octets of the value that begins with `first` when zeros follow: each count beyond the first octet is 0,
 * each element and each half of a pair is the integer 0. 0: no value begins so. */
static size_t length_before_zeros(int first)
{
    static const uint8_t lengths[] = {1, 0, 1, 1, 2, 3, 5, 3,  4,  6, 5, 9, 2, 3, 5, 9,  /* 0xc0 to 0xcf */
                                      2, 3, 5, 9, 3, 4, 6, 10, 18, 2, 3, 5, 3, 5, 3, 5}; /* 0xd0 to 0xdf */
    if (first < 0x80 || first >= 0xe0)
        return 1;
    if (first >= 0xc0)
        return lengths[first - 0xc0];
    if (first >= 0xa0)
        return 1 + (size_t)(first & 0x1f);
    return 1 + (size_t)(first & 0x0f) * (first < 0x90 ? 2 : 1);
}

static void test_precheck_when_any_first_octet_then_exactly_its_length_passes(void **state)
{
    (void)state;
    for (int first = 0; first < 256; first++) {
        size_t expected = length_before_zeros(first);
        for (size_t len = 1; len <= 40; len++) {
            CLEANUP_FREE char *exact = xcalloc(len, 1);
            exact[0] = (char)first;
            const char *fault = msg_precheck((struct slice){exact, len});
            if (len == expected)
                assert_null(fault);
            else if (len < expected || expected == 0)
                assert_string_equal(fault, "is malformed or cut short");
            else
                assert_string_equal(fault, "something follows the message");
        }
    }
}

static void test_decode_when_integers_are_extreme_then_exact(void **state)
{
    static const struct msg_field any[] = {
        {.name = "any", .id = 1, .shape = {.type = MSG_INTEGER, .max_length = -1, .max_items = -1}},
    };
    static const struct msg_object integer = {any, ARRAY_LEN(any), true};
    static const struct {
        struct slice bytes;
        int64_t value;
    } cases[] = {
        {{"\x81\x01\x7f", 3}, 127},
        {{"\x81\x01\xe0", 3}, -32},
        {{"\x81\x01\xcc\xff", 4}, 255},
        {{"\x81\x01\xcd\xff\xff", 5}, 65535},
        {{"\x81\x01\xce\xff\xff\xff\xff", 7}, 4294967295},
        {{"\x81\x01\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 11}, INT64_MAX},
        {{"\x81\x01\xd0\x80", 4}, -128},
        {{"\x81\x01\xd0\x05", 4}, 5},
        {{"\x81\x01\xd1\x80\x00", 5}, -32768},
        {{"\x81\x01\xd2\x80\x00\x00\x00", 7}, INT32_MIN},
        {{"\x81\x01\xd3\x80\0\0\0\0\0\0\0", 11}, INT64_MIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct msg_value *v;
        char why[160], text[32];
        snprintf(text, sizeof(text), "%lld", (long long)cases[i].value);
        assert_int_equal(msg_decode(&integer, cases[i].bytes, *state, &v, why), ERR_OK);
        assert_int_equal(v[0].integer, cases[i].value);
        assert_true(v[0].number == (double)cases[i].value);
        assert_true(slice_is(v[0].text, text));
    }
}

static void test_to_json_when_decodable_then_names_come_back(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(msg_to_json(&object, SLICE(whole), &out), ERR_OK);
    buf_append_char(&out, '\0');
    assert_string_equal(
        buf_data(&out),
        "{\"name\":\"abc\",\"state\":\"on\",\"budget\":19.99,\"open\":false,\"day\":\"2024-02-29\","
        "\"lines\":[{\"quantity\":7},{\"quantity\":8,\"words\":[\"x\"]}]}");
}

static void test_to_json_when_out_is_full_then_nothing_is_appended(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, 16);
    assert_int_equal(msg_to_json(&object, SLICE(whole), &out), ERR_BODY_TOO_LARGE);
    assert_int_equal(buf_len(&out), 0);
    assert_int_equal(msg_to_json(&object, SLICE("\xc1"), &out), ERR_POISON);
}

static void test_number_text_when_printed_then_the_shortest_that_reads_back(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {12.5, "12.5"},
        {19.99, "19.99"},
        {-0.05, "-0.05"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {999999999999.99, "999999999999.99"},
        {0.125, "0.125"},
        {1e15, "1e+15"},
        {1e300, "1e+300"},
        {5e-324, "4.94065645841247e-324"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[MSG_NUMBER_TEXT_SIZE];
        assert_int_equal(msg_number_text(cases[i].value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        assert_true(strtod(text, NULL) == cases[i].value);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_decode_when_valid_then_each_field_has_its_value),
        TEST(test_decode_when_a_text_is_empty_then_it_is_there),
        TEST(test_decode_when_null_then_the_state_says_so),
        TEST(test_decode_when_ids_are_unknown_then_they_are_skipped_whatever_they_hold),
        TEST(test_decode_when_truncated_anywhere_then_poison),
        TEST(test_decode_when_something_follows_then_poison),
        TEST(test_decode_when_counts_exceed_the_octets_then_poison_before_memory_is_taken),
        TEST(test_decode_when_counts_exceed_the_octets_in_sum_then_poison),
        TEST(test_decode_when_unknown_values_nest_deeply_then_poison),
        TEST(test_decode_when_ids_are_repeated_or_out_of_order_then_poison),
        TEST(test_decode_when_types_are_wrong_then_poison),
        TEST(test_decode_when_bounds_are_broken_then_poison),
        TEST(test_decode_when_the_arena_is_full_then_poison_and_no_crash),
        TEST(test_precheck_when_any_first_octet_then_exactly_its_length_passes),
        TEST(test_decode_when_integers_are_extreme_then_exact),
        TEST(test_to_json_when_decodable_then_names_come_back),
        TEST(test_to_json_when_out_is_full_then_nothing_is_appended),
        TEST(test_number_text_when_printed_then_the_shortest_that_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
