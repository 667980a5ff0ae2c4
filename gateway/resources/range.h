#pragma once
/* One range of bytes (RFC 9110 14), for files that can be fetched in parts. No I/O. */

#include <stdint.h>

#include "common/base/slice.h"

struct range {
    int64_t start, length; /* octets */
};

enum range_answer {
    RANGE_WHOLE,         /* no range, or one that is to be ignored: 200 */
    RANGE_PART,          /* 206 */
    RANGE_NOT_SATISFIED, /* 416 */
};

/* What a Range field asks of `size` octets. Several ranges, other units and what is malformed are ignored, as the RFC
 * allows and demands. *ret_range is what to send; of RANGE_NOT_SATISFIED it is nothing. */
enum range_answer range_parse(struct slice field, int64_t size, struct range *ret_range);

/* Whether the field If-Range (13.1.5) lets the range count: it is absent, or the strong tag `etag`. A date never is:
 * files that have a tag have no date. */
bool range_is_current(struct slice if_range, struct slice etag);
