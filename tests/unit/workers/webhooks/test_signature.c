/* Signatures of webhooks, against a vector of Standard Webhooks and against Ed25519 as OpenSSL verifies it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "workers/webhooks/signature.h"

static const struct webhook_signed vector = {
    .id = SLICE("msg_p5jXN8AQM9LWM0D4loKWxJek"),
    .timestamp = SLICE("1614265330"),
    .body = SLICE("{\"test\": 2432232314}"),
};
static const struct slice secret = SLICE("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

static char *signed_by(bool (*sign)(struct slice, const struct webhook_signed *, struct buf *),
                       struct slice key)
{
    static char text[256];
    struct buf out;
    buf_init(&out, sizeof(text) - 1);
    assert_true(sign(key, &vector, &out));
    snprintf(text, sizeof(text), "%.*s", (int)buf_len(&out), buf_data(&out));
    buf_done(&out);
    return text;
}

static void test_v1_when_the_vector_is_signed_then_as_standard_webhooks_says(void **state)
{
    (void)state;
    assert_string_equal(signed_by(webhook_sign_v1, secret),
                        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void test_v1_when_the_secret_is_no_base64_then_its_octets_are_the_key(void **state)
{
    (void)state;
    static const char *const keys[] = {"whsec_not base64 at all!", "a plain old secret, long enough",
                                       "whsec_AAA=AAAA"};
    static const char content[] = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        uint8_t mac[32];
        char expected[64] = "v1,";
        unsigned len;
        HMAC(EVP_sha256(), keys[i], (int)strlen(keys[i]), (const uint8_t *)content, strlen(content), mac,
             &len);
        EVP_EncodeBlock((uint8_t *)expected + 3, mac, (int)len);
        assert_string_equal(signed_by(webhook_sign_v1, slice_of(keys[i])), expected);
    }
}

static void test_v1_when_there_is_no_secret_then_nothing_is_signed(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 256);
    assert_false(webhook_sign_v1(SLICE(""), &vector, &out));
    assert_int_equal(buf_len(&out), 0);
    buf_done(&out);
}

static void test_v1a_when_it_is_signed_then_the_public_key_verifies_it_and_nothing_else(void **state)
{
    (void)state;
    char public_text[WEBHOOK_PUBLIC_KEY_SIZE];
    uint8_t key[48], signature[96];
    char content[] = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
    assert_true(webhook_public_key(secret, public_text));
    assert_int_equal(strncmp(public_text, "whpk_", 5), 0);
    assert_int_equal(EVP_DecodeBlock(key, (const uint8_t *)public_text + 5, 44), 33);
    const char *text = signed_by(webhook_sign_v1a, secret);
    assert_int_equal(strncmp(text, "v1a,", 4), 0);
    assert_int_equal(EVP_DecodeBlock(signature, (const uint8_t *)text + 4, 88), 66);
    EVP_PKEY *public_key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
    for (int is_changed = 0; is_changed < 2; is_changed++) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        content[3] = is_changed ? '-' : '_';
        assert_int_equal(EVP_DigestVerifyInit(context, NULL, NULL, NULL, public_key), 1);
        assert_int_equal(EVP_DigestVerify(context, signature, 64, (const uint8_t *)content, strlen(content)),
                         !is_changed);
        EVP_MD_CTX_free(context);
    }
    EVP_PKEY_free(public_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1_when_the_vector_is_signed_then_as_standard_webhooks_says),
        cmocka_unit_test(test_v1_when_the_secret_is_no_base64_then_its_octets_are_the_key),
        cmocka_unit_test(test_v1_when_there_is_no_secret_then_nothing_is_signed),
        cmocka_unit_test(test_v1a_when_it_is_signed_then_the_public_key_verifies_it_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
