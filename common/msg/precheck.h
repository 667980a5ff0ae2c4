#pragma once
/* A check of bytes that a stranger sent, before msgpack-c unpacks them: msgpack-c allocates memory for each
 * count as it reads it, and five octets can ask for 96 GB (msgpack-c issue 1013). The check passes over the
 * headers and allocates nothing. */

#include "common/base/macros.h"
#include "common/base/slice.h"

enum { MSG_DEPTH_MAX = 32 }; /* levels of arrays and maps; msgpack-c takes no more */

/* Returns NULL when the bytes are exactly one whole value, which all its counts together fit; else what is
 * wrong. */
const char *msg_precheck(struct slice bytes) MUST_CHECK;
