#pragma once
/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */

#include "common/slice.h"

bool utf8_valid(struct slice text);

/* Code points of text that is known to be valid. */
size_t utf8_length(struct slice text);
