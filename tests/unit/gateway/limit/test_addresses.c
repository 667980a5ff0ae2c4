/* What one network address may do. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "common/base/macros.h"
#include "common/process/config.h"
#include "gateway/limit/addresses.h"

enum { FAILURES_PER_S = 10, BURST = 5 * FAILURES_PER_S };

static struct config config;
static struct addresses *addresses;

static uint64_t key_of(const char *text)
{
    uint8_t octets[16];
    if (inet_pton(AF_INET, text, octets) == 1)
        return address_key(AF_INET, octets);
    assert_int_equal(inet_pton(AF_INET6, text, octets), 1);
    return address_key(AF_INET6, octets);
}

static int set_up(void **state)
{
    (void)state;
    config = (struct config){.max_connections = 10, .address_share = 30, .address_failures = FAILURES_PER_S};
    addresses = addresses_new(&config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    addresses_free(addresses);
    return 0;
}

static void test_key_when_ipv6_then_of_its_network_and_when_mapped_then_of_ipv4(void **state)
{
    (void)state;
    assert_true(key_of("2001:db8:0:1::1") == key_of("2001:db8:0:1:ffff::2"));
    assert_true(key_of("2001:db8:0:1::1") != key_of("2001:db8:0:2::1"));
    assert_true(key_of("192.0.2.1") != key_of("192.0.2.2"));
    assert_true(key_of("::ffff:192.0.2.1") == key_of("192.0.2.1"));
    assert_true(key_of("::1") != 0 && key_of("0.0.0.0") != 0);
    assert_int_equal(address_key(AF_UNIX, NULL), 0);
}

static void test_connections_when_an_address_has_its_share_then_no_more_and_others_have_theirs(void **state)
{
    (void)state;
    uint64_t one = key_of("192.0.2.1"), other = key_of("192.0.2.2");
    for (int i = 0; i < 3; i++)
        assert_true(addresses_enter(addresses, one));
    assert_false(addresses_enter(addresses, one));
    assert_true(addresses_enter(addresses, other));
    addresses_leave(addresses, one);
    assert_true(addresses_enter(addresses, one));
    assert_false(addresses_enter(addresses, one));
}

static void test_connections_when_the_bound_is_off_or_there_is_no_address_then_any_number(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_true(addresses_enter(addresses, 0));
    config.address_share = 100;
    for (int i = 0; i < 100; i++)
        assert_true(addresses_enter(addresses, key_of("192.0.2.1")));
}

/* ---- strangers ---- */

enum { STRANGERS = 8 };
static struct seat strangers[STRANGERS];

static void add(size_t i, const char *text)
{
    strangers[i] = (struct seat){0};
    addresses_add(addresses, key_of(text), &strangers[i], SEAT_STRANGER);
}

static void remove_all(void)
{
    for (size_t i = 0; i < STRANGERS; i++)
        addresses_remove(addresses, &strangers[i]);
    assert_null(addresses_oldest_stranger(addresses));
    assert_int_equal(addresses_count(addresses), 0);
}

static void test_strangers_when_room_is_needed_then_the_oldest_of_the_address_with_the_most(void **state)
{
    (void)state;
    assert_null(addresses_oldest_stranger(addresses));
    add(0, "192.0.2.1");
    add(1, "192.0.2.2");
    add(2, "192.0.2.2");
    add(3, "192.0.2.3");
    add(4, "192.0.2.2");
    assert_ptr_equal(addresses_oldest_stranger(addresses), &strangers[1]);
    addresses_remove(addresses, &strangers[1]);
    assert_ptr_equal(addresses_oldest_stranger(addresses), &strangers[2]);
    addresses_remove(addresses, &strangers[2]);
    assert_ptr_equal(addresses_oldest_stranger(addresses), &strangers[0]); /* one each: who came first */
    addresses_remove(addresses, &strangers[0]);
    assert_ptr_equal(addresses_oldest_stranger(addresses), &strangers[3]);
    remove_all();
}

static void test_strangers_when_an_address_needs_room_then_its_own_oldest(void **state)
{
    (void)state;
    add(0, "192.0.2.1");
    add(1, "192.0.2.2");
    add(2, "192.0.2.2");
    add(3, "192.0.2.1");
    assert_ptr_equal(addresses_oldest_of(addresses, key_of("192.0.2.1"), SEAT_STRANGER), &strangers[0]);
    addresses_remove(addresses, &strangers[0]);
    addresses_remove(addresses, &strangers[0]); /* it is none any more */
    assert_ptr_equal(addresses_oldest_of(addresses, key_of("192.0.2.1"), SEAT_STRANGER), &strangers[3]);
    assert_null(addresses_oldest_of(addresses, key_of("192.0.2.3"), SEAT_STRANGER));
    addresses_add(addresses, 0, &strangers[0], SEAT_STRANGER);
    assert_null(addresses_oldest_of(addresses, 0, SEAT_STRANGER));
    remove_all();
}

static void test_strangers_when_many_come_and_go_then_the_one_found_is_of_an_address_with_the_most(
    void **state)
{
    (void)state;
    enum { ADDRESSES = 5, MANY = 200, ROUNDS = 20000 };
    static struct seat many[MANY];
    size_t of[ADDRESSES] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t i = arc4random_uniform(MANY), address = i % ADDRESSES;
        uint32_t octets = htonl(1 + (uint32_t)address);
        if (many[i].address) {
            addresses_remove(addresses, &many[i]);
            of[address]--;
        } else {
            addresses_add(addresses, address_key(AF_INET, (uint8_t *)&octets), &many[i], SEAT_STRANGER);
            of[address]++;
        }
        const struct seat *found = addresses_oldest_stranger(addresses);
        size_t most = 0;
        for (size_t k = 0; k < ADDRESSES; k++)
            most = of[k] > most ? of[k] : most;
        assert_true(found ? of[(size_t)(found - many) % ADDRESSES] == most : most == 0);
    }
    for (size_t i = 0; i < MANY; i++)
        addresses_remove(addresses, &many[i]);
    assert_int_equal(addresses_count(addresses), 0);
}

/* ---- those with a token ---- */

static void add_known(size_t i, const char *text, enum seat_kind kind)
{
    add(i, text);
    addresses_set_kind(addresses, &strangers[i], kind);
}

static const struct seat *for_new(const char *text)
{
    return addresses_known_for(addresses, key_of(text));
}

static void test_known_when_room_is_needed_then_of_the_most_idle_first_then_the_youngest_stream(void **state)
{
    (void)state;
    add_known(0, "192.0.2.1", SEAT_WORKING);
    add_known(1, "192.0.2.1", SEAT_STREAM);
    add_known(2, "192.0.2.1", SEAT_STREAM);
    add_known(3, "192.0.2.1", SEAT_WORKING);
    add_known(4, "192.0.2.1", SEAT_IDLE);
    add_known(5, "192.0.2.2", SEAT_IDLE);
    addresses_set_kind(addresses, &strangers[3], SEAT_IDLE);
    static const size_t order[] = {4, 3, 2, 1};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_ptr_equal(for_new("192.0.2.3"), &strangers[order[i]]);
        addresses_remove(addresses, &strangers[order[i]]);
    }
    assert_null(for_new("192.0.2.3")); /* nobody has more than one */
    remove_all();
}

static void test_known_when_no_address_has_more_than_the_new_one_then_none(void **state)
{
    (void)state;
    add_known(0, "192.0.2.1", SEAT_IDLE);
    add_known(1, "192.0.2.1", SEAT_IDLE);
    add_known(2, "192.0.2.1", SEAT_IDLE);
    assert_null(for_new("192.0.2.1"));
    assert_ptr_equal(for_new("192.0.2.2"), &strangers[0]);
    add(3, "192.0.2.2"); /* a stranger counts for its address */
    assert_ptr_equal(for_new("192.0.2.2"), &strangers[0]);
    addresses_remove(addresses, &strangers[0]);
    assert_null(for_new("192.0.2.2")); /* two and one: the new one would make them one and two */
    assert_ptr_equal(for_new("192.0.2.3"), &strangers[1]);
    config.address_share = 100;
    assert_null(for_new("192.0.2.3"));
    remove_all();
}

static void fail_until_it_may_not_try(uint64_t key, ev_tstamp now)
{
    uint64_t count;
    for (int i = 0; i < BURST; i++) {
        assert_true(addresses_may_try(addresses, key, now));
        addresses_failed(addresses, key, now, &count);
    }
    assert_false(addresses_may_try(addresses, key, now));
}

static void test_failures_when_more_than_the_budget_then_no_try_until_some_are_repaid(void **state)
{
    (void)state;
    uint64_t one = key_of("192.0.2.1");
    assert_true(addresses_enter(addresses, one));
    fail_until_it_may_not_try(one, 1000);
    assert_true(addresses_may_try(addresses, key_of("192.0.2.2"), 1000));
    addresses_leave(addresses, one); /* connecting again does not help */
    assert_false(addresses_may_try(addresses, one, 1000));
    size_t tries = 0;
    for (int ms = 0; ms < 1000; ms += 5)
        if (addresses_may_try(addresses, one, 1000 + ms / 1000.)) {
            uint64_t count;
            addresses_failed(addresses, one, 1000 + ms / 1000., &count);
            tries++;
        }
    assert_in_range(tries, FAILURES_PER_S - 1, FAILURES_PER_S + 1);
    config.address_failures = 0;
    assert_true(addresses_may_try(addresses, one, 1000));
}

static void test_failures_when_many_then_few_are_logged_and_all_are_counted(void **state)
{
    (void)state;
    uint64_t count, logged = 0, lines = 0;
    for (int i = 0; i < 1000; i++)
        if (addresses_failed(addresses, key_of("192.0.2.1"), 1000 + i * 0.1, &count)) {
            logged += count;
            lines++;
        }
    assert_in_range(lines, 9, 11);
    assert_in_range(logged, 900, 1000);
}

static void test_failures_when_of_many_addresses_then_memory_and_lines_are_bounded(void **state)
{
    (void)state;
    enum { MANY = 300000 };
    uint64_t count;
    size_t lines = 0;
    for (uint32_t i = 1; i <= MANY; i++) {
        uint32_t address = htonl(i);
        lines += addresses_failed(addresses, address_key(AF_INET, (uint8_t *)&address), 1000, &count);
    }
    assert_in_range(lines, 1, 10);
    assert_in_range(addresses_count(addresses), 1, 64 * 1024);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_when_ipv6_then_of_its_network_and_when_mapped_then_of_ipv4),
        TEST(test_connections_when_an_address_has_its_share_then_no_more_and_others_have_theirs),
        TEST(test_connections_when_the_bound_is_off_or_there_is_no_address_then_any_number),
        TEST(test_strangers_when_room_is_needed_then_the_oldest_of_the_address_with_the_most),
        TEST(test_strangers_when_an_address_needs_room_then_its_own_oldest),
        TEST(test_strangers_when_many_come_and_go_then_the_one_found_is_of_an_address_with_the_most),
        TEST(test_known_when_room_is_needed_then_of_the_most_idle_first_then_the_youngest_stream),
        TEST(test_known_when_no_address_has_more_than_the_new_one_then_none),
        TEST(test_failures_when_more_than_the_budget_then_no_try_until_some_are_repaid),
        TEST(test_failures_when_many_then_few_are_logged_and_all_are_counted),
        TEST(test_failures_when_of_many_addresses_then_memory_and_lines_are_bounded),
    };
#undef TEST
    return cmocka_run_group_tests_name("addresses", tests, NULL, NULL);
}
