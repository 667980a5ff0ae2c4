#pragma once
/* One WebSocket: a connection after its upgrade (ws_upgrade), and the Centrifuge session that lives on it.
 * Its states stand in socket.c. It is freed with its connection.
 *
 * Between messages a socket costs this struct, its subscriptions and its conn. It has no reader, no buffers
 * and no dictionary, for permessage-deflate (deflate.h) keeps no context.
 */

#include "gateway/http/call.h"
#include "gateway/net/conn.h"

struct ws;

void ws_upgrade(struct call *call); /* GET /connection/websocket */

struct gateway *ws_gateway(const struct ws *ws);
const char *ws_peer(const struct ws *ws);

/* These two send nothing once the socket is CLOSING. */
void ws_send(struct ws *ws, struct slice messages); /* in the session's form; copied, as one frame */
/* Sends a frame of form_new, compressed where that was negotiated. Takes a reference of its own. */
void ws_send_frames(struct ws *ws, struct bytes *frame);
size_t ws_backlog(const struct ws *ws); /* bytes that the peer has not taken */

/* Verifies a token that the client has sent (authorize_token). */
enum err ws_authorize(struct ws *ws, struct slice token, struct identity *ret_identity,
                      const char **ret_why) MUST_CHECK;

/* Ends the session and sends a close frame with `code` and `reason`. */
void ws_close(struct ws *ws, int code, const char *reason);

/* Calls session_on_time `ms` from now; 0: never. A later call replaces an earlier one. */
void ws_limit(struct ws *ws, int64_t ms);
