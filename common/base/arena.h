#pragma once
/* Memory that lives as long as one request or one batch: allocate forward, free all at once. */

#include "common/base/macros.h"
#include "common/base/slice.h"

struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t block_size;
    size_t used;  /* bytes handed out since the last reset */
    size_t limit; /* allocations past this fail; 0 for none */
};

void arena_init(struct arena *a, size_t block_size, size_t limit);
void arena_done(struct arena *a);
void arena_reset(struct arena *a); /* keeps one block */

/* Aligned for any type, zeroed for calloc; NULL only past the limit. */
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;
void *arena_calloc(struct arena *a, size_t count, size_t size) MUST_CHECK;
/* A copy with a NUL after it (not counted in the length). data is NULL past the limit. */
struct slice arena_copy(struct arena *a, struct slice s) MUST_CHECK;
