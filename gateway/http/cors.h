#pragma once
/* Cross-origin requests of browsers (CORS protocol of the Fetch standard), for the origins that the setting
 * cors_origins names. */

#include "gateway/http/call.h"

/* Whether pages of this origin may call us: cors_origins has "*" or the origin in its list. They are compared as
 * URLs: without regard to case, a port that is the scheme's own, or a slash at the end. An absent origin may not. */
bool cors_is_allowed(const struct config *config, struct slice origin);

/* Adds the headers that let the browser show the answer to its page, if the request names an allowed
 * origin. */
void cors_allow(struct call *call);
/* The same for a request that is refused before its head is complete, so that its origin may still be missing: every
 * page may read the refusal, which holds nothing of anybody. */
void cors_allow_unknown(struct call *call);

/* The browser asks whether a page of an allowed origin may send a request. It may whatever becomes of that request: a
 * refusal of the preflight itself (no such path, a malformed target) would keep from the page why its request is refused. */
bool cors_is_preflight(const struct call *call);

/* The same of an OPTIONS that is refused for its length, its slowness or for want of room, perhaps before all of its head
 * has come: no allowed origin is known to be missing. True: it is answered as a preflight, and the refusal waits for the
 * request itself, whose answer the page may read. */
bool cors_answers_early(struct call *call, enum err refusal);

/* Answers OPTIONS: a preflight, or the methods that are allowed at this path. */
void cors_options(struct call *call);
