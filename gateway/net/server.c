#include "gateway/net/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/net/conn.h"
#include "gateway/net/listen.h"

enum {
    ACCEPTS_PER_TURN = 128,     /* so that accepting does not starve the connections that are open */
    RETRY_MS = 100,             /* after the process has run out of descriptors */
    UNSENT_UNKNOWN = 16 * 1024, /* octets that the kernel holds unsent for a client without a token */
    /* The buffers of such a client in the kernel, which takes twice as much for its own records. 20,000 clients
     * that neither read nor wait fill 1.9 GB of them at most. */
    UNREAD_BUFFER = 16 * 1024,
    UNACKED_BUFFER = 32 * 1024,
    /* How long a drain still accepts: handshakes that are under way end in the queue, and their clients are
     * served. */
    LAST_ACCEPTS_MS = 250,
};

struct server {
    struct gateway *gateway;
    struct conn_set *conns;
    const struct conn_protocol *first_protocol; /* of a new connection */
    struct ev_io accept;
    struct ev_timer retry;
    struct ev_timer stop_accepting;
    struct ev_timer deadline;
    struct ev_timer notice;
    char refusal[512];            /* the whole answer to clients that come when max_connections are open */
    size_t refusal_len, retry_at; /* in it, the digit of Retry-After */
    int listen_fd;                /* -1: none, or closed by the drain */
    int spare_fd;                 /* closed to turn a client away when no descriptor is left */
    bool begun, draining, drained;
    void (*on_drained)(void *arg);
    void *on_drained_arg;
};

struct conn_set *server_conns(struct server *server)
{
    return server->conns;
}

static bool is_full(const struct server *server)
{
    return conn_set_members(server->conns) >= (size_t)server->gateway->config->max_connections;
}

static void write_refusal(struct server *server)
{
    const struct err_info *info = err_info(ERR_TOO_MANY_CONNECTIONS);
    char body[256];
    int len = snprintf(body, sizeof(body), "{\"type\":\"/problems/%s\",\"title\":\"%s\",\"status\":%d}",
                       info->slug, info->title, info->http_status);
    const char *cors = server->gateway->config->cors_origins[0] ? "Access-Control-Allow-Origin: *\r\n" : "";
    int total = snprintf(server->refusal, sizeof(server->refusal),
                         "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
                         "Content-Length: %d\r\nRetry-After: 1\r\nCache-Control: no-store\r\n"
                         "X-Content-Type-Options: nosniff\r\n%sConnection: close\r\n\r\n%s",
                         len, cors, body);
    server->refusal_len = (size_t)total;
    server->retry_at = (size_t)(strstr(server->refusal, "Retry-After: ") - server->refusal) + 13;
}

/* One to three seconds, so that those who are turned away together do not come back together. */
static struct slice refusal(struct server *server)
{
    server->refusal[server->retry_at] = (char)('1' + arc4random_uniform(3));
    return (struct slice){server->refusal, server->refusal_len};
}

static void turn_away(struct server *server, int fd)
{
    struct slice answer = refusal(server);
    char sink[4096];
    (void)!recv(fd, sink, sizeof(sink), MSG_DONTWAIT); /* unread bytes would make the close a reset */
    (void)!send(fd, answer.data, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
    close(fd);
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor is left. One client is turned away with the spare one. Then nothing is accepted for a moment,
 * since the listening socket stays readable and would spin the loop. */
static void on_descriptors_exhausted(struct server *server, int error)
{
    log_warn("server.no_descriptors", LOG_S("error", strerror(error)),
             LOG_I("connections", conn_set_count(server->conns)));
    if (server->spare_fd >= 0) {
        close(server->spare_fd);
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            turn_away(server, fd);
        server->spare_fd = open_spare();
    }
    ev_io_stop(server->gateway->loop, &server->accept);
    ev_timer_set(&server->retry, RETRY_MS / 1000.0, 0);
    ev_timer_start(server->gateway->loop, &server->retry);
}

enum accepted { ACCEPTED, ACCEPT_NONE, ACCEPT_FAILED };

static enum accepted accept_one(struct server *server)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);
    int fd = accept4(server->listen_fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (conn_set_guests(server->conns) == CONN_GUESTS_MAX)
            conn_set_dismiss_guest(server->conns, refusal(server));
        struct conn *conn = conn_new(server->conns, fd, (const struct sockaddr *)&peer,
                                     server->first_protocol, is_full(server));
        if (server->draining)
            server->first_protocol->on_drain(conn, NULL);
        return ACCEPTED;
    }
    switch (errno) {
    case EAGAIN:
        return ACCEPT_NONE;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        on_descriptors_exhausted(server, errno);
        return ACCEPT_FAILED;
    default:
        return ACCEPTED; /* that client has gone, or its network failed (accept(2)): the next one */
    }
}

/* While the table is full, each new client ends another one. So they come a few at a time, and what one of them
 * has sent is read before it is the oldest. */
static size_t accepts_per_turn(const struct server *server)
{
    size_t few = conn_set_few(server->conns);
    return is_full(server) && few < ACCEPTS_PER_TURN ? few : ACCEPTS_PER_TURN;
}

static void on_acceptable(struct ev_loop *loop, struct ev_io *io, int revents)
{
    (void)loop;
    (void)revents;
    for (size_t left = accepts_per_turn(io->data); left > 0; left--)
        if (accept_one(io->data) != ACCEPTED)
            return;
}

static void on_retry(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct server *server = timer->data;
    if (server->listen_fd >= 0)
        ev_io_start(loop, &server->accept);
}

/* ---- leaving ---- */

static void finish_when_empty(void *arg)
{
    struct server *server = arg;
    if (!server->draining || server->drained || server->listen_fd >= 0 || conn_set_count(server->conns) > 0)
        return;
    server->drained = true;
    ev_timer_stop(server->gateway->loop, &server->deadline);
    server->on_drained(server->on_drained_arg);
}

static void close_listener(struct server *server)
{
    struct ev_loop *loop = server->gateway->loop;
    if (server->listen_fd < 0)
        return;
    while (accept_one(server) == ACCEPTED) /* the close would reset the connections that wait in the queue */
        ;
    ev_io_stop(loop, &server->accept);
    ev_timer_stop(loop, &server->retry);
    close(server->listen_fd);
    server->listen_fd = -1;
}

static void on_stop_accepting(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    struct server *server = timer->data;
    close_listener(server);
    finish_when_empty(server);
}

static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct server *server = timer->data;
    int64_t left_ms = conn_set_drain_left(server->conns);
    if (left_ms > 0) { /* streams may take longer, since they are never told faster than drain_per_s */
        ev_timer_set(&server->deadline, (ev_tstamp)left_ms / 1000, 0);
        ev_timer_start(loop, &server->deadline);
        return;
    }
    log_warn("server.drain_cut_short", LOG_I("connections", conn_set_count(server->conns)));
    close_listener(server);
    conn_set_abort(server->conns);
    finish_when_empty(server);
}

int64_t server_drain_max_ms(const struct config *config)
{
    int64_t streams_ms = conn_drain_least_ms(config, (size_t)config->max_connections);
    int64_t told_ms = streams_ms + conn_drain_goodbye_ms(config);
    return told_ms > config->drain_ms ? told_ms : config->drain_ms;
}

static void begin_drain(struct server *server)
{
    struct ev_loop *loop = server->gateway->loop;
    int64_t drain_ms = server->gateway->config->drain_ms;
    ev_timer_stop(loop, &server->notice);
    server->draining = true;
    server->gateway->draining = true;
    log_info("server.draining", LOG_I("connections", conn_set_count(server->conns)));
    ev_timer_set(&server->deadline, (ev_tstamp)drain_ms / 1000, 0);
    ev_timer_start(loop, &server->deadline);
    conn_set_drain(server->conns);
}

/* New handshakes are put off until another process takes them. Those that are under way are waited for. */
static void close_port_soon(struct server *server)
{
    int64_t drain_ms = server->gateway->config->drain_ms;
    int64_t last_accepts_ms = drain_ms / 4 < LAST_ACCEPTS_MS ? drain_ms / 4 : LAST_ACCEPTS_MS;
    if (server->listen_fd < 0)
        return;
    listen(server->listen_fd, 0);
    ev_timer_set(&server->stop_accepting, (ev_tstamp)last_accepts_ms / 1000, 0);
    ev_timer_start(server->gateway->loop, &server->stop_accepting);
}

static void on_notice_over(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    struct server *server = timer->data;
    begin_drain(server);
    close_port_soon(server);
    finish_when_empty(server);
}

void server_drain(struct server *server, void (*on_drained)(void *arg), void *arg)
{
    struct ev_loop *loop = server->gateway->loop;
    int64_t notice_ms = server->gateway->config->drain_notice_ms;
    bool again = server->gateway->unready;
    if (server->draining)
        return;
    server->gateway->unready = true;
    server->on_drained = on_drained;
    server->on_drained_arg = arg;
    if (again || notice_ms == 0) {
        on_notice_over(loop, &server->notice, 0);
        return;
    }
    ev_timer_set(&server->notice, (ev_tstamp)notice_ms / 1000, 0);
    ev_timer_start(loop, &server->notice);
}

void server_hand_over(struct server *server, void (*on_drained)(void *arg), void *arg)
{
    struct ev_loop *loop = server->gateway->loop;
    if (server->draining)
        return;
    server->on_drained = on_drained;
    server->on_drained_arg = arg;
    if (server->listen_fd >= 0) {
        ev_io_stop(loop, &server->accept);
        ev_timer_stop(loop, &server->retry);
        close(server->listen_fd);
        server->listen_fd = -1;
    }
    begin_drain(server);
    finish_when_empty(server);
}

/* ---- beginning ---- */

/* Accepted sockets inherit the bounds. Without them the kernel would buffer megabytes, up to tcp_rmem and
 * tcp_wmem, for a client that sends and does not read, and all of its clients together would fill tcp_mem, which
 * the other programs of the machine share. conn_set_known gives a client with a token more. */
static void bound_kernel(const struct server *server)
{
    int64_t most = server->gateway->config->socket_unsent_bytes;
    int unsent = most < UNSENT_UNKNOWN ? (int)most : UNSENT_UNKNOWN;
    const int unread = UNREAD_BUFFER, unacked = UNACKED_BUFFER;
    int fd = server->listen_fd;
    if (fd < 0)
        return;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &unread, sizeof(unread)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &unacked, sizeof(unacked)) != 0)
        log_warn("server.kernel_not_bounded", LOG_S("error", strerror(errno)));
}

/* A process that drained on the same socket before has put new clients off: it is listened on anew. */
void server_begin(struct server *server)
{
    if (server->begun || server->draining || server->listen_fd < 0)
        return;
    server->begun = true;
    listen(server->listen_fd, LISTEN_BACKLOG);
    ev_io_start(server->gateway->loop, &server->accept);
}

enum err server_new(struct gateway *gateway, int listen_fd, const struct conn_protocol *first_protocol,
                    struct server **ret_server)
{
    struct server *server = xcalloc(1, sizeof(*server));
    server->gateway = gateway;
    server->listen_fd = listen_fd;
    server->first_protocol = first_protocol;
    server->spare_fd = open_spare();
    write_refusal(server);
    bound_kernel(server);
    enum err err = conn_set_new(gateway, &server->conns);
    if (err) {
        free(server);
        return err;
    }
    conn_set_on_freed(server->conns, finish_when_empty, server);
    ev_timer_init(&server->retry, on_retry, 0, 0);
    ev_timer_init(&server->stop_accepting, on_stop_accepting, 0, 0);
    ev_timer_init(&server->deadline, on_deadline, 0, 0);
    ev_timer_init(&server->notice, on_notice_over, 0, 0);
    server->notice.data = server->retry.data = server->stop_accepting.data = server->deadline.data = server;
    ev_io_init(&server->accept, on_acceptable, listen_fd, EV_READ);
    server->accept.data = server;
    if (!gateway->is_successor)
        server_begin(server);
    *ret_server = server;
    return ERR_OK;
}

void server_adopt(struct server *server, int fd)
{
    conn_new(server->conns, fd, NULL, server->first_protocol, false);
}

void server_free(struct server *server)
{
    if (!server)
        return;
    struct ev_loop *loop = server->gateway->loop;
    ev_timer_stop(loop, &server->retry);
    ev_timer_stop(loop, &server->stop_accepting);
    ev_timer_stop(loop, &server->deadline);
    ev_timer_stop(loop, &server->notice);
    if (server->listen_fd >= 0) {
        ev_io_stop(loop, &server->accept);
        close(server->listen_fd);
    }
    conn_set_free(server->conns);
    if (server->spare_fd >= 0)
        close(server->spare_fd);
    free(server);
}
