#pragma once
/* Base64 with the usual alphabet and padding (RFC 4648 section 4). Reading is strict: each value has exactly one
 * text. */

#include "common/base/buf.h"

bool base64_append(struct buf *out, struct slice bytes);

/* How many octets the text stands for, at most. */
static inline size_t base64_room(size_t text_len)
{
    return text_len / 4 * 3;
}

/* Writes at most base64_room octets. Returns false for a character outside of the alphabet, missing padding, or unused
 * bits that are not zero. */
bool base64_decode(struct slice text, char *out, size_t *ret_len);
