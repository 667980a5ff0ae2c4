#pragma once
/* A page of a channel's events, and waiting for one.
 *
 *   {"data":[{event},…],"next":"<epoch>:<offset>","more":false}     ETag: "<epoch>:<offset>"
 *
 *   query ── there are events, or the client does not wait ──▶ answer
 *     │                                       ▲
 *     └── none ──▶ subscribed at the hub ── an event comes, or the time is up ──▶ query
 *
 * PostgreSQL builds the page in one snapshot with the position `next`. A client that asks again with
 * after=<next> goes on without a gap and without a repeat. The answer is 410 when the events after `after`
 * are no longer kept, and when `after` is past the company's last event. An event from the hub only starts the query again, so that a page looks the same
 * however it came about.
 */

#include "gateway/http/call.h"
#include "gateway/hub/hub.h"

/* Answers the call with the events after request->offset. With Prefer: wait=N it answers when there are
 * some, or N seconds later. */
void event_page(struct call *call, const struct hub_request *request);

#define EVENT_POSITION_AHEAD                                                                              \
    "The position is past the company's last event: the database has been restored from a backup since. " \
    "Read the resources again."

/* Answers the call with 410. A client that has read everything anew goes on from the position in the Link
 * header, which is that of the company's last event. `why`: NULL when the events are no longer kept. */
void event_position_gone(struct call *call, const char *epoch, int64_t last, const char *why);
