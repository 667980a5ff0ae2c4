#pragma once
/* Cross-origin requests of browsers (Fetch standard, CORS protocol), for the origins that the configuration
 * names. */

#include "gateway/http/call.h"

/* The origin may call us, by `cors_origins`: "*", or it is in the list. An absent origin may not. */
bool cors_is_allowed(const struct config *config, struct slice origin);

/* Adds the headers that let the browser show the answer to its page, when the request names an allowed
 * origin. */
void cors_allow(struct call *call);

/* Answers OPTIONS: a preflight, or what is allowed at this target. */
void cors_options(struct call *call);
