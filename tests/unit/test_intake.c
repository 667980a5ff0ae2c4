#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "workers/intake.h"

static struct ev_loop *loop;
/* number: the last octet of its id. */
static struct job *add(struct intake *intake, uint8_t number)
{
    static const struct broker_delivery nothing;
    struct job *job = job_new(&nothing);
    job->command.id.octet[15] = number;
    intake_add(intake, job);
    return job;
}

static void free_all(struct job *jobs)
{
    while (jobs) {
        struct job *job = jobs;
        jobs = job->next;
        job_free(job);
    }
}

/* The numbers of a batch as text, "1 2 3"; frees it. */
static void assert_batch(struct job *jobs, const char *expected)
{
    char text[256] = "", *at = text;
    for (struct job *job = jobs; job; job = job->next)
        at += sprintf(at, "%s%d", job == jobs ? "" : " ", job->command.id.octet[15]);
    assert_string_equal(text, expected);
    free_all(jobs);
}

static void test_intake_when_more_waits_than_a_batch_takes_gives_them_in_order(void **state)
{
    struct intake *intake = *state;
    for (uint8_t i = 1; i <= 5; i++)
        add(intake, i);
    assert_batch(intake_take(intake, 3), "1 2 3");
    add(intake, 6);
    assert_int_equal(intake_waiting(intake), 3);
    assert_batch(intake_take(intake, 3), "4 5 6");
    assert_null(intake_take(intake, 3));
    add(intake, 7);
    assert_batch(intake_take(intake, 3), "7");
}

static void test_intake_when_an_id_comes_twice_leaves_the_second_for_a_later_batch(void **state)
{
    struct intake *intake = *state;
    static const uint8_t numbers[] = {1, 2, 1, 3, 1, 2};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        add(intake, numbers[i]);
    assert_batch(intake_take(intake, 10), "1 2 3");
    assert_batch(intake_take(intake, 10), "1 2");
    assert_batch(intake_take(intake, 10), "1");
    assert_null(intake_take(intake, 10));
}

static void test_intake_when_an_id_is_used_by_two_companies_takes_both(void **state)
{
    struct intake *intake = *state;
    add(intake, 1);
    add(intake, 1)->command.company.octet[0] = 9;
    assert_batch(intake_take(intake, 10), "1 1");
}

static void test_intake_when_bodies_are_large_ends_the_batch_early(void **state)
{
    struct intake *intake = *state;
    static const char large[600 << 10];
    for (uint8_t i = 1; i <= 3; i++)
        add(intake, i)->command.body = (struct slice){large, sizeof(large)};
    assert_batch(intake_take(intake, 10), "1 2");
    assert_batch(intake_take(intake, 10), "3");
}

static void test_intake_when_a_command_was_delivered_often_takes_it_alone(void **state)
{
    struct intake *intake = *state;
    for (uint8_t i = 1; i <= 4; i++)
        add(intake, i)->delivery_count = i == 2 ? 3 : 2;
    assert_batch(intake_take(intake, 10), "1");
    assert_batch(intake_take(intake, 10), "2");
    assert_batch(intake_take(intake, 10), "3 4");
}

static void test_intake_when_a_command_rests_comes_back_in_front(void **state)
{
    struct intake *intake = *state;
    struct job *job = add(intake, 1);
    add(intake, 2);
    struct job *taken = intake_take(intake, 1);
    assert_ptr_equal(taken, job);
    job->attempts = 1;
    job->error = ERR_DATABASE_CONFLICT;
    intake_rest(intake, job);
    assert_int_equal(intake_waiting(intake), 1);
    assert_int_equal(intake_resting(intake), 1);
    while (intake_resting(intake) > 0)
        ev_run(loop, EVRUN_ONCE);
    assert_batch(intake_take(intake, 10), "1 2");
}

static void test_intake_when_cleared_forgets_what_waits_and_what_rests(void **state)
{
    struct intake *intake = *state;
    add(intake, 1);
    intake_rest(intake, intake_take(intake, 1));
    add(intake, 2);
    intake_clear(intake);
    assert_int_equal(intake_waiting(intake) + intake_resting(intake), 0);
    assert_null(intake_take(intake, 10));
    ev_run(loop, EVRUN_NOWAIT);
}

static int setup(void **state)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    *state = intake_new(loop);
    return 0;
}

static int teardown(void **state)
{
    intake_free(*state);
    ev_loop_destroy(loop);
    return 0;
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_intake_when_more_waits_than_a_batch_takes_gives_them_in_order),
        TEST(test_intake_when_an_id_comes_twice_leaves_the_second_for_a_later_batch),
        TEST(test_intake_when_an_id_is_used_by_two_companies_takes_both),
        TEST(test_intake_when_bodies_are_large_ends_the_batch_early),
        TEST(test_intake_when_a_command_was_delivered_often_takes_it_alone),
        TEST(test_intake_when_a_command_rests_comes_back_in_front),
        TEST(test_intake_when_cleared_forgets_what_waits_and_what_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
