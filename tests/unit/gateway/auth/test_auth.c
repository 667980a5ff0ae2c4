/* The memory for verified tokens. */

#include "tests/unit/gateway/http/http_fixture.h"

#include "gateway/auth/auth.h"
#include "gateway/auth/refused.h"

static int setup(void **state)
{
    *state = rig_new();
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static void sign(struct rig *rig, const struct identity *identity, char token[1024])
{
    assert_int_equal(token_sign(rig->gateway.keys, identity, token, 1024), ERR_OK);
}

static void test_token_when_seen_again_gives_the_same_identity(void **state)
{
    struct rig *rig = *state;
    struct identity identity = {0};
    const char *why = NULL;
    for (int i = 0; i < 3; i++) {
        memset(&identity, 0, sizeof(identity));
        assert_int_equal(auth_verify(rig->gateway.auth, slice_of(rig->token), &identity, &why), ERR_OK);
        assert_string_equal(identity.role, "company_admin");
    }
}

static void test_token_when_changed_is_not_taken_for_the_remembered_one(void **state)
{
    struct rig *rig = *state;
    struct identity identity;
    const char *why = NULL;
    assert_int_equal(auth_verify(rig->gateway.auth, slice_of(rig->token), &identity, &why), ERR_OK);
    size_t len = strlen(rig->token);
    for (size_t i = 0; i < len; i++) {
        char before = rig->token[i];
        rig->token[i] = before == 'A' ? 'B' : 'A';
        assert_int_equal(auth_verify(rig->gateway.auth, slice_of(rig->token), &identity, &why),
                         ERR_UNAUTHENTICATED);
        rig->token[i] = before;
    }
    assert_int_equal(auth_verify(rig->gateway.auth, (struct slice){rig->token, len - 1}, &identity, &why),
                     ERR_UNAUTHENTICATED);
}

/* More than the table holds, each with its own company: none is taken for another. */
static void test_tokens_when_more_than_are_remembered_stay_apart(void **state)
{
    struct rig *rig = *state;
    enum { MANY = 5000 };
    struct identity wanted = test_identity("developer"), found;
    const char *why = NULL;
    char token[1024];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MANY; i++) {
            memcpy(wanted.company.octet, &i, sizeof(i));
            sign(rig, &wanted, token);
            assert_int_equal(auth_verify(rig->gateway.auth, slice_of(token), &found, &why), ERR_OK);
            assert_true(uuid_equal(&wanted.company, &found.company));
        }
}

static void test_token_when_it_expires_is_forgotten(void **state)
{
    struct rig *rig = *state;
    struct identity identity = test_identity("developer"), found;
    const char *why = NULL;
    char token[1024];
    rig->config.auth_leeway_ms =
        0; /* of the memory; the keys were loaded with 30 s, so they alone would still accept it */
    identity.expires_at = (int64_t)ev_now(rig->gateway.loop) + 1;
    sign(rig, &identity, token);
    assert_int_equal(auth_verify(rig->gateway.auth, slice_of(token), &found, &why), ERR_OK);
    token_keys_free(rig->gateway.keys);
    char reason[256];
    write_secret();
    const struct config strict = {.auth_hs256_file = getenv("CORTEX_AUTH_HS256_FILE"),
                                  .auth_eddsa_file = "",
                                  .auth_issuer = "",
                                  .auth_audience = ""};
    assert_int_equal(token_keys_load(&strict, &rig->gateway.keys, reason), ERR_OK);
    unlink(strict.auth_hs256_file);
    eventually(rig, auth_verify(rig->gateway.auth, slice_of(token), &found, &why) == ERR_UNAUTHENTICATED);
    assert_non_null(strstr(why, "expired"));
}

/* A gateway that was started without the database does not know who was sent away. */
static void test_token_when_the_revocations_are_not_known_is_not_believed(void **state)
{
    (void)state;
    struct rig *rig = rig_new_with(NOBODY_AMQP, NOBODY_DATABASE);
    struct identity identity;
    const char *why = NULL;
    assert_int_equal(auth_verify(rig->gateway.auth, slice_of(rig->token), &identity, &why),
                     ERR_DATABASE_UNAVAILABLE);
    assert_int_equal(auth_verify(rig->gateway.auth, SLICE("x.y.z"), &identity, &why), ERR_UNAUTHENTICATED);
    rig_free(rig);
}

/* A wrong token costs a signature once, and only for a while: the reason may pass. */
static void test_token_when_refused_is_remembered_and_refused_for_the_same_reason(void **state)
{
    struct rig *rig = *state;
    struct identity identity;
    const char *first = NULL, *second = NULL;
    size_t len = strlen(rig->token);
    rig->token[len - 4] = rig->token[len - 4] == 'A' ? 'B' : 'A';
    struct slice token = slice_of(rig->token);
    assert_false(auth_remembers(rig->gateway.auth, token));
    assert_int_equal(auth_verify(rig->gateway.auth, token, &identity, &first), ERR_UNAUTHENTICATED);
    assert_true(auth_remembers(rig->gateway.auth, token));
    assert_int_equal(auth_verify(rig->gateway.auth, token, &identity, &second), ERR_UNAUTHENTICATED);
    assert_ptr_equal(first, second);
    token.len--;
    assert_false(auth_remembers(rig->gateway.auth, token));
}

static void test_refused_when_some_seconds_have_passed_or_others_came_is_forgotten(void **state)
{
    (void)state;
    struct refused_tokens *refused = xcalloc(1, sizeof(*refused));
    refused_add(refused, 7, 100, 1000, "why");
    assert_string_equal(refused_find(refused, 7, 100, 1000)->why, "why");
    assert_null(refused_find(refused, 7, 101, 1000));
    assert_null(refused_find(refused, 7, 100, 1000 + REFUSED_S));
    for (uint64_t i = 0; i < REFUSED_WAYS; i++) /* all of one set */
        refused_add(refused, 8 + i, 100, 1000, "another");
    assert_null(refused_find(refused, 7, 100, 1000));
    free(refused);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_token_when_refused_is_remembered_and_refused_for_the_same_reason),
        cmocka_unit_test(test_refused_when_some_seconds_have_passed_or_others_came_is_forgotten),
        TEST(test_token_when_seen_again_gives_the_same_identity),
        TEST(test_token_when_changed_is_not_taken_for_the_remembered_one),
        TEST(test_tokens_when_more_than_are_remembered_stay_apart),
        TEST(test_token_when_it_expires_is_forgotten),
        cmocka_unit_test(test_token_when_the_revocations_are_not_known_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
