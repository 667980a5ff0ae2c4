#include "tests/bench/wire.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef CORTEX_RABBITMQ_C_SUBDIR
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp_tcp_socket.h>
#endif

enum {
    CHANNEL = 1,
    FRAME_MAX = 131072, /* the servers' default; every body here fits one frame */
    FRAME_HEAD = 7,     /* type, channel, size */
    FRAME_TAIL = 1,
    FRAME_METHOD = 1,
    FRAME_HEADER = 2,
    FRAME_BODY = 3,
    FRAME_HEARTBEAT = 8,
    FRAME_END = 0xCE,
    BUFFER_MAX = 64 << 20,
    READ_SIZE = 256 << 10,
};

#define METHOD(class, method) ((uint32_t)(class) << 16 | (method))
enum {
    CONNECTION_CLOSE = METHOD(10, 50),
    CHANNEL_CLOSE = METHOD(20, 40),
    BASIC_CONSUME = METHOD(60, 20),
    BASIC_PUBLISH = METHOD(60, 40),
    BASIC_RETURN = METHOD(60, 50),
    BASIC_DELIVER = METHOD(60, 60),
    BASIC_ACK = METHOD(60, 80),
    BASIC_NACK = METHOD(60, 120),
};

/* Flags of the basic class's properties, in the order in which they are sent. */
enum {
    HAS_CONTENT_TYPE = 1 << 15,
    HAS_CONTENT_ENCODING = 1 << 14,
    HAS_HEADERS = 1 << 13,
    HAS_DELIVERY_MODE = 1 << 12,
    HAS_PRIORITY = 1 << 11,
    HAS_CORRELATION_ID = 1 << 10,
    HAS_REPLY_TO = 1 << 9,
    HAS_EXPIRATION = 1 << 8,
    HAS_MESSAGE_ID = 1 << 7,
    HAS_TIMESTAMP = 1 << 6,
    HAS_TYPE = 1 << 5,
};

/* ---- connecting, with librabbitmq ---- */

void wire_must(struct wire *w, const char *what)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(w->connection);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        errx(1, "%s: %s", what, amqp_error_string2(reply.library_error));
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = reply.reply.decoded;
        errx(1, "%s: %.*s", what, (int)close->reply_text.len, (const char *)close->reply_text.bytes);
    }
    errx(1, "%s: refused by the broker", what);
}

void wire_open(struct wire *w, const char *url)
{
    *w = (struct wire){.connection = amqp_new_connection()};
    buf_init(&w->in, BUFFER_MAX);
    buf_init(&w->out, BUFFER_MAX);

    CLEANUP_FREE char *text = xstrdup(url);
    struct amqp_connection_info info;
    if (amqp_parse_url(text, &info) != AMQP_STATUS_OK)
        errx(1, "%s: not an AMQP URL", url);
    amqp_socket_t *socket = amqp_tcp_socket_new(w->connection);
    if (!socket || amqp_socket_open(socket, info.host, info.port) != AMQP_STATUS_OK)
        errx(1, "%s:%d: no broker answers", info.host, info.port);
    amqp_rpc_reply_t reply = amqp_login(w->connection, info.vhost, 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN,
                                        info.user, info.password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        errx(1, "%s:%d: login refused", info.host, info.port);
    amqp_channel_open(w->connection, CHANNEL);
    wire_must(w, "channel.open");
    amqp_confirm_select(w->connection, CHANNEL);
    wire_must(w, "confirm.select");
}

void wire_done(struct wire *w)
{
    amqp_destroy_connection(w->connection);
    buf_done(&w->in);
    buf_done(&w->out);
}

/* ---- writing frames ---- */

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
    put_u16(out, CHANNEL);
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

void wire_take(struct wire *w, const char *queue, uint16_t prefetch)
{
    enum { NO_ACK = 2, NO_WAIT = 8 };
    if (queue && prefetch) {
        amqp_basic_qos(w->connection, CHANNEL, 0, prefetch, 0);
        wire_must(w, "basic.qos");
    }
    w->fd = amqp_get_sockfd(w->connection);
    int on = 1;
    if (setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) || fcntl(w->fd, F_SETFL, O_NONBLOCK))
        err(1, "socket of the broker");
    if (!queue)
        return;
    size_t method = begin_frame(&w->out, FRAME_METHOD);
    put_u32(&w->out, BASIC_CONSUME);
    put_u16(&w->out, 0);
    put_short(&w->out, slice_of(queue));
    put_short(&w->out, SLICE("bench"));
    put_u8(&w->out, NO_WAIT | (prefetch ? 0 : NO_ACK));
    put_u32(&w->out, 0); /* arguments */
    end_frame(&w->out, method);
    wire_flush(w);
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

/* ---- reading frames ---- */

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
