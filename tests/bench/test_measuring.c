/* The measuring programs are tested too: percentiles, and requests of which each differs from all others. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/bench/histogram.h"
#include "tests/bench/request.h"

static void test_percentile_when_values_are_spread_then_it_is_never_below_and_at_most_a_64th_above(
    void **state)
{
    (void)state;
    static struct histogram h;
    enum { COUNT = 100000 };
    for (int64_t i = 1; i <= COUNT; i++)
        histogram_record(&h, i * 7);
    const double percents[] = {1, 50, 90, 99, 99.9};
    for (size_t i = 0; i < ARRAY_LEN(percents); i++) {
        uint64_t exact = (uint64_t)(percents[i] / 100 * COUNT + 0.5) * 7;
        uint64_t found = histogram_percentile(&h, percents[i]);
        assert_true(found >= exact);
        assert_true(found <= exact + exact / 64 + 1);
    }
}

static void test_percentile_when_100_then_it_is_the_exact_maximum(void **state)
{
    (void)state;
    static struct histogram h;
    histogram_record(&h, 1234567);
    histogram_record(&h, 3);
    assert_int_equal(histogram_percentile(&h, 100), 1234567);
    assert_int_equal(histogram_percentile(&h, 50), 3);
}

static void test_percentile_when_the_clock_went_back_or_nothing_came_then_it_is_0(void **state)
{
    (void)state;
    static struct histogram h;
    assert_int_equal(histogram_percentile(&h, 99), 0);
    histogram_record(&h, -5);
    assert_int_equal(histogram_percentile(&h, 99), 0);
    assert_int_equal(h.count, 1);
}

static void test_request_when_marked_in_path_and_body_then_both_change_and_the_length_is_right(void **state)
{
    (void)state;
    struct request request;
    request_init(
        &request,
        &(struct request_parts){
            .method = "POST", .host = "h", .path = "/p/{n}", .token = "t", .body = "{\"a\":\"{n}\"}"});
    char first[512];
    struct slice text = request_text(&request, 41);
    assert_true(text.len < sizeof(first));
    memcpy(first, text.data, text.len);
    first[text.len] = 0;
    char *body = strstr(first, "\r\n\r\n") + 4;
    assert_int_equal(strlen(body), strlen("{\"a\":\"\"}") + REQUEST_MARK_LEN);
    assert_non_null(strstr(first, "Content-Length: 24\r\n"));
    assert_non_null(strstr(body, "000000000041\"}"));
    assert_memory_equal(strstr(first, "/p/") + 3, strstr(body, ":\"") + 2, REQUEST_MARK_LEN);

    struct slice next = request_text(&request, 42);
    assert_int_equal(next.len, strlen(first));
    assert_memory_not_equal(next.data, first, next.len);
    request_done(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_percentile_when_values_are_spread_then_it_is_never_below_and_at_most_a_64th_above),
        cmocka_unit_test(test_percentile_when_100_then_it_is_the_exact_maximum),
        cmocka_unit_test(test_percentile_when_the_clock_went_back_or_nothing_came_then_it_is_0),
        cmocka_unit_test(test_request_when_marked_in_path_and_body_then_both_change_and_the_length_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
