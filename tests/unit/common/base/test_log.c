/* The log never waits for whoever reads standard error: what there is no room for is dropped and counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"

enum { LINES = 5000, ALARM_S = 60, TEXT_SIZE = 1 << 22 };

struct fixture {
    int standard_error, reader;
    char *text;
};

/* Standard error becomes fds[1]; fds[0] reads it. */
static void redirect(struct fixture *f, const int fds[2])
{
    fflush(stderr);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    close(fds[1]);
    f->reader = fds[0];
    assert_int_equal(fcntl(f->reader, F_SETFL, O_NONBLOCK), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->standard_error = dup(STDERR_FILENO);
    f->text = calloc(1, TEXT_SIZE);
    log_init("test_log", LOG_INFO);
    log_limit(0);
    alarm(ALARM_S); /* a line that waits ends the test */
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    alarm(0);
    dup2(f->standard_error, STDERR_FILENO);
    close(f->standard_error);
    close(f->reader);
    free(f->text);
    free(f);
    return 0;
}

/* Reads what has arrived, and returns how many lines of `event` are among it. */
static long read_lines(struct fixture *f, const char *event)
{
    size_t len = 0;
    ssize_t n;
    long lines = 0;
    char wanted[64];
    while ((n = read(f->reader, f->text + len, TEXT_SIZE - 1 - len)) > 0)
        len += (size_t)n;
    f->text[len] = '\0';
    snprintf(wanted, sizeof(wanted), "\"event\":\"%s\"", event);
    for (const char *at = f->text; (at = strstr(at, wanted)); at++)
        lines++;
    return lines;
}

static long count_in_text(const struct fixture *f, const char *event)
{
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "\"event\":\"%s\"", event);
    const char *line = strstr(f->text, wanted), *lines = line ? strstr(line, "\"lines\":") : NULL;
    return lines ? strtol(lines + 8, NULL, 10) : -1;
}

/* Nobody reads; then somebody does. */
static void expect_lines_dropped_and_counted(struct fixture *f)
{
    for (int i = 0; i < LINES; i++)
        log_info("stand.still", LOG_I("i", i),
                 LOG_S("filler", "................................................"));
    long written = read_lines(f, "stand.still");
    assert_true(written > 0 && written < LINES);
    assert_int_equal(read_lines(f, "stand.still"), 0);
    log_info("read.again");
    assert_int_equal(read_lines(f, "read.again"), 1);
    assert_int_equal(count_in_text(f, "log.dropped"), LINES - written);
    log_info("read.again");
    assert_int_equal(read_lines(f, "log.dropped"), 0);
}

static void test_log_when_the_reader_of_a_pipe_stands_still_drops_lines_and_leaves_the_pipe_as_it_is(
    void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    redirect(*state, fds);
    expect_lines_dropped_and_counted(*state);
    assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK); /* other processes may have it, too */
}

/* As under systemd. */
static void test_log_when_the_reader_of_a_socket_stands_still_drops_lines_and_leaves_it_as_it_is(void **state)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    redirect(*state, fds);
    expect_lines_dropped_and_counted(*state);
    assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
}

static void test_log_when_standard_error_is_replaced_follows_it(void **state)
{
    struct fixture *f = *state;
    int first[2], second[2];
    assert_int_equal(pipe(first), 0);
    assert_int_equal(pipe(second), 0);
    redirect(f, first);
    log_info("one");
    assert_int_equal(read_lines(f, "one"), 1);
    close(f->reader);
    redirect(f, second);
    log_info("two");
    assert_int_equal(read_lines(f, "two"), 1);
}

static void test_log_when_an_event_comes_too_often_suppresses_it_alone_and_counts(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    redirect(f, fds);
    log_limit(10);
    while (clock_monotonic_s() - (double)(int64_t)clock_monotonic_s() > 0.5)
        usleep(10000); /* all lines within one second */
    for (int i = 0; i < 100; i++)
        log_info("too.often");
    log_info("rare");
    assert_int_equal(read_lines(f, "too.often"), 10);
    assert_non_null(strstr(f->text, "\"event\":\"rare\""));
    usleep(1100000);
    log_report();
    assert_int_equal(read_lines(f, "log.suppressed"), 1);
    assert_int_equal(count_in_text(f, "log.suppressed"), 90);
    assert_non_null(strstr(f->text, "\"of\":\"too.often\""));
    log_info("too.often");
    assert_int_equal(read_lines(f, "too.often"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_log_when_the_reader_of_a_pipe_stands_still_drops_lines_and_leaves_the_pipe_as_it_is),
        TEST(test_log_when_the_reader_of_a_socket_stands_still_drops_lines_and_leaves_it_as_it_is),
        TEST(test_log_when_standard_error_is_replaced_follows_it),
        TEST(test_log_when_an_event_comes_too_often_suppresses_it_alone_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
