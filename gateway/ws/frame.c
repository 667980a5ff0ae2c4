#include "gateway/ws/frame.h"

#include <assert.h>
#include <wslay/wslay.h>

#include "common/base/buf.h"
#include "common/base/utf8.h"
#include "gateway/ws/deflate.h"

enum { WSLAY_MEMORY = 4200 }; /* octets of a frame context of libwslay, most of them its buffer */

enum { LENGTH_16 = 126, LENGTH_64 = 127, FIN = 0x80, RSV1 = 0x40, OPCODE = 0x0f };

struct ws_reader {
    wslay_frame_context_ptr frames;
    struct slice input; /* bytes that wslay has not taken yet */
    size_t max_message;
    struct ws_deflate *deflate; /* NULL: not negotiated */
    uint64_t taken;             /* octets of the unfinished frame that wslay has taken */
    uint64_t got;               /* payload octets of the present frame that wslay has returned */
    bool begun;                 /* wslay has returned a piece of the present frame */
    bool deflated;              /* the present message is compressed */
    uint8_t kind;               /* WS_TEXT or WS_BINARY: of the messages that may come */
    uint8_t opcode;             /* of the message that is being put together; 0: none */
    struct buf message;
    size_t checked; /* so many octets of the message are valid, whole UTF-8 sequences */
    size_t control_len;
    char control[WS_CONTROL_MAX];
};

/* Reading. */

static ssize_t take_input(uint8_t *space, size_t size, int flags, void *arg)
{
    (void)flags;
    struct ws_reader *reader = arg;
    size_t len = reader->input.len < size ? reader->input.len : size;
    if (len == 0)
        return -1;
    memcpy(space, reader->input.data, len);
    reader->input.data += len;
    reader->input.len -= len;
    reader->taken += len;
    return (ssize_t)len;
}

struct ws_reader *ws_reader_new(enum ws_opcode kind, size_t max_message, struct ws_deflate *deflate)
{
    struct ws_reader *reader = xcalloc(1, sizeof(*reader));
    const struct wslay_frame_callbacks callbacks = {.recv_callback = take_input};
    if (wslay_frame_context_init(&reader->frames, &callbacks, reader) != 0)
        abort(); /* the call fails only without memory */
    reader->kind = (uint8_t)kind;
    reader->max_message = max_message;
    reader->deflate = deflate;
    buf_init(&reader->message, max_message);
    return reader;
}

void ws_reader_free(struct ws_reader *reader)
{
    if (!reader)
        return;
    wslay_frame_context_free(reader->frames);
    buf_done(&reader->message);
    free(reader);
}

void ws_reader_allow(struct ws_reader *reader, size_t max_message)
{
    reader->max_message = max_message;
    reader->message.max = max_message;
}

size_t ws_reader_memory(const struct ws_reader *reader)
{
    return sizeof(*reader) + WSLAY_MEMORY + reader->message.capacity;
}

bool ws_reader_at_rest(const struct ws_reader *reader)
{
    return reader->taken == 0 && reader->opcode == 0;
}

static uint64_t masked_frame_size(uint64_t payload_len)
{
    uint64_t length = payload_len < LENGTH_16 ? 0 : payload_len <= UINT16_MAX ? 2 : 8;
    return 2 + length + 4 + payload_len;
}

static bool is_control(uint8_t opcode)
{
    return opcode & 8;
}

/* Checks a frame's head against RFC 6455 5.1, 5.2, 5.4 and 5.5. libwslay has already checked that lengths
 * are minimal and that control frames are short and not fragmented. */
static int check_head(const struct ws_reader *reader, const struct wslay_frame_iocb *frame)
{
    /* RFC 7692 6: RSV1 is allowed on the first frame of a message, where compression was negotiated. */
    uint8_t allowed = reader->deflate && frame->opcode == reader->kind ? WSLAY_RSV1_BIT : 0;
    if (!frame->mask || (frame->rsv & ~allowed) != 0)
        return WS_CODE_PROTOCOL_ERROR;
    switch (frame->opcode) {
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        return 0;
    case WS_TEXT:
    case WS_BINARY:
        if (frame->opcode != reader->kind)
            return WS_CODE_UNSUPPORTED_DATA;
        if (reader->opcode != 0)
            return WS_CODE_PROTOCOL_ERROR;
        break;
    case WS_CONTINUATION:
        if (reader->opcode == 0)
            return WS_CODE_PROTOCOL_ERROR;
        break;
    default:
        return WS_CODE_PROTOCOL_ERROR;
    }
    size_t before = buf_len(&reader->message);
    return frame->payload_length > reader->max_message - before ? WS_CODE_TOO_BIG : 0;
}

static bool may_close_with(int code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

static int end_close(struct ws_reader *reader, const struct ws_reader_callbacks *callbacks, void *ctx,
                     bool *ret_more)
{
    const uint8_t *payload = (const uint8_t *)reader->control;
    if (reader->control_len == 0) {
        *ret_more = callbacks->on_close(ctx, WS_CODE_NO_STATUS, SLICE(""));
        return 0;
    }
    if (reader->control_len == 1)
        return WS_CODE_PROTOCOL_ERROR;
    int code = payload[0] << 8 | payload[1];
    struct slice reason = {reader->control + 2, reader->control_len - 2};
    if (!may_close_with(code))
        return WS_CODE_PROTOCOL_ERROR;
    if (!utf8_valid(reason))
        return WS_CODE_INVALID_PAYLOAD;
    *ret_more = callbacks->on_close(ctx, code, reason);
    return 0;
}

static int end_control(struct ws_reader *reader, uint8_t opcode, const struct ws_reader_callbacks *callbacks,
                       void *ctx, bool *ret_more)
{
    struct slice payload = {reader->control, reader->control_len};
    int code = 0;
    if (opcode == WS_CLOSE)
        code = end_close(reader, callbacks, ctx, ret_more);
    else if (opcode == WS_PING)
        *ret_more = callbacks->on_ping(ctx, payload);
    else
        *ret_more = callbacks->on_pong(ctx, payload);
    reader->control_len = 0;
    return code;
}

static int end_message(const struct ws_reader *reader, struct slice message,
                       const struct ws_reader_callbacks *callbacks, void *ctx, bool *ret_more)
{
    int code = reader->deflated ? ws_inflate(reader->deflate, message, reader->max_message, &message) : 0;
    if (code != 0)
        return code;
    if (reader->kind == WS_TEXT && !utf8_valid(message))
        return WS_CODE_INVALID_PAYLOAD;
    *ret_more = callbacks->on_message(ctx, message);
    return 0;
}

static void keep_control(struct ws_reader *reader, struct slice piece)
{
    assert(reader->control_len + piece.len <= WS_CONTROL_MAX);
    if (piece.len > 0)
        memcpy(reader->control + reader->control_len, piece.data, piece.len);
    reader->control_len += piece.len;
}

/* RFC 6455 8.1: invalid UTF-8 fails the connection as soon as it is seen, before the message is complete.
 * A compressed message is checked when it is complete. */
static bool keep_piece(struct ws_reader *reader, struct slice piece, int *ret_code)
{
    size_t whole;
    *ret_code = WS_CODE_TOO_BIG;
    if (!buf_append_slice(&reader->message, piece))
        return false;
    if (reader->deflated || reader->kind != WS_TEXT)
        return true;
    struct slice message = buf_slice(&reader->message);
    struct slice unchecked = {message.data + reader->checked, message.len - reader->checked};
    *ret_code = WS_CODE_INVALID_PAYLOAD;
    if (!utf8_begins_valid(unchecked, &whole))
        return false;
    reader->checked += whole;
    return true;
}

static int on_data(struct ws_reader *reader, const struct wslay_frame_iocb *frame, struct slice piece,
                   bool complete, const struct ws_reader_callbacks *callbacks, void *ctx, bool *ret_more)
{
    bool whole = complete && frame->fin && reader->opcode == 0 && piece.len == frame->payload_length;
    if (whole) /* most messages come in one piece, and nothing is copied */
        return end_message(reader, piece, callbacks, ctx, ret_more);
    int code = 0;
    if (reader->opcode == 0)
        reader->opcode = frame->opcode;
    if (!keep_piece(reader, piece, &code))
        return code;
    if (!complete || !frame->fin)
        return 0;
    code = end_message(reader, buf_slice(&reader->message), callbacks, ctx, ret_more);
    reader->opcode = 0;
    reader->checked = 0;
    buf_done(&reader->message);
    return code;
}

static int on_piece(struct ws_reader *reader, const struct wslay_frame_iocb *frame,
                    const struct ws_reader_callbacks *callbacks, void *ctx, bool *ret_more)
{
    int code = reader->begun ? 0 : check_head(reader, frame);
    if (code != 0)
        return code;
    if (!reader->begun && frame->opcode == reader->kind)
        reader->deflated = frame->rsv != 0;
    struct slice piece = {(const char *)frame->data, frame->data_length};
    reader->begun = true;
    reader->got += piece.len;
    bool complete = reader->got == frame->payload_length;
    if (complete) {
        reader->taken -= masked_frame_size(frame->payload_length);
        reader->begun = false;
        reader->got = 0;
    }
    if (!is_control(frame->opcode))
        return on_data(reader, frame, piece, complete, callbacks, ctx, ret_more);
    keep_control(reader, piece);
    return complete ? end_control(reader, frame->opcode, callbacks, ctx, ret_more) : 0;
}

int ws_reader_feed(struct ws_reader *reader, struct slice bytes, const struct ws_reader_callbacks *callbacks,
                   void *ctx)
{
    reader->input = bytes;
    for (bool more = true; more;) {
        struct wslay_frame_iocb frame = {0};
        ssize_t n = wslay_frame_recv(reader->frames, &frame);
        if (n == WSLAY_ERR_WANT_READ)
            return 0;
        if (n < 0)
            return WS_CODE_PROTOCOL_ERROR;
        int code = on_piece(reader, &frame, callbacks, ctx, &more);
        if (code != 0)
            return code;
    }
    return 0;
}

/* Writing. */

size_t ws_frame_head(enum ws_opcode opcode, size_t payload_len, uint8_t head[WS_HEAD_MAX])
{
    uint64_t len = payload_len;
    size_t octets = len < LENGTH_16 ? 0 : len <= UINT16_MAX ? 2 : 8;
    head[0] = (uint8_t)(FIN | opcode);
    head[1] = (uint8_t)(octets == 0 ? len : octets == 2 ? LENGTH_16 : LENGTH_64);
    for (size_t i = 0; i < octets; i++)
        head[2 + i] = (uint8_t)(len >> (8 * (octets - 1 - i)));
    return 2 + octets;
}

static struct bytes *new_frame(enum ws_opcode kind, uint8_t flags, size_t payload_len, char **ret_payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t head_len = ws_frame_head(kind, payload_len, head);
    head[0] |= flags;
    char *space;
    struct bytes *frame = bytes_new(head_len + payload_len, &space);
    memcpy(space, head, head_len);
    *ret_payload = space + head_len;
    return frame;
}

struct bytes *ws_frame_new(enum ws_opcode kind, size_t payload_len, char **ret_payload)
{
    return new_frame(kind, 0, payload_len, ret_payload);
}

struct bytes *ws_frame_new_deflated(enum ws_opcode kind, size_t payload_len, char **ret_payload)
{
    return new_frame(kind, RSV1, payload_len, ret_payload);
}

enum ws_opcode ws_frame_kind(const struct bytes *frame)
{
    return (enum ws_opcode)((uint8_t)frame->slice.data[0] & OPCODE);
}

struct slice ws_frame_payload(const struct bytes *frame)
{
    uint8_t length = (uint8_t)frame->slice.data[1];
    size_t head_len = length < LENGTH_16 ? 2 : length == LENGTH_16 ? 4 : WS_HEAD_MAX;
    return (struct slice){frame->slice.data + head_len, frame->slice.len - head_len};
}

size_t ws_close_payload(int code, struct slice reason, char payload[WS_CONTROL_MAX])
{
    size_t len = reason.len < WS_REASON_MAX ? reason.len : WS_REASON_MAX;
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    if (len > 0)
        memcpy(payload + 2, reason.data, len);
    return 2 + len;
}
