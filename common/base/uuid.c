#include "common/base/uuid.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/hex.h"
#include "common/base/log.h"

static void set_version(struct uuid *u, uint8_t version)
{
    u->octet[6] = (uint8_t)((u->octet[6] & 0x0f) | version << 4);
    u->octet[8] = (uint8_t)((u->octet[8] & 0x3f) | 0x80);
}

/* Random octets are drawn 256 at a time, so 25 ids cost one system call. A forked child must not use the
 * octets that its parent will use, so the child empties the pool. */
static uint8_t pool[256]; /* getrandom(2) never returns less for 256 octets or fewer */
static size_t pool_left;

static void empty_pool(void)
{
    pool_left = 0;
}

__attribute__((constructor)) static void empty_pool_in_children(void)
{
    pthread_atfork(NULL, NULL, empty_pool);
}

static void random_octets(uint8_t *out, size_t count)
{
    if (pool_left < count) {
        if (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool)) {
            log_error("random.unavailable");
            abort();
        }
        pool_left = sizeof(pool);
    }
    pool_left -= count;
    memcpy(out, pool + pool_left, count);
    explicit_bzero(pool + pool_left, count);
}

struct uuid uuid_v7(void)
{
    static int64_t last_ms;
    static uint16_t counter;
    struct uuid u;
    int64_t now = clock_wall_ms();
    random_octets(u.octet + 6, 10);
    if (now > last_ms) {
        last_ms = now;
        /* The top bit leaves room to count (RFC 9562 section 6.2). */
        counter = (uint16_t)((u.octet[6] << 8 | u.octet[7]) & 0x7ff);
    } else if (++counter > 0xfff) {
        last_ms++;
        counter = 0;
    }
    for (int i = 0; i < 6; i++)
        u.octet[i] = (uint8_t)(last_ms >> (40 - 8 * i));
    u.octet[6] = (uint8_t)(counter >> 8);
    u.octet[7] = (uint8_t)counter;
    set_version(&u, 7);
    return u;
}

struct uuid uuid_derive(const struct slice *parts, size_t count)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct uuid u;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    for (size_t i = 0; ok && i < count; i++) {
        uint8_t length[8];
        for (int b = 0; b < 8; b++)
            length[b] = (uint8_t)((uint64_t)parts[i].len >> (56 - 8 * b));
        ok = EVP_DigestUpdate(ctx, length, sizeof(length)) &&
             EVP_DigestUpdate(ctx, parts[i].data, parts[i].len);
    }
    ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    if (!ok) {
        log_error("digest.unavailable");
        abort();
    }
    memcpy(u.octet, digest, sizeof(u.octet));
    set_version(&u, 8);
    return u;
}

static bool is_dash_position(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

bool uuid_parse(struct slice text, struct uuid *ret_uuid)
{
    struct uuid u;
    size_t octet = 0;
    if (text.len != UUID_TEXT_LEN)
        return false;
    for (size_t i = 0; i < UUID_TEXT_LEN;) {
        if (is_dash_position(i)) {
            if (text.data[i++] != '-')
                return false;
            continue;
        }
        int high = hex_value(text.data[i]), low = hex_value(text.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        u.octet[octet++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *ret_uuid = u;
    return true;
}

void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_LEN + 1])
{
    static const char hex[] = "0123456789abcdef";
    char *at = text;
    for (size_t i = 0; i < sizeof(uuid->octet); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex[uuid->octet[i] >> 4];
        *at++ = hex[uuid->octet[i] & 15];
    }
    *at = '\0';
}
