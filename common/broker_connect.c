#include "common/broker_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STEP_LIMIT_S = 10, ROUNDS_MAX = 16 };

static const struct broker_url *url_now(const struct broker *b)
{
    return &b->urls[b->url_at];
}

/* Half of the time is sure, half by chance, so that the clients of a restarted server do not come back all at once. */
static double back_off(const struct broker *b)
{
    double delay = b->reconnect_min_s * (double)(1u << b->rounds_failed);
    if (delay > b->reconnect_max_s)
        delay = b->reconnect_max_s;
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
        chance = UINT32_MAX;
    return delay / 2 + delay / 2 * ((double)chance / UINT32_MAX);
}

static void forget_addresses(struct broker *b)
{
    if (b->addresses)
        freeaddrinfo(b->addresses);
    b->addresses = b->address = NULL;
}

/* The next address of this host, then the next URL, then, when a whole round has failed, the first again after a while. */
void broker_connect_plan(struct broker *b)
{
    if (broker_has_channel(b) && ev_now(b->loop) - b->up_since >= b->reconnect_max_s) {
        b->urls_failed = 0;
        b->rounds_failed = 0;
    }
    if (b->state == BROKER_CONNECTING && b->address && b->address->ai_next) {
        b->address = b->address->ai_next;
        broker_set_state(b, BROKER_DOWN, 0);
        return;
    }
    forget_addresses(b);
    b->url_at = (b->url_at + 1) % b->url_count;
    if (++b->urls_failed < b->url_count) {
        broker_set_state(b, BROKER_DOWN, 0);
        return;
    }
    b->urls_failed = 0;
    double delay = back_off(b);
    if (b->rounds_failed < ROUNDS_MAX)
        b->rounds_failed++;
    broker_set_state(b, BROKER_DOWN, delay);
}

static void open_socket(struct broker *b)
{
    broker_set_state(b, BROKER_CONNECTING, STEP_LIMIT_S);
    int fd = socket(b->address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        broker_down(b, "socket: %s", strerror(errno));
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    b->fd = fd;
    if (connect(fd, b->address->ai_addr, b->address->ai_addrlen) < 0 && errno != EINPROGRESS) {
        broker_down(b, "connecting to %s:%d: %s", url_now(b)->host, url_now(b)->port, strerror(errno));
        return;
    }
    ev_io_set(&b->io_read, fd, EV_READ);
    ev_io_set(&b->io_write, fd, EV_WRITE);
    ev_io_start(b->loop, &b->io_write);
}

void broker_connect_resolve(struct broker *b)
{
    if (b->address) {
        open_socket(b);
        return;
    }
    broker_set_state(b, BROKER_RESOLVING, STEP_LIMIT_S);
    if (broker_resolve(b, url_now(b))) {
        b->address = b->addresses;
        open_socket(b);
    }
}

void broker_connect_resolved(struct broker *b)
{
    const char *why = NULL;
    if (!broker_resolve_take(b, &why))
        return;
    if (why) {
        broker_down(b, "looking up %s: %s", url_now(b)->host, why);
        return;
    }
    b->address = b->addresses;
    open_socket(b);
}

void broker_connect_writable(struct broker *b)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error) {
        broker_down(b, "connecting to %s:%d: %s", url_now(b)->host, url_now(b)->port, strerror(error));
        return;
    }
    ev_io_stop(b->loop, &b->io_write);
    ev_io_start(b->loop, &b->io_read);
    broker_set_state(b, BROKER_HANDSHAKE, STEP_LIMIT_S);
    broker_handshake_begin(b);
}

void broker_connect_close(struct broker *b)
{
    ev_io_stop(b->loop, &b->io_read);
    ev_io_stop(b->loop, &b->io_write);
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
}

void broker_connect_timed_out(struct broker *b)
{
    static const char *const steps[] = {
        [BROKER_RESOLVING] = "looking up",
        [BROKER_CONNECTING] = "connecting to",
        [BROKER_HANDSHAKE] = "the handshake with",
    };
    broker_down(b, "%s %s:%d took longer than %d s", steps[b->state], url_now(b)->host, url_now(b)->port, STEP_LIMIT_S);
}
