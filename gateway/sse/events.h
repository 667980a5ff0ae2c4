#pragma once
/* GET /v1/events: which channels, from where on, as a stream (sse.h) or as a page (read/event_page.c).
 *
 *   {"data":[{event},…],"next":"<epoch>:<offset>","more":false}     ETag: "<epoch>:<offset>"
 *
 * A page is built by PostgreSQL, in one snapshot with the position that `next` is: asked again with after=<next> it
 * continues without a gap and without a repeat. 410 when the events after `after` are not kept any more.
 */

#include "gateway/http/call.h"
#include "gateway/hub/hub.h"

void read_events(struct call *call); /* GET /v1/events */

/* Answers the call with the events after request->offset; with Prefer: wait=N, when there are some or N seconds later. */
void event_page(struct call *call, const struct hub_request *request);
