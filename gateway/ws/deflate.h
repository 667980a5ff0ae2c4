#pragma once
/* permessage-deflate (RFC 7692) without context from one message to the next, either way: so a message is compressed once for all
 * sockets that negotiated it, and none of them holds a dictionary. One of these serves a whole process; no I/O.
 *
 *   ws_send_frames ─▶ ws_deflate_frame ─▶ the same as last time: its compressed twin, shared
 *                                     └─▶ compressed now, or sent as it is: too short, or no shorter for it
 *   ws_reader_feed ─▶ ws_inflate ─▶ at most so many octets, however small what was sent
 */

#include "common/base/bytes.h"
#include "common/process/config.h"

struct ws_deflate;

/* NULL when the configuration says that nothing is compressed (ws_deflate_level 0). */
struct ws_deflate *ws_deflate_new(const struct config *config);
void ws_deflate_free(struct ws_deflate *deflate);

#define WS_DEFLATE_ANSWER_MAX 128

/* One value of Sec-WebSocket-Extensions: the first offer in it that we can keep to, answered as the header's value. False, and nothing
 * written, when there is none: an offer with a parameter that is unknown, repeated, malformed or beyond us is declined (7.1). */
bool ws_deflate_accept(struct slice offers, char answer[WS_DEFLATE_ANSWER_MAX]);

/* What to send for a frame of ws_frame_new to a socket that negotiated it: a reference of the caller's own. */
struct bytes *ws_deflate_frame(struct ws_deflate *deflate, struct bytes *frame);

/* The message; 0 or the code with which the connection fails: invalid payload, or too big past `max` octets. Valid until the next call. */
int ws_inflate(struct ws_deflate *deflate, struct slice payload, size_t max,
               struct slice *ret_message) MUST_CHECK;
