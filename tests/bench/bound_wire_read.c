#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <sys/socket.h>

#include "tests/bench/bound_wire.h"
#include "tests/bench/bound_wire_numbers.h"

enum { READ_SIZE = 256 << 10 };

struct reader {
    const uint8_t *at, *end;
};

static const uint8_t *get(struct reader *r, size_t len)
{
    if ((size_t)(r->end - r->at) < len)
        errx(1, "the broker sent a short frame");
    const uint8_t *here = r->at;
    r->at += len;
    return here;
}

static uint32_t get_u8(struct reader *r)
{
    return *get(r, 1);
}

static uint32_t get_u16(struct reader *r)
{
    const uint8_t *p = get(r, 2);
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get_u32(struct reader *r)
{
    uint32_t big;
    memcpy(&big, get(r, sizeof(big)), sizeof(big));
    return ntohl(big);
}

static uint64_t get_u64(struct reader *r)
{
    uint64_t high = get_u32(r);
    return high << 32 | get_u32(r);
}

static struct slice get_short(struct reader *r)
{
    size_t len = get_u8(r);
    return (struct slice){(const char *)get(r, len), len};
}

static void get_properties(struct reader *r, struct wire_delivery *d)
{
    uint32_t flags = get_u16(r);
    if (flags & HAS_CONTENT_TYPE)
        get_short(r);
    if (flags & HAS_CONTENT_ENCODING)
        get_short(r);
    if (flags & HAS_HEADERS)
        get(r, get_u32(r));
    if (flags & HAS_DELIVERY_MODE)
        get_u8(r);
    if (flags & HAS_PRIORITY)
        get_u8(r);
    if (flags & HAS_CORRELATION_ID)
        d->correlation_id = get_short(r);
    if (flags & HAS_REPLY_TO)
        d->reply_to = get_short(r);
    if (flags & HAS_EXPIRATION)
        get_short(r);
    if (flags & HAS_MESSAGE_ID)
        d->message_id = get_short(r);
    if (flags & HAS_TIMESTAMP)
        get_u64(r);
    if (flags & HAS_TYPE)
        d->type = get_short(r);
}

/* Confirms come single and multiple, and single ones out of order. */
static void on_confirm(struct wire *w, uint64_t tag, bool multiple)
{
    if (tag <= w->confirmed || tag > w->published)
        errx(1, "the broker confirmed what was not waiting");
    if (!multiple)
        w->ahead[tag % WIRE_UNCONFIRMED_MAX] = true;
    while ((multiple && w->confirmed < tag) || w->ahead[(w->confirmed + 1) % WIRE_UNCONFIRMED_MAX])
        w->ahead[++w->confirmed % WIRE_UNCONFIRMED_MAX] = false;
}

static void on_method(struct wire *w, struct reader *r, struct wire_delivery *delivery)
{
    uint32_t method = get_u32(r);
    uint64_t tag;
    switch (method) {
    case BASIC_DELIVER:
        get_short(r);
        *delivery = (struct wire_delivery){.tag = get_u64(r)};
        return;
    case BASIC_ACK:
        tag = get_u64(r);
        on_confirm(w, tag, get_u8(r) & 1);
        return;
    case BASIC_NACK:
        errx(1, "the broker refused a message (nack)");
    case BASIC_RETURN:
        errx(1, "a message found no queue (returned)");
    case CONNECTION_CLOSE:
    case CHANNEL_CLOSE: {
        get_u16(r);
        struct slice text = get_short(r);
        errx(1, "the broker closed: %.*s", (int)text.len, text.data);
    }
    default:
        errx(1, "unexpected method %u.%u from the broker", method >> 16, method & 0xffff);
    }
}

/* Length of the frame at the front of the input, or 0 when it is not whole yet. */
static size_t whole_frame(const uint8_t *at, size_t len)
{
    if (len < FRAME_HEAD)
        return 0;
    struct reader head = {at + 3, at + FRAME_HEAD};
    size_t size = FRAME_HEAD + (size_t)get_u32(&head) + FRAME_TAIL;
    return len < size ? 0 : size;
}

/* Length of a whole message at the front: one method frame, or a delivery with its header and (unless empty)
 * body. */
static size_t take_message(struct wire *w, const uint8_t *at, size_t len, struct wire_delivery *delivery)
{
    size_t size = whole_frame(at, len);
    if (size == 0 || at[0] == FRAME_HEARTBEAT)
        return size;
    struct reader method = {at + FRAME_HEAD, at + size - FRAME_TAIL};
    struct reader peek = method;
    if (get_u32(&peek) != BASIC_DELIVER) {
        on_method(w, &method, delivery);
        return size;
    }
    size_t header_size = whole_frame(at + size, len - size);
    if (header_size == 0)
        return 0;
    struct reader header = {at + size + FRAME_HEAD, at + size + header_size - FRAME_TAIL};
    size_t body_at = size + header_size;
    get_u32(&header); /* class and weight */
    uint64_t body_size = get_u64(&header);
    size_t body_frame = body_size ? whole_frame(at + body_at, len - body_at) : 0;
    if (body_size && body_frame == 0)
        return 0;
    if (body_frame && body_frame != body_size + FRAME_HEAD + FRAME_TAIL)
        errx(1, "a message came in several frames");
    on_method(w, &method, delivery);
    get_properties(&header, delivery);
    delivery->body = (struct slice){(const char *)at + body_at + FRAME_HEAD, (size_t)body_size};
    return body_at + body_frame;
}

static void take_messages(struct wire *w, wire_on_delivery *on_delivery, void *ctx)
{
    for (;;) {
        struct wire_delivery delivery = {0};
        size_t size = take_message(w, (const uint8_t *)buf_data(&w->in), buf_len(&w->in), &delivery);
        if (size == 0)
            return;
        if (delivery.tag)
            on_delivery(ctx, &delivery);
        buf_consume(&w->in, size);
    }
}

void wire_read(struct wire *w, wire_on_delivery *on_delivery, void *ctx)
{
    char *space = buf_reserve(&w->in, READ_SIZE);
    if (!space)
        errx(1, "the broker sent too large a message");
    ssize_t got = recv(w->fd, space, READ_SIZE, 0);
    if (got == 0)
        errx(1, "the broker hung up");
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        err(1, "reading from the broker");
    if (got <= 0)
        return;
    buf_commit(&w->in, (size_t)got);
    take_messages(w, on_delivery, ctx);
}
