/* URLs that somebody gives us for later: what they show of where they lead. The spellings of private addresses are judged
 * by another's parser, too, in tests/e2e/webhook_urls.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/net/outbound_url.h"

static bool is_allowed(const char *allow, const char *url, char why[OUTBOUND_URL_WHY_SIZE])
{
    struct address_guard *guard = address_guard_new(allow);
    assert_non_null(guard);
    why[0] = '\0';
    bool is = outbound_url_is_allowed(guard, url, why);
    address_guard_free(guard);
    return is;
}

static void test_url_when_it_leads_to_a_private_address_then_refused_in_any_spelling(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0X7F.0.0.1",
        "017700000001",
        "0177.0.0.01",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "0",
        "0.0.0.0",
        "10.1",
        "192.168.257",
        "172.16.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1::a00:1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[::ffff:0:127.0.0.1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "loc%61lhost",
        "localhost.localdomain",
        "ip6-localhost",
        /* what is neither an address nor a name */
        "1.2.3.4.5",
        "127.1.",
        "256.256.256.256",
        "4294967296",
        "0x100000000",
        "08.0.0.1",
        "a.1",
        "a.0x7f",
        "a..example",
        ".example",
        "%e2%91%a0%e2%91%a1%e2%91%a6.0.0.1", /* digits in circles */
        "[fe80::1%25lo]",
        "user@example.com",
        "user:word@example.com",
        "@example.com",
    };
    char url[128], why[OUTBOUND_URL_WHY_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        snprintf(url, sizeof(url), "https://%s/hooks", hosts[i]);
        if (is_allowed("", url, why) || !*why)
            fail_msg("%s: %s", url, *why ? why : "allowed, or without a reason");
    }
}

static void test_url_when_it_is_public_then_allowed(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "https://example.com/",
        "https://example.com",
        "HTTPS://Example.COM:8443/a?b=c#d",
        "https://example.com./",
        "https://my_host.example.com/",
        "https://xn--bro-hoa.example/",
        "https://9.9.9.9/",
        "https://151.101.1",
        "https://[2a00:1450:4001:80b::200e]/",
        "https://[64:ff9b::808:808]/",
        "https://localhost.example.com/",
        "https://127.0.0.1.example.com/",
        "https://notlocalhost/",
        "https://1.example.1com/",
    };
    char why[OUTBOUND_URL_WHY_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(urls); i++)
        if (!is_allowed("", urls[i], why))
            fail_msg("%s: %s", urls[i], why);
}

static void test_url_when_it_is_not_https_then_only_for_what_is_allowed_expressly(void **state)
{
    (void)state;
    static const struct {
        const char *allow, *url;
        bool is_allowed;
    } cases[] = {
        {"", "http://example.com/", false},
        {"", "http://9.9.9.9/", false},
        {"", "ftp://example.com/", false},
        {"", "file:///etc/passwd", false},
        {"", "gopher://example.com/", false},
        {"", "example.com", false},
        {"127.0.0.0/8", "http://127.0.0.1:8080/", true},
        {"127.0.0.0/8", "https://127.1/", true},
        {"127.0.0.0/8", "http://localhost:8080/", true},
        {"127.0.0.0/8", "http://[::ffff:127.0.0.1]/", true},
        {"127.0.0.0/8", "http://[::1]/", false},
        {"127.0.0.0/8", "http://9.9.9.9/", false},
        {"127.0.0.0/8", "http://receiver.internal/", true}, /* judged when it has been looked up */
        {"10.0.0.0/8", "http://localhost/", false},
        {"10.0.0.0/8 fd00::/8", "https://[fd12::1]/", true},
        {"0.0.0.0/0", "https://169.254.169.254/", false},
        {"169.254.169.254", "https://169.254.169.254/", true},
        {"127.0.0.0/8", "http://user@127.0.0.1/", false},
    };
    char why[OUTBOUND_URL_WHY_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (is_allowed(cases[i].allow, cases[i].url, why) != cases[i].is_allowed)
            fail_msg("%s, allowed are %s: %s", cases[i].url, cases[i].allow, why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url_when_it_leads_to_a_private_address_then_refused_in_any_spelling),
        cmocka_unit_test(test_url_when_it_is_public_then_allowed),
        cmocka_unit_test(test_url_when_it_is_not_https_then_only_for_what_is_allowed_expressly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
