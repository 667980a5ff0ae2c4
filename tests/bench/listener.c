#include "tests/bench/listener.h"

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/bench/client_frame.h"

enum {
    READ_SIZE = 256 << 10,
    HANDSHAKE_MAX = 64 << 10,
    SOURCES = 16, /* addresses of the loopback network, so that no one of them runs out of ports */
};

struct listener_totals listener_totals;

/* ---- marks ---- */

static void write_digits(char *at, size_t len, uint64_t value)
{
    while (len > 0) {
        at[--len] = (char)('0' + value % 10);
        value /= 10;
    }
}

static uint64_t read_digits(const char *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value * 10 + (uint64_t)(at[i] - '0');
    return value;
}

void mark_write(char mark[MARK_LEN], uint64_t seq, int64_t due_us)
{
    mark[0] = '~';
    write_digits(mark + 1, MARK_SEQ_LEN, seq);
    write_digits(mark + 1 + MARK_SEQ_LEN, MARK_TIME_LEN, (uint64_t)due_us);
}

static void take_mark(struct listener *l, const char *mark)
{
    l->callbacks->on_event(l->ctx, l, read_digits(mark + 1, MARK_SEQ_LEN),
                           (int64_t)read_digits(mark + 1 + MARK_SEQ_LEN, MARK_TIME_LEN));
}

/* ---- sending: little and seldom, so it fits the socket or something is wrong ---- */

static void gone(struct listener *l, int code)
{
    if (l->state == LISTENER_GONE)
        return;
    l->state = LISTENER_GONE;
    ev_io_stop(l->loop, &l->io);
    l->callbacks->on_gone(l->ctx, l, code);
}

static void send_all(struct listener *l, struct slice bytes)
{
    if (send(l->io.fd, bytes.data, bytes.len, MSG_NOSIGNAL) != (ssize_t)bytes.len)
        gone(l, 0);
}

static void send_frame(struct listener *l, unsigned opcode, struct slice payload)
{
    uint8_t frame[CLIENT_FRAME_MAX];
    send_all(l, (struct slice){(const char *)frame, client_frame(opcode, payload, frame)});
}

/* ---- frames, streaming by ---- */

static void on_short(struct listener *l)
{
    unsigned opcode = l->head[0] & 15U;
    struct slice text = {l->kept, l->kept_len};
    if (opcode == OP_TEXT && slice_is(text, "{}"))
        send_frame(l, OP_TEXT, text); /* a ping of the Centrifuge protocol */
    else if (opcode == OP_PING)
        send_frame(l, OP_PONG, text);
    else if (opcode == OP_CLOSE)
        gone(l, text.len < 2 ? 1005 : (uint8_t)text.data[0] << 8 | (uint8_t)text.data[1]);
}

static size_t keep(struct listener *l, struct slice piece)
{
    size_t room = MARK_LEN - (size_t)l->kept_len;
    size_t len = piece.len < room ? piece.len : room;
    memcpy(l->kept + l->kept_len, piece.data, len);
    l->kept_len = (uint8_t)(l->kept_len + len);
    return len;
}

static void scan_marks(struct listener *l, struct slice piece)
{
    if (l->kept_len > 0) {
        size_t len = keep(l, piece);
        if (l->kept_len < MARK_LEN)
            return;
        take_mark(l, l->kept);
        l->kept_len = 0;
        piece = (struct slice){piece.data + len, piece.len - len};
    }
    const char *mark;
    while (piece.len > 0 && (mark = memchr(piece.data, '~', piece.len))) {
        piece.len -= (size_t)(mark - piece.data);
        piece.data = mark;
        if (piece.len < MARK_LEN) {
            keep(l, piece);
            return;
        }
        take_mark(l, mark);
        piece = (struct slice){piece.data + MARK_LEN, piece.len - MARK_LEN};
    }
}

static size_t head_size(const struct listener *l)
{
    unsigned length = l->head_len < 2 ? 0 : l->head[1];
    return length < LENGTH_16 ? 2 : length == LENGTH_16 ? 4 : 10;
}

static size_t take_head(struct listener *l, struct slice in)
{
    size_t used = 0;
    while (used < in.len && l->head_len < head_size(l))
        l->head[l->head_len++] = (uint8_t)in.data[used++];
    size_t size = head_size(l);
    if (l->head_len < size)
        return used;
    if (l->head[1] & MASKED || !(l->head[0] & FIN))
        errx(1, "a frame that servers do not send: %02x %02x", l->head[0], l->head[1]);
    l->in_payload = true;
    l->left = size == 2 ? l->head[1] : 0;
    for (size_t i = 2; i < size; i++)
        l->left = l->left << 8 | l->head[i];
    l->is_short = (l->head[0] & 15) != OP_TEXT || l->left < MARK_LEN;
    return used;
}

static size_t take_payload(struct listener *l, struct slice in)
{
    struct slice piece = {in.data, in.len < l->left ? in.len : (size_t)l->left};
    if (l->is_short)
        keep(l, piece);
    else
        scan_marks(l, piece);
    l->left -= piece.len;
    return piece.len;
}

static void take_frames(struct listener *l, struct slice in)
{
    while (l->state == LISTENER_LISTENING && in.len > 0) {
        size_t used = l->in_payload ? take_payload(l, in) : take_head(l, in);
        in = (struct slice){in.data + used, in.len - used};
        if (!l->in_payload || l->left > 0)
            continue;
        if (l->is_short)
            on_short(l);
        l->in_payload = l->is_short = false;
        l->head_len = l->kept_len = 0;
    }
}

/* ---- until it listens ---- */

static void listening(struct listener *l)
{
    l->state = LISTENER_LISTENING;
    l->callbacks->on_listening(l->ctx, l);
    struct slice rest = buf_slice(&l->in);
    take_frames(l, rest);
    buf_done(&l->in);
}

static void take_upgrade(struct listener *l)
{
    static const char switching[] = "HTTP/1.1 101 ";
    struct slice in = buf_slice(&l->in);
    const char *end = memmem(in.data, in.len, "\r\n\r\n", 4);
    if (!end)
        return;
    if (memcmp(in.data, switching, sizeof(switching) - 1) != 0)
        errx(1, "no WebSocket here: %.*s", (int)strcspn(in.data, "\r\n"), in.data);
    buf_consume(&l->in, (size_t)(end - in.data) + 4);
    struct slice join = l->callbacks->join(l->ctx, l);
    if (!join.data) {
        listening(l);
        return;
    }
    l->state = LISTENER_JOINING;
    send_frame(l, OP_TEXT, join);
}

/* The replies are short and in one or two frames; the last one answers the subscribe. */
static void take_replies(struct listener *l)
{
    struct slice in = buf_slice(&l->in);
    if (memmem(in.data, in.len, "\"error\"", 7))
        errx(1, "the server refused a listener: %.*s", (int)in.len, in.data);
    const uint8_t *frame = (const uint8_t *)in.data;
    while (in.len >= 4) {
        size_t head = frame[1] < LENGTH_16 ? 2 : 4;
        size_t payload = head == 2 ? frame[1] : (size_t)(frame[2] << 8 | frame[3]);
        if (frame[1] >= LENGTH_64 || in.len < head + payload)
            return;
        bool joined = memmem(frame + head, payload, "\"subscribe\"", 11) != NULL;
        buf_consume(&l->in, head + payload);
        if (joined) {
            listening(l);
            return;
        }
        in = buf_slice(&l->in);
        frame = (const uint8_t *)in.data;
    }
}

static void take_handshake(struct listener *l, struct slice bytes)
{
    if (!buf_append_slice(&l->in, bytes))
        errx(1, "an endless handshake");
    if (l->state == LISTENER_UPGRADING)
        take_upgrade(l);
    if (l->state == LISTENER_JOINING)
        take_replies(l);
}

/* ---- the socket ---- */

static void on_readable(struct listener *l)
{
    static char data[READ_SIZE];
    ssize_t got = recv(l->io.fd, data, sizeof(data), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        gone(l, 0);
        return;
    }
    listener_totals.reads++;
    listener_totals.bytes += (uint64_t)got;
    struct slice bytes = {data, (size_t)got};
    if (l->state == LISTENER_LISTENING)
        take_frames(l, bytes);
    else
        take_handshake(l, bytes);
}

static void on_connected(struct listener *l)
{
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(l->io.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        gone(l, 0);
        return;
    }
    ev_io_stop(l->loop, &l->io);
    ev_io_modify(&l->io, EV_READ);
    ev_io_start(l->loop, &l->io);
    l->state = LISTENER_UPGRADING;
    send_all(l, l->callbacks->request(l->ctx, l));
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop, (void)revents;
    struct listener *l = io->data;
    if (l->state == LISTENER_CONNECTING)
        on_connected(l);
    else
        on_readable(l);
}

static void choose_source(int fd, const struct sockaddr_storage *address, unsigned source)
{
    int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source % SOURCES)};
    if (address->ss_family != AF_INET ||
        ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        return;
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) ||
        bind(fd, (const struct sockaddr *)&from, sizeof(from)))
        err(1, "choosing a loopback address");
}

void listener_start(struct listener *l, const struct sockaddr_storage *address, socklen_t address_len,
                    unsigned source)
{
    int on = 1;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
        err(1, "the socket of a listener");
    choose_source(fd, address, source);
    buf_init(&l->in, HANDSHAKE_MAX);
    l->state = LISTENER_CONNECTING;
    l->started_us = clock_monotonic_us();
    ev_io_init(&l->io, on_io, fd, EV_WRITE);
    l->io.data = l;
    if (connect(fd, (const struct sockaddr *)address, address_len) && errno != EINPROGRESS)
        err(1, "connecting a listener");
    ev_io_start(l->loop, &l->io);
}

void listener_done(struct listener *l)
{
    ev_io_stop(l->loop, &l->io);
    close(l->io.fd);
    buf_done(&l->in);
}

void listener_stall(struct listener *l, bool stalled)
{
    if (stalled)
        ev_io_stop(l->loop, &l->io);
    else if (l->state != LISTENER_GONE)
        ev_io_start(l->loop, &l->io);
}
