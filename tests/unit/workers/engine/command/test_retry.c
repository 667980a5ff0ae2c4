#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "workers/engine/command/retry.h"

enum { DRAWS = 500 };

static const struct retry_policy policy = {.attempts = 6, .first_ms = 1000, .max_ms = 10000};

static struct command failed(unsigned attempts)
{
    return (struct command){.attempts = RETRY_IN_PLACE_MAX + attempts};
}

static void test_delay_when_attempts_follow_then_doubled_up_to_the_longest_with_jitter(void **state)
{
    (void)state;
    static const int64_t middle[] = {1000, 2000, 4000, 8000, 10000, 10000};
    for (unsigned i = 0; i < ARRAY_LEN(middle); i++) {
        const struct command command = failed(i);
        int64_t least = INT64_MAX, most = 0;
        for (int draw = 0; draw < DRAWS; draw++) {
            int64_t delay = retry_delay_ms(&policy, &command);
            assert_in_range(delay, middle[i] / 2, middle[i] * 3 / 2);
            least = delay < least ? delay : least;
            most = delay > most ? delay : most;
        }
        assert_true(least < middle[i] && most > middle[i]); /* those that failed together come apart */
    }
}

static void test_delay_when_the_attempts_are_used_up_then_none(void **state)
{
    (void)state;
    struct command last = failed(5), over = failed(6);
    assert_true(retry_delay_ms(&policy, &last) >= 0);
    assert_int_equal(retry_delay_ms(&policy, &over), -1);
}

static void test_backoff_when_a_neighbour_was_in_the_way_then_shorter_than_when_a_server_is_in_trouble(
    void **state)
{
    (void)state;
    const struct command conflict = {.error = ERR_DATABASE_CONFLICT, .backoffs = 1},
                         trouble = {.error = ERR_DATABASE_UNAVAILABLE, .backoffs = 1};
    for (int draw = 0; draw < DRAWS; draw++)
        assert_true(retry_backoff_s(&conflict) < retry_backoff_s(&trouble));
}

static void test_policy_when_settings_say_something_then_that_else_what_the_pool_says(void **state)
{
    (void)state;
    struct config config = {0};
    for (size_t i = 0; topology_pool_at(i); i++) {
        const struct retry_policy of_pool = topology_retries(topology_pool_at(i), &config);
        assert_true(of_pool.attempts > 0 && of_pool.first_ms > 0 && of_pool.max_ms > of_pool.first_ms);
    }
    const struct retry_policy own = topology_retries("projects", &config);
    config.retry_attempts = 3;
    config.retry_first_ms = 77;
    const struct retry_policy set = topology_retries("projects", &config);
    assert_int_equal(set.attempts, 3);
    assert_int_equal(set.first_ms, 77);
    assert_int_equal(set.max_ms, own.max_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay_when_attempts_follow_then_doubled_up_to_the_longest_with_jitter),
        cmocka_unit_test(test_delay_when_the_attempts_are_used_up_then_none),
        cmocka_unit_test(
            test_backoff_when_a_neighbour_was_in_the_way_then_shorter_than_when_a_server_is_in_trouble),
        cmocka_unit_test(test_policy_when_settings_say_something_then_that_else_what_the_pool_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
