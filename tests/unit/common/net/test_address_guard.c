/* Which addresses our own requests may go to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/base/macros.h"
#include "common/net/address_guard.h"

static const char *refusal(const struct address_guard *guard, const char *text)
{
    struct ip_address address;
    assert_true(ip_address_parse(slice_of(text), &address));
    return address_guard_refuses(guard, &address);
}

static void test_judge_when_the_address_is_special_then_refused(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.77",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.254",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "100.100.100.200",
        "192.31.196.1",
        "192.52.193.1",
        "192.175.48.1",
        /* IPv6 */
        "::",
        "::1",
        "::2",
        "::7f00:1",
        "::127.0.0.1",
        "::10.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::ffff:a9fe:a9fe",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "100:0:0:1::1",
        "1fff::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2001:db8:ffff::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:808:808::1",
        "2620:4f:8000::1",
        "3fff::1",
        "3fff:fff:ffff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00::1",
        "fd00:ec2::254",
        "fdff:ffff:ffff:ffff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff02::1",
        "ff0e::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    };
    struct address_guard *guard = address_guard_new("");
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        if (!refusal(guard, addresses[i]))
            fail_msg("%s may be reached", addresses[i]);
    address_guard_free(guard);
}

static void test_judge_when_the_address_is_public_then_allowed(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "1.1.1.1",          "8.8.8.8",         "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",   "100.128.0.0",     "126.255.255.255", "128.0.0.1",
        "169.253.255.255",  "169.255.0.0",     "172.15.255.255",  "172.32.0.0",
        "192.0.1.0",        "192.0.3.0",       "192.167.255.255", "192.169.0.0",
        "198.17.255.255",   "198.20.0.0",      "198.51.101.0",    "203.0.112.255",
        "203.0.114.0",      "223.255.255.255", "168.63.129.17",   "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8", "2000::1",         "2001:200::1",     "2001:4860:4860::8888",
        "2003::1",          "2606:4700::1111", "2a00:1450::1",    "3ffe::1",
        "3fff:1000::1",
    };
    struct address_guard *guard = address_guard_new("");
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        if (refusal(guard, addresses[i]))
            fail_msg("%s is refused: %s", addresses[i], refusal(guard, addresses[i]));
    address_guard_free(guard);
}

static void test_judge_when_networks_are_allowed_then_they_alone_and_metadata_only_by_itself(void **state)
{
    (void)state;
    struct address_guard *guard = address_guard_new("127.0.0.0/8, 10.1.0.0/16 fd00::/8,::1");
    assert_non_null(guard);
    assert_null(refusal(guard, "127.0.0.1"));
    assert_null(refusal(guard, "::ffff:127.0.0.1"));
    assert_null(refusal(guard, "64:ff9b::10.1.2.3"));
    assert_null(refusal(guard, "10.1.255.255"));
    assert_non_null(refusal(guard, "10.2.0.0"));
    assert_null(refusal(guard, "fd12::1"));
    assert_null(refusal(guard, "::1"));
    assert_non_null(refusal(guard, "fd00:ec2::254"));
    assert_non_null(refusal(guard, "::2"));
    address_guard_free(guard);

    guard = address_guard_new("169.254.0.0/16,0.0.0.0/0,::/0");
    assert_non_null(refusal(guard, "169.254.169.254"));
    assert_null(refusal(guard, "169.254.0.9"));
    address_guard_free(guard);

    guard = address_guard_new("169.254.169.254");
    assert_null(refusal(guard, "169.254.169.254"));
    address_guard_free(guard);
}

static bool is_express(const struct address_guard *guard, const char *text)
{
    struct ip_address address;
    assert_true(ip_address_parse(slice_of(text), &address));
    return address_guard_allows_expressly(guard, &address);
}

static void test_judge_when_an_address_is_public_then_it_is_not_expressly_allowed(void **state)
{
    (void)state;
    struct address_guard *guard = address_guard_new("127.0.0.1,9.9.9.0/24,169.254.0.0/16");
    assert_true(is_express(guard, "127.0.0.1"));
    assert_true(is_express(guard, "9.9.9.9"));
    assert_false(is_express(guard, "127.0.0.2"));
    assert_false(is_express(guard, "8.8.8.8"));
    assert_false(is_express(guard, "169.254.169.254"));
    address_guard_free(guard);
}

static void test_new_when_the_list_cannot_be_read_then_none(void **state)
{
    (void)state;
    static const char *const lists[] = {"nonsense", "10.0.0.0/33", "10.0.0.0/",
                                        "10.0.0/8", "::/129",      "127.0.0.1,x"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        assert_null(address_guard_new(lists[i]));
}

static void test_judge_when_it_comes_as_a_socket_then_the_same_address(void **state)
{
    (void)state;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0A000001)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct ip_address address;
    struct address_guard *guard = address_guard_new("");
    assert_true(ip_address_from_socket((struct sockaddr *)&v4, &address));
    assert_string_equal(address_guard_refuses(guard, &address), "a private address");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.0.0.1", &v6.sin6_addr), 1);
    assert_true(ip_address_from_socket((struct sockaddr *)&v6, &address));
    assert_true(ip_address_is_v4(&address));
    assert_string_equal(address_guard_refuses(guard, &address), "a private address");
    assert_false(ip_address_from_socket(&other, &address));
    address_guard_free(guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge_when_the_address_is_special_then_refused),
        cmocka_unit_test(test_judge_when_the_address_is_public_then_allowed),
        cmocka_unit_test(test_judge_when_networks_are_allowed_then_they_alone_and_metadata_only_by_itself),
        cmocka_unit_test(test_judge_when_an_address_is_public_then_it_is_not_expressly_allowed),
        cmocka_unit_test(test_new_when_the_list_cannot_be_read_then_none),
        cmocka_unit_test(test_judge_when_it_comes_as_a_socket_then_the_same_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
