#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "workers/pool.h"

/* The workers of these tests write their process ids into a pipe and wait to be told to leave. */
static int births[2];
static volatile sig_atomic_t told_to_leave;

static void on_term(int number)
{
    (void)number;
    told_to_leave = 1;
}

static void announce(void)
{
    pid_t pid = getpid();
    assert_int_equal(write(births[1], &pid, sizeof(pid)), sizeof(pid));
}

static int wait_to_leave(const struct config *config, const char *name, int pulse_fd)
{
    (void)config, (void)name, (void)pulse_fd;
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    signal(SIGTERM, on_term);
    announce();
    while (!told_to_leave)
        sigsuspend(&before);
    return 0;
}

static int die_at_once(const struct config *config, const char *name, int pulse_fd)
{
    (void)config, (void)name, (void)pulse_fd;
    announce();
    return 3;
}

static int refuse_to_leave(const struct config *config, const char *name, int pulse_fd)
{
    (void)config, (void)name, (void)pulse_fd;
    signal(SIGTERM, SIG_IGN);
    announce();
    while (!told_to_leave)
        pause();
    return 0;
}

static pid_t start_pool(int64_t workers, int64_t drain_ms, pool_work *work)
{
    struct config config;
    char why[256];
    setenv("CORTEX_AMQP_URL", getenv("CORTEX_TEST_AMQP_URL"), 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    config.worker_processes = workers;
    config.drain_ms = drain_ms;
    assert_int_equal(pipe(births), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that fails leaves nobody behind */
        _exit(pool_run(&config, "test", work));
    }
    config_done(&config);
    return pid;
}

/* The next worker that is born within `ms`; 0: none. */
static pid_t next_birth(int ms)
{
    struct pollfd poll_births = {.fd = births[0], .events = POLLIN};
    pid_t pid;
    if (poll(&poll_births, 1, ms) != 1)
        return 0;
    assert_int_equal(read(births[0], &pid, sizeof(pid)), sizeof(pid));
    return pid;
}

static pid_t await_birth(void)
{
    pid_t pid = next_birth(20000);
    assert_int_not_equal(pid, 0);
    return pid;
}

static void await_death(pid_t pid)
{
    int64_t limit = clock_monotonic_us() + 20 * 1000000LL;
    while (kill(pid, 0) == 0) {
        assert_true(clock_monotonic_us() < limit);
        usleep(2000);
    }
}

static void end_pool(pid_t pool)
{
    int status;
    kill(pool, SIGTERM);
    assert_int_equal(waitpid(pool, &status, 0), pool);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(births[0]);
    close(births[1]);
}

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
    close(births[0]);
    close(births[1]);
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
