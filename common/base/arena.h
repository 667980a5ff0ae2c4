#pragma once
/* Memory that lives as long as one request or one batch. Allocations are laid one behind the other, and all
 * of them are freed at once. */

#include "common/base/macros.h"
#include "common/base/slice.h"

struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t block_size;
    size_t used;  /* bytes handed out since the last reset */
    size_t limit; /* allocations past it fail; 0: no limit */
};

void arena_init(struct arena *a, size_t block_size, size_t limit);
void arena_done(struct arena *a);
void arena_reset(struct arena *a); /* frees everything that was allocated; keeps one block */

/* The memory is aligned for any type; arena_calloc clears it. NULL means that the limit is reached. */
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;
void *arena_calloc(struct arena *a, size_t count, size_t size) MUST_CHECK;
/* Copies `s` and writes a NUL behind the copy, which its length does not count. data is NULL when the limit
 * is reached. */
struct slice arena_copy(struct arena *a, struct slice s) MUST_CHECK;
