#pragma once
/* The protocol's Protobuf form, by the tables of centrifuge.proto: a command becomes the same command in JSON, so
 * that its handler need not know the form, and a reply that was written in JSON becomes Protobuf. No I/O. */

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/uuid.h"

struct publication;

/* Takes the next message off, which stands behind its length. False: the bytes are no list of messages. */
bool protobuf_next(struct slice *bytes, struct slice *ret_message) MUST_CHECK;

/* Reads a command. BAD_REQUEST: it is none. The caller owns *ret_command. JSON text in it that the reader refuses
 * (json.h, with max_depth) is left out, and *ret_is_whole is false. */
enum err protobuf_read_command(struct slice message, int64_t max_depth, json_t **ret_command,
                               bool *ret_is_whole) MUST_CHECK;

/* Reads the request of POST /emulation; false: it is none. The commands are a part of `message`. */
bool protobuf_read_emulation(struct slice message, struct uuid *ret_node, struct uuid *ret_session,
                             struct slice *ret_commands) MUST_CHECK;

/* Appends a reply or push, behind its length. `json` is text of our own, and in order. */
void protobuf_append_reply(struct buf *out, struct slice json);

/* A push of a publication, behind its length: its size, and the octets. */
size_t protobuf_publication_size(const char *channel, const struct publication *publication);
size_t protobuf_put_publication(const char *channel, const struct publication *publication, char *at);
