#pragma once
/* A WebSocket: a connection after its upgrade, and the Centrifuge session that lives on it (link.h).
 *
 * Between messages a socket costs its struct, its subscriptions and its conn. It has no reader, no buffers and no
 * dictionary, for permessage-deflate (deflate.h) keeps no context.
 */

#include "gateway/http/call.h"

void socket_upgrade(struct call *call); /* GET /connection/websocket */
