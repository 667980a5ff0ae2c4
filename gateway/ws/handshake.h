#pragma once
/* The server's half of the opening handshake (RFC 6455 4.2). */

#include "gateway/http/call.h"

#define WS_SUBPROTOCOL "centrifuge-json"

enum { WS_KEY_LEN = 24, WS_ACCEPT_LEN = 28 };

/* May this request become a WebSocket? BAD_REQUEST, UPGRADE_REQUIRED (the headers that say to what are added to the
 * answer) or FORBIDDEN (an origin that the configuration does not name, where it names any), with a sentence for the client. */
enum err ws_handshake_check(struct call *call, const char **ret_detail) MUST_CHECK;

/* Sec-WebSocket-Accept for a key, and a NUL. */
void ws_handshake_accept(struct slice key, char accept[WS_ACCEPT_LEN + 1]);

/* Head lines of the 101, in the call's arena; whether they agree to permessage-deflate. */
struct slice ws_handshake_lines(struct call *call, bool *ret_deflates);
