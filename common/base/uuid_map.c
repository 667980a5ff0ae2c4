#include "common/base/uuid_map.h"

#include <assert.h>
#include <sys/random.h>

enum { BUCKETS_MIN = 8 };

void uuid_map_init(struct uuid_map *map)
{
    *map = (struct uuid_map){0};
    if (getrandom(&map->seed, sizeof(map->seed), 0) != (ssize_t)sizeof(map->seed))
        map->seed = (uint64_t)(uintptr_t)map;
}

void uuid_map_done(struct uuid_map *map)
{
    free(map->buckets);
    *map = (struct uuid_map){0};
}

/* The finalizer of MurmurHash3 over both halves. */
static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33);
}

static struct uuid_bucket *bucket_of(const struct uuid_map *map, const struct uuid *key)
{
    uint64_t half[2];
    memcpy(half, key->octet, sizeof(half));
    uint64_t hash = mix(mix(half[0] ^ map->seed) + half[1]);
    return &map->buckets[hash & (map->bucket_count - 1)];
}

struct uuid_node *uuid_map_find(const struct uuid_map *map, const struct uuid *key)
{
    if (map->count == 0)
        return NULL;
    struct uuid_node *node = bucket_of(map, key)->first;
    while (node && !uuid_equal(&node->key, key))
        node = node->next;
    return node;
}

static void put(struct uuid_map *map, struct uuid_node *node)
{
    struct uuid_bucket *bucket = bucket_of(map, &node->key);
    node->next = bucket->first;
    bucket->first = node;
}

static void grow(struct uuid_map *map)
{
    size_t old_count = map->bucket_count;
    CLEANUP_FREE struct uuid_bucket *old = map->buckets;
    map->bucket_count = old_count ? old_count * 2 : BUCKETS_MIN;
    map->buckets = xcalloc(map->bucket_count, sizeof(*map->buckets));
    for (size_t i = 0; i < old_count; i++) {
        for (struct uuid_node *node = old[i].first, *next; node; node = next) {
            next = node->next;
            put(map, node);
        }
    }
}

void uuid_map_insert(struct uuid_map *map, struct uuid_node *node)
{
    assert(!uuid_map_find(map, &node->key));
    if (map->count >= map->bucket_count)
        grow(map);
    put(map, node);
    map->count++;
}

void uuid_map_remove(struct uuid_map *map, struct uuid_node *node)
{
    struct uuid_node **at = &bucket_of(map, &node->key)->first;
    while (*at != node) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    map->count--;
}

void uuid_map_each(struct uuid_map *map, void (*visit)(struct uuid_node *node, void *arg), void *arg)
{
    for (size_t i = 0; i < map->bucket_count; i++) {
        for (struct uuid_node *node = map->buckets[i].first, *next; node; node = next) {
            next = node->next;
            visit(node, arg);
        }
    }
}
