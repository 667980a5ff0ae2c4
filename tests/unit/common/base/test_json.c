#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/json.h"

static void drop_json(json_t **json)
{
    json_decref(*json);
}

/* The parser must not look past the end: each text is given from memory of exactly its size. */
static enum err parse(struct slice text, int64_t max_depth, json_t **ret_json, char why[160])
{
    CLEANUP_FREE char *exact = xmalloc(text.len);
    memcpy(exact, text.data, text.len);
    return json_parse((struct slice){exact, text.len}, max_depth, ret_json, why);
}

static void assert_refused(struct slice text, const char *expected)
{
    CLEANUP(drop_json) json_t *json = NULL;
    char why[160] = "";
    assert_int_equal(parse(text, 32, &json, why), ERR_BAD_REQUEST);
    assert_null(json);
    if (!strstr(why, expected))
        fail_msg("expected `%s` in: %s", expected, why);
}

static void test_parse_when_valid_then_gives_the_value(void **state)
{
    (void)state;
    CLEANUP(drop_json) json_t *json = NULL;
    char why[160];
    assert_int_equal(parse(SLICE(" {\"a\":[1,2.5,\"\xc3\xa9\",true,null]} "), 2, &json, why), ERR_OK);
    assert_int_equal(json_array_size(json_object_get(json, "a")), 5);
}

static void test_parse_when_scalar_then_accepts_it(void **state)
{
    (void)state;
    CLEANUP(drop_json) json_t *json = NULL;
    char why[160];
    assert_int_equal(parse(SLICE("\"alone\""), 1, &json, why), ERR_OK);
    assert_string_equal(json_string_value(json), "alone");
}

static void test_parse_when_nul_is_escaped_then_keeps_it_for_the_validator(void **state)
{
    (void)state;
    CLEANUP(drop_json) json_t *json = NULL;
    char why[160];
    assert_int_equal(parse(SLICE("\"a\\u0000b\""), 1, &json, why), ERR_OK);
    assert_int_equal(json_string_length(json), 3);
}

static void test_parse_when_malformed_then_says_where(void **state)
{
    (void)state;
    assert_refused(SLICE(""), "line 1");
    assert_refused(SLICE("{\"a\":1,}"), "line 1, column 8: ");
    assert_refused(SLICE("{\n\"a\" 1}"), "line 2, column 5: ':' expected");
    assert_refused(SLICE("[1] [2]"), "line 1, column 5: end of file expected");
    assert_refused(SLICE("{'a':1}"), "line 1, column 2: ");
    assert_refused(SLICE("[01]"), "line 1, column 2: invalid token");
    assert_refused(SLICE("[1 2]"), "line 1, column 4: ']' expected");
    assert_refused(SLICE("{\"a\":1 2}"), "line 1, column 8: '}' expected");
    assert_refused(SLICE("[9223372036854775808]"), "too big integer");
    assert_refused(SLICE("[-9223372036854775809]"), "too big negative integer");
    assert_refused(SLICE("\"a\tb\""), "line 1, column 2: control character 0x9");
    assert_refused(SLICE("[\"\\x\"]"), "line 1, column 4: invalid escape");
    assert_refused(SLICE("[\"\\u12g4\"]"), "invalid escape");
    assert_refused(SLICE("[nul]"), "line 1, column 4: invalid token");
    assert_refused(SLICE("[1e999]"), "real number overflow");
    assert_refused(SLICE("\xef\xbb\xbf{}"), "line 1, column 1: ");
}

static void test_parse_when_name_is_repeated_then_refuses(void **state)
{
    (void)state;
    assert_refused(SLICE("{\"a\":1,\"a\":1}"), "duplicate");
}

static void test_parse_when_a_name_has_nul_then_refuses(void **state)
{
    (void)state;
    assert_refused(SLICE("{\"a\\u0000b\":1}"), "NUL byte in object key");
}

static void test_parse_when_strings_are_escaped_then_read_as_meant(void **state)
{
    (void)state;
    CLEANUP(drop_json) json_t *json = NULL;
    char why[160];
    struct slice text = SLICE("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\\u0041\\u00e9\\u20AC\\ud83c\\udfd7\"]");
    assert_int_equal(parse(text, 1, &json, why), ERR_OK);
    assert_string_equal(json_string_value(json_array_get(json, 0)), "\"\\/\b\f\n\r\t");
    assert_string_equal(json_string_value(json_array_get(json, 1)), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x8f\x97");
}

static void test_parse_when_a_name_is_escaped_then_it_is_the_same_name(void **state)
{
    (void)state;
    CLEANUP(drop_json) json_t *json = NULL;
    char why[160];
    assert_int_equal(parse(SLICE("{\"n\\u0061me\":\"\\u0041\"}"), 1, &json, why), ERR_OK);
    assert_string_equal(json_string_value(json_object_get(json, "name")), "A");
    assert_refused(SLICE("{\"name\":1,\"n\\u0061me\":2}"), "duplicate object key");
}

/* The numbers must be equal to the last bit. */
static void test_parse_when_numbers_then_the_nearest_double_or_the_exact_integer(void **state)
{
    (void)state;
    static const char *const reals[] = {"0.1",
                                        "-0.5",
                                        "19.99",
                                        "1250000.5",
                                        "0.000001",
                                        "1e22",
                                        "1E-22",
                                        "4.9e-324",
                                        "1.7976931348623157e308",
                                        "0.30000000000000004",
                                        "123456789012345.6",
                                        "9007199254740993.0",
                                        "0.1234567890123456789",
                                        "0.00000000000000000000000001"};
    static const struct {
        const char *text;
        json_int_t value;
    } integers[] = {{"0", 0},
                    {"-0.0", 0},
                    {"5.0", 5},
                    {"1e1", 10},
                    {"2.5e+3", 2500},
                    {"-1E0", -1},
                    {"9007199254740991.0", 9007199254740991},
                    {"1e-400", 0},
                    {"-0", 0},
                    {"7", 7},
                    {"9223372036854775807", INT64_MAX},
                    {"-9223372036854775808", INT64_MIN}};
    char why[160];
    for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
        CLEANUP(drop_json) json_t *json = NULL;
        double expected = strtod(reals[i], NULL), value;
        assert_int_equal(parse(slice_of(reals[i]), 1, &json, why), ERR_OK);
        assert_true(json_is_real(json));
        value = json_real_value(json);
        assert_memory_equal(&value, &expected, sizeof(value));
    }
    for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
        CLEANUP(drop_json) json_t *json = NULL;
        assert_int_equal(parse(slice_of(integers[i].text), 1, &json, why), ERR_OK);
        assert_true(json_is_integer(json));
        assert_int_equal(json_integer_value(json), integers[i].value);
    }
}

static void test_parse_when_refused_then_the_sentence_is_ascii(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[\"\xff\"]",
        "[\"\xc0\xaf\"]",
        "[\"\xed\xa0\x80\"]",
        "[\"\xf4\x90\x80\x80\"]",
        "[\"\xe9\"]",
        "[\"\x80\"]",
        "[{\"caf\xc3\xa9\":1 \"caf\xc3\xa9\"}]",
        "\x7f",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP(drop_json) json_t *json = NULL;
        char why[160];
        assert_int_equal(parse(slice_of(texts[i]), 8, &json, why), ERR_BAD_REQUEST);
        for (const char *c = why; *c; c++)
            assert_in_range(*c, 0x20, 0x7e);
    }
}

static void test_parse_when_a_nul_octet_stands_anywhere_then_refuses(void **state)
{
    (void)state;
    assert_refused(SLICE("\0"), "line 1, column 1: the octet 0");
    assert_refused(SLICE("123\0"), "line 1, column 4: the octet 0");
    assert_refused(SLICE("{}\0 not JSON at all"), "line 1, column 3: the octet 0");
    assert_refused(SLICE("\n[\0]"), "line 2, column 2: the octet 0");
    assert_refused(SLICE("\"\xc3\xa9\0\""), "line 1, column 3: the octet 0");
}

static void test_parse_when_lone_surrogate_then_refuses(void **state)
{
    (void)state;
    assert_refused(SLICE("\"\\ud800\""), "line 1");
    assert_refused(SLICE("\"\\udc00\""), "line 1");
}

static void nest(struct buf *text, const char *open, const char *close, int depth)
{
    buf_init(text, 1 << 20);
    for (int i = 0; i < depth; i++)
        buf_append_text(text, open);
    for (int i = 0; i < depth; i++)
        buf_append_text(text, close);
}

static void test_parse_when_at_the_depth_limit_then_accepts(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf text;
    CLEANUP(drop_json) json_t *json = NULL;
    char why[160];
    nest(&text, "[", "]", 32);
    assert_int_equal(parse(buf_slice(&text), 32, &json, why), ERR_OK);
}

static void test_parse_when_deeper_than_the_limit_then_refuses(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf arrays, objects, open;
    nest(&arrays, "[", "]", 33);
    nest(&objects, "{\"[\":", "}", 100000);
    nest(&open, "[", "", 100000);
    assert_refused(buf_slice(&arrays), "line 1, column 33: nested too deeply (more than 32 levels)");
    assert_refused(buf_slice(&objects), "(more than 32 levels)");
    assert_refused(buf_slice(&open), "(more than 32 levels)");
}

static void test_parse_when_too_deep_then_the_column_counts_letters(void **state)
{
    (void)state;
    CLEANUP(drop_json) json_t *json = NULL;
    char why[160];
    assert_int_equal(parse(SLICE("[\n\"\xc3\xa9[\", [], {\"a\": [1]}]"), 2, &json, why), ERR_BAD_REQUEST);
    assert_string_equal(why, "line 2, column 17: nested too deeply (more than 2 levels)");
}

static void test_parse_when_brackets_stand_in_strings_then_they_do_not_count(void **state)
{
    (void)state;
    CLEANUP(drop_json) json_t *json = NULL;
    char why[160];
    assert_int_equal(parse(SLICE("[\"[[[\\\"[[\\\\\",{\"{{\":1}]"), 2, &json, why), ERR_OK);
}

static void test_parse_when_truncated_anywhere_then_refuses(void **state)
{
    (void)state;
    struct slice whole = SLICE("{\"name\":\"\\u00e9\xf0\x9f\x8f\x97\",\"list\":[1,-2.5e3,true,false,null]}");
    for (size_t len = 0; len < whole.len; len++)
        assert_refused((struct slice){whole.data, len}, "line");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_when_valid_then_gives_the_value),
        cmocka_unit_test(test_parse_when_scalar_then_accepts_it),
        cmocka_unit_test(test_parse_when_nul_is_escaped_then_keeps_it_for_the_validator),
        cmocka_unit_test(test_parse_when_malformed_then_says_where),
        cmocka_unit_test(test_parse_when_name_is_repeated_then_refuses),
        cmocka_unit_test(test_parse_when_a_name_has_nul_then_refuses),
        cmocka_unit_test(test_parse_when_strings_are_escaped_then_read_as_meant),
        cmocka_unit_test(test_parse_when_a_name_is_escaped_then_it_is_the_same_name),
        cmocka_unit_test(test_parse_when_numbers_then_the_nearest_double_or_the_exact_integer),
        cmocka_unit_test(test_parse_when_refused_then_the_sentence_is_ascii),
        cmocka_unit_test(test_parse_when_a_nul_octet_stands_anywhere_then_refuses),
        cmocka_unit_test(test_parse_when_lone_surrogate_then_refuses),
        cmocka_unit_test(test_parse_when_at_the_depth_limit_then_accepts),
        cmocka_unit_test(test_parse_when_deeper_than_the_limit_then_refuses),
        cmocka_unit_test(test_parse_when_too_deep_then_the_column_counts_letters),
        cmocka_unit_test(test_parse_when_brackets_stand_in_strings_then_they_do_not_count),
        cmocka_unit_test(test_parse_when_truncated_anywhere_then_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
