/* Sockets whose other end does not read: what waits for them is bounded, each and together. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "gateway/net/conn_private.h"

enum { READERS = 4, BOUND = 256 * 1024, MESSAGE = 1000, READ_MAX = 16 << 20 };

static struct config config;
static struct gateway gateway;
static struct conn_set *set;

/* ---- one output ---- */

static void open_pair(int fd[2])
{
    int small = 4096;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_int_equal(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
}

/* A message is MESSAGE octets of one letter. */
static struct slice message(char letter)
{
    static char text[MESSAGE];
    memset(text, letter, sizeof(text));
    return (struct slice){text, sizeof(text)};
}

static void read_all(int fd, struct buf *into)
{
    char text[65536];
    ssize_t n;
    while ((n = recv(fd, text, sizeof(text), MSG_DONTWAIT)) > 0)
        assert_true(buf_append(into, text, (size_t)n));
}

static void test_output_when_cut_then_what_was_begun_is_whole_and_the_rest_is_gone(void **state)
{
    (void)state;
    struct output_pool pool = {0};
    struct output output = {0};
    struct buf heard;
    int fd[2];
    size_t sent;
    open_pair(fd);
    buf_init(&heard, READ_MAX);
    for (char letter = 'a'; letter <= 'z'; letter++) {
        struct bytes *bytes = bytes_copy(message(letter));
        output_append_shared(&pool, &output, bytes, bytes->slice);
        bytes_unref(bytes);
    }
    assert_int_equal(output_send(&pool, &output, fd[0], &sent), OUTPUT_BLOCKED);
    assert_true(sent % MESSAGE != 0); /* or this test would not cut anything in two */
    output_cut(&pool, &output);
    assert_int_equal(output.bytes, MESSAGE - sent % MESSAGE);
    output_append(&pool, &output, SLICE("goodbye"));
    read_all(fd[1], &heard);
    assert_int_equal(output_send(&pool, &output, fd[0], &sent), OUTPUT_DONE);
    read_all(fd[1], &heard);
    size_t whole = buf_len(&heard) / MESSAGE;
    assert_int_equal(buf_len(&heard), whole * MESSAGE + strlen("goodbye"));
    for (size_t i = 0; i < whole; i++)
        assert_memory_equal(buf_data(&heard) + i * MESSAGE, message((char)('a' + i)).data, MESSAGE);
    assert_int_equal(pool.held, 0);
    buf_done(&heard);
    output_pool_done(&pool);
    close(fd[0]);
    close(fd[1]);
}

static void test_output_when_nothing_was_begun_then_cut_leaves_nothing(void **state)
{
    (void)state;
    struct output_pool pool = {0};
    struct output output = {0};
    output_append(&pool, &output, message('a'));
    output_cut(&pool, &output);
    assert_int_equal(output.bytes, 0);
    assert_null(output.first);
    assert_int_equal(pool.held, 0);
    output_pool_done(&pool);
}

static void test_output_when_many_share_bytes_then_they_are_held_once(void **state)
{
    (void)state;
    enum { SHARERS = 100, SIZE = 100000 };
    struct output_pool pool = {0};
    struct output outputs[SHARERS] = {{0}};
    char *space;
    struct bytes *bytes = bytes_new(SIZE, &space);
    memset(space, 'x', SIZE);
    for (size_t i = 0; i < SHARERS; i++)
        output_append_shared(&pool, &outputs[i], bytes, bytes->slice);
    assert_in_range(pool.held, SIZE, 2 * SIZE);
    for (size_t i = 0; i < SHARERS; i++)
        output_clear(&pool, &outputs[i]);
    assert_int_equal(pool.held, 0);
    bytes_unref(bytes);
    output_pool_done(&pool);
}

/* ---- many connections ---- */

struct reader {
    struct conn *conn;
    int fd; /* the other end */
    int overflows;
    bool stubborn; /* does nothing when it is told that it is too slow */
    bool freed;
};

static struct reader readers[READERS];

static size_t on_bytes(struct conn *conn, void *state, struct slice bytes)
{
    (void)conn, (void)state;
    return bytes.len;
}

static void on_nothing(struct conn *conn, void *state)
{
    (void)conn, (void)state;
}

static void on_overflow(struct conn *conn, void *state)
{
    struct reader *reader = state;
    reader->overflows++;
    if (reader->stubborn)
        return;
    conn_cut(conn);
    conn_write(conn, SLICE("goodbye"));
    conn_close(conn);
}

static void on_free(struct conn *conn, void *state)
{
    (void)conn;
    ((struct reader *)state)->freed = true;
}

static const struct conn_protocol protocol = {
    .name = "reader",
    .on_bytes = on_bytes,
    .on_end = on_nothing,
    .on_timeout = on_nothing,
    .on_overflow = on_overflow,
    .on_drain = on_nothing,
    .on_free = on_free,
};

static int set_up(void **state)
{
    (void)state;
    config = (struct config){.max_head_bytes = 1024,
                             .ws_max_message = 1024,
                             .max_output_bytes = 64 << 20,
                             .output_total_bytes = BOUND,
                             .input_total_bytes = 64 << 20,
                             .write_timeout_ms = 3600000,
                             .idle_timeout_ms = 3600000};
    gateway = (struct gateway){.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV), .config = &config};
    assert_int_equal(conn_set_new(&gateway, &set), ERR_OK);
    memset(readers, 0, sizeof(readers));
    for (size_t i = 0; i < READERS; i++) {
        int fd[2];
        open_pair(fd);
        readers[i].fd = fd[1];
        readers[i].conn = conn_new(set, fd[0], NULL, &protocol, false);
        conn_set_protocol(readers[i].conn, &protocol, &readers[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    conn_set_free(set);
    for (size_t i = 0; i < READERS; i++)
        close(readers[i].fd);
    ev_loop_destroy(gateway.loop);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < 3; i++)
        ev_run(gateway.loop, EVRUN_NOWAIT);
}

static void write_messages(struct reader *reader, size_t count)
{
    for (size_t i = 0; i < count; i++)
        conn_write(reader->conn, message('m'));
}

static void test_readers_when_together_past_their_bound_then_the_slowest_go_and_the_others_stay(void **state)
{
    (void)state;
    write_messages(&readers[0], 20);
    write_messages(&readers[1], 200);
    write_messages(&readers[2], 30);
    turn();
    assert_int_equal(readers[1].overflows, 0); /* all of it fits still */
    write_messages(&readers[3], 90);
    turn();
    assert_int_equal(readers[1].overflows, 1);
    assert_int_equal(readers[0].overflows, 0);
    assert_int_equal(readers[2].overflows, 0);
    assert_int_equal(readers[3].overflows, 0);
    assert_true(set->pool.held <= BOUND);
    struct buf heard;
    buf_init(&heard, READ_MAX);
    for (int i = 0; i < 10; i++) {
        read_all(readers[1].fd, &heard);
        turn();
    }
    assert_int_equal(buf_len(&heard) % MESSAGE, strlen("goodbye"));
    buf_done(&heard);
}

static void test_reader_when_it_ignores_that_it_is_too_slow_then_it_is_aborted(void **state)
{
    (void)state;
    readers[0].stubborn = true;
    write_messages(&readers[0], 400);
    turn();
    assert_int_equal(readers[0].overflows, 1);
    assert_true(readers[0].freed);
    assert_int_equal(set->pool.held, 0);
}

static void test_readers_when_they_share_what_waits_then_their_bound_counts_it_once(void **state)
{
    (void)state;
    char *space;
    struct bytes *bytes = bytes_new(BOUND / 2, &space);
    memset(space, 'x', BOUND / 2);
    for (size_t i = 0; i < READERS; i++)
        conn_write_shared(readers[i].conn, bytes);
    bytes_unref(bytes);
    turn();
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(readers[i].overflows, 0);
    assert_true(set->pool.held > BOUND / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_when_cut_then_what_was_begun_is_whole_and_the_rest_is_gone),
        cmocka_unit_test(test_output_when_nothing_was_begun_then_cut_leaves_nothing),
        cmocka_unit_test(test_output_when_many_share_bytes_then_they_are_held_once),
        cmocka_unit_test_setup_teardown(
            test_readers_when_together_past_their_bound_then_the_slowest_go_and_the_others_stay, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(test_reader_when_it_ignores_that_it_is_too_slow_then_it_is_aborted,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_readers_when_they_share_what_waits_then_their_bound_counts_it_once, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("slow readers", tests, NULL, NULL);
}
