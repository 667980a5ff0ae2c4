#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "gateway/resources/range.h"

static void test_range_when_one_is_asked_for_then_its_octets_and_otherwise_the_whole(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        int64_t size;
        enum range_answer answer;
        int64_t start, length;
    } rows[] = {
        {"bytes=0-0", 10, RANGE_PART, 0, 1},
        {"bytes=0-9", 10, RANGE_PART, 0, 10},
        {"bytes=2-4", 10, RANGE_PART, 2, 3},
        {"bytes=2-", 10, RANGE_PART, 2, 8},
        {"bytes=9-99", 10, RANGE_PART, 9, 1},
        {"bytes=9-99999999999999999999999", 10, RANGE_PART, 9, 1},
        {"bytes=-3", 10, RANGE_PART, 7, 3},
        {"bytes=-99999999999999999999999", 10, RANGE_PART, 0, 10},
        {"Bytes= 2-4 \t", 10, RANGE_PART, 2, 3},
        {"bytes=10-", 10, RANGE_NOT_SATISFIED, 0, 10},
        {"bytes=99999999999999999999999-", 10, RANGE_NOT_SATISFIED, 0, 10},
        {"bytes=-0", 10, RANGE_NOT_SATISFIED, 0, 10},
        {"bytes=0-", 0, RANGE_NOT_SATISFIED, 0, 0},
        {"bytes=-5", 0, RANGE_WHOLE, 0, 0},
        {"bytes=4-2", 10, RANGE_WHOLE, 0, 10},
        {"bytes=0-1,3-4", 10, RANGE_WHOLE, 0, 10},
        {"bytes=-", 10, RANGE_WHOLE, 0, 10},
        {"bytes=", 10, RANGE_WHOLE, 0, 10},
        {"bytes", 10, RANGE_WHOLE, 0, 10},
        {"bytes=a-b", 10, RANGE_WHOLE, 0, 10},
        {"bytes=1 - 2", 10, RANGE_WHOLE, 0, 10},
        {"bytes=+1-2", 10, RANGE_WHOLE, 0, 10},
        {"bytes=--2", 10, RANGE_WHOLE, 0, 10},
        {"items=0-1", 10, RANGE_WHOLE, 0, 10},
        {"", 10, RANGE_WHOLE, 0, 10},
        {NULL, 10, RANGE_WHOLE, 0, 10},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct range range;
        enum range_answer answer = range_parse(slice_of(rows[i].field), rows[i].size, &range);
        if (answer != rows[i].answer || range.start != rows[i].start || range.length != rows[i].length)
            fail_msg("%s of %d: %d, %d+%d", rows[i].field, (int)rows[i].size, answer, (int)range.start,
                     (int)range.length);
    }
}

static void test_range_when_if_range_names_another_state_then_it_does_not_count(void **state)
{
    (void)state;
    const struct slice etag = SLICE("\"a\"");
    assert_true(range_is_current(SLICE_NONE, etag));
    assert_true(range_is_current(SLICE("\"a\""), etag));
    assert_false(range_is_current(SLICE("\"b\""), etag));
    assert_false(range_is_current(SLICE("W/\"a\""), etag));
    assert_false(range_is_current(SLICE("Sun, 06 Nov 1994 08:49:37 GMT"), etag));
    assert_false(range_is_current(SLICE(""), etag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range_when_one_is_asked_for_then_its_octets_and_otherwise_the_whole),
        cmocka_unit_test(test_range_when_if_range_names_another_state_then_it_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
