#include "tests/unit/workers/fleet/pool/pool_fixture.h"

static void test_pool_when_a_worker_is_killed_starts_another(void **state)
{
    (void)state;
    pid_t pool = start_pool(2, 5000, wait_to_leave);
    pid_t first = await_birth(), second = await_birth();
    assert_int_equal(next_birth(200), 0); /* two, and no more */
    kill(first, SIGKILL);
    pid_t third = await_birth();
    assert_true(third != first && third != second);
    end_pool(pool);
    await_death(second);
    await_death(third);
}

static void test_pool_when_workers_die_at_once_starts_them_ever_more_slowly(void **state)
{
    (void)state;
    pid_t pool = start_pool(1, 5000, die_at_once);
    int64_t begin = clock_monotonic_us();
    for (int i = 0; i < 5; i++)
        await_birth();
    assert_true(clock_monotonic_us() - begin >= (100 + 200 + 400 + 800) * 1000LL);
    end_pool(pool);
}

static void test_pool_when_told_grows_and_shrinks_by_one(void **state)
{
    (void)state;
    pid_t pool = start_pool(1, 5000, wait_to_leave);
    pid_t first = await_birth();
    kill(pool, SIGTTIN);
    pid_t second = await_birth();
    kill(pool, SIGTTOU);
    await_death(second);
    kill(pool, SIGTTIN);
    pid_t third = await_birth();
    kill(pool, SIGTTOU);
    await_death(third);
    kill(pool, SIGTTOU); /* the last one stays */
    assert_int_equal(next_birth(200), 0);
    assert_int_equal(kill(first, 0), 0);
    end_pool(pool);
    await_death(first);
}

static void test_pool_when_its_parent_is_killed_the_workers_leave(void **state)
{
    (void)state;
    pid_t pool = start_pool(2, 5000, wait_to_leave);
    pid_t first = await_birth(), second = await_birth();
    int status;
    kill(pool, SIGKILL);
    assert_int_equal(waitpid(pool, &status, 0), pool);
    await_death(first);
    await_death(second);
}

static void test_pool_when_a_worker_does_not_leave_in_time_kills_it(void **state)
{
    (void)state;
    pid_t pool = start_pool(1, 10, refuse_to_leave);
    pid_t worker = await_birth();
    end_pool(pool);
    await_death(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_when_a_worker_is_killed_starts_another),
        cmocka_unit_test(test_pool_when_workers_die_at_once_starts_them_ever_more_slowly),
        cmocka_unit_test(test_pool_when_told_grows_and_shrinks_by_one),
        cmocka_unit_test(test_pool_when_its_parent_is_killed_the_workers_leave),
        cmocka_unit_test(test_pool_when_a_worker_does_not_leave_in_time_kills_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
