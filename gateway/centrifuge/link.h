#pragma once
/* What a session sees of its connection, whichever way its client has come:
 *
 *   socket.c   a WebSocket
 *   http_stream.c   an HTTP answer without an end; what its client says comes by POST /emulation
 *
 * It is freed with its connection. */

#include "common/base/bytes.h"
#include "common/crypto/token.h"
#include "gateway/gateway.h"

struct link;

struct gateway *link_gateway(const struct link *link);
const char *link_peer(const struct link *link);

/* These two send nothing once the link is CLOSING. */
void link_send(struct link *link, struct slice messages); /* in the session's form; copied, as one piece */
/* Sends a piece of form_new, compressed where that was negotiated. Takes a reference of its own. */
void link_send_shared(struct link *link, struct bytes *piece);
size_t link_backlog(const struct link *link); /* bytes that the peer has not taken */

/* Verifies a token that the client has sent (authorize_token). */
enum err link_authorize(struct link *link, struct slice token, struct identity *ret_identity,
                        const char **ret_why) MUST_CHECK;

/* Ends the session and tells the client why, with `code` and `reason`. */
void link_close(struct link *link, int code, const char *reason);

/* Calls session_on_time `ms` from now; 0: never. A later call replaces an earlier one. */
void link_limit(struct link *link, int64_t ms);

/* The secret by which POST /emulation finds a stream; NULL: a WebSocket has none. */
const struct uuid *link_secret(const struct link *link);
