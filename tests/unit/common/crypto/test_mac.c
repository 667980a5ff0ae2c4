/* HMAC: RFC 2202 and RFC 4231, test case 2, in one part and in several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hex.h"
#include "common/crypto/mac.h"

static const struct {
    enum mac_hash hash;
    const char *code;
} vectors[] = {
    {MAC_SHA1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {MAC_SHA256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {MAC_SHA512,
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
     "caeab1a34d4a6b4b636e070a38bce737"},
};

static void test_sign_when_it_is_a_vector_then_its_code_however_it_is_cut(void **state)
{
    (void)state;
    const struct slice whole[] = {SLICE("what do ya want for nothing?")};
    const struct slice cut[] = {SLICE("what do ya want"), SLICE(""), SLICE(" for nothing?")};
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        char expected[MAC_SIZE_MAX];
        uint8_t code[MAC_SIZE_MAX];
        assert_true(hex_decode(slice_of(vectors[i].code), expected));
        size_t size = strlen(vectors[i].code) / 2;
        assert_int_equal(mac_sign(vectors[i].hash, SLICE("Jefe"), whole, 1, code), size);
        assert_memory_equal(code, expected, size);
        assert_int_equal(mac_sign(vectors[i].hash, SLICE("Jefe"), cut, 3, code), size);
        assert_memory_equal(code, expected, size);
    }
}

static void test_sign_when_the_key_is_empty_then_there_is_a_code(void **state)
{
    (void)state;
    uint8_t code[MAC_SIZE_MAX];
    assert_int_equal(mac_sign(MAC_SHA256, SLICE(""), NULL, 0, code), 32);
    assert_int_equal(code[0], 0xb6); /* b613679a… is the code of nothing under no key */
}

static void test_equal_when_one_octet_or_the_length_differs_then_not(void **state)
{
    (void)state;
    assert_true(mac_equal(SLICE("abc"), SLICE("abc")));
    assert_false(mac_equal(SLICE("abc"), SLICE("abd")));
    assert_false(mac_equal(SLICE("abc"), SLICE("ab")));
    assert_true(mac_equal(SLICE(""), SLICE("")));
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sign_when_it_is_a_vector_then_its_code_however_it_is_cut),
        TEST(test_sign_when_the_key_is_empty_then_there_is_a_code),
        TEST(test_equal_when_one_octet_or_the_length_differs_then_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
