#pragma once
/* Several commands or events in one message, as the gateway and the worker send them when several are there at once. The
 * same bounds; a form of its own, without checks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/base/uuid.h"

enum { BOUND_PARCEL_RECORDS = 64, BOUND_PARCEL_BYTES = 100 * 1024 };

struct bound_record {
    uint64_t operation; /* counted by the publisher */
    char id[UUID_TEXT_LEN + 1];
    struct slice body;
};

struct bound_parcel {
    size_t most; /* records; 1: each travels alone */
    size_t count, len;
    char octets[BOUND_PARCEL_BYTES];
};

/* false: the parcel is full, and is to be sent and cleared first. */
bool bound_parcel_add(struct bound_parcel *parcel, const struct bound_record *record);
void bound_parcel_clear(struct bound_parcel *parcel);
struct slice bound_parcel_slice(const struct bound_parcel *parcel);

/* Takes the next record off the octets of a parcel; false at the end. Its body points into them. */
bool bound_parcel_next(struct slice *left, struct bound_record *ret_record);
