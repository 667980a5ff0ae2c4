#include "tests/bench/subscriber.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/client_frame.h"

enum {
    INPUT_MAX = 4 << 20,
    READ_SIZE = 64 << 10,
};

/* What is sent is small and seldom: it fits the socket or something is wrong. */
static void send_all(struct subscriber *s, const void *data, size_t len)
{
    if (send(s->fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        errx(1, "the server does not take what a subscriber sends");
}

static void send_frame(struct subscriber *s, unsigned opcode, struct slice payload)
{
    uint8_t frame[CLIENT_FRAME_MAX];
    send_all(s, frame, client_frame(opcode, payload, frame));
}

static void send_command(struct subscriber *s, const char *format, const char *value)
{
    struct buf text;
    buf_init(&text, CLIENT_FRAME_MAX);
    const char *place = strchr(format, '@');
    buf_append(&text, format, (size_t)(place - format));
    buf_append_text(&text, value);
    buf_append_text(&text, place + 1);
    send_frame(s, OP_TEXT, buf_slice(&text));
    buf_done(&text);
}

static bool starts_with(struct slice s, const char *text)
{
    size_t len = strlen(text);
    return s.len >= len && memcmp(s.data, text, len) == 0;
}

static bool contains(struct slice s, const char *text)
{
    return memmem(s.data, s.len, text, strlen(text)) != NULL;
}

/* One reply or push. Only its head is looked at: these are the shapes that the protocol's servers send. */
static void on_reply(struct subscriber *s, struct slice reply)
{
    struct slice head = {reply.data, reply.len < 64 ? reply.len : 64};
    if (slice_is(reply, "{}")) {
        send_frame(s, OP_TEXT, SLICE("{}"));
    } else if (contains(head, "\"push\"")) {
        if (!contains(reply, "\"pub\""))
            return;
        s->publications++;
        s->callbacks->on_publication(s->ctx, reply);
    } else if (contains(head, "\"error\"")) {
        errx(1, "the server refused a subscriber: %.*s", (int)reply.len, reply.data);
    } else if (contains(head, "\"connect\"")) {
        send_command(s, "{\"id\":2,\"subscribe\":{\"channel\":\"@\"}}", s->channel);
    } else if (contains(head, "\"subscribe\"")) {
        s->callbacks->on_subscribed(s->ctx);
    } else {
        errx(1, "not understood from the server: %.*s", (int)reply.len, reply.data);
    }
}

/* Several replies may share a frame, a line each. */
static void on_text(struct subscriber *s, struct slice text)
{
    while (text.len) {
        const char *end = memchr(text.data, '\n', text.len);
        size_t len = end ? (size_t)(end - text.data) : text.len;
        if (len)
            on_reply(s, (struct slice){text.data, len});
        size_t used = end ? len + 1 : len;
        text.data += used;
        text.len -= used;
    }
}

/* Length of a whole frame at the front, 0 when there is none yet; its payload in *ret_payload. */
static size_t whole_frame(struct slice in, struct slice *ret_payload)
{
    const uint8_t *octet = (const uint8_t *)in.data;
    if (in.len < 2)
        return 0;
    uint64_t len = octet[1];
    size_t at = 2;
    size_t extra = len == LENGTH_16 ? 2 : len == LENGTH_64 ? 8 : 0;
    if (octet[1] & MASKED || !(octet[0] & FIN))
        errx(1, "a frame that servers do not send: %02x %02x", octet[0], octet[1]);
    if (in.len < at + extra)
        return 0;
    for (size_t i = 0; i < extra; i++)
        len = (i ? len << 8 : 0) | octet[at++];
    if (in.len - at < len)
        return 0;
    *ret_payload = (struct slice){in.data + at, (size_t)len};
    return at + (size_t)len;
}

static void on_frame(struct subscriber *s, unsigned opcode, struct slice payload)
{
    if (opcode == OP_TEXT)
        on_text(s, payload);
    else if (opcode == OP_PING)
        send_frame(s, OP_PONG, payload);
    else if (opcode == OP_CLOSE)
        errx(1, "the server closed a subscriber: %.*s", payload.len > 2 ? (int)payload.len - 2 : 0,
             payload.len > 2 ? payload.data + 2 : "");
}

static bool take_handshake(struct subscriber *s)
{
    struct slice in = buf_slice(&s->in);
    const char *end = memmem(in.data, in.len, "\r\n\r\n", 4);
    if (!end)
        return false;
    if (!starts_with(in, "HTTP/1.1 101 "))
        errx(1, "no WebSocket here: %.*s", (int)strcspn(in.data, "\r\n"), in.data);
    buf_consume(&s->in, (size_t)(end - in.data) + 4);
    s->upgraded = true;
    send_command(s, "{\"id\":1,\"connect\":{\"token\":\"@\"}}", s->token);
    return true;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    (void)loop, (void)revents;
    struct subscriber *s = watcher->data;
    char *space = buf_reserve(&s->in, READ_SIZE);
    ssize_t got = space ? recv(s->fd, space, READ_SIZE, 0) : -1;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        errx(1, "the connection of a subscriber broke");
    buf_commit(&s->in, (size_t)got);
    if (!s->upgraded && !take_handshake(s))
        return;
    struct slice payload;
    for (size_t size; (size = whole_frame(buf_slice(&s->in), &payload)) > 0; buf_consume(&s->in, size))
        on_frame(s, *(const uint8_t *)buf_data(&s->in) & 15U, payload);
}

void subscriber_init(struct subscriber *s, struct ev_loop *loop, const struct sockaddr *address,
                     unsigned address_len, const char *host, const char *path, const char *token,
                     const char *channel, const struct subscriber_callbacks *callbacks, void *ctx)
{
    *s = (struct subscriber){.loop = loop, .callbacks = callbacks, .ctx = ctx};
    s->token = xstrdup(token);
    s->channel = xstrdup(channel);
    buf_init(&s->in, INPUT_MAX);
    s->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, address, address_len))
        err(1, "connecting a subscriber");
    int on = 1;
    if (setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) || fcntl(s->fd, F_SETFL, O_NONBLOCK))
        err(1, "socket of a subscriber");

    struct buf head;
    buf_init(&head, CLIENT_FRAME_MAX);
    buf_printf(&head,
               "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
               path, host);
    send_all(s, buf_data(&head), buf_len(&head));
    buf_done(&head);
    ev_io_init(&s->watcher, on_readable, s->fd, EV_READ);
    s->watcher.data = s;
    ev_io_start(loop, &s->watcher);
}

void subscriber_done(struct subscriber *s)
{
    ev_io_stop(s->loop, &s->watcher);
    close(s->fd);
    free(s->token);
    free(s->channel);
    buf_done(&s->in);
}
