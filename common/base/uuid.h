#pragma once
/* UUIDs (RFC 9562). New things get version 7; version 8 is derived from an Idempotency-Key. */

#include <stdint.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

#define UUID_TEXT_LEN 36

struct uuid {
    uint8_t octet[16];
};

/* Makes a version 7: 48 bits of milliseconds, then 74 random bits of getrandom(2). Within a process the ids
 * rise. */
struct uuid uuid_v7(void);

/* Makes a version 8: 122 bits of SHA-256 over the parts, each preceded by its length as 8 octets. */
struct uuid uuid_derive(const struct slice *parts, size_t count);

/* Accepts the canonical 36 characters in either case, and nothing else. */
bool uuid_parse(struct slice text, struct uuid *ret_uuid);

/* Writes UUID_TEXT_LEN characters in lower case and a NUL. */
void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_LEN + 1]);

/* Whether uuid_derive made it. */
static inline bool uuid_is_derived(const struct uuid *uuid)
{
    return uuid->octet[6] >> 4 == 8;
}

/* Compares as memcmp does; fits qsort and bsearch. */
static inline int uuid_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct uuid));
}

static inline bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
