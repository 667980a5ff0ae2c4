#pragma once
/* Message authentication codes (HMAC, RFC 2104) over octets that come in parts, and comparisons that take as long for a
 * right guess as for a wrong one. */

#include <stdint.h>

#include "common/base/slice.h"

enum mac_hash { MAC_SHA1, MAC_SHA256, MAC_SHA512 };
enum { MAC_SIZE_MAX = 64, MAC_PARTS_MAX = 8 };

/* Writes the code and returns its length; 0: it could not be computed. */
size_t mac_sign(enum mac_hash hash, struct slice key, const struct slice *parts, size_t count,
                uint8_t code[static MAC_SIZE_MAX]);

/* Whether both are the same. Their lengths are no secret. */
bool mac_equal(struct slice a, struct slice b);
