/* Signatures of webhooks, by the vectors of those who define them, and cut at every octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/hooks/signature.h"

enum { HEADERS_MAX = 3 };

struct headers {
    struct {
        const char *name;
        struct slice value;
    } rows[HEADERS_MAX];
};

static struct slice header_of(void *arg, const char *name)
{
    const struct headers *headers = arg;
    for (size_t i = 0; i < HEADERS_MAX; i++)
        if (headers->rows[i].name && strcasecmp(headers->rows[i].name, name) == 0)
            return headers->rows[i].value;
    return SLICE_NONE;
}

static bool is_signed(const struct hook_signing *signing, struct headers *headers, const char *body,
                      int64_t now_s)
{
    const struct hook_request request = {
        .header = header_of, .arg = headers, .body = slice_of(body), .now_s = now_s};
    return hook_is_signed(signing, &request);
}

static struct hook_signing signing_of(enum hook_type type, const char *secret)
{
    return (struct hook_signing){.type = type, .secrets = {slice_of(secret)}};
}

static void test_github_when_it_is_its_vector_then_signed_and_no_shorter_text_is(void **state)
{
    (void)state;
    static const char right[] = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const struct hook_signing signing = signing_of(HOOK_GITHUB, "It's a Secret to Everybody");
    struct headers headers = {{{"X-Hub-Signature-256", SLICE(right)}}};
    assert_true(is_signed(&signing, &headers, "Hello, World!", 0));
    assert_false(is_signed(&signing, &headers, "Hello, World?", 0));
    for (size_t len = 0; len < sizeof(right) - 1; len++) {
        headers.rows[0].value = (struct slice){right, len};
        assert_false(is_signed(&signing, &headers, "Hello, World!", 0));
    }
}

/* https://github.com/standard-webhooks: the vector of the notes. */
static void test_standard_when_it_is_its_vector_then_signed_within_its_time(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"webhook", "svix"};
    const struct hook_signing signing = signing_of(HOOK_STANDARD, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        char names[HEADERS_MAX][32];
        snprintf(names[0], sizeof(names[0]), "%s-id", prefixes[i]);
        snprintf(names[1], sizeof(names[1]), "%s-timestamp", prefixes[i]);
        snprintf(names[2], sizeof(names[2]), "%s-signature", prefixes[i]);
        struct headers headers = {
            {{names[0], SLICE("msg_p5jXN8AQM9LWM0D4loKWxJek")},
             {names[1], SLICE("1614265330")},
             {names[2], SLICE("v1a,AAAA v1, v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")}}};
        static const char body[] = "{\"test\": 2432232314}";
        assert_true(is_signed(&signing, &headers, body, 1614265330));
        assert_true(is_signed(&signing, &headers, body, 1614265330 + 300));
        assert_true(is_signed(&signing, &headers, body, 1614265330 - 300));
        assert_false(is_signed(&signing, &headers, body, 1614265330 + 301));
        assert_false(is_signed(&signing, &headers, body, 1614265330 - 301));
        assert_false(is_signed(&signing, &headers, "{\"test\": 2432232315}", 1614265330));
    }
}

/* api.slack.com/authentication/verifying-requests-from-slack */
static void test_slack_when_it_is_its_vector_then_signed(void **state)
{
    (void)state;
    static const char body[] =
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        "channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        "response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
        "96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const struct hook_signing signing = signing_of(HOOK_SLACK, "8f742231b10e8888abcd99yyyzzz85a5");
    struct headers headers = {
        {{"X-Slack-Request-Timestamp", SLICE("1531420618")},
         {"X-Slack-Signature",
          SLICE("v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503")}}};
    assert_true(is_signed(&signing, &headers, body, 1531420618));
    headers.rows[0].value = SLICE("1531420619");
    assert_false(is_signed(&signing, &headers, body, 1531420618));
}

static void test_times_when_they_are_none_then_not_signed(void **state)
{
    (void)state;
    static const char *const times[] = {"", "-1", "+1", "1e3", " 1", "9999999999999999999999", "1.0", "0x1"};
    const struct hook_signing signing = signing_of(HOOK_STRIPE, "whsec_x");
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        char text[128], signed_text[64];
        uint8_t code[MAC_SIZE_MAX];
        const struct slice parts[] = {slice_of(times[i]), SLICE(".{}")};
        size_t len = mac_sign(MAC_SHA256, SLICE("whsec_x"), parts, 2, code);
        for (size_t k = 0; k < len && 2 * k + 2 < sizeof(signed_text); k++)
            snprintf(signed_text + 2 * k, 3, "%02x", code[k]);
        snprintf(text, sizeof(text), "t=%s,v1=%s", times[i], signed_text);
        struct headers headers = {{{"Stripe-Signature", slice_of(text)}}};
        assert_false(is_signed(&signing, &headers, "{}", 1));
    }
}

static void test_secrets_when_the_second_has_signed_then_it_counts_until_it_is_taken_away(void **state)
{
    (void)state;
    struct hook_signing signing = {.type = HOOK_BEARER, .secrets = {SLICE("new one"), SLICE("old one")}};
    struct headers headers = {{{"Authorization", SLICE("bearer  old one")}}};
    assert_true(is_signed(&signing, &headers, "", 0));
    signing.secrets[1] = SLICE_NONE;
    assert_false(is_signed(&signing, &headers, "", 0));
    headers.rows[0].value = SLICE("Bearernew one");
    assert_false(is_signed(&signing, &headers, "", 0));
    signing.type = HOOK_BASIC;
    headers.rows[0].value = SLICE("Basic bmV3IG9uZQ==");
    assert_true(is_signed(&signing, &headers, "", 0));
    signing.secrets[0] = SLICE_NONE;
    headers.rows[0].value = SLICE("Basic ");
    assert_false(is_signed(&signing, &headers, "", 0));
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_github_when_it_is_its_vector_then_signed_and_no_shorter_text_is),
        TEST(test_standard_when_it_is_its_vector_then_signed_within_its_time),
        TEST(test_slack_when_it_is_its_vector_then_signed),
        TEST(test_times_when_they_are_none_then_not_signed),
        TEST(test_secrets_when_the_second_has_signed_then_it_counts_until_it_is_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
