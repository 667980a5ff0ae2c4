#pragma once
/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */

#include "common/base/slice.h"

bool utf8_valid(struct slice text);

/* Text that is still arriving: false when it is wrong already, whatever follows. Whole sequences up to *ret_whole, then at
 * most one that is cut short. */
bool utf8_begins_valid(struct slice text, size_t *ret_whole);

/* Code points of text that is known to be valid. */
size_t utf8_length(struct slice text);
