#pragma once
/* Entity tags (RFC 9110 8.8.3): the version of an entity, quoted. */

#include <stdint.h>

#include "common/base/slice.h"

/* "\"42\"" and a NUL. */
enum { ETAG_SIZE = 24 };
struct slice etag_format(int64_t version, char text[ETAG_SIZE]);

/* Whether If-None-Match names it: "*", or a list of tags of which one is the same in the weak comparison (RFC
 * 9110 13.1.2). A field that is not well-formed names nothing after the fault. */
bool etag_is_named(struct slice if_none_match, struct slice etag);
