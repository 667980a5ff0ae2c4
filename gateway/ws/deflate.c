#include "gateway/ws/deflate.h"

#include <stdio.h>
#include <zlib.h>

#include "common/base/buf.h"
#include "gateway/http/field.h"
#include "gateway/ws/frame.h"

enum {
    WINDOW_BITS = 12, /* 4 KiB: a larger window gains little, and clients may ask for one this small */
    MEMORY_LEVEL = 6,
    INFLATE_BITS = 15,
    INFLATE_STEP = 16 * 1024,
    TAIL_LEN = 4,
};

/* RFC 7692 7.2.1: the empty stored block that ends a message and is left out on the wire. */
static const char tail[TAIL_LEN + 1] = "\x00\x00\xff\xff";

struct ws_deflate {
    z_stream out, in;
    size_t min; /* shorter payloads are not compressed */
    struct twins {
        struct bytes *frame, *compressed; /* the last frame and its compressed twin, perhaps itself */
    } texts, binaries;                    /* a channel's subscribers may be of both kinds, in any order */
    struct buf message;
};

/* ---- negotiation ---- */

/* 8 to 15 in decimal, plain or quoted; 0 for anything else. */
static int window_bits(struct slice value)
{
    if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
        value = (struct slice){value.data + 1, value.len - 2};
    if (value.len == 1 && (value.data[0] == '8' || value.data[0] == '9'))
        return value.data[0] - '0';
    if (value.len == 2 && value.data[0] == '1' && value.data[1] >= '0' && value.data[1] <= '5')
        return 10 + value.data[1] - '0';
    return 0;
}

enum value { NO_VALUE, MAY_HAVE_BITS, HAS_BITS };

enum { SERVER_TAKEOVER, CLIENT_TAKEOVER, SERVER_BITS, CLIENT_BITS };

static const struct {
    const char *name;
    enum value value;
    int least; /* the smallest window, in bits, that we can accept */
} parameters[] = {
    [SERVER_TAKEOVER] = {"server_no_context_takeover", NO_VALUE, 0},
    [CLIENT_TAKEOVER] = {"client_no_context_takeover", NO_VALUE, 0},
    [SERVER_BITS] = {"server_max_window_bits", HAS_BITS, WINDOW_BITS},
    [CLIENT_BITS] = {"client_max_window_bits", MAY_HAVE_BITS, 8},
};

static bool accept_parameter(struct slice text, bool seen[ARRAY_LEN(parameters)])
{
    struct slice value = text;
    struct slice name = field_next(&value, '=');
    bool has_value = name.len < text.len;
    value = field_trim(value);
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        if (!slice_equal_nocase(name, slice_of(parameters[i].name)))
            continue;
        if (seen[i])
            return false;
        seen[i] = true;
        if (!has_value)
            return parameters[i].value != HAS_BITS;
        int bits = window_bits(value);
        return parameters[i].value != NO_VALUE && bits > 0 && bits >= parameters[i].least;
    }
    return false;
}

static bool accept_offer(struct slice offer, bool *ret_bits)
{
    bool seen[ARRAY_LEN(parameters)] = {false};
    if (!slice_equal_nocase(field_next(&offer, ';'), SLICE("permessage-deflate")))
        return false;
    while (offer.len > 0)
        if (!accept_parameter(field_next(&offer, ';'), seen))
            return false;
    *ret_bits = seen[SERVER_BITS];
    return true;
}

bool ws_deflate_accept(struct slice offers, char answer[WS_DEFLATE_ANSWER_MAX])
{
    while (offers.len > 0) {
        bool bits = false;
        if (!accept_offer(field_next(&offers, ','), &bits))
            continue;
        int len = snprintf(answer, WS_DEFLATE_ANSWER_MAX,
                           "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
        if (bits)
            snprintf(answer + len, WS_DEFLATE_ANSWER_MAX - (size_t)len, "; server_max_window_bits=%d",
                     WINDOW_BITS);
        return true;
    }
    return false;
}

/* ---- out ---- */

/* Writes the compressed payload without its tail; false when it would be no shorter. */
static bool deflate_into(z_stream *out, struct slice payload, char *space, size_t size, size_t *ret_len)
{
    (void)deflateReset(out);
    out->next_in = (Bytef *)(uintptr_t)payload.data;
    out->avail_in = (uInt)payload.len;
    out->next_out = (Bytef *)space;
    out->avail_out = (uInt)size;
    int result = deflate(out, Z_SYNC_FLUSH);
    if (result != Z_OK || out->avail_in > 0 || out->avail_out == 0 || size - out->avail_out < TAIL_LEN)
        return false;
    *ret_len = size - out->avail_out - TAIL_LEN;
    return true;
}

static struct bytes *compress_frame(struct ws_deflate *deflate, struct bytes *frame)
{
    struct slice payload = ws_frame_payload(frame);
    if (payload.len < deflate->min || payload.len > UINT32_MAX / 2)
        return bytes_ref(frame);
    CLEANUP_FREE char *space = xmalloc(payload.len);
    size_t len;
    if (!deflate_into(&deflate->out, payload, space, payload.len, &len))
        return bytes_ref(frame);
    char *at;
    struct bytes *compressed = ws_frame_new_deflated(ws_frame_kind(frame), len, &at);
    memcpy(at, space, len);
    return compressed;
}

static void twins_drop(struct twins *twins)
{
    bytes_unref(twins->compressed);
    bytes_unref(twins->frame);
}

struct bytes *ws_deflate_frame(struct ws_deflate *deflate, struct bytes *frame)
{
    struct twins *last = ws_frame_kind(frame) == WS_TEXT ? &deflate->texts : &deflate->binaries;
    if (frame != last->frame) {
        struct bytes *compressed = compress_frame(deflate, frame);
        twins_drop(last);
        *last = (struct twins){bytes_ref(frame), compressed};
    }
    return bytes_ref(last->compressed);
}

/* ---- in ---- */

/* Decompresses one slice of input. After a block that is marked as final (7.2.3.4) more blocks may follow. */
static int inflate_slice(struct ws_deflate *deflate, struct slice input)
{
    z_stream *in = &deflate->in;
    in->next_in = (Bytef *)(uintptr_t)input.data;
    in->avail_in = (uInt)input.len;
    do {
        size_t left = deflate->message.max - buf_len(&deflate->message);
        size_t step = left < INFLATE_STEP ? left : INFLATE_STEP;
        char *space = step > 0 ? buf_reserve(&deflate->message, step) : NULL;
        if (!space)
            return WS_CODE_TOO_BIG;
        in->next_out = (Bytef *)space;
        in->avail_out = (uInt)step;
        int result = inflate(in, Z_SYNC_FLUSH);
        buf_commit(&deflate->message, step - in->avail_out);
        if (result == Z_STREAM_END)
            (void)inflateReset(in);
        else if (result != Z_OK && result != Z_BUF_ERROR)
            return WS_CODE_INVALID_PAYLOAD;
    } while (in->avail_in > 0 || in->avail_out == 0);
    return 0;
}

int ws_inflate(struct ws_deflate *deflate, struct slice payload, size_t max, struct slice *ret_message)
{
    buf_done(&deflate->message);
    buf_init(&deflate->message, max + 1); /* one octet more shows that the message is too long */
    (void)inflateReset(&deflate->in);
    int code = payload.len > 0 ? inflate_slice(deflate, payload) : 0;
    if (code == 0)
        code = inflate_slice(deflate, (struct slice){tail, TAIL_LEN});
    if (code == 0 && buf_len(&deflate->message) > max)
        code = WS_CODE_TOO_BIG;
    if (code == 0)
        *ret_message = buf_slice(&deflate->message);
    return code;
}

/* ---- beginning and end ---- */

struct ws_deflate *ws_deflate_new(const struct config *config)
{
    if (config->ws_deflate_level == 0)
        return NULL;
    struct ws_deflate *deflate = xcalloc(1, sizeof(*deflate));
    deflate->min = (size_t)config->ws_deflate_min;
    buf_init(&deflate->message, 1);
    if (deflateInit2(&deflate->out, (int)config->ws_deflate_level, Z_DEFLATED, -WINDOW_BITS, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK ||
        inflateInit2(&deflate->in, -INFLATE_BITS) != Z_OK)
        abort(); /* these calls fail only without memory */
    return deflate;
}

void ws_deflate_free(struct ws_deflate *deflate)
{
    if (!deflate)
        return;
    (void)deflateEnd(&deflate->out);
    (void)inflateEnd(&deflate->in);
    twins_drop(&deflate->texts);
    twins_drop(&deflate->binaries);
    buf_done(&deflate->message);
    free(deflate);
}
