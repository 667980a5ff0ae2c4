#include "common/crypto/mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

/* The algorithm is looked up once: that costs as much as a short message does. */
static EVP_MAC *hmac(void)
{
    static EVP_MAC *mac;
    if (!mac)
        mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    return mac;
}

static bool run(EVP_MAC_CTX *context, enum mac_hash hash, struct slice key, const struct slice *parts,
                size_t count, uint8_t *code, size_t *ret_len)
{
    static char names[][8] = {[MAC_SHA1] = "SHA1", [MAC_SHA256] = "SHA256", [MAC_SHA512] = "SHA512"};
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, names[hash], 0),
        OSSL_PARAM_construct_end(),
    };
    static const uint8_t nothing[1];
    const uint8_t *octets = key.len > 0 ? (const uint8_t *)key.data : nothing;
    bool is_right = EVP_MAC_init(context, octets, key.len, params) == 1;
    for (size_t i = 0; is_right && i < count; i++)
        is_right = EVP_MAC_update(context, (const uint8_t *)parts[i].data, parts[i].len) == 1;
    return is_right && EVP_MAC_final(context, code, ret_len, MAC_SIZE_MAX) == 1;
}

size_t mac_sign(enum mac_hash hash, struct slice key, const struct slice *parts, size_t count,
                uint8_t code[static MAC_SIZE_MAX])
{
    size_t len = 0;
    EVP_MAC_CTX *context = hmac() ? EVP_MAC_CTX_new(hmac()) : NULL;
    if (!context || !run(context, hash, key, parts, count, code, &len))
        len = 0;
    EVP_MAC_CTX_free(context);
    return len;
}

bool mac_equal(struct slice a, struct slice b)
{
    return a.len == b.len && CRYPTO_memcmp(a.data, b.data, a.len) == 0;
}
