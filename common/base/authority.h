#pragma once
/* Which host and port a request is for (RFC 3986 3.2.2, RFC 9110 7.2). No I/O. */

#include "common/base/slice.h"

/* Whether the text is uri-host [":" port]: a name, an IPv4 address or an IPv6 address in brackets, and a port from
 * 0 to 65535. No user is allowed before it. */
bool authority_is_valid(struct slice authority);
