#pragma once
/* One input of the fuzzers of parcels: an octet that says whether an entry or a whole parcel follows. */

#include <stdint.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/broker/parcel.h"
#include "tests/fuzz/must.h"

static inline int parcel_input(const uint8_t *data, size_t size, void (*read_entry)(struct slice entry))
{
    if (size < 1)
        return 0;
    /* A copy of exactly its size, so that the sanitizer sees every read past the end. */
    CLEANUP_FREE char *copy = xmalloc(size);
    memcpy(copy, data + 1, size - 1);
    struct slice bytes = {copy, size - 1};
    struct parcel parcel;
    if (data[0] & 1) {
        read_entry(bytes);
        return 0;
    }
    if (parcel_open(bytes, &parcel) != ERR_OK)
        return 0;
    must(parcel.count > 0 && parcel.count <= PARCEL_ENTRIES_MAX, "the count is within its bounds");
    while (parcel.count > 0)
        read_entry(parcel_take(&parcel));
    must(parcel.rest.len == 0, "nothing is left over");
    return 0;
}
