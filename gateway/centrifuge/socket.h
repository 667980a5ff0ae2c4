#pragma once
/* One WebSocket: a connection after its upgrade (ws_upgrade), and the Centrifuge session that lives on it.
 *
 *   OPEN ── ws_close ──▶ CLOSING ── the peer's close frame, or ws_close_ms ──▶ conn_close
 *    └───── the peer's close frame: answered ─────────────────────────────────────▲
 *    └───── a broken rule: close frame with its code ──────────────────────────────┘
 *
 * At rest a socket is this struct, its subscriptions and its conn: no reader, no buffers, no dictionary:
 * permessage-deflate (deflate.h) is without context.
 */

#include "gateway/http/call.h"
#include "gateway/net/conn.h"

struct ws;

void ws_upgrade(struct call *call); /* GET /connection/websocket */

struct gateway *ws_gateway(const struct ws *ws);
const char *ws_peer(const struct ws *ws);

/* Nothing is sent once the socket is CLOSING. */
void ws_send(struct ws *ws, struct slice text); /* one text message, copied */
/* A frame as ws_frame_new makes it, or its compressed twin where that was negotiated; takes a reference of its own. */
void ws_send_frames(struct ws *ws, struct bytes *frame);
size_t ws_backlog(const struct ws *ws); /* bytes that the peer has not taken */

/* Says goodbye: `code` and `reason` in a close frame. The session hears no more. */
void ws_close(struct ws *ws, int code, const char *reason);

/* session_on_time after `ms` from now; 0: never. One at a time. */
void ws_limit(struct ws *ws, int64_t ms);
