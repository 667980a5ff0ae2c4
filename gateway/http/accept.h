#pragma once
/* The Accept field (RFC 9110 12.5.1): how welcome a media type is to the client. No I/O. */

#include "common/base/slice.h"

enum { ACCEPT_MOST = 1000 };

/* How welcome `type` is, in thousandths; 0: the client does not accept it. The most specific range decides.
 * An absent or empty field accepts everything. Parameters other than q are ignored, as no two of our variants
 * differ in them, and a malformed range names nothing. */
int accept_quality(struct slice accept, const char *type);

/* Whether the field names the type itself, and not only a range that holds it. */
bool accept_names(struct slice accept, const char *type);
