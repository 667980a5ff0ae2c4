#pragma once
/* A channel's events as Server-Sent Events (HTML, 9.2): one answer without an end, read by browsers' EventSource and by every
 * client that can read lines.
 *
 *   ASKING ── the hub lets it in ──▶ STREAMING ── lost, expired, drain: a goodbye ─────▶ closed
 *     └── refused: a problem document      └────── slow: cut off, the client comes back ──▶ closed
 *
 *   retry: 1000                             how long to wait before coming back
 *   event: ready | reload                   reload: the position that was given leads nowhere any more
 *   id: 5b0f2a9c:41                         a position: Last-Event-ID makes it the beginning of the next stream
 *   data: {"epoch":"5b0f2a9c","offset":41}
 *
 *   id: 5b0f2a9c:42
 *   event: project.created
 *   data: {"type":"project.created","seq":42,…}
 *
 *   :                                       every sse_heartbeat_ms, with the present position as an id
 *   id: 5b0f2a9c:97
 *
 * The text of an event is made once for all streams of a channel. The answer has no length: it ends with its connection,
 * so that what is shared needs no framing of each socket.
 */

#include "gateway/http/call.h"
#include "gateway/hub/hub.h"

/* Answers the call: with the stream, or with why not. */
void sse_start(struct call *call, const struct hub_request *request);
