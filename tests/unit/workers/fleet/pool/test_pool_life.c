#include "tests/unit/workers/fleet/pool/pool_fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- deaths ---- */

static void test_pool_when_its_workers_keep_dying_at_once_then_it_gives_up(void **state)
{
    (void)state;
    int status;
    setenv("CORTEX_CRASH_DEATHS", "3", 1);
    pid_t pool = start_pool(2, 5000, die_at_once);
    unsetenv("CORTEX_CRASH_DEATHS");
    for (int i = 0; i < 6; i++)
        await_birth();
    assert_int_equal(waitpid(pool, &status, 0), pool);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    while (next_birth(0)) {
    }
}

static void test_pool_when_workers_are_killed_again_and_again_while_healthy_then_it_goes_on(void **state)
{
    (void)state;
    setenv("CORTEX_CRASH_DEATHS", "2", 1);
    setenv("CORTEX_HEALTHY_AFTER_MS", "50", 1);
    pid_t pool = start_pool(1, 5000, turn);
    unsetenv("CORTEX_CRASH_DEATHS");
    unsetenv("CORTEX_HEALTHY_AFTER_MS");
    for (int i = 0; i < 8; i++) {
        pid_t worker = await_birth();
        usleep(400 * 1000); /* longer than it takes to be healthy */
        kill(worker, SIGKILL);
    }
    await_birth();
    end_pool(pool);
}

static void test_pool_when_a_loop_does_not_turn_then_the_worker_is_replaced(void **state)
{
    (void)state;
    setenv("CORTEX_STUCK_MS", "2500", 1);
    pid_t pool = start_pool(2, 5000, turn);
    unsetenv("CORTEX_STUCK_MS");
    pid_t stuck = await_birth(), other = await_birth();
    kill(stuck, SIGUSR1);
    pid_t successor = await_birth();
    assert_true(successor != stuck && successor != other);
    await_death(stuck);
    assert_int_equal(kill(other, 0), 0);
    end_pool(pool);
}

/* ---- settings ---- */

static char settings_path[64];

static void write_settings(const char *text)
{
    FILE *file = fopen(settings_path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static pid_t start_pool_with_settings(int64_t workers, const char *text)
{
    snprintf(settings_path, sizeof(settings_path), "/tmp/cortex-test-settings-%d", getpid());
    write_settings(text);
    setenv("CORTEX_CONFIG", settings_path, 1);
    pid_t pool = start_pool(workers, 5000, turn);
    unsetenv("CORTEX_CONFIG");
    return pool;
}

static void test_pool_when_settings_are_read_again_then_workers_are_replaced_one_by_one(void **state)
{
    (void)state;
    pid_t pool = start_pool_with_settings(2, "CORTEX_WORKER_PROCESSES=2\n");
    pid_t first = await_birth(), second = await_birth();
    write_settings("CORTEX_WORKER_PROCESSES=2\nCORTEX_LOG_LEVEL=warn\n");
    kill(pool, SIGHUP);
    pid_t third = await_birth(); /* while both are there */
    assert_true(kill(first, 0) == 0 || kill(second, 0) == 0);
    pid_t fourth = await_birth();
    await_death(first);
    await_death(second);
    assert_int_equal(kill(third, 0) | kill(fourth, 0), 0);
    assert_int_equal(next_birth(300), 0);
    end_pool(pool);
    unlink(settings_path);
}

static void test_pool_when_new_settings_do_not_parse_then_the_old_workers_stay(void **state)
{
    (void)state;
    pid_t pool = start_pool_with_settings(1, "");
    pid_t worker = await_birth();
    write_settings("CORTEX_WORKER_PROCESSES=many\n");
    kill(pool, SIGHUP);
    assert_int_equal(next_birth(500), 0);
    assert_int_equal(kill(worker, 0), 0);
    end_pool(pool);
    unlink(settings_path);
}

/* "error" parses, and the worker does not live with it: the pool goes back to what was there, and can still
 * replace who dies later. */
static void test_pool_when_no_worker_lives_with_new_settings_then_the_old_ones_stay_in_force(void **state)
{
    (void)state;
    pid_t pool = start_pool_with_settings(1, "");
    pid_t worker = await_birth();
    write_settings("CORTEX_LOG_LEVEL=error\nCORTEX_RELOAD_MS=5000\n");
    kill(pool, SIGHUP);
    await_birth(); /* on trial */
    assert_int_equal(next_birth(500), 0);
    assert_int_equal(kill(worker, 0), 0);
    kill(worker, SIGKILL);
    pid_t next = await_birth();
    assert_int_equal(next_birth(500), 0);
    assert_int_equal(kill(next, 0), 0);
    end_pool(pool);
    unlink(settings_path);
}

/* ---- several hosts ---- */

static void expect_births(int count, pid_t *ret_pids)
{
    for (int i = 0; i < count; i++) {
        pid_t pid = await_birth();
        if (ret_pids)
            ret_pids[i] = pid;
    }
    assert_int_equal(next_birth(400), 0);
}

static void test_pool_when_another_host_joins_and_dies_then_the_size_is_split_and_taken_over(void **state)
{
    (void)state;
    pid_t workers[4];
    pid_t here = start_pool(4, 5000, turn);
    expect_births(4, workers);
    pid_t there = start_pool(1, 5000, turn); /* its own setting counts for nothing: there is a pool already */
    expect_births(2, NULL);
    int alive = 0;
    for (int i = 0; i < 4; i++)
        alive += kill(workers[i], 0) == 0;
    assert_int_equal(alive, 2);
    kill(there, SIGTTIN); /* of all: 5 */
    expect_births(1, NULL);
    int status;
    kill(there, SIGKILL);
    assert_int_equal(waitpid(there, &status, 0), there);
    await_birth(); /* what it had, after it was missed */
    await_birth();
    end_pool(here);
    while (next_birth(0)) {
    }
}

/* ---- the service manager ---- */

static int service_socket(struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "/tmp/cortex-test-notify-%d", getpid());
    unlink(address->sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

/* Whether a message with that in it comes within `ms`. */
static bool is_notified(int fd, const char *what, int ms)
{
    int64_t limit = clock_monotonic_us() + ms * 1000LL;
    for (;;) {
        char text[512];
        int64_t left_ms = (limit - clock_monotonic_us()) / 1000;
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (left_ms < 0 || poll(&readable, 1, (int)left_ms) != 1)
            return false;
        ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
        assert_true(n > 0);
        text[n] = '\0';
        if (strstr(text, what))
            return true;
    }
}

static void drop_notifications(int fd)
{
    char text[512];
    while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0) {
    }
}

static void test_pool_when_a_service_manager_listens_then_it_hears_of_readiness_turns_and_the_end(
    void **state)
{
    (void)state;
    struct sockaddr_un address;
    int fd = service_socket(&address);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    pid_t pool = start_pool(2, 2000, turn);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    pid_t worker = await_birth();
    await_birth();
    assert_true(is_notified(fd, "READY=1", 20000));
    assert_true(is_notified(fd, "WATCHDOG=1", 20000));
    kill(pool, SIGHUP);
    assert_true(is_notified(fd, "RELOADING=1", 20000));
    assert_true(is_notified(fd, "READY=1", 20000));
    await_death(worker);
    await_birth();
    pid_t hanging = await_birth();
    kill(hanging, SIGUSR1);
    int64_t limit = clock_monotonic_us() + 20 * 1000000LL;
    do { /* after five seconds without a beat */
        assert_true(clock_monotonic_us() < limit);
        usleep(500 * 1000);
        drop_notifications(fd);
    } while (is_notified(fd, "WATCHDOG=1", 1500));
    kill(hanging, SIGKILL);
    assert_true(is_notified(fd, "WATCHDOG=1", 20000));
    await_birth();
    end_pool(pool);
    assert_true(is_notified(fd, "STOPPING=1", 0));
    close(fd);
    unlink(address.sun_path);
}

/* Some ten messages fit; the status changes more often than that. */
static void test_pool_when_the_service_manager_does_not_read_then_workers_are_still_replaced(void **state)
{
    (void)state;
    struct sockaddr_un address;
    int fd = service_socket(&address);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    setenv("WATCHDOG_USEC", "30000", 1);
    pid_t pool = start_pool(1, 2000, turn);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    pid_t worker = await_birth();
    usleep(1000 * 1000); /* a hundred of the watchdog's meals */
    kill(worker, SIGKILL);
    await_birth();
    end_pool(pool);
    close(fd);
    unlink(address.sun_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_when_its_workers_keep_dying_at_once_then_it_gives_up),
        cmocka_unit_test(test_pool_when_workers_are_killed_again_and_again_while_healthy_then_it_goes_on),
        cmocka_unit_test(test_pool_when_a_loop_does_not_turn_then_the_worker_is_replaced),
        cmocka_unit_test(test_pool_when_settings_are_read_again_then_workers_are_replaced_one_by_one),
        cmocka_unit_test(test_pool_when_new_settings_do_not_parse_then_the_old_workers_stay),
        cmocka_unit_test(test_pool_when_no_worker_lives_with_new_settings_then_the_old_ones_stay_in_force),
        cmocka_unit_test(test_pool_when_another_host_joins_and_dies_then_the_size_is_split_and_taken_over),
        cmocka_unit_test(
            test_pool_when_a_service_manager_listens_then_it_hears_of_readiness_turns_and_the_end),
        cmocka_unit_test(test_pool_when_the_service_manager_does_not_read_then_workers_are_still_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
