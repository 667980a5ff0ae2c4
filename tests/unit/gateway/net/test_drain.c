/* Streams of a process that leaves are sent away in turn: spread over its time, and never faster than the bound. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "gateway/net/conn_private.h"

enum {
    STREAMS = 300,
    BURST_SHARE = 25, /* of what may go in a second, this part may go at once */
    SLACK_MS = 1,     /* times are whole milliseconds */
};

static struct config config;
static struct gateway gateway;
static struct conn_set *set;
static int64_t told[2 * STREAMS]; /* when */
static size_t told_count, open_count;
static int other_ends[2 * STREAMS];

static size_t on_bytes(struct conn *conn, void *state, struct slice bytes)
{
    (void)conn, (void)state;
    return bytes.len;
}

static void on_nothing(struct conn *conn, void *state)
{
    (void)conn, (void)state;
}

static void on_drain(struct conn *conn, void *state)
{
    (void)state;
    told[told_count++] = clock_monotonic_ms();
    conn_close(conn);
}

static const struct conn_protocol newcomer = {.name = "newcomer",
                                              .on_bytes = on_bytes,
                                              .on_end = on_nothing,
                                              .on_timeout = on_nothing,
                                              .on_overflow = on_nothing,
                                              .on_drain = on_nothing,
                                              .on_free = on_nothing};
static const struct conn_protocol stream = {.name = "stream",
                                            .on_bytes = on_bytes,
                                            .on_end = on_nothing,
                                            .on_timeout = on_nothing,
                                            .on_overflow = on_nothing,
                                            .on_drain = on_drain,
                                            .on_free = on_nothing,
                                            .is_stream = true};

static struct conn *open_conn(const struct conn_protocol *protocol)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    other_ends[open_count++] = fd[1];
    return conn_new(set, fd[0], NULL, protocol, false);
}

static void open_streams(size_t count)
{
    for (size_t i = 0; i < count; i++)
        conn_set_protocol(open_conn(&newcomer), &stream, NULL);
}

static int set_up(void **state)
{
    (void)state;
    config = (struct config){.max_head_bytes = 1024,
                             .ws_max_message = 1024,
                             .max_output_bytes = 1 << 20,
                             .output_total_bytes = 64 << 20,
                             .input_total_bytes = 64 << 20,
                             .write_timeout_ms = 3600000,
                             .idle_timeout_ms = 3600000};
    gateway = (struct gateway){.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV), .config = &config};
    told_count = open_count = 0;
    assert_int_equal(conn_set_new(&gateway, &set), ERR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    conn_set_free(set);
    while (open_count > 0)
        close(other_ends[--open_count]);
    ev_loop_destroy(gateway.loop);
    return 0;
}

static void run_until_told(size_t count)
{
    int64_t limit = clock_monotonic_ms() + 30000;
    while (told_count < count && clock_monotonic_ms() < limit)
        ev_run(gateway.loop, EVRUN_ONCE);
    assert_true(told_count >= count);
}

/* The most that were told in a window of so many milliseconds. */
static size_t most_within(int64_t ms)
{
    size_t most = 0;
    for (size_t from = 0, to = 0; to < told_count; to++) {
        while (told[to] - told[from] >= ms)
            from++;
        most = to - from + 1 > most ? to - from + 1 : most;
    }
    return most;
}

static void assert_never_faster_than(int64_t per_s)
{
    assert_true(most_within(1000 - SLACK_MS) <= (size_t)per_s);
    assert_true(most_within(100) <= (size_t)(per_s / BURST_SHARE + per_s * (100 + SLACK_MS) / 1000));
}

static void test_drain_when_its_time_is_short_then_streams_go_at_the_bound_and_it_takes_longer(void **state)
{
    (void)state;
    config.drain_ms = 0;
    config.drain_per_s = 250;
    open_streams(STREAMS);
    int64_t began = clock_monotonic_ms();
    conn_set_drain(set);
    assert_in_range(conn_set_drain_left(set), 1200, 1500);
    run_until_told(STREAMS);
    assert_true(clock_monotonic_ms() - began >= INT64_C(1000) * (STREAMS - 10) / 250);
    assert_never_faster_than(250);
    assert_true(conn_set_drain_left(set) > 0); /* the last one has not read its goodbye yet */
}

static void test_drain_when_its_time_is_long_then_streams_go_evenly_over_it(void **state)
{
    (void)state;
    config.drain_ms = 1000;
    config.drain_per_s = 1000000;
    open_streams(STREAMS);
    int64_t began = clock_monotonic_ms();
    conn_set_drain(set);
    run_until_told(STREAMS);
    assert_true(told[STREAMS - 1] - began >= 890);
    for (size_t i = 0; i < STREAMS; i++) /* never before its turn: after t of the time, t of them */
        assert_true(told[i] - began >= (int64_t)(i * 900 / STREAMS) - SLACK_MS);
}

static void test_drain_when_the_loop_was_held_up_then_it_catches_up_within_the_bound(void **state)
{
    (void)state;
    config.drain_ms = 1000;
    config.drain_per_s = 500;
    open_streams(STREAMS);
    conn_set_drain(set);
    run_until_told(STREAMS / 10);
    usleep(500000); /* half of them are due now */
    run_until_told(STREAMS);
    assert_never_faster_than(500);
}

static void test_drain_when_a_stream_begins_meanwhile_then_it_is_sent_away_too(void **state)
{
    (void)state;
    config.drain_ms = 200;
    config.drain_per_s = 1000;
    struct conn *late = open_conn(&newcomer), *later = open_conn(&newcomer);
    open_streams(10);
    conn_set_drain(set);
    run_until_told(1);
    conn_set_protocol(late, &stream, NULL);
    run_until_told(11);
    conn_set_protocol(later, &stream, NULL); /* when all the others have been told */
    run_until_told(12);
}

static void test_drain_when_nobody_is_there_then_nothing_is_waited_for(void **state)
{
    (void)state;
    config.drain_ms = 1000;
    config.drain_per_s = 25;
    conn_set_drain(set);
    assert_int_equal(conn_set_drain_left(set), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_drain_when_its_time_is_short_then_streams_go_at_the_bound_and_it_takes_longer),
        TEST(test_drain_when_its_time_is_long_then_streams_go_evenly_over_it),
        TEST(test_drain_when_the_loop_was_held_up_then_it_catches_up_within_the_bound),
        TEST(test_drain_when_a_stream_begins_meanwhile_then_it_is_sent_away_too),
        TEST(test_drain_when_nobody_is_there_then_nothing_is_waited_for),
    };
    return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
