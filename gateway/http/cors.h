#pragma once
/* Cross-origin requests of browsers (CORS protocol of the Fetch standard), for the origins that the setting
 * cors_origins names. */

#include "gateway/http/call.h"

/* Whether pages of this origin may call us: cors_origins is "*" or has the origin in its list. An absent
 * origin may not. */
bool cors_is_allowed(const struct config *config, struct slice origin);

/* Adds the headers that let the browser show the answer to its page, if the request names an allowed
 * origin. */
void cors_allow(struct call *call);

/* Answers OPTIONS: a preflight, or the methods that are allowed at this path. */
void cors_options(struct call *call);
