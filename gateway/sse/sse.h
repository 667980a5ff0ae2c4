#pragma once
/* A channel's events as Server-Sent Events (HTML, 9.2): one answer without an end, which browsers'
 * EventSource reads, and every client that can read lines.
 *
 *   retry: 1000                             the client waits so many ms before it connects again
 *   event: ready | reload                   reload: the events after the given position are no longer kept
 *   id: 5b0f2a9c:41                         a position: sent as Last-Event-ID it begins the next stream there
 *   data: {"epoch":"5b0f2a9c","offset":41}
 *
 *   id: 5b0f2a9c:42
 *   event: project.created
 *   data: {"type":"project.created","seq":42,…}
 *
 *   :                                       every sse_heartbeat_ms, with the present position as an id
 *   id: 5b0f2a9c:97
 *
 * The text of an event is made once for all streams of a channel. The answer has no length and ends with its
 * connection, so that all sockets share the same bytes, without chunks of their own.
 */

#include "gateway/http/call.h"
#include "gateway/hub/hub.h"

/* Answers the call with the stream, or with a problem document. */
void sse_start(struct call *call, const struct hub_request *request);
