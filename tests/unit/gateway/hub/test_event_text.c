#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/hub/event_text.h"

static void test_type_when_text_begins_with_it_then_read(void **state)
{
    (void)state;
    struct slice text = SLICE("{\"type\":\"project.created\",\"seq\":42}");
    assert_true(slice_is(event_text_type(text), "project.created"));
}

static void test_type_when_text_is_cut_anywhere_before_its_end_then_message(void **state)
{
    (void)state;
    struct slice text = SLICE("{\"type\":\"a.b\"");
    for (size_t len = 0; len < text.len; len++)
        assert_true(slice_is(event_text_type((struct slice){text.data, len}), "message"));
}

static void test_one_line_when_it_is_one_already_then_the_same_bytes(void **state)
{
    (void)state;
    struct bytes *text = bytes_copy(SLICE("{\"type\":\"a\\nb\"}"));
    struct bytes *line = event_text_on_one_line(text);
    assert_ptr_equal(line, text);
    bytes_unref(line);
}

static void test_one_line_when_it_has_line_ends_then_blanks_in_their_place(void **state)
{
    (void)state;
    struct bytes *line = event_text_on_one_line(bytes_copy(SLICE("{\r\n\"type\":\n\"a\"}")));
    assert_true(slice_is(line->slice, "{  \"type\": \"a\"}"));
    bytes_unref(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type_when_text_begins_with_it_then_read),
        cmocka_unit_test(test_type_when_text_is_cut_anywhere_before_its_end_then_message),
        cmocka_unit_test(test_one_line_when_it_is_one_already_then_the_same_bytes),
        cmocka_unit_test(test_one_line_when_it_has_line_ends_then_blanks_in_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
