#pragma once
/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */

#include "common/base/slice.h"

bool utf8_valid(struct slice text);

/* Checks text that is still arriving. Returns false when it is wrong already, whatever follows. Up to
 * *ret_whole the sequences are complete; after it stands at most one that is cut short. */
bool utf8_begins_valid(struct slice text, size_t *ret_whole);

/* Makes valid UTF-8 of a text that may have been cut to fit, in place: what a cut has left of a character at
 * the end is dropped, and '?' stands for each other octet that belongs to no character. A database takes no
 * other text, and a log line with it could not be read. */
void utf8_mend(char *text);

/* Counts the code points of text that is known to be valid. */
size_t utf8_length(struct slice text);
