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

/* Where the two digits of each octet stand in the text, and the dashes. */
static const uint8_t octet_at[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
static const uint8_t dash_at[4] = {8, 13, 18, 23};

bool uuid_parse(struct slice text, struct uuid *ret_uuid)
{
    struct uuid u;
    int is_wrong = 0; /* negative once a digit is none */
    if (text.len != UUID_TEXT_LEN)
        return false;
    for (size_t i = 0; i < sizeof(dash_at); i++)
        if (text.data[dash_at[i]] != '-')
            return false;
    for (size_t i = 0; i < sizeof(u.octet); i++) {
        int high = hex_value(text.data[octet_at[i]]), low = hex_value(text.data[octet_at[i] + 1]);
        is_wrong |= high | low;
        u.octet[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    if (is_wrong < 0)
        return false;
    *ret_uuid = u;
    return true;
}

void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_LEN + 1])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(dash_at); i++)
        text[dash_at[i]] = '-';
    for (size_t i = 0; i < sizeof(uuid->octet); i++) {
        text[octet_at[i]] = hex[uuid->octet[i] >> 4];
        text[octet_at[i] + 1] = hex[uuid->octet[i] & 15];
    }
    text[UUID_TEXT_LEN] = '\0';
}
