#include "common/crypto/secret.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "common/base/base64url.h"

enum { SEALED_MAX = 72 << 10, OCTETS_MAX = 64 };

struct slice secret_context(const struct secret_place *place, char text[static SEAL_CONTEXT_MAX])
{
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
    uuid_format(&place->company, company);
    uuid_format(&place->id, id);
    int len = snprintf(text, SEAL_CONTEXT_MAX, "%s.%s/%s/%s", place->table, place->column, company, id);
    return (struct slice){text, (size_t)len < SEAL_CONTEXT_MAX ? (size_t)len : SEAL_CONTEXT_MAX - 1};
}

bool secret_keep(const struct seal_keys *keys, const struct secret_place *place, struct slice value,
                 struct buf *out)
{
    char context[SEAL_CONTEXT_MAX];
    CLEANUP(buf_done) struct buf sealed;
    buf_init(&sealed, SEALED_MAX);
    if (!seal_close(keys, secret_context(place, context), value, &sealed))
        return false;
    return buf_printf(out, "%s:", seal_keys_id(keys, 0)) && base64url_append(out, buf_slice(&sealed));
}

bool secret_open(const struct seal_keys *keys, const struct secret_place *place, struct slice kept,
                 struct buf *out)
{
    char context[SEAL_CONTEXT_MAX];
    const char *colon = kept.len > 0 ? memchr(kept.data, ':', kept.len) : NULL;
    if (!colon)
        return false;
    struct slice text = {colon + 1, kept.len - (size_t)(colon + 1 - kept.data)};
    size_t len = 0;
    CLEANUP_FREE char *sealed = xmalloc(text.len + 1);
    return base64url_decode(text, sealed, text.len, &len) &&
           seal_open(keys, secret_context(place, context), (struct slice){sealed, len}, out);
}

bool secret_generate(const char *prefix, size_t octets, struct buf *out)
{
    enum { BASE64_SIZE = (OCTETS_MAX + 2) / 3 * 4 + 1 };
    uint8_t random[OCTETS_MAX];
    char text[BASE64_SIZE];
    if (octets > sizeof(random) || RAND_bytes(random, (int)octets) != 1)
        return false;
    int len = EVP_EncodeBlock((uint8_t *)text, random, (int)octets);
    bool is_done = buf_append_text(out, prefix) && buf_append(out, text, (size_t)len);
    seal_wipe(random, sizeof(random));
    seal_wipe(text, sizeof(text));
    return is_done;
}
