/* Clients that do not finish what they send: what the process holds of it is bounded in sum. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/net/conn_private.h"

enum { SENDERS = 5, BOUND = 64 * 1024, KIB = 1024 };

static struct config config;
static struct gateway gateway;
static struct conn_set *set;

/* A client, and a protocol state that holds whatever it has sent. */
static struct sender {
    struct conn *conn;
    int fd; /* the client's end */
    size_t held;
    int overflows;
    bool stubborn; /* lets go of nothing when it is told to */
    bool freed;
} senders[SENDERS];

static size_t on_bytes(struct conn *conn, void *state, struct slice bytes)
{
    (void)conn;
    ((struct sender *)state)->held += bytes.len;
    return bytes.len;
}

static void on_nothing(struct conn *conn, void *state)
{
    (void)conn, (void)state;
}

static size_t input(const struct conn *conn, const void *state)
{
    (void)conn;
    return ((const struct sender *)state)->held;
}

static void on_input_overflow(struct conn *conn, void *state)
{
    struct sender *sender = state;
    sender->overflows++;
    if (sender->stubborn)
        return;
    sender->held = 0;
    conn_write(conn, SLICE("goodbye"));
    conn_close(conn);
}

static void on_free(struct conn *conn, void *state)
{
    (void)conn;
    ((struct sender *)state)->freed = true;
}

static const struct conn_protocol protocol = {
    .name = "sender",
    .on_bytes = on_bytes,
    .on_end = on_nothing,
    .on_timeout = on_nothing,
    .on_overflow = on_nothing,
    .input = input,
    .on_input_overflow = on_input_overflow,
    .on_drain = on_nothing,
    .on_free = on_free,
};

static int set_up(void **state)
{
    (void)state;
    config = (struct config){.max_head_bytes = 1024,
                             .ws_max_message = 1024,
                             .max_output_bytes = 1 << 20,
                             .output_total_bytes = 64 << 20,
                             .input_total_bytes = BOUND,
                             .write_timeout_ms = 3600000,
                             .idle_timeout_ms = 3600000};
    gateway = (struct gateway){.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV), .config = &config};
    assert_int_equal(conn_set_new(&gateway, &set), ERR_OK);
    for (size_t i = 0; i < SENDERS; i++) {
        int fd[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
        senders[i] = (struct sender){.fd = fd[1], .conn = conn_new(set, fd[0], NULL, &protocol, false)};
        conn_set_protocol(senders[i].conn, &protocol, &senders[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    conn_set_free(set);
    for (size_t i = 0; i < SENDERS; i++)
        close(senders[i].fd);
    ev_loop_destroy(gateway.loop);
    return 0;
}

static void send_kib(size_t sender, size_t count)
{
    static char kib[KIB];
    while (count-- > 0)
        assert_int_equal(send(senders[sender].fd, kib, sizeof(kib), MSG_DONTWAIT), KIB);
    for (int i = 0; i < 3; i++)
        ev_run(gateway.loop, EVRUN_NOWAIT);
}

static void know_all_but(size_t stranger)
{
    for (size_t i = 0; i < SENDERS; i++)
        if (i != stranger)
            conn_set_known(senders[i].conn);
}

static void test_input_when_past_its_bound_in_sum_then_the_largest_go_and_the_others_stay(void **state)
{
    (void)state;
    know_all_but(SENDERS);
    send_kib(0, 8);
    send_kib(1, 30);
    send_kib(2, 12);
    assert_int_equal(conn_set_input(set), 50 * KIB);
    assert_int_equal(senders[1].overflows, 0); /* all of it fits still */
    send_kib(3, 15);
    assert_int_equal(senders[1].overflows, 1);
    assert_int_equal(senders[0].overflows + senders[2].overflows + senders[3].overflows, 0);
    assert_int_equal(conn_set_input(set), 35 * KIB);
}

static void test_input_when_past_its_bound_then_those_without_a_token_go_before_larger_ones(void **state)
{
    (void)state;
    know_all_but(2);
    send_kib(0, 8);
    send_kib(1, 40);
    send_kib(2, 6);
    send_kib(3, 11);
    assert_int_equal(senders[2].overflows, 1);
    assert_int_equal(senders[0].overflows + senders[1].overflows + senders[3].overflows, 0);
    send_kib(4, 10);
    assert_int_equal(senders[1].overflows, 1); /* nobody without a token is left */
}

static void test_input_when_a_request_is_in_work_then_it_goes_last(void **state)
{
    (void)state;
    know_all_but(SENDERS);
    send_kib(0, 30);
    conn_pause(senders[0].conn, true);
    send_kib(1, 25);
    send_kib(2, 10);
    assert_int_equal(senders[0].overflows, 0);
    assert_int_equal(senders[1].overflows, 1);
}

static void test_input_when_the_protocol_keeps_it_then_the_connection_is_aborted(void **state)
{
    (void)state;
    senders[0].stubborn = true;
    send_kib(0, 65);
    assert_int_equal(senders[0].overflows, 1);
    assert_true(senders[0].freed);
    assert_int_equal(conn_set_input(set), 0);
}

static void test_input_when_half_of_the_bound_is_held_then_nothing_is_read_behind_a_request_in_work(
    void **state)
{
    (void)state;
    know_all_but(SENDERS);
    conn_pause(senders[0].conn, true);
    send_kib(0, 4);
    assert_true(senders[0].conn->kept); /* it is read while there is room */
    send_kib(1, 33);
    size_t before = conn_set_input(set);
    send_kib(0, 4);
    assert_int_equal(conn_set_input(set), before);
    conn_pause(senders[0].conn, false);
    send_kib(2, 1);
    assert_int_equal(senders[0].held, 8 * KIB); /* what was held back is read then */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_input_when_past_its_bound_in_sum_then_the_largest_go_and_the_others_stay),
        TEST(test_input_when_past_its_bound_then_those_without_a_token_go_before_larger_ones),
        TEST(test_input_when_a_request_is_in_work_then_it_goes_last),
        TEST(test_input_when_the_protocol_keeps_it_then_the_connection_is_aborted),
        TEST(test_input_when_half_of_the_bound_is_held_then_nothing_is_read_behind_a_request_in_work),
    };
#undef TEST
    return cmocka_run_group_tests_name("input total", tests, NULL, NULL);
}
