#pragma once
/* Accept (RFC 9110 12.5.1): how welcome a representation is. No I/O. */

#include "common/base/slice.h"

enum { ACCEPT_MOST = 1000 };

/* In thousandths: 0 is unacceptable. The most specific range counts; no field, or an empty one, welcomes
 * everything. Parameters other than q are ignored, as we have no variants that differ in them; a malformed
 * range names nothing. */
int accept_quality(struct slice accept, const char *type);
