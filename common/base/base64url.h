#pragma once
/* Base64 with the URL-safe alphabet and without padding (RFC 4648 5), strictly: one text for each value. */

#include "common/base/buf.h"

/* Writes at most `size` octets. False for any other character, padding, an impossible length, or unused bits that are not zero. */
bool base64url_decode(struct slice text, char *out, size_t size, size_t *ret_len);

bool base64url_append(struct buf *out, struct slice bytes);
