/* Decision: this uses OpenSSL directly, not libjwt. Debian 12 ships libjwt 1.10, which has no EdDSA. With
 * only two algorithms, what remains of JWT fits in this file.
 */

#include "common/crypto/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "common/base/base64url.h"
#include "common/base/buf.h"
#include "common/base/json.h"

enum {
    TOKEN_MAX = 4096, /* octets; RFC 7519 sets no bound */
    SECRET_MIN = 32,  /* RFC 7518 section 3.2: as long as the hash */
    SECRET_MAX = 1024,
    JSON_DEPTH_MAX = 8, /* levels; for claims that we do not read */
    HMAC_SIZE = 32,
    ED25519_SIZE = 64,
};

struct token_keys {
    uint8_t secret[SECRET_MAX];
    size_t secret_len;    /* 0: HS256 is not accepted */
    EVP_PKEY *public_key; /* NULL: EdDSA is not accepted */
    char *issuer, *audience;
    int64_t leeway_s;
};

/* ---- keys ---- */

/* Leaves out a line end behind a secret that was written as text. */
static size_t without_line_end(const uint8_t *secret, size_t len)
{
    if (len > 0 && secret[len - 1] == '\n')
        len--;
    if (len > 0 && secret[len - 1] == '\r')
        len--;
    return len;
}

static enum err load_secret(const char *path, struct token_keys *keys, char why[256])
{
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(keys->secret, 1, sizeof(keys->secret), file) : 0;
    bool whole = file && feof(file);
    if (file)
        fclose(file);
    keys->secret_len = without_line_end(keys->secret, len);
    if (whole && keys->secret_len >= SECRET_MIN)
        return ERR_OK;
    snprintf(why, 256, "CORTEX_AUTH_HS256_FILE: %.100s must be readable and hold %d to %d octets", path,
             SECRET_MIN, SECRET_MAX - 1);
    return ERR_BAD_REQUEST;
}

static enum err load_public_key(const char *path, struct token_keys *keys, char why[256])
{
    FILE *file = fopen(path, "re");
    if (file) {
        keys->public_key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
        fclose(file);
    }
    if (keys->public_key && EVP_PKEY_get_base_id(keys->public_key) == EVP_PKEY_ED25519)
        return ERR_OK;
    snprintf(why, 256,
             "CORTEX_AUTH_EDDSA_FILE: %.100s must be readable and hold an Ed25519 public key in PEM", path);
    return ERR_BAD_REQUEST;
}

static void cleanup_keys(struct token_keys **keys)
{
    token_keys_free(*keys);
}

enum err token_keys_load(const struct config *config, struct token_keys **ret_keys, char why[256])
{
    CLEANUP(cleanup_keys) struct token_keys *keys = xcalloc(1, sizeof(*keys));
    keys->issuer = xstrdup(config->auth_issuer);
    keys->audience = xstrdup(config->auth_audience);
    keys->leeway_s = config->auth_leeway_ms / 1000;
    enum err err = ERR_OK;
    if (config->auth_hs256_file[0])
        err = load_secret(config->auth_hs256_file, keys, why);
    if (!err && config->auth_eddsa_file[0])
        err = load_public_key(config->auth_eddsa_file, keys, why);
    if (!err && keys->secret_len == 0 && !keys->public_key) {
        snprintf(why, 256, "CORTEX_AUTH_HS256_FILE or CORTEX_AUTH_EDDSA_FILE must name a key");
        err = ERR_BAD_REQUEST;
    }
    if (!err)
        *ret_keys = TAKE(keys);
    return err;
}

void token_keys_free(struct token_keys *keys)
{
    if (!keys)
        return;
    EVP_PKEY_free(keys->public_key);
    free(keys->issuer);
    free(keys->audience);
    OPENSSL_cleanse(keys->secret, sizeof(keys->secret));
    free(keys);
}

/* ---- signatures ---- */

static bool hs256_sign(const struct token_keys *keys, struct slice input, uint8_t signature[HMAC_SIZE])
{
    unsigned int len = HMAC_SIZE;
    return HMAC(EVP_sha256(), keys->secret, (int)keys->secret_len, (const uint8_t *)input.data, input.len,
                signature, &len) != NULL;
}

static bool hs256_is_valid(const struct token_keys *keys, struct slice input, const uint8_t *signature,
                           size_t len)
{
    uint8_t expected[HMAC_SIZE];
    return len == HMAC_SIZE && hs256_sign(keys, input, expected) &&
           CRYPTO_memcmp(expected, signature, HMAC_SIZE) == 0;
}

static bool eddsa_is_valid(const struct token_keys *keys, struct slice input, const uint8_t *signature,
                           size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool valid = ctx && len == ED25519_SIZE &&
                 EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, keys->public_key) == 1 &&
                 EVP_DigestVerify(ctx, signature, len, (const uint8_t *)input.data, input.len) == 1;
    EVP_MD_CTX_free(ctx);
    return valid;
}

static bool has_secret(const struct token_keys *keys)
{
    return keys->secret_len > 0;
}

static bool has_public_key(const struct token_keys *keys)
{
    return keys->public_key != NULL;
}

/* Each algorithm has a key of its own (RFC 8725 section 3.1): "alg" chooses a row, and never makes one
 * algorithm use the key of another. */
static const struct algorithm {
    const char *name;
    bool (*has_key)(const struct token_keys *keys);
    bool (*is_valid)(const struct token_keys *keys, struct slice input, const uint8_t *signature, size_t len);
} algorithms[] = {
    {"HS256", has_secret, hs256_is_valid},
    {"EdDSA", has_public_key, eddsa_is_valid},
};

/* ---- parts ---- */

struct parts {
    struct slice header, payload, signature;
    struct slice signed_input; /* header and payload, as they were sent */
};

static bool split(struct slice token, struct parts *ret_parts)
{
    const char *first = memchr(token.data, '.', token.len);
    if (!first)
        return false;
    size_t header_len = (size_t)(first - token.data);
    const char *second = memchr(first + 1, '.', token.len - header_len - 1);
    if (!second)
        return false;
    size_t input_len = (size_t)(second - token.data);
    *ret_parts = (struct parts){
        .header = {token.data, header_len},
        .payload = {first + 1, input_len - header_len - 1},
        .signature = {second + 1, token.len - input_len - 1},
        .signed_input = {token.data, input_len},
    };
    return true;
}

/* Decodes a base64url part that must be a JSON object; NULL when it is not. */
static json_t *decode_object(struct slice part)
{
    char text[TOKEN_MAX], why[160];
    size_t len = 0;
    json_t *json = NULL;
    if (!base64url_decode(part, text, sizeof(text), &len) ||
        json_parse((struct slice){text, len}, JSON_DEPTH_MAX, &json, why))
        return NULL;
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static const struct algorithm *find_algorithm(const struct token_keys *keys, const json_t *header)
{
    const char *name = json_string_value(json_object_get(header, "alg"));
    if (!name || json_object_get(header, "crit")) /* RFC 7515 4.1.11: extensions, none of which we know */
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (strcmp(algorithms[i].name, name) == 0 && algorithms[i].has_key(keys))
            return &algorithms[i];
    return NULL;
}

/* ---- claims ---- */

const char token_why_expired[] = "the token has expired";

/* Reads a NumericDate (RFC 7519 section 2), which may have a fraction. */
static bool read_date(const json_t *value, int64_t *ret_seconds)
{
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(seconds >= 0 && seconds < 1e15))
        return false;
    *ret_seconds = (int64_t)seconds;
    return true;
}

static const char *check_times(const struct token_keys *keys, const json_t *claims, int64_t now_s,
                               int64_t *ret_exp)
{
    const json_t *nbf = json_object_get(claims, "nbf");
    int64_t not_before = 0;
    if (!read_date(json_object_get(claims, "exp"), ret_exp))
        return "the token has no exp";
    if (now_s >= *ret_exp + keys->leeway_s)
        return token_why_expired;
    if (nbf && !read_date(nbf, &not_before))
        return "nbf is malformed";
    if (now_s < not_before - keys->leeway_s)
        return "the token is not valid yet";
    return NULL;
}

/* iat says when the token was made; revocations compare with it. It is no condition of a valid token. */
static const char *read_issued_at(const json_t *claims, int64_t *ret_iat)
{
    const json_t *iat = json_object_get(claims, "iat");
    return iat && !read_date(iat, ret_iat) ? "iat is malformed" : NULL;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && json_string_length(value) == strlen(text) &&
           strcmp(json_string_value(value), text) == 0;
}

/* aud is one text or an array of texts (RFC 7519 section 4.1.3). */
static bool names_audience(const json_t *aud, const char *audience)
{
    size_t i;
    const json_t *one;
    if (is_text(aud, audience))
        return true;
    json_array_foreach(aud, i, one) if (is_text(one, audience)) return true;
    return false;
}

static bool read_uuid(const json_t *value, struct uuid *ret_uuid)
{
    return json_is_string(value) &&
           uuid_parse((struct slice){json_string_value(value), json_string_length(value)}, ret_uuid);
}

static bool read_role(const json_t *value, char role[32])
{
    size_t len = json_string_length(value);
    if (!json_is_string(value) || len == 0 || len >= 32)
        return false;
    memcpy(role, json_string_value(value), len + 1);
    return true;
}

/* Returns NULL when the claims are valid, or else what is wrong. */
static const char *check_claims(const struct token_keys *keys, const json_t *claims, int64_t now_s,
                                struct identity *identity)
{
    const char *why = check_times(keys, claims, now_s, &identity->expires_at);
    if (!why)
        why = read_issued_at(claims, &identity->issued_at);
    if (why)
        return why;
    if (keys->issuer[0] && !is_text(json_object_get(claims, "iss"), keys->issuer))
        return "the token is not from the expected issuer";
    if (keys->audience[0] && !names_audience(json_object_get(claims, "aud"), keys->audience))
        return "the token is not for this audience";
    if (!read_uuid(json_object_get(claims, "sub"), &identity->user))
        return "sub is not a UUID";
    if (!read_uuid(json_object_get(claims, "company"), &identity->company))
        return "company is not a UUID";
    if (!read_role(json_object_get(claims, "role"), identity->role))
        return "role is missing or too long";
    return NULL;
}

/* ---- verify and sign ---- */

static const char *verify(const struct token_keys *keys, struct slice token, int64_t now_s,
                          struct identity *identity)
{
    struct parts parts;
    uint8_t signature[ED25519_SIZE + 1];
    size_t len = 0;
    if (token.len == 0 || token.len > TOKEN_MAX)
        return "the token is empty or too long";
    if (!split(token, &parts))
        return "the token is malformed";
    CLEANUP(json_cleanup) json_t *header = decode_object(parts.header);
    if (!header)
        return "the token's header is malformed";
    const struct algorithm *algorithm = find_algorithm(keys, header);
    if (!algorithm)
        return "the token's algorithm is not accepted";
    if (!base64url_decode(parts.signature, (char *)signature, sizeof(signature), &len) ||
        !algorithm->is_valid(keys, parts.signed_input, signature, len))
        return "the token's signature is not valid";
    CLEANUP(json_cleanup) json_t *claims = decode_object(parts.payload);
    if (!claims)
        return "the token's claims are malformed";
    return check_claims(keys, claims, now_s, identity);
}

enum err token_verify(const struct token_keys *keys, struct slice token, int64_t now_s,
                      struct identity *ret_identity, const char **ret_why)
{
    struct identity identity = {0};
    const char *why = verify(keys, token, now_s, &identity);
    if (why) {
        *ret_why = why;
        return ERR_UNAUTHENTICATED;
    }
    *ret_identity = identity;
    return ERR_OK;
}

static bool wants_join_leave(const json_t *sub)
{
    const json_t *override = json_object_get(sub, "override");
    return json_is_true(json_object_get(json_object_get(override, "force_push_join_leave"), "value"));
}

void token_channels(struct slice token, token_on_channel *on_channel, void *arg)
{
    struct parts parts;
    CLEANUP(json_cleanup) json_t *claims = split(token, &parts) ? decode_object(parts.payload) : NULL;
    const json_t *channel, *sub;
    const char *name;
    size_t i;
    json_object_foreach(json_object_get(claims, "subs"), name, sub)
        on_channel(arg, slice_of(name), wants_join_leave(sub));
    json_array_foreach(json_object_get(claims, "channels"), i, channel) if (json_is_string(channel))
        on_channel(arg, (struct slice){json_string_value(channel), json_string_length(channel)}, false);
}

static void append_claim(struct buf *claims, const char *name, const char *value)
{
    buf_printf(claims, "\"%s\":", name);
    buf_append_json_string(claims, slice_of(value));
    buf_append_char(claims, ',');
}

static void write_claims(struct buf *claims, const struct token_keys *keys, const struct identity *identity)
{
    char user[UUID_TEXT_LEN + 1], company[UUID_TEXT_LEN + 1];
    uuid_format(&identity->user, user);
    uuid_format(&identity->company, company);
    buf_append_char(claims, '{');
    append_claim(claims, "sub", user);
    append_claim(claims, "company", company);
    append_claim(claims, "role", identity->role);
    if (keys->issuer[0])
        append_claim(claims, "iss", keys->issuer);
    if (keys->audience[0])
        append_claim(claims, "aud", keys->audience);
    if (identity->issued_at > 0)
        buf_printf(claims, "\"iat\":%lld,", (long long)identity->issued_at);
    buf_append_text(claims, "\"exp\":");
    buf_append_i64(claims, identity->expires_at);
    buf_append_char(claims, '}');
}

enum err token_sign(const struct token_keys *keys, const struct identity *identity, char *text, size_t size)
{
    CLEANUP(buf_done) struct buf claims;
    CLEANUP(buf_done) struct buf token;
    uint8_t signature[HMAC_SIZE];
    if (keys->secret_len == 0)
        return ERR_BAD_REQUEST;
    buf_init(&claims, TOKEN_MAX);
    buf_init(&token, TOKEN_MAX);
    write_claims(&claims, keys, identity);
    base64url_append(&token, SLICE("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
    buf_append_char(&token, '.');
    base64url_append(&token, buf_slice(&claims));
    if (!hs256_sign(keys, buf_slice(&token), signature))
        return ERR_INTERNAL;
    buf_append_char(&token, '.');
    base64url_append(&token, (struct slice){(const char *)signature, sizeof(signature)});
    if (claims.truncated || token.truncated || buf_len(&token) >= size)
        return ERR_BAD_REQUEST;
    memcpy(text, buf_data(&token), buf_len(&token));
    text[buf_len(&token)] = '\0';
    return ERR_OK;
}
