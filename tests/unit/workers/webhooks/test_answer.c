/* What an answer means, and when a delivery is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "workers/webhooks/answer.h"
#include "workers/webhooks/schedule.h"

enum { NOW = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110 */

static struct http_answer answer_of(int status, const char *header)
{
    return (struct http_answer){.outcome = HTTP_ANSWERED, .status = status, .header = slice_of(header)};
}

static struct webhook_verdict judge(int64_t failed_tries, const struct http_answer *answer)
{
    const struct webhook_attempted attempt = {.failed_tries = failed_tries, .chance = 0.5, .now_s = NOW};
    struct webhook_verdict verdict;
    webhook_judge(&attempt, answer, &verdict);
    return verdict;
}

static bool is_near(double a, double b)
{
    return a - b < 0.001 && b - a < 0.001;
}

static void test_schedule_when_attempts_fail_then_the_waits_grow_and_end(void **state)
{
    (void)state;
    static const double waits[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    const struct webhook_wish none = {.retry_after_s = -1};
    for (int i = 0; i < 9; i++) {
        assert_true(is_near(webhook_again_s(i + 1, &none, 0.5), waits[i]));
        assert_true(is_near(webhook_again_s(i + 1, &none, 0), waits[i] * 0.8));
        assert_true(is_near(webhook_again_s(i + 1, &none, 1), waits[i] * 1.2));
    }
    assert_true(webhook_again_s(10, &none, 0.5) < 0);
}

static void test_retry_after_when_it_is_read_then_it_is_seconds_or_a_date(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {
        {"0", 0},
        {"120", 120},
        {"86401", 86400},
        {"31536000", 86400},
        {"99999999999999999999999999", 86400},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 60},
        {"Sun Nov  6 08:50:37 1994", 60},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1993 08:49:37 GMT", 0},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 86400},
        {"", -1},
        {"-5", -1},
        {"+5", -1},
        {"1.5", -1},
        {"soon", -1},
        {"Sun, 06 Nov 1994 08:50:37", -1},
        {"Sun, 06 Nov 1994 08:50:37 GMT and then some", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(webhook_retry_after_s(slice_of(cases[i].text), NOW), cases[i].seconds);
    assert_int_equal(webhook_retry_after_s((struct slice){"5\0", 2}, NOW), -1);
}

static void test_answer_when_it_is_2xx_then_success(void **state)
{
    (void)state;
    for (int status = 100; status < 600; status++) {
        struct http_answer answer = answer_of(status, "");
        struct webhook_verdict v = judge(0, &answer);
        assert_int_equal(v.is_success, status >= 200 && status < 300);
        assert_string_equal(v.end, v.is_success ? "delivered" : status == 410 ? "failed" : "retrying");
        assert_int_equal(v.is_slow, status == 429 || status == 502 || status == 504);
        assert_int_equal(v.error[0] != '\0', !v.is_success);
    }
}

static void test_answer_when_it_names_a_time_or_asks_for_less_then_the_next_attempt_waits(void **state)
{
    (void)state;
    struct http_answer later = answer_of(503, "Retry-After: 900\r\n"),
                       soon = answer_of(503, "Retry-After: 1\r\n"), many = answer_of(429, ""),
                       late = {.outcome = HTTP_TIMED_OUT, .why = "late"},
                       gone = {.outcome = HTTP_NOT_FOUND, .why = "no such name"};
    assert_true(is_near(judge(0, &later).again_s, 900));
    assert_true(is_near(judge(0, &soon).again_s, 5));
    assert_true(is_near(judge(0, &many).again_s, 60));
    assert_true(is_near(judge(0, &late).again_s, 60));
    assert_true(is_near(judge(0, &gone).again_s, 5));
    assert_string_equal(judge(9, &gone).end, "exhausted");
    assert_string_equal(judge(0, &gone).error, "no such name");
}

static void test_answer_when_it_speaks_of_the_endpoint_then_it_is_obeyed(void **state)
{
    (void)state;
    struct http_answer gone = answer_of(410, ""), asks = answer_of(200, "Webhook-Delivery: Disable\r\n"),
                       aborts = answer_of(500, "webhook-delivery: abort-message\r\n"),
                       other = answer_of(500, "webhook-delivery: whatever\r\n");
    assert_string_equal(judge(0, &gone).reason, "gone");
    assert_string_equal(judge(0, &asks).reason, "asked");
    assert_string_equal(judge(0, &asks).end, "delivered");
    assert_null(judge(0, &aborts).reason);
    assert_string_equal(judge(0, &aborts).end, "failed");
    assert_string_equal(judge(0, &other).end, "retrying");
}

static void test_text_when_it_is_none_then_it_is_made_one(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 256);
    webhook_append_text(&out, (struct slice){"a\0\xff\xc3\xa9\n", 6}, 100);
    assert_true(slice_is(buf_slice(&out), "\"a??\xc3\xa9\\n\""));
    buf_clear(&out);
    webhook_append_text(&out, SLICE("ab\xc3\xa9"), 3); /* a character that is cut goes */
    assert_true(slice_is(buf_slice(&out), "\"ab\""));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule_when_attempts_fail_then_the_waits_grow_and_end),
        cmocka_unit_test(test_retry_after_when_it_is_read_then_it_is_seconds_or_a_date),
        cmocka_unit_test(test_answer_when_it_is_2xx_then_success),
        cmocka_unit_test(test_answer_when_it_names_a_time_or_asks_for_less_then_the_next_attempt_waits),
        cmocka_unit_test(test_answer_when_it_speaks_of_the_endpoint_then_it_is_obeyed),
        cmocka_unit_test(test_text_when_it_is_none_then_it_is_made_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
