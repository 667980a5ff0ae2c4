/* Decision: this uses OpenSSL directly, not libjwt. Debian 12 ships libjwt 1.10, which has no EdDSA. With
 * only two algorithms, what remains of JWT fits in this file.
 */

#include "common/crypto/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "common/base/base64url.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/crypto/keys.h"

enum {
    TOKEN_MAX = 4096,   /* octets; RFC 7519 sets no bound */
    JSON_DEPTH_MAX = 8, /* levels; for claims that we do not read */
};

/* ---- signatures ---- */

static bool hs256_sign(const struct token_key *key, struct slice input, uint8_t signature[HMAC_SIZE])
{
    unsigned int len = HMAC_SIZE;
    return HMAC(EVP_sha256(), key->secret, (int)key->secret_len, (const uint8_t *)input.data, input.len,
                signature, &len) != NULL;
}

static bool hs256_is_valid(const struct token_key *key, struct slice input, const uint8_t *signature,
                           size_t len)
{
    uint8_t expected[HMAC_SIZE];
    return len == HMAC_SIZE && hs256_sign(key, input, expected) &&
           CRYPTO_memcmp(expected, signature, HMAC_SIZE) == 0;
}

static bool eddsa_is_valid(const struct token_key *key, struct slice input, const uint8_t *signature,
                           size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool valid = ctx && len == ED25519_SIZE &&
                 EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->public_key) == 1 &&
                 EVP_DigestVerify(ctx, signature, len, (const uint8_t *)input.data, input.len) == 1;
    EVP_MD_CTX_free(ctx);
    return valid;
}

/* Each algorithm has keys of its own (RFC 8725 section 3.1): "alg" chooses among the keys, and never makes one
 * algorithm use the key of another. */
static const struct algorithm {
    const char *name;
    bool (*is_valid)(const struct token_key *key, struct slice input, const uint8_t *signature, size_t len);
} algorithms[] = {
    [KEY_HS256] = {"HS256", hs256_is_valid},
    [KEY_EDDSA] = {"EdDSA", eddsa_is_valid},
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

/* Decodes a base64url part that must be a JSON object without a NUL in any text; NULL when it is not. */
static json_t *decode_object(struct slice part)
{
    char text[TOKEN_MAX], why[160];
    size_t len = 0;
    json_t *json = NULL;
    if (!base64url_decode(part, text, sizeof(text), &len) ||
        json_parse_no_nul((struct slice){text, len}, JSON_DEPTH_MAX, &json, why))
        return NULL;
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && json_string_length(value) == strlen(text) &&
           strcmp(json_string_value(value), text) == 0;
}

/* ---- header ---- */

/* A media type, written without "application/" (RFC 7515 section 4.1.9). Other types than these two are not
 * meant for us (RFC 8725 section 3.11). */
static bool is_type_of_ours(const json_t *typ)
{
    static const char prefix[] = "application/";
    if (!json_is_string(typ))
        return typ == NULL;
    struct slice name = {json_string_value(typ), json_string_length(typ)};
    size_t skipped = sizeof(prefix) - 1;
    if (name.len > skipped && strncasecmp(name.data, prefix, skipped) == 0)
        name = (struct slice){name.data + skipped, name.len - skipped};
    return slice_equal_nocase(name, SLICE("JWT")) || slice_equal_nocase(name, SLICE("at+jwt"));
}

/* Returns NULL when the header is one that we can follow, or else what is wrong. */
static const char *check_header(const json_t *header, enum key_algorithm *ret_algorithm)
{
    const json_t *kid = json_object_get(header, "kid");
    if (json_object_get(header, "crit")) /* RFC 7515 4.1.11: extensions, none of which we know */
        return "the token's header has extensions that are not accepted";
    if (!is_type_of_ours(json_object_get(header, "typ")))
        return "the token is of another type";
    if (kid && !json_is_string(kid))
        return "the token's kid is malformed";
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (is_text(json_object_get(header, "alg"), algorithms[i].name)) {
            *ret_algorithm = (enum key_algorithm)i;
            return NULL;
        }
    return "the token's algorithm is not accepted";
}

/* ---- dates ---- */

/* Reads a NumericDate (RFC 7519 section 2), which may have a fraction. */
static bool read_date(const json_t *value, int64_t *ret_seconds)
{
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(seconds >= 0 && seconds < 1e15))
        return false;
    *ret_seconds = (int64_t)seconds;
    return true;
}

/* ---- keys ---- */

const char token_why_key[] = "the token's key is not in use any more, or not known";
static const char why_signature[] = "the token's signature is not valid";
static const char why_algorithm[] = "the token's algorithm is not accepted";

bool token_why_is_of_keys(const char *why)
{
    return why == token_why_key || why == why_signature || why == why_algorithm;
}

struct signature {
    uint8_t octets[ED25519_SIZE + 1];
    size_t len;
};

/* Whether the token says that it was made before the newest key came. What it says is not proven: this decides
 * only what its bearer is told. */
static bool is_older_than_keys(const struct token_keys *keys, struct slice payload)
{
    int64_t made_at = 0, since = 0;
    CLEANUP(json_cleanup) json_t *claims = decode_object(payload);
    for (size_t i = 0; i < keys->count; i++)
        if (!keys->keys[i].is_retired && keys->keys[i].since > since)
            since = keys->keys[i].since;
    return read_date(json_object_get(claims, "iat"), &made_at) && made_at <= since;
}

/* Finds the key that signed the token. A token that names a key is only of that key, or of one without an
 * id. */
static const char *find_key(const struct token_keys *keys, const json_t *kid, enum key_algorithm algorithm,
                            const struct parts *parts, const struct signature *signature, int64_t now_s,
                            const struct token_key **ret_key)
{
    bool is_named = false, is_of_use = false;
    for (size_t i = 0; i < keys->count; i++) {
        const struct token_key *key = &keys->keys[i];
        bool is_meant = !kid || !key->id || is_text(kid, key->id);
        if (key->algorithm != algorithm || !is_meant)
            continue;
        is_of_use = true;
        is_named = is_named || (kid && key->id);
        if (!algorithms[algorithm].is_valid(key, parts->signed_input, signature->octets, signature->len))
            continue;
        *ret_key = key;
        return token_key_is_live(keys, key, now_s) ? NULL : token_why_key;
    }
    if ((kid && !is_named) || is_older_than_keys(keys, parts->payload))
        return token_why_key;
    return is_of_use ? why_signature : why_algorithm;
}

/* ---- claims ---- */

const char token_why_expired[] = "the token has expired";

/* A revocation holds for max_life_s, so no token may live longer. Without an iat it is not known when the token
 * was made, but not later than now. */
static const char *check_life(const struct token_keys *keys, const json_t *claims, int64_t now_s,
                              struct identity *identity)
{
    const json_t *iat = json_object_get(claims, "iat");
    int64_t made_at = now_s + keys->leeway_s;
    if (iat && !read_date(iat, &made_at))
        return "iat is malformed";
    if (made_at > now_s + keys->leeway_s)
        return "the token was made in the future";
    if (keys->max_life_s > 0 && identity->expires_at - made_at > keys->max_life_s)
        return "the token lives longer than is accepted here";
    identity->issued_at = iat ? made_at : 0;
    return NULL;
}

static const char *check_times(const struct token_keys *keys, const json_t *claims, int64_t now_s,
                               struct identity *identity)
{
    const json_t *nbf = json_object_get(claims, "nbf");
    int64_t not_before = 0;
    if (!read_date(json_object_get(claims, "exp"), &identity->expires_at))
        return "the token has no exp";
    if (now_s >= identity->expires_at + keys->leeway_s)
        return token_why_expired;
    if (nbf && !read_date(nbf, &not_before))
        return "nbf is malformed";
    if (now_s < not_before - keys->leeway_s)
        return "the token is not valid yet";
    return check_life(keys, claims, now_s, identity);
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
    const char *why = check_times(keys, claims, now_s, identity);
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
    struct signature signature = {.len = 0};
    enum key_algorithm algorithm;
    const struct token_key *key = NULL;
    if (token.len == 0 || token.len > TOKEN_MAX)
        return "the token is empty or too long";
    if (!split(token, &parts))
        return "the token is malformed";
    CLEANUP(json_cleanup) json_t *header = decode_object(parts.header);
    if (!header)
        return "the token's header is malformed";
    const char *why = check_header(header, &algorithm);
    if (why)
        return why;
    if (!base64url_decode(parts.signature, (char *)signature.octets, sizeof(signature.octets),
                          &signature.len))
        return "the token's signature is not valid";
    why = find_key(keys, json_object_get(header, "kid"), algorithm, &parts, &signature, now_s, &key);
    if (why)
        return why;
    CLEANUP(json_cleanup) json_t *claims = decode_object(parts.payload);
    if (!claims)
        return "the token's claims are malformed";
    why = check_claims(keys, claims, now_s, identity);
    if (!why && key->until < identity->expires_at) /* a token does not outlive its key */
        identity->expires_at = key->until;
    return why;
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

static const struct token_key *signing_key(const struct token_keys *keys, int64_t now_s)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->keys[i].algorithm == KEY_HS256 && token_key_is_live(keys, &keys->keys[i], now_s))
            return &keys->keys[i];
    return NULL;
}

static void write_header(struct buf *header, const struct token_key *key)
{
    buf_append_text(header, "{\"alg\":\"HS256\",\"typ\":\"JWT\"");
    if (key->id) {
        buf_append_text(header, ",\"kid\":");
        buf_append_json_string(header, slice_of(key->id));
    }
    buf_append_char(header, '}');
}

enum err token_sign(const struct token_keys *keys, const struct identity *identity, char *text, size_t size)
{
    CLEANUP(buf_done) struct buf header;
    CLEANUP(buf_done) struct buf claims;
    CLEANUP(buf_done) struct buf token;
    uint8_t signature[HMAC_SIZE];
    const struct token_key *key = signing_key(keys, clock_wall_ms() / 1000);
    if (!key)
        return ERR_BAD_REQUEST;
    buf_init(&header, TOKEN_MAX);
    buf_init(&claims, TOKEN_MAX);
    buf_init(&token, TOKEN_MAX);
    write_header(&header, key);
    write_claims(&claims, keys, identity);
    base64url_append(&token, buf_slice(&header));
    buf_append_char(&token, '.');
    base64url_append(&token, buf_slice(&claims));
    if (!hs256_sign(key, buf_slice(&token), signature))
        return ERR_INTERNAL;
    buf_append_char(&token, '.');
    base64url_append(&token, (struct slice){(const char *)signature, sizeof(signature)});
    if (claims.truncated || token.truncated || buf_len(&token) >= size)
        return ERR_BAD_REQUEST;
    memcpy(text, buf_data(&token), buf_len(&token));
    text[buf_len(&token)] = '\0';
    return ERR_OK;
}
