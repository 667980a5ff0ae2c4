#pragma once
/* Entity tags (RFC 9110 8.8.3). The tag of an entity is its version in quotes. */

#include <stdint.h>

#include "common/base/slice.h"

enum { ETAG_SIZE = 24 }; /* a tag such as "\"42\"", and a NUL */
struct slice etag_format(int64_t version, char text[ETAG_SIZE]);

/* Whether the field If-None-Match names the tag: it is "*", or a list with a tag that is the same in the weak
 * comparison (RFC 9110 13.1.2). Where the list is malformed, what follows the fault names nothing. */
bool etag_is_named(struct slice if_none_match, struct slice etag);
