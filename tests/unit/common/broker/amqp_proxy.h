#pragma once
/* Two servers for faults that a real RabbitMQ does not produce on demand, both on the test's own loop:
 *
 * - a proxy between the client and the real server, which can cut a connection after a given octet of either
 *   direction, hold one direction back, put frames in between, and change the server's frame_max;
 * - a fake server, which sends what it is told (the proxy with nothing behind it). */

#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/buf.h"
#include "tests/unit/common/broker/amqp_fixture.h"

enum { NEVER = -1, TO_SERVER = 0, TO_CLIENT = 1, PROXY_BUFFER_MAX = 256 << 20 };

/* One direction of a connection. */
struct flow {
    struct proxy *proxy;
    int direction;
    int from, to;
    ev_io readable, writable;
    struct buf waiting;
    struct buf partial; /* TO_CLIENT: the beginning of a frame */
    int64_t passed;
};

struct proxy {
    int listener;
    ev_io acceptable;
    char url[256];
    const char *server; /* URL of the real one; NULL: a fake */
    bool linked;
    struct flow flows[2];
    int accepted;
    /* The faults. */
    int64_t cut_after[2]; /* octets of a connection */
    bool held[2];
    uint32_t frame_max; /* in connection.tune; 0: as the server says */
};

static inline void proxy_cut(struct proxy *p)
{
    if (!p->linked)
        return;
    for (int i = 0; i < 2; i++) {
        struct flow *f = &p->flows[i];
        ev_io_stop(loop, &f->readable);
        ev_io_stop(loop, &f->writable);
        buf_done(&f->waiting);
        buf_done(&f->partial);
    }
    close(p->flows[TO_SERVER].from);
    if (p->flows[TO_SERVER].to >= 0)
        close(p->flows[TO_SERVER].to);
    p->linked = false;
}

static inline void flow_write(struct flow *f)
{
    struct proxy *p = f->proxy;
    size_t size = buf_len(&f->waiting);
    int64_t cut = p->cut_after[f->direction];
    if (cut != NEVER && (int64_t)size > cut - f->passed)
        size = (size_t)(cut - f->passed);
    if (size > 0 && f->to >= 0) {
        ssize_t n = send(f->to, buf_data(&f->waiting), size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) {
            proxy_cut(p);
            return;
        }
        if (n > 0) {
            f->passed += n;
            buf_consume(&f->waiting, (size_t)n);
        }
    }
    if (cut != NEVER && f->passed >= cut) {
        p->cut_after[f->direction] = NEVER;
        proxy_cut(p);
    } else if (f->to >= 0 && buf_len(&f->waiting) > 0) {
        ev_io_start(loop, &f->writable);
    } else {
        ev_io_stop(loop, &f->writable);
    }
}

static inline void on_flow_writable(struct ev_loop *l, ev_io *w, int events)
{
    (void)l, (void)events;
    flow_write(w->data);
}

/* connection.tune: type, channel, size, class 10, method 30, channel_max, frame_max. */
static inline void change_tune(struct proxy *p, char *frame)
{
    static const char tune[] = {0, 10, 0, 30};
    if (p->frame_max == 0 || frame[0] != 1 || memcmp(frame + 7, tune, sizeof(tune)) != 0)
        return;
    uint32_t frame_max = htobe32(p->frame_max);
    memcpy(frame + 13, &frame_max, sizeof(frame_max));
}

/* To the client only whole frames pass, so that others can be put between them. */
static inline void pass_whole_frames(struct flow *f)
{
    while (buf_len(&f->partial) >= 7) {
        char *frame = f->partial.data + f->partial.begin;
        uint32_t size;
        memcpy(&size, frame + 3, sizeof(size));
        size_t whole = 7 + (size_t)be32toh(size) + 1;
        if (buf_len(&f->partial) < whole)
            return;
        change_tune(f->proxy, frame);
        buf_append(&f->waiting, frame, whole);
        buf_consume(&f->partial, whole);
    }
}

static inline void on_flow_readable(struct ev_loop *l, ev_io *w, int events)
{
    (void)l, (void)events;
    struct flow *f = w->data;
    struct proxy *p = f->proxy;
    if (p->held[f->direction]) {
        ev_io_stop(loop, &f->readable);
        return;
    }
    static char chunk[65536];
    ssize_t n = recv(f->from, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        proxy_cut(p);
        return;
    }
    if (!p->server) {
        f->passed += n; /* a fake server only counts */
        return;
    }
    buf_append(f->direction == TO_CLIENT ? &f->partial : &f->waiting, chunk, (size_t)n);
    if (f->direction == TO_CLIENT)
        pass_whole_frames(f);
    flow_write(f);
}

static inline void proxy_hold(struct proxy *p, int direction, bool hold)
{
    p->held[direction] = hold;
    if (p->linked && !hold)
        ev_io_start(loop, &p->flows[direction].readable);
}

static inline void proxy_send(struct proxy *p, struct slice octets)
{
    assert_true(p->linked);
    struct flow *f = &p->flows[TO_CLIENT];
    buf_append_slice(&f->waiting, octets);
    flow_write(f);
}

static inline void flow_start(struct proxy *p, int direction, int from, int to)
{
    struct flow *f = &p->flows[direction];
    *f = (struct flow){.proxy = p, .direction = direction, .from = from, .to = to};
    buf_init(&f->waiting, PROXY_BUFFER_MAX);
    buf_init(&f->partial, PROXY_BUFFER_MAX);
    ev_io_init(&f->readable, on_flow_readable, from, EV_READ);
    ev_io_init(&f->writable, on_flow_writable, to, EV_WRITE);
    f->readable.data = f->writable.data = f;
    if (from >= 0)
        ev_io_start(loop, &f->readable);
}

struct url_parts {
    char before[128]; /* "amqp://user:password@" */
    char host[64];
    int port;
    char after[64]; /* "/vhost" */
};

static inline struct url_parts url_split(const char *url)
{
    struct url_parts parts = {.port = 5672};
    const char *host = strrchr(url, '@');
    host = host ? host + 1 : strstr(url, "//") + 2;
    size_t host_len = strcspn(host, ":/");
    snprintf(parts.before, sizeof(parts.before), "%.*s", (int)(host - url), url);
    snprintf(parts.host, sizeof(parts.host), "%.*s", (int)host_len, host);
    if (host[host_len] == ':')
        parts.port = atoi(host + host_len + 1);
    const char *slash = strchr(host, '/');
    snprintf(parts.after, sizeof(parts.after), "%s", slash ? slash : "");
    return parts;
}

static inline int dial(const char *url)
{
    struct url_parts parts = url_split(url);
    char port[8];
    snprintf(port, sizeof(port), "%d", parts.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    assert_int_equal(getaddrinfo(parts.host, port, &hints, &found), 0);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, found->ai_addr, found->ai_addrlen), 0);
    freeaddrinfo(found);
    return fd;
}

static inline void on_acceptable(struct ev_loop *l, ev_io *w, int events)
{
    (void)l, (void)events;
    struct proxy *p = w->data;
    int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(client >= 0);
    proxy_cut(p);
    int server = p->server ? dial(p->server) : -1;
    flow_start(p, TO_SERVER, client, server);
    flow_start(p, TO_CLIENT, server, client);
    p->linked = true;
    p->accepted++;
}

/* server: a URL, or NULL for a fake server. */
static inline struct proxy *proxy_new(const char *server)
{
    struct proxy *p = xcalloc(1, sizeof(*p));
    p->server = server;
    p->cut_after[TO_SERVER] = p->cut_after[TO_CLIENT] = NEVER;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htobe32(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(p->listener, 16), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&address, &size), 0);
    struct url_parts parts = url_split(server ? server : "amqp://guest:guest@127.0.0.1/");
    snprintf(p->url, sizeof(p->url), "%s127.0.0.1:%d%s", parts.before, be16toh(address.sin_port),
             parts.after);
    ev_io_init(&p->acceptable, on_acceptable, p->listener, EV_READ);
    p->acceptable.data = p;
    ev_io_start(loop, &p->acceptable);
    return p;
}

static inline void proxy_free(struct proxy *p)
{
    proxy_cut(p);
    ev_io_stop(loop, &p->acceptable);
    close(p->listener);
    free(p);
}
