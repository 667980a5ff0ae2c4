#pragma once
/* RFC 6455 frames, without I/O. Reads what clients send, with libwslay's frame layer and the rules of section
 * 5 on top of it, and makes the frames that we send.
 *
 * A reader takes about 4.4 KiB. So a connection has one only in the middle of a frame or message: it is made
 * when bytes arrive and freed when ws_reader_at_rest says that nothing is half read.
 */

#include "common/base/bytes.h"

enum ws_opcode { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* RFC 6455 7.4.1 */
enum ws_code {
    WS_CODE_NORMAL = 1000,
    WS_CODE_PROTOCOL_ERROR = 1002,
    WS_CODE_UNSUPPORTED_DATA = 1003,
    WS_CODE_NO_STATUS = 1005, /* stands for a close frame without a code; never sent */
    WS_CODE_INVALID_PAYLOAD = 1007,
    WS_CODE_TOO_BIG = 1009,
};

enum { WS_HEAD_MAX = 10, WS_CONTROL_MAX = 125, WS_REASON_MAX = WS_CONTROL_MAX - 2 };

/* Each returns false to stop reading. The slices are valid during the call. */
struct ws_reader_callbacks {
    bool (*on_message)(void *ctx, struct slice message); /* whole; a text is valid UTF-8 */
    bool (*on_ping)(void *ctx, struct slice payload);
    bool (*on_pong)(void *ctx, struct slice payload);
    bool (*on_close)(void *ctx, int code,
                     struct slice reason); /* a code that a client may send, or NO_STATUS */
};

struct ws_reader;
struct ws_deflate;

/* `kind` is that of the messages that the client may send: WS_TEXT or WS_BINARY. A message may have max_message
 * octets, after decompression too. deflate NULL: compression was not negotiated. */
struct ws_reader *ws_reader_new(enum ws_opcode kind, size_t max_message, struct ws_deflate *deflate);
void ws_reader_free(struct ws_reader *reader);
/* From the next frame on a message may have so many octets; it may be called from on_message. */
void ws_reader_allow(struct ws_reader *reader, size_t max_message);
size_t ws_reader_memory(const struct ws_reader *reader); /* octets */

/* Reads all of `bytes`. Returns 0, or the code with which the connection must fail; after that the reader
 * can only be freed. */
int ws_reader_feed(struct ws_reader *reader, struct slice bytes, const struct ws_reader_callbacks *callbacks,
                   void *ctx) MUST_CHECK;
bool ws_reader_at_rest(const struct ws_reader *reader);

/* Writes the head of a final, unmasked frame and returns its length. */
size_t ws_frame_head(enum ws_opcode opcode, size_t payload_len, uint8_t head[WS_HEAD_MAX]);

/* A whole frame of that kind, WS_TEXT or WS_BINARY; the caller fills in its payload. */
struct bytes *ws_frame_new(enum ws_opcode kind, size_t payload_len, char **ret_payload);
/* The same for a payload that deflate.c has compressed: the frame has RSV1 set. */
struct bytes *ws_frame_new_deflated(enum ws_opcode kind, size_t payload_len, char **ret_payload);
/* Of a frame of either function. */
enum ws_opcode ws_frame_kind(const struct bytes *frame);
struct slice ws_frame_payload(const struct bytes *frame);

/* Writes the payload of a close frame, with the reason cut at WS_REASON_MAX, and returns its length. */
size_t ws_close_payload(int code, struct slice reason, char payload[WS_CONTROL_MAX]);
