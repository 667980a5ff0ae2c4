#pragma once
/* The forms in which the messages of the protocol stand on a connection. A link keeps the form in which it began.
 *
 *   JSON              {"id":1,…}\n{"id":2,…}             text frames of a WebSocket, a message a line
 *   PROTOBUF          <length><message>…                 binary frames, each message behind its length, a varint
 *   JSON_STREAM       {"id":1,…}\n{"id":2,…}\n           the body of an HTTP answer
 *   PROTOBUF_STREAM   <length><message>…                 the same
 *   SSE               data: {"id":1,…}\n\n               Server-Sent Events
 */

#include "common/base/buf.h"
#include "common/base/bytes.h"

enum form { FORM_JSON, FORM_PROTOBUF, FORM_JSON_STREAM, FORM_PROTOBUF_STREAM, FORM_SSE };

struct form_info {
    /* Of what is sent as one piece: before its first message, between two of them, and after the last one. */
    struct slice before, between, after;
    bool is_protobuf, is_frame;
};
const struct form_info *form_info(enum form form);

/* Room for `size` octets of messages, with what is between them, in what is sent as one piece. */
struct bytes *form_new(enum form form, size_t size, char **ret_at);

/* Appends a message, which is given in JSON, to those before it. */
void form_append(enum form form, struct buf *messages, struct slice json);
