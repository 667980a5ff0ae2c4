#include "tests/bench/bound_wire.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#ifdef CORTEX_RABBITMQ_C_SUBDIR
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp_tcp_socket.h>
#endif

enum {
    FRAME_MAX = 131072, /* the servers' default; every body here fits one frame */
    BUFFER_MAX = 64 << 20,
};

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
    const char *vhost = *info.vhost ? info.vhost : "/"; /* as common/broker/url.c understands a bare slash */
    amqp_rpc_reply_t reply =
        amqp_login(w->connection, vhost, 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN, info.user, info.password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        errx(1, "%s:%d: login refused", info.host, info.port);
    amqp_channel_open(w->connection, WIRE_CHANNEL);
    wire_must(w, "channel.open");
    amqp_confirm_select(w->connection, WIRE_CHANNEL);
    wire_must(w, "confirm.select");
}

void wire_done(struct wire *w)
{
    amqp_destroy_connection(w->connection);
    buf_done(&w->in);
    buf_done(&w->out);
}

void wire_take(struct wire *w, const char *queue, uint16_t prefetch)
{
    if (queue && prefetch) {
        amqp_basic_qos(w->connection, WIRE_CHANNEL, 0, prefetch, 0);
        wire_must(w, "basic.qos");
    }
    w->fd = amqp_get_sockfd(w->connection);
    int on = 1;
    if (setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) || fcntl(w->fd, F_SETFL, O_NONBLOCK))
        err(1, "socket of the broker");
    if (!queue)
        return;
    wire_consume(w, slice_of(queue), prefetch == 0);
    wire_flush(w);
}
