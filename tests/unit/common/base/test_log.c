/* The log never waits for whoever reads standard error: what there is no room for is dropped and counted. A file that
 * is full is renamed, and no line is lost by that. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/log_file.h"
#include "common/base/log_output.h"
#include "common/base/macros.h"

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
    log_access_limit(1000000);
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
    log_file_set_max(0);
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
    char wanted[96];
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

/* What all lines of the event in the text say together. */
static long lines_in_text(const struct fixture *f, const char *event)
{
    char wanted[64];
    long sum = 0;
    snprintf(wanted, sizeof(wanted), "\"event\":\"%s\"", event);
    for (const char *at = f->text; (at = strstr(at, wanted)); at++) {
        const char *lines = strstr(at, "\"lines\":");
        sum += lines ? strtol(lines + 8, NULL, 10) : 0;
    }
    return sum;
}

/* Nobody reads; then somebody does. */
static void expect_lines_dropped_and_counted(struct fixture *f)
{
    for (int i = 0; i < LINES; i++)
        log_info("stand.still", LOG_I("i", i),
                 LOG_S("filler", "................................................"));
    long written = read_lines(f, "stand.still");
    long said = lines_in_text(f, "log.dropped"); /* a report is short, and may fit where a line does not */
    assert_true(written > 0 && written < LINES);
    assert_int_equal(read_lines(f, "stand.still"), 0);
    log_info("read.again");
    assert_int_equal(read_lines(f, "read.again"), 1);
    assert_int_equal(said + lines_in_text(f, "log.dropped"), LINES - written);
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

/* ---- lines of requests ---- */

static void test_access_lines_wait_for_the_end_of_the_turn_and_keep_their_place_before_other_lines(
    void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    redirect(f, fds);
    log_access(LOG_INFO, clock_monotonic_us(), "request", LOG_MS("duration_ms", 1234567),
               LOG_MS("none_ms", 5));
    log_access(LOG_DEBUG, clock_monotonic_us(), "request");
    assert_int_equal(read_lines(f, "request"), 0);
    log_info("other");
    assert_int_equal(read_lines(f, "request"), 1);
    assert_non_null(strstr(f->text, "\"duration_ms\":1234.567,\"none_ms\":0.005}\n"));
    assert_true(strstr(f->text, "\"request\"") < strstr(f->text, "\"other\""));
    log_access(LOG_WARN, clock_monotonic_us(), "request");
    log_flush();
    assert_int_equal(read_lines(f, "request"), 1);
    log_access_limit(0);
    log_access(LOG_INFO, clock_monotonic_us(), "request");
    log_flush();
    assert_int_equal(read_lines(f, "request"), 0);
}

static void test_access_lines_when_the_reader_stands_still_are_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    redirect(f, fds);
    for (int i = 0; i < LINES; i++) {
        log_access(LOG_INFO, clock_monotonic_us(), "request",
                   LOG_S("filler", "................................................"));
        if (i % 100 == 0)
            log_flush();
    }
    log_flush();
    long written = read_lines(f, "request");
    assert_true(written > 0 && written < LINES);
    log_report();
    assert_int_equal(read_lines(f, "log.dropped"), 1);
    assert_int_equal(count_in_text(f, "log.dropped"), LINES - written);
}

static void test_access_lines_have_a_limit_of_their_own_and_those_beyond_it_are_counted(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    redirect(f, fds);
    log_limit(1);
    log_access_limit(50);
    while (clock_monotonic_s() - (double)(int64_t)clock_monotonic_s() > 0.5)
        usleep(10000); /* all lines within one second */
    for (int i = 0; i < 80; i++)
        log_access(LOG_INFO, clock_monotonic_us(), "bounded");
    log_flush();
    assert_int_equal(read_lines(f, "bounded"), 50);
    usleep(1100000);
    log_report();
    read_lines(f, "log.suppressed");
    assert_int_equal(count_in_text(f, "log.suppressed"), 30);
}

/* ---- a file ---- */

enum { PROCESSES = 4, EACH = 1200, FULL = 256 << 10 };

static char folder[48];

/* Standard error becomes a file in a new folder. */
static void redirect_to_file(int64_t max)
{
    char path[96];
    snprintf(folder, sizeof(folder), "/tmp/cortex-test-log-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/part.log", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    fflush(stderr);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
    log_file_set_max(max);
}

static int64_t size_of(const char *name)
{
    char path[96];
    struct stat state;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return stat(path, &state) ? -1 : state.st_size;
}

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

/* Counts each line by its process and number. */
static void read_file(const char *name, int (*seen)[EACH])
{
    char path[96], line[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) {
        int process, number;
        const char *at = strstr(line, "\"process_number\":");
        assert_non_null(at); /* no line is cut */
        assert_int_equal(sscanf(at, "\"process_number\":%d,\"i\":%d", &process, &number), 2);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        seen[process][number]++;
    }
    if (file)
        fclose(file);
}

static void write_many(int process)
{
    for (int i = 0; i < EACH; i++) {
        if (i % 2)
            log_access(LOG_INFO, clock_monotonic_us(), "many", LOG_I("process_number", process),
                       LOG_I("i", i));
        else
            log_info("many", LOG_I("process_number", process), LOG_I("i", i));
        if (i % 16 == 0)
            usleep(100);
    }
    log_flush();
    _exit(0);
}

static void test_file_when_several_processes_find_it_full_then_it_is_renamed_and_each_line_is_there_once(
    void **state)
{
    (void)state;
    static int seen[PROCESSES][EACH];
    int status;
    redirect_to_file(FULL);
    for (int process = 0; process < PROCESSES; process++)
        if (fork() == 0)
            write_many(process);
    for (int process = 0; process < PROCESSES; process++)
        assert_true(wait(&status) > 0 && status == 0);
    assert_true(size_of("part.log.1") >= FULL);
    read_file("part.log", seen);
    read_file("part.log.1", seen);
    read_file("part.log.2", seen);
    read_file("part.log.3", seen);
    for (int process = 0; process < PROCESSES; process++)
        for (int i = 0; i < EACH; i++)
            assert_int_equal(seen[process][i], 1);
    remove_folder();
}

static void test_file_when_much_is_written_then_it_takes_bounded_room_on_the_disk(void **state)
{
    (void)state;
    enum { MAX = 65536, LINES_WRITTEN = 20000 };
    redirect_to_file(MAX);
    for (int i = 0; i < LINES_WRITTEN; i++)
        log_access(LOG_INFO, clock_monotonic_us(), "much",
                   LOG_S("filler", "................................................"));
    log_flush();
    static const char *const names[] = {"part.log", "part.log.1", "part.log.2", "part.log.3"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_true(size_of(names[i]) > 0 && size_of(names[i]) <= 2 * MAX);
    assert_int_equal(size_of("part.log.4"), -1);
    assert_int_equal(size_of("part.log.new"), -1);
    remove_folder();
}

static void test_file_when_its_folder_is_renamed_then_the_new_one_is_there(void **state)
{
    (void)state;
    char moved[48];
    redirect_to_file(1000);
    snprintf(moved, sizeof(moved), "%.30s-moved", folder);
    assert_int_equal(rename(folder, moved), 0);
    memcpy(folder, moved, sizeof(folder));
    for (int i = 0; i < 30; i++)
        log_info("moved");
    assert_true(size_of("part.log") >= 0 && size_of("part.log.1") >= 1000);
    remove_folder();
}

/* Its descriptor would keep the room of the deleted file. */
static void test_file_when_another_process_has_renamed_it_then_one_that_writes_nothing_lets_go_of_it(
    void **state)
{
    (void)state;
    struct stat before, after;
    int status;
    redirect_to_file(1000);
    assert_int_equal(fstat(STDERR_FILENO, &before), 0);
    if (fork() == 0) {
        for (int i = 0; i < 100; i++)
            log_info("by another");
        _exit(0);
    }
    assert_true(wait(&status) > 0 && status == 0);
    log_report();
    assert_int_equal(fstat(STDERR_FILENO, &after), 0);
    assert_true(before.st_ino != after.st_ino && after.st_nlink == 1);
    remove_folder();
}

static void test_file_when_it_cannot_be_renamed_then_it_is_written_on_and_a_line_says_why_once(void **state)
{
    struct fixture *f = *state;
    char path[96];
    redirect_to_file(1000);
    for (int number = 1; number <= LOG_FILES_KEPT; number++) { /* names that no file can take */
        snprintf(path, sizeof(path), "%s/part.log.%d/x", folder, number);
        *strrchr(path, '/') = '\0';
        assert_int_equal(mkdir(path, 0755), 0);
        strcat(path, "/x");
        assert_int_equal(mkdir(path, 0755), 0);
    }
    for (int i = 0; i < 30; i++)
        log_info("stays");
    snprintf(path, sizeof(path), "%s/part.log", folder);
    f->reader = open(path, O_RDONLY);
    assert_int_equal(read_lines(f, "stays"), 30);
    const char *why = strstr(f->text, "\"event\":\"log.file_stays_full\"");
    assert_non_null(why);
    assert_null(strstr(why + 1, "\"event\":\"log.file_stays_full\""));
    assert_int_equal(size_of("part.log.new"), -1);
    remove_folder();
}

/* The number of a descriptor that is closed at the start would become that of a connection. */
static void
test_log_when_the_standard_descriptors_are_closed_at_the_start_then_nothing_else_gets_their_numbers(
    void **state)
{
    (void)state;
    int kept[3];
    for (int fd = 0; fd < 3; fd++) {
        kept[fd] = dup(fd);
        close(fd);
    }
    log_init("test", LOG_INFO);
    int next = open("/dev/zero", O_RDONLY);
    log_info("into.nothing");
    for (int fd = 0; fd < 3; fd++)
        dup2(kept[fd], fd);
    for (int fd = 0; fd < 3; fd++)
        close(kept[fd]);
    assert_true(next > STDERR_FILENO);
    close(next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_log_when_the_reader_of_a_pipe_stands_still_drops_lines_and_leaves_the_pipe_as_it_is),
        TEST(test_log_when_the_reader_of_a_socket_stands_still_drops_lines_and_leaves_it_as_it_is),
        TEST(test_log_when_standard_error_is_replaced_follows_it),
        TEST(
            test_log_when_the_standard_descriptors_are_closed_at_the_start_then_nothing_else_gets_their_numbers),
        TEST(test_log_when_an_event_comes_too_often_suppresses_it_alone_and_counts),
        TEST(test_access_lines_wait_for_the_end_of_the_turn_and_keep_their_place_before_other_lines),
        TEST(test_access_lines_when_the_reader_stands_still_are_dropped_and_counted),
        TEST(test_access_lines_have_a_limit_of_their_own_and_those_beyond_it_are_counted),
        TEST(test_file_when_several_processes_find_it_full_then_it_is_renamed_and_each_line_is_there_once),
        TEST(test_file_when_much_is_written_then_it_takes_bounded_room_on_the_disk),
        TEST(test_file_when_its_folder_is_renamed_then_the_new_one_is_there),
        TEST(test_file_when_another_process_has_renamed_it_then_one_that_writes_nothing_lets_go_of_it),
        TEST(test_file_when_it_cannot_be_renamed_then_it_is_written_on_and_a_line_says_why_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
