#pragma once
/* The forms in which the messages of the protocol stand on a connection. A socket keeps the form in which it began.
 *
 *   JSON      {"id":1,…}\n{"id":2,…}      text frames, a message a line
 *   PROTOBUF  <length><message>…          binary frames, each message behind its length, a varint
 */

#include "common/base/buf.h"
#include "common/base/bytes.h"

enum form { FORM_JSON, FORM_PROTOBUF };

struct form_info {
    const char *subprotocol; /* of a WebSocket */
    const char *between;     /* two messages of a batch */
    bool is_protobuf;
};
const struct form_info *form_info(enum form form);

/* Room for `size` octets of messages in what is sent as one piece: a frame. */
struct bytes *form_new(enum form form, size_t size, char **ret_at);

/* Appends a message, which is given in JSON, to those before it. */
void form_append(enum form form, struct buf *messages, struct slice json);
