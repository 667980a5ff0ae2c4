#pragma once
/* What the clocks of a place show: a time zone of the IANA database as the system has it (/usr/share/zoneinfo, TZif of RFC 8536).
 * Nothing global is touched: TZ and tzset() would be the whole process's. */

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/slice.h"

struct time_zone;

enum { TIME_ZONE_NAME_MAX = 64 };

/* "Europe/Berlin". Reads one small file. ERR_NOT_FOUND: no zone has this name. */
enum err time_zone_open(struct slice name, struct time_zone **ret_zone) MUST_CHECK;
/* From the contents of such a file; ERR_BAD_REQUEST for what is none, or counts leap seconds. */
enum err time_zone_read(struct slice contents, struct time_zone **ret_zone) MUST_CHECK;
void time_zone_free(struct time_zone *zone);

/* A stretch of time in which the clocks are so many seconds ahead of UTC. */
struct time_span {
    int64_t offset_s;
    int64_t end_s; /* the first second after it; INT64_MAX: it has no end */
};

/* The span in which a time (seconds since 1970) falls. */
struct time_span time_zone_at(const struct time_zone *zone, int64_t s);
