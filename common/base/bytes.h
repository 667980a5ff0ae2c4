#pragma once
/* Immutable bytes with a reference count: one event, many sockets; one database row, one response.
 * One thread, one process: the count is not atomic. */

#include <stdint.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

struct bytes {
    struct slice slice;
    uint32_t references;
    uint32_t queued; /* gateway/net/output.h: of those references, in outputs */
    void (*release)(
        void *owner); /* called with `owner` when the last reference goes; NULL: bytes follow the struct */
    void *owner;
};

struct bytes *bytes_copy(struct slice s); /* one reference, one allocation */
struct bytes *bytes_wrap(struct slice s, void (*release)(void *owner),
                         void *owner); /* borrows until released */
/* Uninitialised space of `len` bytes for the caller to fill through *ret_space before anyone else sees it. */
struct bytes *bytes_new(size_t len, char **ret_space);

static inline struct bytes *bytes_ref(struct bytes *b)
{
    b->references++;
    return b;
}
void bytes_unref(struct bytes *b); /* NULL is fine */
