#pragma once
/* GET /v1/events: reads from the request which channels, from which position, and whether the client wants a
 * stream (sse.h) or a page (page.h).
 */

#include "gateway/http/call.h"

void read_events(struct call *call);
