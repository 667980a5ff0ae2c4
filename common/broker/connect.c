#include "common/broker/private.h"

#include "common/base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <unistd.h>

enum { STEP_LIMIT_S = 10, ROUNDS_MAX = 16 };

static const struct amqp_url *url_now(const struct broker *b)
{
    return &b->urls[b->url_at];
}

/* Each step: the look-up, the connection, the handshake. */
static double step_limit_s(const struct broker *b)
{
    return url_now(b)->timeout_ms > 0 ? url_now(b)->timeout_ms / 1000. : STEP_LIMIT_S;
}

/* Half of the time is fixed and half random, so that the clients of a restarted server do not all come back
 * at once. */
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

/* Chooses the next address of this host, or else the next URL; after a whole round has failed, the first URL
 * after a back-off. A connection that breaks soon after it came up counts as a failure too: a refused
 * declaration would otherwise be tried again without a pause. */
void broker_connect_plan(struct broker *b)
{
    if (b->at_once) {
        b->at_once = false;
        broker_set_state(b, BROKER_DOWN, 0);
        return;
    }
    if (broker_has_channel(b) && clock_monotonic_s() - b->up_since >= b->reconnect_max_s)
        b->urls_failed = b->rounds_failed = 0;
    double delay = 0;
    if (b->state != BROKER_CONNECTING || ++b->address_at >= b->address_count) {
        b->address_at = b->address_count = 0;
        b->url_at = (b->url_at + 1) % b->url_count;
        if (++b->urls_failed >= b->url_count) {
            delay = back_off(b);
            b->urls_failed = 0;
            if (b->rounds_failed < ROUNDS_MAX)
                b->rounds_failed++;
        }
    }
    broker_set_state(b, BROKER_DOWN, delay);
}

static void open_socket(struct broker *b)
{
    const struct dns_address *address = &b->addresses[b->address_at];
    broker_set_state(b, BROKER_CONNECTING, step_limit_s(b));
    b->fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (b->fd < 0) {
        broker_fail(b, "socket: %s", strerror(errno));
        return;
    }
    setsockopt(b->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(b->fd, (const struct sockaddr *)&address->socket, address->size) < 0 &&
        errno != EINPROGRESS) {
        broker_fail(b, "connecting to %s:%d: %s", url_now(b)->host, url_now(b)->port, strerror(errno));
        return;
    }
    ev_io_set(&b->io_read, b->fd, EV_READ);
    ev_io_set(&b->io_write, b->fd, EV_WRITE);
    ev_io_start(b->loop, &b->io_write);
}

static void set_port(struct sockaddr_storage *address, int port)
{
    if (address->ss_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = htobe16((uint16_t)port);
    else
        ((struct sockaddr_in6 *)address)->sin6_port = htobe16((uint16_t)port);
}

static void on_addresses(void *arg, const struct dns_address *addresses, size_t count, const char *why)
{
    struct broker *b = arg;
    b->question = NULL;
    if (count == 0) {
        broker_fail(b, "looking up %s: %s", url_now(b)->host, why);
        return;
    }
    b->address_at = 0;
    b->address_count = count < ADDRESSES_MAX ? count : ADDRESSES_MAX;
    memcpy(b->addresses, addresses, b->address_count * sizeof(*addresses));
    for (size_t i = 0; i < b->address_count; i++)
        set_port(&b->addresses[i].socket, url_now(b)->port);
    open_socket(b);
}

void broker_connect_begin(struct broker *b)
{
    if (b->address_count > 0) {
        open_socket(b);
        return;
    }
    broker_set_state(b, BROKER_RESOLVING, step_limit_s(b));
    b->question = dns_ask(b->loop, &(struct dns_options){.servers = NULL}, url_now(b)->host, on_addresses, b);
}

void broker_connect_writable(struct broker *b)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error) {
        broker_fail(b, "connecting to %s:%d: %s", url_now(b)->host, url_now(b)->port, strerror(error));
        return;
    }
    ev_io_stop(b->loop, &b->io_write);
    ev_io_start(b->loop, &b->io_read);
    broker_set_state(b, BROKER_HANDSHAKE, step_limit_s(b));
    broker_handshake_begin(b);
}

void broker_connect_timed_out(struct broker *b)
{
    static const char *const steps[] = {
        [BROKER_RESOLVING] = "looking up",
        [BROKER_CONNECTING] = "connecting to",
        [BROKER_HANDSHAKE] = "the handshake with",
    };
    broker_fail(b, "%s %s:%d took longer than %g s", steps[b->state], url_now(b)->host, url_now(b)->port,
                step_limit_s(b));
}

void broker_connect_close(struct broker *b)
{
    dns_cancel(TAKE(b->question));
    ev_io_stop(b->loop, &b->io_read);
    ev_io_stop(b->loop, &b->io_write);
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
}
