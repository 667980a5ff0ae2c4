#pragma once
/* Base64 with the URL-safe alphabet and without padding (RFC 4648 section 5). Reading is strict: each value
 * has exactly one text. */

#include "common/base/buf.h"

/* Writes at most `size` octets. Returns false for a character outside of the alphabet, padding, an impossible
 * length, unused bits that are not zero, or a value that does not fit. */
bool base64url_decode(struct slice text, char *out, size_t size, size_t *ret_len);

bool base64url_append(struct buf *out, struct slice bytes);
