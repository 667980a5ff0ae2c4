#include "common/base/bytes.h"

#include <assert.h>

struct bytes *bytes_new(size_t len, char **ret_space)
{
    struct bytes *b = xmalloc(sizeof(*b) + len);
    char *space = (char *)(b + 1);
    *b = (struct bytes){.slice = {space, len}, .references = 1};
    *ret_space = space;
    return b;
}

struct bytes *bytes_copy(struct slice s)
{
    char *space;
    struct bytes *b = bytes_new(s.len, &space);
    if (s.len)
        memcpy(space, s.data, s.len);
    return b;
}

struct bytes *bytes_wrap(struct slice s, void (*release)(void *owner), void *owner)
{
    struct bytes *b = xmalloc(sizeof(*b));
    *b = (struct bytes){.slice = s, .references = 1, .release = release, .owner = owner};
    return b;
}

void bytes_unref(struct bytes *b)
{
    if (!b)
        return;
    assert(b->references > 0);
    if (--b->references > 0)
        return;
    if (b->release)
        b->release(b->owner);
    free(b);
}
