#pragma once
/* What must hold before msgpack-c unpacks a stranger's bytes: it takes memory for each count as it reads it, and five
 * octets can ask for 96 GB (msgpack-c issue 1013). This passes over the headers and takes no memory. */

#include "common/base/macros.h"
#include "common/base/slice.h"

enum { MSG_DEPTH_MAX = 32 }; /* levels of arrays and maps: more are beyond msgpack-c */

/* NULL when the bytes are exactly one whole value, so that all its counts together fit them; else what is wrong. */
const char *msg_precheck(struct slice bytes) MUST_CHECK;
