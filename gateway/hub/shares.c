#include "gateway/hub/shares.h"

enum { BUCKETS_FIRST = 16 };

/* FNV-1a. */
static uint64_t hash_of(enum msg_role role, const uint8_t *ties, size_t count)
{
    uint64_t hash = (14695981039346656037U ^ (uint64_t)role) * 1099511628211U;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ ties[i]) * 1099511628211U;
    return hash ^ hash >> 32;
}

static struct share **bucket_of(const struct shares *shares, uint64_t hash)
{
    return &shares->buckets[hash & (shares->bucket_count - 1)];
}

static void grow(struct shares *shares)
{
    struct shares larger = {.bucket_count = shares->bucket_count ? 2 * shares->bucket_count : BUCKETS_FIRST};
    larger.buckets = xcalloc(larger.bucket_count, sizeof(struct share *));
    for (size_t i = 0; i < shares->bucket_count; i++)
        for (struct share *share = shares->buckets[i], *next; share; share = next) {
            next = share->next;
            struct share **at = bucket_of(&larger, share->hash);
            share->next = *at;
            *at = share;
        }
    free(shares->buckets);
    shares->buckets = larger.buckets;
    shares->bucket_count = larger.bucket_count;
}

static struct share *find(struct shares *shares, uint64_t hash, enum msg_role role, const uint8_t *ties,
                          size_t count)
{
    struct share *share = shares->bucket_count > 0 ? *bucket_of(shares, hash) : NULL;
    for (; share; share = share->next) {
        if (share->hash != hash || share->role != role)
            continue;
        shares->comparisons++;
        if (memcmp(share->ties, ties, count) == 0)
            return share;
    }
    return NULL;
}

struct share *shares_obtain(struct shares *shares, enum msg_role role, const uint8_t *ties, size_t count,
                            bool *ret_is_new)
{
    uint64_t hash = hash_of(role, ties, count);
    struct share *share = find(shares, hash, role, ties, count);
    *ret_is_new = !share;
    if (share)
        return share;
    if (shares->count == shares->bucket_count)
        grow(shares);
    struct share **at = bucket_of(shares, hash);
    share = xcalloc(1, sizeof(*share));
    share->hash = hash;
    share->role = role;
    memcpy(share->ties, ties, count);
    share->next = *at;
    *at = share;
    shares->count++;
    return share;
}

void shares_done(struct shares *shares)
{
    for (size_t i = 0; i < shares->bucket_count; i++)
        for (struct share *share = shares->buckets[i], *next; share; share = next) {
            next = share->next;
            for (size_t k = 0; k < PROTOCOLS_MAX; k++)
                bytes_unref(share->encoded[k]);
            audience_done(&share->seen);
            free(share);
        }
    free(shares->buckets);
    *shares = (struct shares){0};
}
