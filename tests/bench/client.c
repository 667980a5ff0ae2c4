#include "tests/bench/client.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 20, READ_SIZE = 64 << 10 };

static const double CONNECT_AGAIN_S = 0.1;

void client_resolve(const char *url, struct sockaddr_storage *ret_address, socklen_t *ret_len,
                    char **ret_host, char **ret_path)
{
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        errx(2, "%s: not an http:// URL", url);
    const char *host = url + sizeof(scheme) - 1;
    const char *path = strchrnul(host, '/');
    *ret_host = xstrdup(host);
    (*ret_host)[path - host] = 0;
    *ret_path = xstrdup(*path ? path : "/");

    CLEANUP_FREE char *name = xstrdup(*ret_host);
    char *port = strchr(name, ':');
    if (port)
        *port++ = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int failed = getaddrinfo(name, port ? port : "80", &hints, &found);
    if (failed)
        errx(2, "%s: %s", *ret_host, gai_strerror(failed));
    memcpy(ret_address, found->ai_addr, found->ai_addrlen);
    *ret_len = found->ai_addrlen;
    freeaddrinfo(found);
}

static int on_message_complete(llhttp_t *parser)
{
    struct client *client = parser->data;
    client->complete = true;
    client->keep_alive = llhttp_should_keep_alive(parser); /* is forgotten with the message */
    return 0;
}

static void disconnect(struct client *client)
{
    ev_io_stop(client->loop, &client->reads);
    ev_io_stop(client->loop, &client->writes);
    ev_timer_stop(client->loop, &client->again);
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static void try_later(struct client *client)
{
    disconnect(client);
    client->refused++;
    ev_timer_set(&client->again, CONNECT_AGAIN_S, 0);
    ev_timer_start(client->loop, &client->again);
}

static void begin_connect(struct client *client)
{
    client->fd = socket(client->address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (client->fd < 0 || setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
        err(1, "socket");
    client->state = CLIENT_CONNECTING;
    if (connect(client->fd, client->address, client->address_len) && errno != EINPROGRESS) {
        try_later(client);
        return;
    }
    buf_clear(&client->unsent);
    llhttp_reset(&client->parser);
    ev_io_set(&client->reads, client->fd, EV_READ);
    ev_io_set(&client->writes, client->fd, EV_WRITE);
    ev_io_start(client->loop, &client->writes);
}

static void on_again(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)loop, (void)revents;
    begin_connect(watcher->data);
}

/* An answer that is whole keeps its status also when the connection ends behind it. */
static void finish(struct client *client, bool reconnect)
{
    bool waited = client->state == CLIENT_WAITING;
    int status = client->complete ? client->parser.status_code : 0;
    client->complete = false;
    client->state = CLIENT_IDLE;
    if (reconnect || !waited) { /* nothing was asked: no answer can be meant for us */
        disconnect(client);
        begin_connect(client);
    }
    if (waited)
        client->callbacks->on_answer(client->ctx, client, status);
    else
        client->callbacks->on_lost(client->ctx, client);
}

static void parse(struct client *client, const char *data, size_t len)
{
    llhttp_errno_t error = llhttp_execute(&client->parser, data, len);
    if (error != HPE_OK) {
        warnx("an answer that is not HTTP: %s", llhttp_get_error_reason(&client->parser));
        client->complete = false;
        finish(client, true);
    } else if (client->complete) {
        finish(client, !client->keep_alive);
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    (void)loop, (void)revents;
    static char data[READ_SIZE];
    struct client *client = watcher->data;
    ssize_t got = recv(client->fd, data, sizeof(data), 0);
    if (got > 0) {
        parse(client, data, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        if (got == 0)
            llhttp_finish(&client->parser); /* a body without a length ends here */
        finish(client, true);
    }
}

static void send_unsent(struct client *client)
{
    while (buf_len(&client->unsent)) {
        ssize_t sent = send(client->fd, buf_data(&client->unsent), buf_len(&client->unsent), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            ev_io_start(client->loop, &client->writes);
            return;
        }
        if (sent < 0) /* the read side will say so */
            break;
        buf_consume(&client->unsent, (size_t)sent);
    }
    ev_io_stop(client->loop, &client->writes);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    (void)revents;
    struct client *client = watcher->data;
    if (client->state != CLIENT_CONNECTING) {
        send_unsent(client);
        return;
    }
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        try_later(client);
        return;
    }
    ev_io_stop(loop, &client->writes);
    ev_io_start(loop, &client->reads);
    client->state = CLIENT_IDLE;
    client->callbacks->on_idle(client->ctx, client);
}

void client_init(struct client *client, struct ev_loop *loop, const struct client_callbacks *callbacks,
                 void *ctx, const struct sockaddr *address, socklen_t address_len)
{
    static llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_message_complete = on_message_complete;
    *client = (struct client){
        .loop = loop, .callbacks = callbacks, .ctx = ctx, .address = address, .address_len = address_len};
    llhttp_init(&client->parser, HTTP_RESPONSE, &settings);
    client->parser.data = client;
    buf_init(&client->unsent, REQUEST_MAX);
    ev_init(&client->reads, on_readable);
    ev_init(&client->writes, on_writable);
    ev_init(&client->again, on_again);
    client->reads.data = client->writes.data = client->again.data = client;
    begin_connect(client);
}

void client_done(struct client *client)
{
    disconnect(client);
    buf_done(&client->unsent);
}

void client_send(struct client *client, struct slice request, int64_t started_us)
{
    client->state = CLIENT_WAITING;
    client->started_us = started_us;
    ssize_t sent = send(client->fd, request.data, request.len, MSG_NOSIGNAL);
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == request.len)
        return;
    buf_append(&client->unsent, request.data + done, request.len - done);
    send_unsent(client);
}
