/* Bearer tokens: what is accepted, and every way in which one can be wrong. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/base64url.h"
#include "common/crypto/token.h"

static const char secret[] = "a secret of the tests, of more than 32 octets";
static const int64_t now_s = 1800000000;

#define CLAIMS(more)                                                                           \
    "{\"sub\":\"00000000-0000-7000-8000-00000000000a\",\"company\":\"00000000-0000-7000-8000-" \
    "00000000000c\","                                                                          \
    "\"role\":\"developer\"" more "}"
#define VALID CLAIMS(",\"exp\":1800000100")

struct keys {
    struct token_keys *keys;
    EVP_PKEY *private_key;
    char public_pem[512];
};

static void write_file(char *path, const char *text, size_t len)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
}

static void make_pair(struct keys *k)
{
    k->private_key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_non_null(k->private_key);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, k->private_key), 1);
    int len = BIO_read(bio, k->public_pem, sizeof(k->public_pem) - 1);
    assert_true(len > 0);
    k->public_pem[len] = '\0';
    BIO_free(bio);
}

static struct keys keys_new_of(const char *set, int64_t max_life_ms)
{
    struct keys k = {0};
    char path[] = "/tmp/cortex-test-keys-XXXXXX", why[256] = "";
    write_file(path, set, strlen(set));
    const struct config config = {.auth_hs256_file = "",
                                  .auth_eddsa_file = "",
                                  .auth_keys = path,
                                  .auth_issuer = "",
                                  .auth_audience = "",
                                  .auth_leeway_ms = 10000,
                                  .auth_max_life_ms = max_life_ms};
    if (token_keys_load(&config, &k.keys, why))
        fail_msg("%s", why);
    unlink(path);
    return k;
}

static struct keys keys_new(const char *issuer, const char *audience, bool hs256, bool eddsa)
{
    struct keys k = {0};
    char secret_path[] = "/tmp/cortex-test-hs256-XXXXXX", public_path[] = "/tmp/cortex-test-eddsa-XXXXXX";
    char why[256] = "";
    make_pair(&k);
    write_file(secret_path, secret, sizeof(secret) - 1);
    write_file(public_path, k.public_pem, strlen(k.public_pem));
    const struct config config = {.auth_hs256_file = hs256 ? secret_path : "",
                                  .auth_eddsa_file = eddsa ? public_path : "",
                                  .auth_issuer = issuer,
                                  .auth_audience = audience,
                                  .auth_leeway_ms = 10000};
    assert_int_equal(token_keys_load(&config, &k.keys, why), ERR_OK);
    unlink(secret_path);
    unlink(public_path);
    return k;
}

static void keys_free(struct keys *k)
{
    token_keys_free(k->keys);
    EVP_PKEY_free(k->private_key);
}

static void begin(struct buf *token, const char *header, const char *claims)
{
    buf_init(token, 1 << 20);
    base64url_append(token, slice_of(header));
    buf_append_char(token, '.');
    base64url_append(token, slice_of(claims));
}

static void end(struct buf *token, const uint8_t *signature, size_t len)
{
    buf_append_char(token, '.');
    base64url_append(token, (struct slice){(const char *)signature, len});
}

static struct buf hs256_token(const char *header, const char *claims, const char *key, size_t key_len)
{
    struct buf token;
    uint8_t signature[32];
    begin(&token, header, claims);
    HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)buf_data(&token), buf_len(&token), signature,
         NULL);
    end(&token, signature, sizeof(signature));
    return token;
}

static struct buf eddsa_token(const struct keys *k, const char *header, const char *claims)
{
    struct buf token;
    uint8_t signature[64];
    size_t len = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    begin(&token, header, claims);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->private_key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const uint8_t *)buf_data(&token), buf_len(&token)),
                     1);
    EVP_MD_CTX_free(ctx);
    end(&token, signature, len);
    return token;
}

static enum err verify(const struct keys *k, struct slice token, struct identity *identity, const char **why)
{
    *why = NULL;
    enum err err = token_verify(k->keys, token, now_s, identity, why);
    if (err)
        assert_non_null(*why);
    return err;
}

static void assert_valid(const struct keys *k, struct buf token)
{
    struct identity identity;
    char text[UUID_TEXT_LEN + 1];
    const char *why;
    if (verify(k, buf_slice(&token), &identity, &why))
        fail_msg("refused: %s", why);
    uuid_format(&identity.user, text);
    assert_string_equal(text, "00000000-0000-7000-8000-00000000000a");
    uuid_format(&identity.company, text);
    assert_string_equal(text, "00000000-0000-7000-8000-00000000000c");
    assert_string_equal(identity.role, "developer");
    buf_done(&token);
}

static void assert_refused(const struct keys *k, struct slice token, const char *because)
{
    struct identity identity;
    const char *why;
    if (verify(k, token, &identity, &why) != ERR_UNAUTHENTICATED)
        fail_msg("accepted, instead of refused because %s: %.*s", because, (int)token.len, token.data);
    if (!strstr(why, because))
        fail_msg("refused because \"%s\", not because %s", why, because);
}

static void assert_token_refused(const struct keys *k, struct buf token, const char *because)
{
    assert_refused(k, buf_slice(&token), because);
    buf_done(&token);
}

#define HS256               "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define EDDSA               "{\"alg\":\"EdDSA\"}"
#define HS256_TOKEN(claims) hs256_token(HS256, claims, secret, sizeof(secret) - 1)

static void test_token_when_signed_by_either_algorithm_is_accepted(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, true);
    assert_valid(&k, HS256_TOKEN(VALID));
    assert_valid(&k, eddsa_token(&k, EDDSA, VALID));
    keys_free(&k);
}

static void test_token_when_signed_here_is_accepted_here(void **state)
{
    (void)state;
    struct keys k = keys_new("me", "\"you\"", true, false);
    struct identity identity = {.expires_at = now_s + 60}, found;
    char text[1024], tiny[64];
    const char *why = "";
    identity.user = uuid_v7();
    identity.company = uuid_v7();
    snprintf(identity.role, sizeof(identity.role), "a\"b\\c");
    assert_int_equal(token_sign(k.keys, &identity, text, sizeof(text)), ERR_OK);
    assert_int_equal(verify(&k, slice_of(text), &found, &why), ERR_OK);
    assert_true(uuid_equal(&identity.user, &found.user) && uuid_equal(&identity.company, &found.company));
    assert_string_equal(identity.role, found.role);
    assert_int_equal(found.expires_at, now_s + 60);
    assert_int_equal(token_sign(k.keys, &identity, tiny, sizeof(tiny)), ERR_BAD_REQUEST);
    keys_free(&k);
}

static void test_algorithm_when_not_the_keys_own_is_refused(void **state)
{
    (void)state;
    struct keys both = keys_new("", "", true, true), only_eddsa = keys_new("", "", false, true),
                only_hs256 = keys_new("", "", true, false);
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",  "{\"alg\":\"None\"}", "{\"alg\":\"hs256\"}",        "{\"alg\":\"HS384\"}",
        "{\"alg\":\"RS256\"}", "{\"alg\":1}",        "{\"alg\":\"HS256\\u0041\"}", "{}"};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        assert_token_refused(&both, hs256_token(headers[i], VALID, secret, sizeof(secret) - 1), "algorithm");
    /* The public key as an HMAC secret: the attack that pinning is for. */
    assert_token_refused(&only_eddsa,
                         hs256_token(HS256, VALID, only_eddsa.public_pem, strlen(only_eddsa.public_pem)),
                         "algorithm");
    assert_token_refused(&only_hs256, eddsa_token(&only_hs256, EDDSA, VALID), "algorithm");
    assert_token_refused(&both, hs256_token(EDDSA, VALID, secret, sizeof(secret) - 1), "signature");
    assert_token_refused(&both, eddsa_token(&both, HS256, VALID), "signature");
    keys_free(&both);
    keys_free(&only_eddsa);
    keys_free(&only_hs256);
}

static void test_header_when_its_type_is_not_of_ours_is_refused(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, false);
    static const char *const good[] = {
        "\"JWT\"", "\"jwt\"", "\"at+jwt\"", "\"AT+JWT\"", "\"application/at+jwt\"", "\"Application/JWT\""};
    static const char *const bad[] = {
        "\"JWS\"",          "\"\"",         "null",     "1",           "[\"JWT\"]", "\"logout+jwt\"",
        "\"application/\"", "\"text/jwt\"", "\"JWT \"", "\"at+jwt;x\""};
    char header[128];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"typ\":%s}", good[i]);
        assert_valid(&k, hs256_token(header, VALID, secret, sizeof(secret) - 1));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"typ\":%s}", bad[i]);
        assert_token_refused(&k, hs256_token(header, VALID, secret, sizeof(secret) - 1), "type");
    }
    assert_token_refused(
        &k, hs256_token("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", VALID, secret, sizeof(secret) - 1),
        "extensions");
    keys_free(&k);
}

/* A role is used as a C string: what follows a NUL would not count, and "super_admin\0x" be an operator. */
static void test_text_when_it_holds_a_nul_is_refused(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, false);
    static const char *const claims[] = {
        "{\"sub\":\"00000000-0000-7000-8000-00000000000a\",\"company\":\"00000000-0000-7000-8000-"
        "00000000000c\","
        "\"role\":\"super_admin\\u0000x\",\"exp\":1800000100}",
        "{\"sub\":\"00000000-0000-7000-8000-00000000000a\",\"company\":\"00000000-0000-7000-8000-"
        "00000000000c\","
        "\"role\":\"\\u0000\",\"exp\":1800000100}",
        CLAIMS(",\"exp\":1800000100,\"channels\":[\"company:\\u0000\"]"),
        CLAIMS(",\"exp\":1800000100,\"subs\":{\"company:\\u0000\":{}}"),
    };
    for (size_t i = 0; i < ARRAY_LEN(claims); i++)
        assert_token_refused(&k, HS256_TOKEN(claims[i]), "claims are malformed");
    assert_token_refused(&k, hs256_token("{\"alg\":\"HS256\\u0000\"}", VALID, secret, sizeof(secret) - 1),
                         "header is malformed");
    keys_free(&k);
}

#define SET_A \
    "{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE\"}" /* 32 × A */
#define SET_B(more)                                                                             \
    "{\"kty\":\"oct\",\"kid\":\"b\",\"k\":\"QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI\"" more \
    "}" /* 32 × B */
#define SECRET_A      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SECRET_B      "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define WITH_KID(kid) "{\"alg\":\"HS256\",\"kid\":\"" kid "\"}"

static void test_key_when_named_is_the_only_one_that_counts(void **state)
{
    (void)state;
    struct keys k = keys_new_of(
        "{\"keys\":[" SET_A "," SET_B("") ",{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", 0);
    assert_valid(&k, hs256_token(WITH_KID("a"), VALID, SECRET_A, 32));
    assert_valid(&k, hs256_token(WITH_KID("b"), VALID, SECRET_B, 32));
    assert_valid(&k, hs256_token(HS256, VALID, SECRET_B, 32)); /* it names none */
    assert_token_refused(&k, hs256_token(WITH_KID("a"), VALID, SECRET_B, 32), "signature");
    assert_token_refused(&k, hs256_token(WITH_KID("c"), VALID, SECRET_A, 32), token_why_key);
    assert_token_refused(&k, hs256_token("{\"alg\":\"HS256\",\"kid\":7}", VALID, SECRET_A, 32), "kid");
    keys_free(&k);
}

static void test_key_when_its_time_has_not_come_or_is_over_makes_no_token_valid(void **state)
{
    (void)state;
    struct keys later = keys_new_of("{\"keys\":[" SET_A "," SET_B(",\"nbf\":1800000020") "]}", 0),
                over = keys_new_of("{\"keys\":[" SET_A "," SET_B(",\"exp\":1799999980") "]}", 0),
                soon = keys_new_of(SET_B(",\"exp\":1800000050"), 0);
    struct identity identity;
    const char *why;
    assert_token_refused(&later, hs256_token(WITH_KID("b"), VALID, SECRET_B, 32), token_why_key);
    assert_token_refused(&over, hs256_token(WITH_KID("b"), VALID, SECRET_B, 32), token_why_key);
    struct buf token = hs256_token(WITH_KID("b"), VALID, SECRET_B, 32);
    assert_int_equal(verify(&soon, buf_slice(&token), &identity, &why), ERR_OK);
    assert_int_equal(identity.expires_at, 1800000050); /* the token does not outlive its key */
    buf_done(&token);
    keys_free(&later);
    keys_free(&over);
    keys_free(&soon);
}

/* A session that comes back with a token of the old key is told to get a new token; a forged token is not. */
static void test_key_when_replaced_is_told_from_one_that_never_was(void **state)
{
    (void)state;
    struct keys before = keys_new("", "", true, false), after = keys_new_of(SET_B(""), 0);
    token_keys_retire(after.keys, before.keys);
    assert_token_refused(&after, HS256_TOKEN(VALID), token_why_key);
    assert_token_refused(&after, hs256_token(HS256, VALID, SECRET_A, 32), "signature");
    assert_valid(&after, hs256_token(HS256, VALID, SECRET_B, 32));
    keys_free(&before);
    keys_free(&after);
}

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Before anybody has asked for a reload: the tokens of the new key are valid, and those of the old one still are. */
static void test_keys_when_their_files_have_changed_are_taken_in(void **state)
{
    (void)state;
    struct keys k = {0};
    struct config config;
    char path[] = "/tmp/cortex-test-files-XXXXXX", settings[] = "/tmp/cortex-test-settings-XXXXXX",
         other[] = "/tmp/cortex-test-other-XXXXXX", text[128], why[256] = "";
    write_file(path, SECRET_A, 32);
    write_file(other, secret, sizeof(secret) - 1);
    snprintf(text, sizeof(text), "CORTEX_AUTH_HS256_FILE=%s\n", path);
    write_file(settings, text, strlen(text));
    setenv("CORTEX_CONFIG", settings, 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    assert_int_equal(token_keys_load(&config, &k.keys, why), ERR_OK);
    config_done(&config);
    assert_token_refused(&k, hs256_token(HS256, VALID, SECRET_B, 32), "signature");
    assert_false(token_keys_take_new(k.keys));

    put_file(path, SECRET_B "\n");
    assert_true(token_keys_take_new(k.keys));
    assert_false(token_keys_take_new(k.keys));
    assert_valid(&k, hs256_token(HS256, VALID, SECRET_A, 32));
    assert_valid(&k, hs256_token(HS256, VALID, SECRET_B, 32));

    put_file(path, "half of it"); /* a file that is being written */
    assert_false(token_keys_take_new(k.keys));
    assert_valid(&k, hs256_token(HS256, VALID, SECRET_B, 32));

    snprintf(text, sizeof(text), "CORTEX_AUTH_HS256_FILE=%s\n", other);
    put_file(settings, text);
    assert_true(token_keys_take_new(k.keys));
    assert_valid(&k, HS256_TOKEN(VALID));
    put_file(other, "a third secret, of more than 32 octets, too");
    assert_true(token_keys_take_new(k.keys));
    assert_token_refused(&k, hs256_token(HS256, VALID, "a fourth one, of more than 32 octets", 36),
                         "signature");
    unsetenv("CORTEX_CONFIG");
    unlink(path);
    unlink(other);
    unlink(settings);
    keys_free(&k);
}

/* After a restart with a new key nobody knows the one before it. */
static void test_token_when_no_key_signed_it_and_it_is_older_than_the_keys_should_be_renewed(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, false);
#define OTHER_SECRET "another secret, of more than 32 octets"
    assert_token_refused(
        &k, hs256_token(HS256, CLAIMS(",\"exp\":1800000100,\"iat\":1700000000"), OTHER_SECRET, 38),
        token_why_key);
    assert_token_refused(
        &k, hs256_token(HS256, CLAIMS(",\"exp\":1800000100,\"iat\":9000000000"), OTHER_SECRET, 38),
        "signature");
    assert_token_refused(&k, hs256_token(HS256, VALID, OTHER_SECRET, 38), "signature");
    assert_token_refused(&k, hs256_token(EDDSA, VALID, OTHER_SECRET, 38), "algorithm");
    assert_token_refused(&k, hs256_token(HS256, "no claims", OTHER_SECRET, 38), "signature");
#undef OTHER_SECRET
    keys_free(&k);
}

static void test_key_set_when_it_cannot_be_used_is_not_loaded(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"RSA\"}]}",
        "{\"keys\":[" SET_A "," SET_A "]}",
        "{\"kty\":\"oct\",\"k\":\"QUFB\"}",
        "{\"kty\":\"oct\",\"k\":7}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"QUFB\"}",
        "{\"kty\":\"oct\",\"kid\":\"a\\u0000b\",\"k\":\"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE\"}",
        "{\"kty\":\"oct\",\"alg\":\"EdDSA\",\"k\":\"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE\"}",
        "{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE\"}",
        SET_B(",\"exp\":\"soon\""),
        SET_B(",\"nbf\":-1"),
        SET_B(",\"exp\":9223372036854775807"),
    };
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        char path[] = "/tmp/cortex-test-keys-XXXXXX", why[256] = "";
        struct token_keys *keys = NULL;
        write_file(path, sets[i], strlen(sets[i]));
        const struct config config = {.auth_hs256_file = "",
                                      .auth_eddsa_file = "",
                                      .auth_keys = path,
                                      .auth_issuer = "",
                                      .auth_audience = ""};
        if (token_keys_load(&config, &keys, why) != ERR_BAD_REQUEST)
            fail_msg("loaded: %s", sets[i]);
        assert_non_null(strstr(why, "CORTEX_AUTH_KEYS"));
        unlink(path);
    }
}

static void test_keys_when_in_a_folder_have_the_names_of_their_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/cortex-test-folder-XXXXXX", pem[64], jwk[64], other[64], why[256] = "";
    assert_non_null(mkdtemp(folder));
    snprintf(pem, sizeof(pem), "%s/2026.pem", folder);
    snprintf(jwk, sizeof(jwk), "%s/x.json", folder);
    snprintf(other, sizeof(other), "%s/README", folder);
    struct keys k = {0};
    make_pair(&k);
    const struct {
        const char *path, *text;
    } files[] = {{pem, k.public_pem}, {jwk, SET_A}, {other, "no key"}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        FILE *file = fopen(files[i].path, "we");
        assert_non_null(file);
        fputs(files[i].text, file);
        fclose(file);
    }
    const struct config config = {.auth_hs256_file = "",
                                  .auth_eddsa_file = "",
                                  .auth_keys = folder,
                                  .auth_issuer = "",
                                  .auth_audience = ""};
    assert_int_equal(token_keys_load(&config, &k.keys, why), ERR_OK);
    assert_valid(&k, eddsa_token(&k, "{\"alg\":\"EdDSA\",\"kid\":\"2026\"}", VALID));
    assert_token_refused(&k, eddsa_token(&k, "{\"alg\":\"EdDSA\",\"kid\":\"2025\"}", VALID), token_why_key);
    assert_valid(&k, hs256_token(WITH_KID("a"), VALID, SECRET_A, 32));
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlink(files[i].path);
    rmdir(folder);
    keys_free(&k);
}

static void test_life_when_longer_than_the_bound_or_begun_in_the_future_is_refused(void **state)
{
    (void)state;
    struct keys k = keys_new_of(SET_B(""), 100000);
#define OF_B(claims) hs256_token(HS256, CLAIMS(claims), SECRET_B, 32)
    assert_valid(&k, OF_B(",\"exp\":1800000050,\"iat\":1799999950"));
    assert_token_refused(&k, OF_B(",\"exp\":1800000051,\"iat\":1799999950"), "longer");
    assert_valid(&k, OF_B(",\"exp\":1800000100"));
    assert_token_refused(&k, OF_B(",\"exp\":1800000111"), "longer");
    assert_valid(&k, OF_B(",\"exp\":1800000050,\"iat\":1800000010"));
    assert_token_refused(&k, OF_B(",\"exp\":1800000050,\"iat\":1800000011"), "future");
#undef OF_B
    keys_free(&k);
}

static void test_signature_when_by_another_key_is_refused(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, true), other = keys_new("", "", true, true);
    assert_token_refused(&k, hs256_token(HS256, VALID, "another secret, of more than 32 octets", 38),
                         "signature");
    assert_token_refused(&k, eddsa_token(&other, EDDSA, VALID), "signature");
    keys_free(&k);
    keys_free(&other);
}

static void assert_no_change_is_accepted(const struct keys *k, struct buf token)
{
    struct identity identity;
    const char *why;
    for (size_t i = 0; i < buf_len(&token); i++) {
        assert_int_equal(verify(k, (struct slice){buf_data(&token), i}, &identity, &why),
                         ERR_UNAUTHENTICATED);
        for (unsigned int bit = 0; bit < 8; bit++) {
            token.data[token.begin + i] = (char)(token.data[token.begin + i] ^ (1 << bit));
            assert_int_equal(verify(k, buf_slice(&token), &identity, &why), ERR_UNAUTHENTICATED);
            token.data[token.begin + i] = (char)(token.data[token.begin + i] ^ (1 << bit));
        }
    }
    buf_done(&token);
}

static void test_token_when_cut_or_changed_in_any_bit_is_refused(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, true);
    assert_no_change_is_accepted(&k, HS256_TOKEN(VALID));
    assert_no_change_is_accepted(&k, eddsa_token(&k, EDDSA, VALID));
    keys_free(&k);
}

static const struct {
    const char *claims, *because;
} wrong[] = {
    {CLAIMS(""), "no exp"},
    {CLAIMS(",\"exp\":\"1800000100\""), "no exp"},
    {CLAIMS(",\"exp\":null"), "no exp"},
    {CLAIMS(",\"exp\":-1"), "no exp"},
    {CLAIMS(",\"exp\":1e300"), "no exp"},
    {CLAIMS(",\"exp\":1799999990"), "expired"},
    {CLAIMS(",\"exp\":1800000100,\"nbf\":1800000011"), "not valid yet"},
    {CLAIMS(",\"exp\":1800000100,\"nbf\":\"x\""), "nbf"},
    {CLAIMS(",\"exp\":1800000100,\"exp\":1900000000"), "claims are malformed"},
    {"{\"company\":\"00000000-0000-7000-8000-00000000000c\",\"role\":\"x\",\"exp\":1800000100}", "sub"},
    {"{\"sub\":\"00000000-0000-7000-8000-00000000000a\",\"role\":\"x\",\"exp\":1800000100}", "company"},
    {"{\"sub\":\"7\",\"company\":\"7\",\"role\":\"x\",\"exp\":1800000100}", "sub"},
    {"{\"sub\":\"00000000-0000-7000-8000-00000000000a\",\"company\":\"00000000-0000-7000-8000-00000000000c\","
     "\"exp\":"
     "1800000100}",
     "role"},
    {"{\"sub\":\"00000000-0000-7000-8000-00000000000a\",\"company\":\"00000000-0000-7000-8000-00000000000c\","
     "\"role\":\"a role of more than thirty-one octets\",\"exp\":1800000100}",
     "role"},
    {"[]", "claims are malformed"},
    {"\"text\"", "claims are malformed"},
    {"{", "claims are malformed"},
    {"", "claims are malformed"},
};

static void test_claims_when_wrong_are_refused_with_the_reason(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, false);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_token_refused(&k, HS256_TOKEN(wrong[i].claims), wrong[i].because);
    keys_free(&k);
}

static void test_times_when_within_the_leeway_are_accepted(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, false);
    assert_valid(&k, HS256_TOKEN(CLAIMS(",\"exp\":1799999991,\"nbf\":1800000010")));
    assert_valid(&k, HS256_TOKEN(CLAIMS(",\"exp\":1800000000.5,\"iat\":1")));
    keys_free(&k);
}

static void test_issuer_and_audience_when_asked_for_must_fit(void **state)
{
    (void)state;
    struct keys k = keys_new("issuer", "audience", true, false);
    assert_valid(&k, HS256_TOKEN(CLAIMS(",\"exp\":1800000100,\"iss\":\"issuer\",\"aud\":\"audience\"")));
    assert_valid(&k,
                 HS256_TOKEN(CLAIMS(",\"exp\":1800000100,\"iss\":\"issuer\",\"aud\":[\"x\",\"audience\"]")));
    assert_token_refused(&k, HS256_TOKEN(VALID), "issuer");
    assert_token_refused(
        &k, HS256_TOKEN(CLAIMS(",\"exp\":1800000100,\"iss\":\"issue\",\"aud\":\"audience\"")), "issuer");
    assert_token_refused(
        &k, HS256_TOKEN(CLAIMS(",\"exp\":1800000100,\"iss\":\"issuer\\u0041\",\"aud\":\"audience\"")),
        "issuer");
    assert_token_refused(&k, HS256_TOKEN(CLAIMS(",\"exp\":1800000100,\"iss\":\"issuer\"")), "audience");
    assert_token_refused(&k, HS256_TOKEN(CLAIMS(",\"exp\":1800000100,\"iss\":\"issuer\",\"aud\":[]")),
                         "audience");
    assert_token_refused(
        &k, HS256_TOKEN(CLAIMS(",\"exp\":1800000100,\"iss\":\"issuer\",\"aud\":{\"a\":\"audience\"}")),
        "audience");
    keys_free(&k);
}

static void test_text_when_it_is_no_token_is_refused(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, false);
    static const char *const texts[] = {"a",     ".",       "..",       "...",  "a.b",
                                        "a.b.c", "a.b.c.d", "e30.e30.", " . . "};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_refused(&k, slice_of(texts[i]), "");
    assert_refused(&k, SLICE(""), "empty");
    struct buf token = HS256_TOKEN(VALID);
    buf_append_char(&token, '=');
    assert_token_refused(&k, token, "signature");
    token = HS256_TOKEN(VALID);
    buf_append_text(&token, ".");
    assert_token_refused(&k, token, "signature");
    keys_free(&k);
}

static void test_token_when_longer_than_the_bound_is_refused(void **state)
{
    (void)state;
    struct keys k = keys_new("", "", true, false);
    char claims[6000];
    for (int len = 100; len <= 5000; len += 4900) {
        snprintf(claims, sizeof(claims), CLAIMS(",\"exp\":1800000100,\"x\":\"%0*d\""), len, 0);
        struct buf token = HS256_TOKEN(claims);
        if (len == 100)
            assert_valid(&k, token);
        else
            assert_token_refused(&k, token, "too long");
    }
    keys_free(&k);
}

static enum err load(const char *hs256, const char *eddsa, char why[256])
{
    const struct config config = {
        .auth_hs256_file = hs256, .auth_eddsa_file = eddsa, .auth_issuer = "", .auth_audience = ""};
    struct token_keys *keys = NULL;
    enum err err = token_keys_load(&config, &keys, why);
    token_keys_free(keys);
    return err;
}

static void test_keys_when_missing_or_too_weak_are_not_loaded(void **state)
{
    (void)state;
    char short_path[] = "/tmp/cortex-test-short-XXXXXX", line_path[] = "/tmp/cortex-test-line-XXXXXX";
    char why[256] = "";
    write_file(short_path, "0123456789012345678901234567890\n", 32); /* 31 and a line end */
    write_file(line_path, "01234567890123456789012345678901\n", 33);
    assert_int_equal(load("", "", why), ERR_BAD_REQUEST);
    assert_non_null(strstr(why, "CORTEX_AUTH_HS256_FILE"));
    assert_int_equal(load(short_path, "", why), ERR_BAD_REQUEST);
    assert_int_equal(load(line_path, "", why), ERR_OK);
    assert_int_equal(load("/nonexistent", "", why), ERR_BAD_REQUEST);
    assert_int_equal(load("", line_path, why), ERR_BAD_REQUEST);
    assert_non_null(strstr(why, "CORTEX_AUTH_EDDSA_FILE"));
    unlink(short_path);
    unlink(line_path);
}

/* The signature of RFC 8037 A.4, by its key: it must get past the signature and be refused by its claims,
 * which are not JSON. */
static void test_eddsa_when_the_example_of_rfc_8037_is_given_has_a_valid_signature(void **state)
{
    (void)state;
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                              "-----END PUBLIC KEY-----\n";
    char path[] = "/tmp/cortex-test-rfc8037-XXXXXX", why[256];
    write_file(path, pem, sizeof(pem) - 1);
    const struct config config = {
        .auth_hs256_file = "", .auth_eddsa_file = path, .auth_issuer = "", .auth_audience = ""};
    struct keys k = {0};
    assert_int_equal(token_keys_load(&config, &k.keys, why), ERR_OK);
    unlink(path);
    assert_refused(
        &k,
        SLICE("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
              "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
        "claims are malformed");
    keys_free(&k);
}

static void test_base64url_when_any_octets_are_given_reads_what_it_wrote(void **state)
{
    (void)state;
    char octets[256], back[256];
    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (char)(i * 7);
    for (size_t len = 0; len <= sizeof(octets); len++) {
        struct buf text;
        size_t back_len = 0;
        buf_init(&text, 1024);
        assert_true(base64url_append(&text, (struct slice){octets, len}));
        assert_true(base64url_decode(buf_slice(&text), back, sizeof(back), &back_len));
        assert_int_equal(back_len, len);
        assert_memory_equal(back, octets, len);
        if (len > 0)
            assert_false(base64url_decode(buf_slice(&text), back, len - 1, &back_len));
        buf_done(&text);
    }
}

static void test_base64url_when_not_the_one_text_of_a_value_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"A",    "AA=",  "AA==", "AB",    "AAB",     "AA AA",
                                        "AA\n", "AA+A", "AA/A", "AAAAA", "\xc3\xa9"};
    char out[16];
    size_t len;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (base64url_decode(slice_of(texts[i]), out, sizeof(out), &len))
            fail_msg("accepted: %s", texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_when_signed_by_either_algorithm_is_accepted),
        cmocka_unit_test(test_token_when_signed_here_is_accepted_here),
        cmocka_unit_test(test_algorithm_when_not_the_keys_own_is_refused),
        cmocka_unit_test(test_header_when_its_type_is_not_of_ours_is_refused),
        cmocka_unit_test(test_text_when_it_holds_a_nul_is_refused),
        cmocka_unit_test(test_key_when_named_is_the_only_one_that_counts),
        cmocka_unit_test(test_key_when_its_time_has_not_come_or_is_over_makes_no_token_valid),
        cmocka_unit_test(test_key_when_replaced_is_told_from_one_that_never_was),
        cmocka_unit_test(test_keys_when_their_files_have_changed_are_taken_in),
        cmocka_unit_test(test_token_when_no_key_signed_it_and_it_is_older_than_the_keys_should_be_renewed),
        cmocka_unit_test(test_key_set_when_it_cannot_be_used_is_not_loaded),
        cmocka_unit_test(test_keys_when_in_a_folder_have_the_names_of_their_files),
        cmocka_unit_test(test_life_when_longer_than_the_bound_or_begun_in_the_future_is_refused),
        cmocka_unit_test(test_signature_when_by_another_key_is_refused),
        cmocka_unit_test(test_token_when_cut_or_changed_in_any_bit_is_refused),
        cmocka_unit_test(test_claims_when_wrong_are_refused_with_the_reason),
        cmocka_unit_test(test_times_when_within_the_leeway_are_accepted),
        cmocka_unit_test(test_issuer_and_audience_when_asked_for_must_fit),
        cmocka_unit_test(test_text_when_it_is_no_token_is_refused),
        cmocka_unit_test(test_token_when_longer_than_the_bound_is_refused),
        cmocka_unit_test(test_keys_when_missing_or_too_weak_are_not_loaded),
        cmocka_unit_test(test_eddsa_when_the_example_of_rfc_8037_is_given_has_a_valid_signature),
        cmocka_unit_test(test_base64url_when_any_octets_are_given_reads_what_it_wrote),
        cmocka_unit_test(test_base64url_when_not_the_one_text_of_a_value_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
