#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/base/network.h"
#include "common/base/origin.h"

static void test_origin_when_normalized_then_as_browsers_send_it(void **state)
{
    (void)state;
    static const struct {
        const char *text, *origin;
    } rows[] = {
        {"https://app.example", "https://app.example"},
        {"HTTPS://App.EXAMPLE:443/", "https://app.example"},
        {"http://app.example:80", "http://app.example"},
        {"http://app.example:443", "http://app.example:443"},
        {"https://app.example:", "https://app.example"},
        {"https://app.example:08443", "https://app.example:8443"},
        {"http://[0:0::1]:80", "http://[::1]"},
        {"http://127.0.0.1:3000/", "http://127.0.0.1:3000"},
        {"capacitor://localhost", "capacitor://localhost"},
        {"null", "null"},
        {"https://app.example//", NULL},
        {"https://app.example?", NULL},
        {"https:///", NULL},
        {"://a", NULL},
        {"1a://b", NULL},
        {"", NULL},
        {"https://a:65536", NULL},
        {"https://a%41", NULL},
        {"https://a_b.example", "https://a_b.example"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[ORIGIN_SIZE];
        if (!slice_equal(origin_normalize(slice_of(rows[i].text), out), slice_of(rows[i].origin)))
            fail_msg("wrong for: %s", rows[i].text);
    }
}

static void test_network_when_asked_then_its_addresses_and_no_others(void **state)
{
    (void)state;
    assert_true(network_contains(SLICE("10.0.0.0/8"), "10.255.1.2"));
    assert_false(network_contains(SLICE("10.0.0.0/8"), "11.0.0.1"));
    assert_true(network_contains(SLICE("10.0.0.0/8"), "::ffff:10.1.1.1"));
    assert_true(network_contains(SLICE("192.168.1.64/26"), "192.168.1.127"));
    assert_false(network_contains(SLICE("192.168.1.64/26"), "192.168.1.128"));
    assert_true(network_contains(SLICE("::1"), "::1"));
    assert_true(network_contains(SLICE("fd00::/8"), "fdff::1"));
    assert_false(network_contains(SLICE("fd00::/8"), "127.0.0.1"));
    assert_true(network_contains(SLICE("0.0.0.0/0"), "127.0.0.1"));
    assert_false(network_contains(SLICE("127.0.0.1"), "unix"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origin_when_normalized_then_as_browsers_send_it),
        cmocka_unit_test(test_network_when_asked_then_its_addresses_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
