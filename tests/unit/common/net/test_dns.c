/* Questions to name servers: a server of our own on a UDP socket of loopback, which says what each test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/base/clock.h"
#include "common/net/dns.h"

enum { HEADER = 12, PACKET_MAX = 512, WAIT_LIMIT_S = 60, TYPE_A = 1, TYPE_AAAA = 28 };

struct server {
    int fd;
    ev_io io;
    char text[32]; /* for dns_options */
    int asked;
    char last_name[256];
    /* Appends the records of an answer, and returns how many they are; < 0: no answer at all. */
    int (*answer)(uint8_t type, unsigned char *at, size_t *ret_len);
    int cut_off; /* octets taken from the end of each answer */
};

struct heard {
    int count; /* of answers */
    char addresses[512];
    char why[128];
};

static struct ev_loop *loop;
static struct server server;
static struct heard heard;

static size_t name_end(const unsigned char *packet, size_t len, char *ret_name)
{
    size_t at = HEADER;
    ret_name[0] = '\0';
    while (at < len && packet[at]) {
        snprintf(ret_name + strlen(ret_name), 64, "%s%.*s", ret_name[0] ? "." : "", packet[at],
                 (const char *)packet + at + 1);
        at += packet[at] + 1u;
    }
    return at + 1;
}

static void on_question(struct ev_loop *l, ev_io *io, int events)
{
    (void)l, (void)events;
    unsigned char packet[PACKET_MAX];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    ssize_t len = recvfrom(io->fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &size);
    assert_true(len > HEADER);
    size_t end = name_end(packet, (size_t)len, server.last_name) + 4, more = 0;
    server.asked++;
    int records = server.answer(packet[end - 3], packet + end, &more);
    if (records < 0)
        return;
    packet[2] = 0x81; /* a response, recursion desired */
    packet[3] = 0x80; /* recursion available, no error */
    packet[7] = (unsigned char)records;
    memset(packet + 8, 0, 4);
    sendto(io->fd, packet, end + more - (size_t)server.cut_off, 0, (struct sockaddr *)&from, size);
}

static void add_record(uint8_t type, const char *address, unsigned char *at, size_t *len)
{
    static const unsigned char begin[] = {0xC0, HEADER, 0, 0, 0, 1, 0, 0, 0, 60, 0, 0};
    unsigned char *record = at + *len;
    size_t size = type == TYPE_A ? 4 : 16;
    memcpy(record, begin, sizeof(begin));
    record[3] = type;
    record[11] = (unsigned char)size;
    assert_int_equal(inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, record + sizeof(begin)), 1);
    *len += sizeof(begin) + size;
}

static int answer_both(uint8_t type, unsigned char *at, size_t *len)
{
    if (type == TYPE_AAAA) {
        add_record(type, "2001:db8::7", at, len);
        return 1;
    }
    add_record(type, "192.0.2.1", at, len);
    add_record(type, "10.0.0.1", at, len);
    return 2;
}

static int answer_nothing(uint8_t type, unsigned char *at, size_t *len)
{
    (void)type, (void)at, (void)len;
    return 0;
}

static int answer_never(uint8_t type, unsigned char *at, size_t *len)
{
    (void)type, (void)at, (void)len;
    return -1;
}

static int answer_at_the_third_question(uint8_t type, unsigned char *at, size_t *len)
{
    return server.asked < 3 ? -1 : answer_both(type, at, len);
}

static int answer_with_a_lie(uint8_t type, unsigned char *at, size_t *len)
{
    (void)answer_both(type, at, len);
    return 200;
}

static void on_answer(void *arg, const struct dns_address *addresses, size_t count, const char *why)
{
    struct heard *h = arg;
    h->count++;
    assert_true((count == 0) == (why != NULL));
    for (size_t i = 0; i < count; i++) {
        char text[INET6_ADDRSTRLEN];
        const void *raw = addresses[i].socket.ss_family == AF_INET
                              ? (const void *)&((const struct sockaddr_in *)&addresses[i].socket)->sin_addr
                              : (const void *)&((const struct sockaddr_in6 *)&addresses[i].socket)->sin6_addr;
        inet_ntop(addresses[i].socket.ss_family, raw, text, sizeof(text));
        snprintf(h->addresses + strlen(h->addresses), 64, "%s ", text);
    }
    snprintf(h->why, sizeof(h->why), "%s", why ? why : "");
}

static void on_tick(struct ev_loop *l, ev_timer *w, int events)
{
    (void)l, (void)w, (void)events;
}

static void wait_for_answer(void)
{
    int64_t limit = clock_monotonic_us() + WAIT_LIMIT_S * 1000000LL;
    while (heard.count == 0) {
        assert_true(clock_monotonic_us() < limit);
        ev_run(loop, EVRUN_ONCE);
    }
}

static struct dns_question *ask(const char *host)
{
    const struct dns_options options = {.servers = server.text, .is_absolute = true};
    memset(&heard, 0, sizeof(heard));
    struct dns_question *question = dns_ask(loop, &options, host, on_answer, &heard);
    assert_int_equal(heard.count, 0); /* never from inside */
    return question;
}

static void hear(const char *host)
{
    (void)ask(host);
    wait_for_answer();
    assert_int_equal(heard.count, 1);
}

static int set_up(void **state)
{
    (void)state;
    static ev_timer ticker;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    loop = ev_loop_new(0);
    ev_timer_init(&ticker, on_tick, 0.02, 0.02);
    ev_timer_start(loop, &ticker);
    server = (struct server){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                             .answer = answer_both};
    assert_int_equal(bind(server.fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(server.fd, (struct sockaddr *)&address, &size), 0);
    snprintf(server.text, sizeof(server.text), "127.0.0.1:%d", ntohs(address.sin_port));
    ev_io_init(&server.io, on_question, server.fd, EV_READ);
    ev_io_start(loop, &server.io);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(server.fd);
    ev_loop_destroy(loop);
    return 0;
}

static void test_ask_when_the_server_answers_then_all_addresses_of_both_families_are_told(void **state)
{
    (void)state;
    hear("site.example");
    assert_non_null(strstr(heard.addresses, "192.0.2.1 "));
    assert_non_null(strstr(heard.addresses, "10.0.0.1 "));
    assert_non_null(strstr(heard.addresses, "2001:db8::7 "));
    assert_string_equal(server.last_name, "site.example");
    assert_int_equal(server.asked, 2);
}

static void test_ask_when_the_host_is_an_address_then_no_server_is_asked(void **state)
{
    (void)state;
    static const char *const hosts[] = {"192.0.2.9", "2001:db8::9"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        hear(hosts[i]);
        assert_int_equal(strncmp(heard.addresses, hosts[i], strlen(hosts[i])), 0);
        assert_int_equal(server.asked, 0);
    }
}

static void test_ask_when_the_host_is_localhost_then_it_is_this_machine(void **state)
{
    (void)state;
    hear("localhost");
    assert_non_null(strstr(heard.addresses, "127.0.0.1 "));
}

static void test_ask_when_there_is_no_address_then_it_says_why(void **state)
{
    (void)state;
    server.answer = answer_nothing;
    hear("empty.example");
    assert_string_not_equal(heard.why, "");
    hear("a..b");
    assert_string_not_equal(heard.why, "");
}

static void test_ask_when_a_question_is_lost_then_it_is_put_again(void **state)
{
    (void)state;
    server.answer = answer_at_the_third_question;
    hear("lost.example");
    assert_non_null(strstr(heard.addresses, "192.0.2.1 "));
}

static void test_ask_when_the_answer_lies_about_its_length_then_there_is_no_answer(void **state)
{
    (void)state;
    server.answer = answer_with_a_lie;
    hear("lie.example");
    assert_string_equal(heard.addresses, "");
    server.answer = answer_both;
    server.cut_off = 3;
    hear("cut.example");
    assert_string_equal(heard.addresses, "");
}

static void test_cancel_when_the_server_is_silent_then_nothing_is_told_and_nothing_is_left(void **state)
{
    (void)state;
    server.answer = answer_never;
    for (int i = 0; i < 20; i++) {
        struct dns_question *question = ask("silent.example");
        ev_run(loop, EVRUN_ONCE);
        dns_cancel(question);
    }
    dns_cancel(ask("192.0.2.9")); /* answered already, but not told */
    dns_cancel(NULL);
    ev_run(loop, EVRUN_ONCE);
    assert_int_equal(heard.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_ask_when_the_server_answers_then_all_addresses_of_both_families_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ask_when_the_host_is_an_address_then_no_server_is_asked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ask_when_the_host_is_localhost_then_it_is_this_machine, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ask_when_there_is_no_address_then_it_says_why, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ask_when_a_question_is_lost_then_it_is_put_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_ask_when_the_answer_lies_about_its_length_then_there_is_no_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_cancel_when_the_server_is_silent_then_nothing_is_told_and_nothing_is_left, set_up,
            tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
