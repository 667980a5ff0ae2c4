#pragma once
/* Immutable bytes with a reference count, so that one event goes to many sockets, and one database row into a
 * response, without a copy. The count is not atomic: all references belong to one thread. */

#include <stdint.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

struct bytes {
    struct slice slice;
    uint32_t references;
    uint32_t queued; /* those of the references that outputs hold (gateway/net/output.h) */
    /* Called with `owner` when the last reference goes; NULL: the bytes follow the struct. */
    void (*release)(void *owner);
    void *owner;
};

struct bytes *bytes_copy(struct slice s); /* one reference, one allocation */
/* Borrows the data until `release` is called. */
struct bytes *bytes_wrap(struct slice s, void (*release)(void *owner), void *owner);
/* Makes `len` uninitialised bytes. The caller fills them through *ret_space before anybody else sees them. */
struct bytes *bytes_new(size_t len, char **ret_space);

static inline struct bytes *bytes_ref(struct bytes *b)
{
    b->references++;
    return b;
}
void bytes_unref(struct bytes *b); /* NULL is allowed */
