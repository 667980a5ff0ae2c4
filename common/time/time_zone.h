#pragma once
/* What the clocks of a place show: a time zone of the IANA database, from the files of the system
 * (/usr/share/zoneinfo, TZif of RFC 8536). It does not use TZ and tzset(), which would change the zone of the
 * whole process. */

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/slice.h"

struct time_zone;

enum { TIME_ZONE_NAME_MAX = 64 };

/* Opens a zone by its name, such as "Europe/Berlin": reads one small file. An old name that is a link in the
 * IANA database, such as "US/Eastern", opens its zone also where the system does not have the name.
 * ERR_NOT_FOUND: no zone has this name. */
enum err time_zone_open(struct slice name, struct time_zone **ret_zone) MUST_CHECK;
/* The same with another folder than that of the system. */
enum err time_zone_open_in(const char *folder, struct slice name, struct time_zone **ret_zone) MUST_CHECK;
/* Reads the contents of such a file. ERR_BAD_REQUEST: it is no such file, or it counts leap seconds. */
enum err time_zone_read(struct slice contents, struct time_zone **ret_zone) MUST_CHECK;
void time_zone_free(struct time_zone *zone);

/* A stretch of time in which the clocks keep the same distance to UTC. */
struct time_span {
    int64_t offset_s;
    int64_t end_s; /* the first second after the span; INT64_MAX: it has no end */
};

/* Returns the span into which a time falls (seconds since 1970). */
struct time_span time_zone_at(const struct time_zone *zone, int64_t s);
