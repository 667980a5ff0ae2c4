#pragma once
/* Problem details (RFC 9457): every refusal is answered with such a document. */

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/msg/msg.h"

#define PROBLEM_CONTENT_TYPE "application/problem+json"

enum { PROBLEM_MAX = 256 * 1024 }; /* octets of a document */

/* Writes type, title and status of `err`, then detail (NULL: none), instance and errors[{pointer, detail}]
 * (problems may be NULL or empty). The errors are left out when they do not fit into the buffer, which must
 * hold the rest. */
void problem_write(struct buf *body, enum err err, const char *detail, struct slice instance,
                   const struct msg_problems *problems);
