#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/buf.h"

static void test_append_when_past_the_maximum_then_nothing_is_added(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    assert_true(buf_append_text(&b, "12345"));
    assert_false(buf_append_text(&b, "6789"));
    assert_true(b.truncated);
    assert_int_equal(buf_len(&b), 5);
    assert_true(buf_append_text(&b, "678"));
    assert_int_equal(buf_len(&b), 8);
    buf_done(&b);
}

static void test_consume_when_room_is_needed_then_space_in_front_is_taken_back(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 300);
    char block[250] = {0};
    assert_true(buf_append(&b, block, sizeof(block)));
    buf_consume(&b, 240);
    assert_true(buf_append(&b, block, sizeof(block)));
    assert_int_equal(buf_len(&b), 260);
    assert_true(b.capacity <= 300);
    buf_done(&b);
}

static void test_numbers_when_extreme_then_written_in_full(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_append_i64(&b, INT64_MIN);
    buf_append_char(&b, ' ');
    buf_append_u64(&b, UINT64_MAX);
    buf_append_char(&b, ' ');
    buf_append_i64(&b, 0);
    assert_true(slice_is(buf_slice(&b), "-9223372036854775808 18446744073709551615 0"));
    buf_done(&b);
}

static void test_json_string_when_it_has_controls_then_they_are_escaped(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_true(buf_append_json_string(&b, SLICE("a\"b\\c\n\x01\x7f/\xc3\xa9")));
    assert_true(slice_is(buf_slice(&b), "\"a\\\"b\\\\c\\n\\u0001\\u007f/\xc3\xa9\""));
    buf_done(&b);
}

static void test_json_string_when_it_does_not_fit_then_nothing_is_added(void **state)
{
    (void)state;
    for (size_t max = 3; max < 12; max++) {
        struct buf b;
        buf_init(&b, max);
        assert_true(buf_append_text(&b, "ab"));
        assert_false(buf_append_json_string(&b, SLICE("x\n\ny\x02zz")));
        assert_true(slice_is(buf_slice(&b), "ab"));
        buf_done(&b);
    }
}

static void test_printf_when_exactly_at_the_maximum_then_it_fits(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    assert_true(buf_printf(&b, "%s", "0123456789"));
    assert_false(buf_printf(&b, "%s", "x"));
    assert_true(slice_is(buf_slice(&b), "0123456789"));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_when_past_the_maximum_then_nothing_is_added),
        cmocka_unit_test(test_consume_when_room_is_needed_then_space_in_front_is_taken_back),
        cmocka_unit_test(test_numbers_when_extreme_then_written_in_full),
        cmocka_unit_test(test_json_string_when_it_has_controls_then_they_are_escaped),
        cmocka_unit_test(test_json_string_when_it_does_not_fit_then_nothing_is_added),
        cmocka_unit_test(test_printf_when_exactly_at_the_maximum_then_it_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
