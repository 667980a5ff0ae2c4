#pragma once
/* The server's half of the opening handshake (RFC 6455 4.2). */

#include "gateway/http/call.h"

#define WS_SUBPROTOCOL_JSON     "centrifuge-json"
#define WS_SUBPROTOCOL_PROTOBUF "centrifuge-protobuf"

enum { WS_KEY_LEN = 24, WS_ACCEPT_LEN = 28 };

/* Whether this request may become a WebSocket. The errors, with a sentence for the client: BAD_REQUEST;
 * UPGRADE_REQUIRED (the headers that the answer must carry have been added); FORBIDDEN (a page of another
 * host that the configuration does not allow). */
enum err ws_handshake_check(struct call *call, const char **ret_detail) MUST_CHECK;

/* Whether a page of the request's origin may connect: there is none, or it is our own host's, or one that may call
 * the API. */
bool ws_origin_may(struct call *call);

/* Writes Sec-WebSocket-Accept for a key, and a NUL. */
void ws_handshake_accept(struct slice key, char accept[WS_ACCEPT_LEN + 1]);

/* The subprotocol of ours that the client would rather speak: the first one in its list; NULL: it names none. */
const char *ws_handshake_subprotocol(const struct call *call);

/* The head lines of the 101 response, in the call's arena; SLICE_NONE when the arena is full.
 * ret_deflates: they accept permessage-deflate. */
struct slice ws_handshake_lines(struct call *call, bool *ret_deflates);
