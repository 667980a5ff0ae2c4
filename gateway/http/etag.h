#pragma once
/* Entity tags (RFC 9110 8.8.3). The tag of an entity is its version in quotes. */

#include <stdint.h>

#include "common/base/slice.h"

enum { ETAG_SIZE = 24 }; /* a tag such as "\"42\"", and a NUL */
struct slice etag_format(int64_t version, char text[ETAG_SIZE]);
/* The tag of something that has no version: a hash of its content. */
struct slice etag_of_content(struct slice content, char text[ETAG_SIZE]);

/* Reads the version in a tag of ours, without its quotes. There is one way to write it: no sign, no leading zero. */
bool etag_read_version(struct slice inside, int64_t *ret_version);

/* Takes the next tag off a list, without its "W/"; SLICE_NONE at the end, and where the list is malformed:
 * something is left of it then. */
struct slice etag_next(struct slice *list, bool *ret_is_weak);

/* Whether the field If-None-Match names the tag: it is "*", or a list with a tag that is the same in the weak
 * comparison (RFC 9110 13.1.2). Where the list is malformed, what follows the fault names nothing. */
bool etag_is_named(struct slice if_none_match, struct slice etag);
/* The same for the field If-Match, in the strong comparison (RFC 9110 13.1.1): a weak tag never matches. */
bool etag_is_matched(struct slice if_match, struct slice etag);
