#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <sys/socket.h>

#include "tests/bench/bound_wire.h"
#include "tests/bench/bound_wire_numbers.h"

static void put_u8(struct buf *out, unsigned value)
{
    buf_append_char(out, (char)value);
}

static void put_u16(struct buf *out, uint32_t value)
{
    uint8_t octets[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    buf_append(out, octets, sizeof(octets));
}

static void put_u32(struct buf *out, uint32_t value)
{
    uint32_t big = htonl(value);
    buf_append(out, &big, sizeof(big));
}

static void put_u64(struct buf *out, uint64_t value)
{
    put_u32(out, (uint32_t)(value >> 32));
    put_u32(out, (uint32_t)value);
}

static void put_short(struct buf *out, struct slice s)
{
    put_u8(out, (unsigned)s.len);
    buf_append_slice(out, s);
}

static void put_long(struct buf *out, struct slice s)
{
    put_u32(out, (uint32_t)s.len);
    buf_append_slice(out, s);
}

/* Leaves room for a length of 32 bits; patch_length fills it in. Positions count from the first unsent octet.
 */
static size_t begin_length(struct buf *out)
{
    put_u32(out, 0);
    return buf_len(out);
}

static void patch_length(struct buf *out, size_t begin)
{
    uint32_t big = htonl((uint32_t)(buf_len(out) - begin));
    memcpy(out->data + out->begin + begin - sizeof(big), &big, sizeof(big));
}

static size_t begin_frame(struct buf *out, unsigned type)
{
    put_u8(out, type);
    put_u16(out, WIRE_CHANNEL);
    return begin_length(out);
}

static void end_frame(struct buf *out, size_t begin)
{
    patch_length(out, begin);
    put_u8(out, FRAME_END);
}

static void put_headers(struct buf *out, const struct wire_message *m)
{
    size_t table = begin_length(out);
    for (size_t i = 0; i < m->header_count; i++) {
        const struct wire_header *header = &m->headers[i];
        put_short(out, header->name);
        put_u8(out, header->text.data ? 'S' : 'l');
        if (header->text.data)
            put_long(out, header->text);
        else
            put_u64(out, (uint64_t)header->integer);
    }
    if (m->cc.data) {
        put_short(out, SLICE("CC"));
        put_u8(out, 'A');
        size_t array = begin_length(out);
        put_u8(out, 'S');
        put_long(out, m->cc);
        patch_length(out, array);
    }
    patch_length(out, table);
}

static void put_properties(struct buf *out, const struct wire_message *m)
{
    unsigned flags = HAS_CONTENT_TYPE | HAS_HEADERS | HAS_DELIVERY_MODE | HAS_CORRELATION_ID |
                     HAS_MESSAGE_ID | HAS_TYPE | (m->reply_to.data ? (unsigned)HAS_REPLY_TO : 0);
    put_u16(out, flags);
    put_short(out, m->content_type);
    put_headers(out, m);
    put_u8(out, m->persistent ? 2 : 1);
    put_short(out, m->correlation_id);
    if (m->reply_to.data)
        put_short(out, m->reply_to);
    put_short(out, m->message_id);
    put_short(out, m->type);
}

void wire_publish(struct wire *w, const struct wire_message *m)
{
    struct buf *out = &w->out;
    size_t method = begin_frame(out, FRAME_METHOD);
    put_u32(out, BASIC_PUBLISH);
    put_u16(out, 0);
    put_short(out, m->exchange);
    put_short(out, m->routing_key);
    put_u8(out, m->mandatory ? 1 : 0);
    end_frame(out, method);

    size_t header = begin_frame(out, FRAME_HEADER);
    put_u16(out, BASIC_PUBLISH >> 16);
    put_u16(out, 0); /* weight */
    put_u64(out, m->body.len);
    put_properties(out, m);
    end_frame(out, header);

    size_t body = begin_frame(out, FRAME_BODY);
    buf_append_slice(out, m->body);
    end_frame(out, body);
    if (++w->published - w->confirmed >= WIRE_UNCONFIRMED_MAX)
        errx(1, "too much is unconfirmed");
}

void wire_ack_up_to(struct wire *w, uint64_t tag)
{
    size_t method = begin_frame(&w->out, FRAME_METHOD);
    put_u32(&w->out, BASIC_ACK);
    put_u64(&w->out, tag);
    put_u8(&w->out, 1); /* multiple */
    end_frame(&w->out, method);
}

void wire_consume(struct wire *w, struct slice queue, bool no_ack)
{
    enum { NO_ACK = 2, NO_WAIT = 8 };
    size_t method = begin_frame(&w->out, FRAME_METHOD);
    put_u32(&w->out, BASIC_CONSUME);
    put_u16(&w->out, 0);
    put_short(&w->out, queue);
    put_short(&w->out, SLICE("bench"));
    put_u8(&w->out, NO_WAIT | (no_ack ? NO_ACK : 0));
    put_u32(&w->out, 0); /* arguments */
    end_frame(&w->out, method);
}

bool wire_has_output(const struct wire *w)
{
    return buf_len(&w->out) > 0;
}

void wire_flush(struct wire *w)
{
    if (w->out.truncated)
        errx(1, "the broker does not take what is published");
    while (wire_has_output(w)) {
        ssize_t sent = send(w->fd, buf_data(&w->out), buf_len(&w->out), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (sent < 0)
            err(1, "writing to the broker");
        buf_consume(&w->out, (size_t)sent);
    }
}
