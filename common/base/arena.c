#include "common/base/arena.h"

#include <stdalign.h>
#include <stdint.h>

struct arena_block {
    struct arena_block *older;
    size_t size; /* of data */
    size_t used;
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t block_size, size_t limit)
{
    *a = (struct arena){.block_size = block_size, .limit = limit};
}

static void free_older_than(struct arena_block *block)
{
    while (block) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void arena_done(struct arena *a)
{
    free_older_than(a->blocks);
    a->blocks = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    if (a->blocks) {
        free_older_than(a->blocks->older);
        a->blocks->older = NULL;
        a->blocks->used = 0;
        if (a->blocks->size > a->block_size) { /* one large request must not hold its memory for ever */
            free(a->blocks);
            a->blocks = NULL;
        }
    }
    a->used = 0;
}

static struct arena_block *add_block(struct arena *a, size_t size)
{
    if (size < a->block_size)
        size = a->block_size;
    struct arena_block *block = xmalloc(sizeof(*block) + size);
    block->older = a->blocks;
    block->size = size;
    block->used = 0;
    a->blocks = block;
    return block;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (a->limit && (size > a->limit || a->used > a->limit - size))
        return NULL;
    struct arena_block *block = a->blocks;
    if (!block || block->size - block->used < size)
        block = add_block(a, size);
    void *ptr = block->data + block->used;
    block->used += size;
    a->used += size;
    return ptr;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    void *ptr = arena_alloc(a, count * size);
    return ptr ? memset(ptr, 0, count * size) : NULL;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (!copy)
        return SLICE_NONE;
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return (struct slice){copy, s.len};
}
