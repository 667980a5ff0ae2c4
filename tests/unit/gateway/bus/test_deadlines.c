/* The wheel of time limits: each is met once, not before its time, whatever is set and cleared in between. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "gateway/bus/deadlines.h"

enum { PATIENCE_S = 30 };

#define eventually(loop, condition)                                            \
    do {                                                                       \
        int64_t limit_ = clock_monotonic_us() + PATIENCE_S * INT64_C(1000000); \
        while (!(condition)) {                                                 \
            if (clock_monotonic_us() > limit_)                                 \
                fail_msg("never became true: %s", #condition);                 \
            ev_run(loop, EVRUN_ONCE);                                          \
        }                                                                      \
    } while (0)

static int setup(void **state)
{
    *state = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    return 0;
}

static int teardown(void **state)
{
    ev_loop_destroy(*state);
    return 0;
}

enum { ENTRIES = 300 };

struct entry {
    struct deadline deadline;
    struct deadlines *of;
    int64_t due_us;
    int calls;
    bool set_again;
    struct entry *clears;
};

static void on_due(struct deadline *deadline)
{
    struct entry *entry = CONTAINER_OF(deadline, struct entry, deadline);
    assert_true(clock_monotonic_us() + 1000 >= entry->due_us);
    entry->calls++;
    if (entry->clears)
        deadline_clear(entry->of, &entry->clears->deadline);
    if (entry->set_again && entry->calls == 1)
        deadline_set(entry->of, &entry->deadline, 1);
}

static void set(struct deadlines *deadlines, struct entry *entry, int64_t ms)
{
    entry->of = deadlines;
    entry->due_us = clock_monotonic_us() + ms * 1000;
    deadline_set(deadlines, &entry->deadline, ms);
}

static void test_deadlines_when_passed_are_called_once_and_not_before(void **state)
{
    struct deadlines deadlines;
    struct entry *entries = xcalloc(ENTRIES, sizeof(*entries));
    deadlines_init(&deadlines, *state, on_due);
    for (int i = 0; i < ENTRIES; i++)
        set(&deadlines, &entries[i], i);
    eventually(*state, deadlines.count == 0);
    for (int i = 0; i < ENTRIES; i++)
        assert_int_equal(entries[i].calls, 1);
    deadlines_done(&deadlines);
    free(entries);
}

static void test_deadlines_when_cleared_moved_or_set_again_inside_a_call_hold(void **state)
{
    struct deadlines deadlines;
    struct entry cleared = {0}, moved = {0}, again = {.set_again = true}, victim = {0},
                 clearing = {.clears = &victim};
    deadlines_init(&deadlines, *state, on_due);
    set(&deadlines, &cleared, 10);
    set(&deadlines, &moved, 10);
    set(&deadlines, &again, 10);
    set(&deadlines, &victim, 60000);
    set(&deadlines, &clearing, 10);
    deadline_clear(&deadlines, &cleared.deadline);
    deadline_clear(&deadlines, &cleared.deadline);
    set(&deadlines, &moved, 100);
    eventually(*state, deadlines.count == 0);
    assert_int_equal(cleared.calls, 0);
    assert_int_equal(victim.calls, 0);
    assert_int_equal(moved.calls, 1);
    assert_int_equal(again.calls, 2);
    assert_int_equal(clearing.calls, 1);
    deadlines_done(&deadlines);
}

static void test_deadline_when_beyond_one_turn_of_the_wheel_waits_for_its_own(void **state)
{
    struct deadlines deadlines;
    struct entry late = {0}, soon = {0};
    deadlines_init(&deadlines, *state, on_due);
    set(&deadlines, &late,
        DEADLINES_SLOTS * DEADLINES_TICK_MS + 40); /* the slot of one that is due in 40 ms */
    set(&deadlines, &soon, 100);
    eventually(*state, soon.calls == 1);
    assert_int_equal(late.calls, 0);
    assert_int_equal(deadlines.count, 1);
    deadline_clear(&deadlines, &late.deadline);
    deadlines_done(&deadlines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_deadlines_when_passed_are_called_once_and_not_before),
        TEST(test_deadlines_when_cleared_moved_or_set_again_inside_a_call_hold),
        TEST(test_deadline_when_beyond_one_turn_of_the_wheel_waits_for_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
