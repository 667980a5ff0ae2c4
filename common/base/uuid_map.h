#pragma once
/* A hash table whose elements have a struct uuid_node inside and are found by its UUID. The table owns none
 * of them. Clients choose some of the keys (a project that they ask for), so the hash is seeded at random. */

#include "common/base/uuid.h"

struct uuid_node {
    struct uuid key; /* set before insertion, not changed while inside */
    struct uuid_node *next;
};

struct uuid_bucket {
    struct uuid_node *first;
};

struct uuid_map {
    struct uuid_bucket *buckets;
    size_t bucket_count; /* a power of two, or 0 before the first insertion */
    size_t count;
    uint64_t seed;
};

void uuid_map_init(struct uuid_map *map);
void uuid_map_done(struct uuid_map *map);

/* Returns NULL when there is none. */
struct uuid_node *uuid_map_find(const struct uuid_map *map, const struct uuid *key);
/* The key must not be there yet. */
void uuid_map_insert(struct uuid_map *map, struct uuid_node *node);
/* The node must be there. */
void uuid_map_remove(struct uuid_map *map, struct uuid_node *node);

/* Calls `visit` for each node. `visit` may remove the node that it was given, and no other. */
void uuid_map_each(struct uuid_map *map, void (*visit)(struct uuid_node *node, void *arg), void *arg);
