#include "common/process/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"

enum { LIMIT_MS = 20000, HEALTHY_AFTER_MS = 50 };

static int state_changes;

static void count_change(struct child *child)
{
    (void)child;
    state_changes++;
}

static void beat(int fd, char octet)
{
    assert_int_equal(write(fd, &octet, 1), 1);
}

/* Becomes ready, and waits for a signal. */
static void be_ready(int pulse_fd)
{
    beat(pulse_fd, 'r');
    pause();
}

static void be_silent(int pulse_fd)
{
    (void)pulse_fd;
    pause();
}

static void refuse_to_leave(int pulse_fd)
{
    signal(SIGTERM, SIG_IGN);
    beat(pulse_fd, 'r');
    for (;;)
        pause();
}

static void die(int pulse_fd)
{
    (void)pulse_fd;
}

static void start(struct child *child, void (*life)(int pulse_fd))
{
    int pulse_fd;
    if (child_fork(child, &pulse_fd) == 0) {
        child_unblock_signals();
        life(pulse_fd);
        _exit(7);
    }
    assert_int_equal(child->state, CHILD_RUNNING);
    assert_true(child->pid > 0);
}

static int await_death(struct child *child)
{
    int status;
    int64_t limit = clock_monotonic_ms() + LIMIT_MS;
    while (!child_reap(child, &status)) {
        assert_true(clock_monotonic_ms() < limit);
        child_kill_overdue(child);
        usleep(1000);
    }
    assert_int_equal(child->state, CHILD_NONE);
    child_close(child);
    return status;
}

static void await_ready(struct child *child)
{
    int64_t limit = clock_monotonic_ms() + LIMIT_MS;
    while (!child_is_ready(child)) {
        assert_true(clock_monotonic_ms() < limit);
        assert_true(child_hear(child));
        usleep(1000);
    }
}

static void test_child_when_it_dies_at_once_then_each_back_off_is_twice_the_last(void **state)
{
    (void)state;
    struct child child;
    child_init(&child, "test", NULL);
    int64_t expected = CHILD_BACKOFF_MIN_MS;
    for (int life = 0; life < 9; life++) {
        start(&child, die);
        int status = await_death(&child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        assert_false(child_was_healthy(&child, HEALTHY_AFTER_MS));
        int64_t before = clock_monotonic_ms();
        child_restart(&child, HEALTHY_AFTER_MS);
        assert_int_equal(child.state, CHILD_WAITING);
        assert_int_equal(child.backoff_ms, expected);
        assert_true(child.due_ms >= before + expected);
        expected = expected * 2 < CHILD_BACKOFF_MAX_MS ? expected * 2 : CHILD_BACKOFF_MAX_MS;
    }
    assert_int_equal(child.backoff_ms, CHILD_BACKOFF_MAX_MS);
}

static void test_child_when_it_was_healthy_then_it_starts_again_at_once(void **state)
{
    (void)state;
    struct child child;
    child_init(&child, "test", NULL);
    child.backoff_ms = CHILD_BACKOFF_MAX_MS;
    start(&child, be_ready);
    await_ready(&child);
    usleep((HEALTHY_AFTER_MS + 10) * 1000);
    child_signal(&child, SIGKILL);
    await_death(&child);
    assert_true(child_was_healthy(&child, HEALTHY_AFTER_MS));
    child_restart(&child, HEALTHY_AFTER_MS);
    assert_int_equal(child.backoff_ms, 0);
    assert_true(child.due_ms <= clock_monotonic_ms());
}

static void test_child_when_it_is_stopped_then_it_leaves_and_each_change_is_told(void **state)
{
    (void)state;
    struct child child;
    state_changes = 0;
    child_init(&child, "test", count_change);
    child_start_after(&child, 0);
    child_stop(&child, SIGTERM, 0); /* a child that waits has no process to stop */
    assert_int_equal(child.state, CHILD_NONE);
    start(&child, be_silent);
    child_stop(&child, SIGTERM, LIMIT_MS);
    assert_int_equal(child.state, CHILD_LEAVING);
    int status = await_death(&child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_equal(state_changes, 5);
}

static void test_child_when_it_does_not_leave_in_time_then_it_is_killed(void **state)
{
    (void)state;
    struct child child;
    child_init(&child, "test", NULL);
    start(&child, refuse_to_leave);
    await_ready(&child);
    child_stop(&child, SIGTERM, 20);
    int status = await_death(&child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_child_when_its_loop_does_not_turn_then_it_is_killed(void **state)
{
    (void)state;
    struct child child;
    child_init(&child, "test", NULL);
    start(&child, be_silent);
    usleep(20 * 1000);
    assert_true(child_check(&child, 0)); /* 0: never */
    assert_true(child_check(&child, LIMIT_MS));
    child_check(&child, 10);
    int status = await_death(&child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(child_check(&child, 10)); /* nobody is late where nobody is */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_when_it_dies_at_once_then_each_back_off_is_twice_the_last),
        cmocka_unit_test(test_child_when_it_was_healthy_then_it_starts_again_at_once),
        cmocka_unit_test(test_child_when_it_is_stopped_then_it_leaves_and_each_change_is_told),
        cmocka_unit_test(test_child_when_it_does_not_leave_in_time_then_it_is_killed),
        cmocka_unit_test(test_child_when_its_loop_does_not_turn_then_it_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
