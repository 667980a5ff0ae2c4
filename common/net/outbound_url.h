#pragma once
/* Whether a URL that somebody gives us may be kept, to send requests to later. What can be known without looking the host
 * up is refused at once: an address that the guard refuses, in any spelling that a resolver understands, a name of this
 * machine, and http where TLS is demanded. All else is judged when a request is sent (http_client.h). No I/O. */

#include <stdbool.h>

#include "common/net/address_guard.h"

enum { OUTBOUND_URL_WHY_SIZE = 128 };

/* false: `why` says what is wrong, such as "the host is a private address". http is for hosts that the guard allows
 * expressly; a name may turn out to be one of them, if there are any. */
bool outbound_url_is_allowed(const struct address_guard *guard, const char *url,
                             char why[OUTBOUND_URL_WHY_SIZE]);
