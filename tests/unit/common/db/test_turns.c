/* Whose query is next, and for how long a company rests that others have to be kept from. The tests give the times. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "common/db/readers.h"
#include "common/db/turns.h"

enum { QUERIES = 4 };

static const struct uuid a = {{0xa}}, b = {{0xb}}, c = {{0xc}};

/* One query of a company runs at a time, and charges get a tenth of the time. */
struct fixture {
    struct turns turns;
    struct turn of_a[QUERIES], of_b[QUERIES];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    turns_init(&f->turns, 1, 0.1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct turn *turn;
    while ((turn = turns_any(&f->turns)))
        turns_remove(&f->turns, turn);
    turns_done(&f->turns);
    assert_int_equal(f->turns.companies.count, 0);
    free(f);
    return 0;
}

/* Runs the query that is next, which is this one, and charges its company with the time that it took. */
static void run(struct fixture *f, struct turn *turn, const struct uuid *company, double took, double now)
{
    assert_ptr_equal(turns_next(&f->turns), turn);
    turns_take(&f->turns, turn);
    turns_charge(&f->turns, company, took, now);
    turns_end(&f->turns, turn);
}

static void test_company_when_it_owes_more_than_its_credit_rests_while_others_take_turns(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++)
        turns_add(&f->turns, &f->of_a[i], &a, false);
    turns_add(&f->turns, &f->of_b[0], &b, false);
    run(f, &f->of_a[0], &a, 0.15, 100); /* 1.5 s are owed, of which 0.5 s are credit */
    assert_true(turns_rests(&f->turns, &a));
    turns_add(&f->turns, &f->of_b[1], &b, false);
    run(f, &f->of_b[0], &b, 0.01, 100);
    run(f, &f->of_b[1], &b, 0.01, 100);
    assert_false(turns_rests(&f->turns, &b));
    assert_null(turns_next(&f->turns));
    assert_true(fabs(turns_next_wake(&f->turns) - (101)) < 1e-6);
    turns_wake(&f->turns, 100.99);
    assert_null(turns_next(&f->turns));
    turns_wake(&f->turns, 101.01);
    run(f, &f->of_a[1], &a, 0.001, 101.01);
    assert_true(turns_next_wake(&f->turns) == 0); /* nothing waits */
}

static void test_company_when_it_asks_now_and_then_never_rests(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++) {
        double now = 100 + i;
        turns_wake(&f->turns, now);
        turns_add(&f->turns, &f->of_a[0], &a, false);
        run(f, &f->of_a[0], &a, TURNS_CREDIT_S, now);
        assert_false(turns_rests(&f->turns, &a));
    }
}

/* In ten seconds, a company that asks whenever it may runs for a tenth of the time, whatever one query takes. */
static void test_company_when_it_asks_all_the_time_gets_its_share(void **state)
{
    struct fixture *f = *state;
    static const double took[] = {0.002, 0.02, 0.18};
    for (size_t i = 0; i < ARRAY_LEN(took); i++) {
        double now = 1000.0 * (double)(i + 1), end = now + 10, sum = 0;
        turns_wake(&f->turns, now);
        while (now < end) {
            turns_add(&f->turns, &f->of_a[0], &a, false);
            if (!turns_next(&f->turns))
                turns_wake(&f->turns, now = turns_next_wake(&f->turns) + 1e-6);
            run(f, &f->of_a[0], &a, took[i], now += took[i]);
            sum += took[i];
        }
        assert_true(sum > 0.9 && sum < 1.1 + TURNS_CREDIT_S + took[i]);
    }
}

/* Three that always ask get the share together. */
static void test_companies_when_several_rest_share_it(void **state)
{
    struct fixture *f = *state;
    const struct uuid *companies[] = {&a, &b, &c};
    double sum = 0;
    for (double now = 100; now < 110; now += 0.01) {
        turns_wake(&f->turns, now);
        for (size_t i = 0; i < ARRAY_LEN(companies); i++) {
            if (turns_rests(&f->turns, companies[i]))
                continue;
            turns_charge(&f->turns, companies[i], 0.01, now);
            sum += 0.01;
        }
    }
    assert_true(sum < 1.1 + 3 * 2 * TURNS_CREDIT_S);
}

/* A query that took very long does not keep the next one from being answered at all. */
static void test_company_when_it_owes_very_much_rests_no_longer_than_the_bound(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++)
        turns_add(&f->turns, &f->of_a[i], &a, false);
    run(f, &f->of_a[0], &a, 60, 100);
    assert_true(fabs(turns_next_wake(&f->turns) - (100 + TURNS_REST_MAX_S)) < 1e-6);
    turns_wake(&f->turns, 100.001 + TURNS_REST_MAX_S);
    assert_ptr_equal(turns_next(&f->turns), &f->of_a[1]);
}

static void test_company_when_its_queries_leave_still_owes(void **state)
{
    struct fixture *f = *state;
    turns_charge(&f->turns, &a, 1, 100);
    turns_add(&f->turns, &f->of_a[0], &a, false);
    turns_remove(&f->turns, &f->of_a[0]);
    turns_add(&f->turns, &f->of_a[1], &a, false);
    assert_null(turns_next(&f->turns));
    turns_wake(&f->turns, 110);
    assert_ptr_equal(turns_next(&f->turns), &f->of_a[1]);
    turns_remove(&f->turns, &f->of_a[1]);
    assert_int_equal(f->turns.companies.count, 0); /* nothing is owed: it is forgotten */
}

static void test_readers_when_only_one_company_reads_has_it_no_other(void **state)
{
    (void)state;
    struct readers readers = {0};
    struct uuid companies[2];
    assert_false(readers_has_other(&readers, &a, 100));
    readers_note(&readers, &a, 100);
    readers_note(&readers, &a, 100.5);
    assert_false(readers_has_other(&readers, &a, 100.5));
    assert_true(readers_has_other(&readers, &b, 100.5));
    readers_note(&readers, &b, 101);
    readers_note(&readers, &a, 101.5);
    assert_true(readers_has_other(&readers, &a, 101.5));
    assert_int_equal(readers_copy(&readers, companies, 101.5), 2);
    readers_note(&readers, &a, 103);
    assert_false(readers_has_other(&readers, &a, 103)); /* b is gone */
    assert_int_equal(readers_copy(&readers, companies, 103), 1);
    assert_true(uuid_equal(&companies[0], &a));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_company_when_it_owes_more_than_its_credit_rests_while_others_take_turns),
        TEST(test_company_when_it_asks_now_and_then_never_rests),
        TEST(test_company_when_it_asks_all_the_time_gets_its_share),
        TEST(test_companies_when_several_rest_share_it),
        TEST(test_company_when_it_owes_very_much_rests_no_longer_than_the_bound),
        TEST(test_company_when_its_queries_leave_still_owes),
        cmocka_unit_test(test_readers_when_only_one_company_reads_has_it_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
