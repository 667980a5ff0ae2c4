/* When what comes again and again is done. */
#include "common/process/rhythm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "common/base/macros.h"

static struct ev_loop *loop;

static int setup(void **state)
{
    (void)state;
    loop = ev_loop_new(0);
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ev_loop_destroy(loop);
    return 0;
}

/* How far two moments are from being whole halves of a second apart. */
static double out_of_step(double one, double other)
{
    double apart = fmod(fabs(one - other), 0.5);
    return apart < 0.25 ? apart : 0.5 - apart;
}

static void test_rhythm_when_looks_are_begun_at_different_times_then_they_come_at_the_same_moments(
    void **state)
{
    (void)state;
    static const double every[] = {0.5, 1, 2, 0.75, 15, 60};
    double first = ev_now(loop) + rhythm_after(loop, 1);
    for (size_t i = 0; i < ARRAY_LEN(every); i++) {
        ev_sleep(0.037);
        ev_now_update(loop);
        double moment = ev_now(loop) + rhythm_after(loop, every[i]);
        assert_true(out_of_step(first, moment) < 0.001);
    }
}

static void test_rhythm_when_asked_for_a_time_then_it_is_near_and_never_less_than_half(void **state)
{
    (void)state;
    for (double seconds = 0.5; seconds < 5; seconds += 0.1) {
        double after = rhythm_after(loop, seconds);
        assert_true(after >= seconds / 2 && after <= seconds + 0.5);
        ev_sleep(0.011);
        ev_now_update(loop);
    }
}

static void test_rhythm_when_it_is_to_come_soon_then_it_comes_as_soon_as_asked(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        double after = rhythm_after(loop, 0.01);
        assert_true(after >= 0.0089 && after <= 0.0111);
    }
    assert_true(rhythm_after(loop, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_rhythm_when_looks_are_begun_at_different_times_then_they_come_at_the_same_moments),
        cmocka_unit_test(test_rhythm_when_asked_for_a_time_then_it_is_near_and_never_less_than_half),
        cmocka_unit_test(test_rhythm_when_it_is_to_come_soon_then_it_comes_as_soon_as_asked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
