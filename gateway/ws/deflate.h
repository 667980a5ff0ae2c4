#pragma once
/* permessage-deflate (RFC 7692) that keeps no context from one message to the next, in either direction. So a
 * message is compressed once for all sockets that negotiated compression, and no socket holds a dictionary. A
 * process has one struct ws_deflate. No I/O.
 *
 *   ws_send_frames ─▶ ws_deflate_frame ─▶ the same frame as last time: its compressed twin, shared
 *                                     └─▶ compressed now, or unchanged when that gains nothing
 *   ws_reader_feed ─▶ ws_inflate ─▶ the message, if it is no longer than `max` octets
 */

#include "common/base/bytes.h"
#include "common/process/config.h"

struct ws_deflate;

/* NULL when ws_deflate_level is 0: no WebSocket is compressed. */
struct ws_deflate *ws_deflate_new(const struct config *config);
void ws_deflate_free(struct ws_deflate *deflate);

#define WS_DEFLATE_ANSWER_MAX 128

/* Reads one value of Sec-WebSocket-Extensions and writes the answer to the first offer in it that we can
 * accept. False, and nothing written, when there is none: an offer with a parameter that is unknown,
 * repeated, malformed or asks for a window that we do not have is declined (7.1). */
bool ws_deflate_accept(struct slice offers, char answer[WS_DEFLATE_ANSWER_MAX]);

/* The frame to send in place of `frame` (of ws_frame_new) to a socket that negotiated compression. The
 * caller owns the reference. */
struct bytes *ws_deflate_frame(struct ws_deflate *deflate, struct bytes *frame);

/* Decompresses a message. Returns 0, or the code with which the connection must fail: invalid payload, or
 * a message longer than `max` octets. The message is valid until the next call. */
int ws_inflate(struct ws_deflate *deflate, struct slice payload, size_t max,
               struct slice *ret_message) MUST_CHECK;
