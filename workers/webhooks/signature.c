#include "workers/webhooks/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdio.h>

#include "common/crypto/seal.h"

enum { KEY_MAX = 256, MAC_SIZE = 32, SIGNATURE_SIZE = 64, SEED_SIZE = 32, BASE64_SIZE = 96 };

static const char prefix[] = "whsec_";

/* ---- keys ---- */

struct key {
    uint8_t octets[KEY_MAX];
    size_t len;
};

/* Strict base64 (RFC 4648 section 4); false: it is none. */
static bool read_base64(struct slice text, struct key *key)
{
    size_t padding = 0;
    if (text.len == 0 || text.len % 4 != 0 || text.len / 4 * 3 > sizeof(key->octets))
        return false;
    while (padding < 2 && text.data[text.len - 1 - padding] == '=')
        padding++;
    if (memchr(text.data, '=', text.len - padding))
        return false;
    int len = EVP_DecodeBlock(key->octets, (const uint8_t *)text.data, (int)text.len);
    key->len = len > 0 ? (size_t)len - padding : 0;
    return len > 0;
}

static bool read_key(struct slice secret, struct key *key)
{
    size_t len = sizeof(prefix) - 1;
    bool has_prefix = secret.len > len && memcmp(secret.data, prefix, len) == 0;
    if (has_prefix && read_base64((struct slice){secret.data + len, secret.len - len}, key))
        return true;
    if (secret.len == 0 || secret.len > sizeof(key->octets))
        return false;
    memcpy(key->octets, secret.data, secret.len);
    key->len = secret.len;
    return true;
}

static bool read_seed(struct slice secret, uint8_t seed[static SEED_SIZE])
{
    struct key key;
    unsigned len = 0;
    bool is_done = read_key(secret, &key) &&
                   HMAC(EVP_sha256(), key.octets, (int)key.len, (const uint8_t *)"v1a", 3, seed, &len);
    seal_wipe(&key, sizeof(key));
    return is_done;
}

static EVP_PKEY *private_key(struct slice secret)
{
    uint8_t seed[SEED_SIZE];
    EVP_PKEY *key = read_seed(secret, seed)
                        ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed))
                        : NULL;
    seal_wipe(seed, sizeof(seed));
    return key;
}

/* ---- signatures ---- */

static bool append_base64(struct buf *out, const uint8_t *octets, size_t len)
{
    char text[BASE64_SIZE];
    int written = EVP_EncodeBlock((uint8_t *)text, octets, (int)len);
    return buf_append(out, text, (size_t)written);
}

static void append_content(const struct webhook_signed *content, struct buf *text)
{
    buf_init(text, content->id.len + content->timestamp.len + content->body.len + 2);
    buf_append_slice(text, content->id);
    buf_append_char(text, '.');
    buf_append_slice(text, content->timestamp);
    buf_append_char(text, '.');
    buf_append_slice(text, content->body);
}

bool webhook_sign_v1(struct slice secret, const struct webhook_signed *content, struct buf *out)
{
    struct key key;
    CLEANUP(buf_done) struct buf text;
    uint8_t mac[MAC_SIZE];
    unsigned len = 0;
    append_content(content, &text);
    bool is_done =
        read_key(secret, &key) && HMAC(EVP_sha256(), key.octets, (int)key.len,
                                       (const uint8_t *)buf_data(&text), buf_len(&text), mac, &len);
    seal_wipe(&key, sizeof(key));
    return is_done && buf_append_text(out, "v1,") && append_base64(out, mac, len);
}

bool webhook_sign_v1a(struct slice secret, const struct webhook_signed *content, struct buf *out)
{
    EVP_PKEY *key = private_key(secret);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CLEANUP(buf_done) struct buf text;
    uint8_t signature[SIGNATURE_SIZE];
    size_t len = sizeof(signature);
    append_content(content, &text);
    bool is_done =
        key && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestSign(context, signature, &len, (const uint8_t *)buf_data(&text), buf_len(&text)) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return is_done && buf_append_text(out, "v1a,") && append_base64(out, signature, len);
}

bool webhook_public_key(struct slice secret, char text[static WEBHOOK_PUBLIC_KEY_SIZE])
{
    EVP_PKEY *key = private_key(secret);
    uint8_t octets[SEED_SIZE];
    size_t len = sizeof(octets);
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, WEBHOOK_PUBLIC_KEY_SIZE - 1);
    bool is_done = key && EVP_PKEY_get_raw_public_key(key, octets, &len) == 1 &&
                   buf_append_text(&out, "whpk_") && append_base64(&out, octets, len);
    if (is_done)
        snprintf(text, WEBHOOK_PUBLIC_KEY_SIZE, "%.*s", (int)buf_len(&out), buf_data(&out));
    EVP_PKEY_free(key);
    return is_done;
}
