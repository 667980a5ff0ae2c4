#pragma once
/* What caches, browsers and proxies between us and the client may do with an answer (RFC 9111). */

#include "gateway/http/call.h"

/* Appends Cache-Control, Vary and X-Content-Type-Options to a head. What a token opens is `private`: a shared cache
 * would show it to others. Reads may be kept and must be asked for anew (`no-cache`), which costs 304 when nothing
 * has changed. Refusals are not kept. */
void caching_append(struct buf *head, const struct call *call, int status);
