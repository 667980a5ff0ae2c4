#include "common/net/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>

#include <assert.h>
#include <string.h>
#include <sys/time.h>

#include "common/base/clock.h"

enum { TRY_MS = 2000, TRIES = 3, SOCKETS_MAX = ARES_GETSOCK_MAXNUM };
static const double LIMIT_S = 15;

struct socket_watch {
    ev_io io;
    struct dns_question *question;
};

struct dns_question {
    struct ev_loop *loop;
    ares_channel channel;
    struct socket_watch sockets[SOCKETS_MAX];
    ev_timer timer; /* the next try, or, when there is an answer, the end of the question */
    double begun_s; /* monotonic */
    bool has_answer;
    int status;
    struct dns_address *addresses;
    size_t count;
    dns_on_answer *on_answer;
    void *arg;
};

static void release(struct dns_question *q)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        ev_io_stop(q->loop, &q->sockets[i].io);
    ev_timer_stop(q->loop, &q->timer);
    free(q->addresses);
    free(q);
    ares_library_cleanup();
}

/* Nothing of c-ares is on the stack here. */
static void finish(struct dns_question *q)
{
    ares_destroy(TAKE(q->channel));
    q->on_answer(q->arg, q->addresses, q->count, q->count > 0 ? NULL : ares_strerror(q->status));
    release(q);
}

/* Looks at what c-ares has done: there is an answer, or it is to be called again after a time. */
static void go_on(struct dns_question *q)
{
    struct timeval most = {.tv_sec = TRY_MS / 1000}, wait;
    double left_s = q->begun_s + LIMIT_S - clock_monotonic_s();
    if (!q->has_answer && left_s <= 0)
        ares_cancel(q->channel);
    if (q->has_answer) {
        finish(q);
        return;
    }
    const struct timeval *next = ares_timeout(q->channel, &most, &wait);
    double next_s = (double)next->tv_sec + (double)next->tv_usec / 1e6;
    ev_timer_stop(q->loop, &q->timer);
    ev_timer_set(&q->timer, next_s < left_s ? next_s : left_s, 0);
    ev_timer_start(q->loop, &q->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct dns_question *q = CONTAINER_OF(timer, struct dns_question, timer);
    if (!q->has_answer)
        ares_process_fd(q->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    go_on(q);
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop;
    struct dns_question *q = CONTAINER_OF(io, struct socket_watch, io)->question;
    ares_process_fd(q->channel, events & EV_READ ? io->fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? io->fd : ARES_SOCKET_BAD);
    go_on(q);
}

static struct socket_watch *watch_of(struct dns_question *q, int fd)
{
    struct socket_watch *unused = NULL;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        struct socket_watch *watch = &q->sockets[i];
        if (ev_is_active(&watch->io) && watch->io.fd == fd)
            return watch;
        if (!ev_is_active(&watch->io))
            unused = watch;
    }
    return unused;
}

/* c-ares opens, uses or closes a socket. More servers than we can watch are as good as servers that are silent. */
static void on_socket_state(void *arg, ares_socket_t fd, int is_read, int is_written)
{
    struct dns_question *q = arg;
    struct socket_watch *watch = watch_of(q, fd);
    if (!watch)
        return;
    ev_io_stop(q->loop, &watch->io);
    if (!is_read && !is_written)
        return;
    ev_io_set(&watch->io, fd, (is_read ? EV_READ : 0) | (is_written ? EV_WRITE : 0));
    ev_io_start(q->loop, &watch->io);
}

static void take_addresses(struct dns_question *q, const struct ares_addrinfo *found)
{
    size_t count = 0;
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next)
        count++;
    q->addresses = xcalloc(count + 1, sizeof(*q->addresses));
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
        if (node->ai_family != AF_INET && node->ai_family != AF_INET6)
            continue;
        struct dns_address *address = &q->addresses[q->count++];
        assert(node->ai_addrlen <= sizeof(address->socket));
        memcpy(&address->socket, node->ai_addr, node->ai_addrlen);
        address->size = node->ai_addrlen;
    }
}

static void on_found(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    (void)timeouts;
    struct dns_question *q = arg;
    if (status == ARES_EDESTRUCTION)
        return;
    q->has_answer = true;
    q->status = status == ARES_SUCCESS ? ARES_ENODATA : status == ARES_ECANCELLED ? ARES_ETIMEOUT : status;
    if (found) {
        take_addresses(q, found);
        ares_freeaddrinfo(found);
    }
}

/* c-ares 1.18 takes an IPv6 address for a name. */
static bool take_numeric(struct dns_question *q, const char *host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return false;
    q->addresses = xcalloc(1, sizeof(*q->addresses));
    q->addresses->size = is_v4 ? sizeof(v4) : sizeof(v6);
    memcpy(&q->addresses->socket, is_v4 ? (const void *)&v4 : (const void *)&v6, q->addresses->size);
    q->count = 1;
    q->has_answer = true;
    return true;
}

static int open_channel(struct dns_question *q, const struct dns_options *options)
{
    struct ares_options o = {.flags = options->is_absolute ? ARES_FLAG_NOSEARCH : 0,
                             .timeout = TRY_MS,
                             .tries = TRIES,
                             .sock_state_cb = on_socket_state,
                             .sock_state_cb_data = q};
    int status = ares_init_options(
        &q->channel, &o, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status == ARES_SUCCESS && options->servers && options->servers[0])
        status = ares_set_servers_ports_csv(q->channel, options->servers);
    return status;
}

struct dns_question *dns_ask(struct ev_loop *loop, const struct dns_options *options, const char *host,
                             dns_on_answer *on_answer, void *arg)
{
    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct dns_question *q = xcalloc(1, sizeof(*q));
    q->loop = loop;
    q->on_answer = on_answer;
    q->arg = arg;
    q->begun_s = clock_monotonic_s();
    ev_timer_init(&q->timer, on_timer, 0, 0);
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        ev_init(&q->sockets[i].io, on_socket);
        q->sockets[i].question = q;
    }
    ares_library_init(ARES_LIB_INIT_ALL);
    if (!take_numeric(q, host)) {
        int status = open_channel(q, options);
        if (status == ARES_SUCCESS)
            ares_getaddrinfo(q->channel, host, NULL, &hints, on_found, q);
        else
            on_found(q, status, 0, NULL);
    }
    if (q->has_answer) /* at once: it is told from the loop */
        ev_timer_start(loop, &q->timer);
    else
        go_on(q);
    return q;
}

void dns_cancel(struct dns_question *q)
{
    if (!q)
        return;
    ares_destroy(TAKE(q->channel));
    release(q);
}
