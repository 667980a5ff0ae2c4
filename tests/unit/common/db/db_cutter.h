#pragma once
/* A proxy between a connection and the database that cuts the connection at a commit: the server has ended the
 * transaction (it has sent ReadyForQuery), and the client never hears of it. Only transactions that use the
 * statement `of` count, so that the client can connect again. The proxy runs in the loop of the test. */

#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "tests/unit/common/db/db_fixture.h"

enum { CUTTER_HEAD = 5 };

struct cutter {
    struct ev_loop *loop;
    const char *of; /* the name of a statement */
    int commits_to_cut, commits_cut;
    bool is_of;
    struct sockaddr_in server;
    ev_io accept, from_client, from_server;
    /* The server's messages: a type of one byte, then a length of four, which counts itself. */
    unsigned char head[CUTTER_HEAD];
    size_t head_len, left;
};

static inline void cutter_close(struct cutter *cutter)
{
    if (!ev_is_active(&cutter->from_client))
        return;
    ev_io_stop(cutter->loop, &cutter->from_client);
    ev_io_stop(cutter->loop, &cutter->from_server);
    close(cutter->from_client.fd);
    close(cutter->from_server.fd);
}

static inline void cutter_send(int fd, const char *data, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, data + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0)
            return; /* the other side has closed: the next read says so */
        sent += (size_t)n;
    }
}

/* Whether a transaction ends in these bytes. */
static inline bool cutter_sees_end(struct cutter *cutter, const unsigned char *data, size_t len)
{
    bool is_end = false;
    for (size_t at = 0; at < len;) {
        if (cutter->left > 0) {
            size_t step = cutter->left < len - at ? cutter->left : len - at;
            cutter->left -= step;
            at += step;
            continue;
        }
        cutter->head[cutter->head_len++] = data[at++];
        if (cutter->head_len < CUTTER_HEAD)
            continue;
        uint32_t size;
        memcpy(&size, cutter->head + 1, sizeof(size));
        is_end |= cutter->head[0] == 'Z';
        cutter->left = ntohl(size) - 4;
        cutter->head_len = 0;
    }
    return is_end;
}

static inline void on_cutter_data(struct ev_loop *loop, ev_io *io, int events)
{
    struct cutter *cutter = io->data;
    bool is_from_server = io == &cutter->from_server;
    char bytes[64 << 10];
    ssize_t n = recv(io->fd, bytes, sizeof(bytes), 0);
    (void)loop, (void)events;
    if (n <= 0) {
        cutter_close(cutter);
        return;
    }
    if (!is_from_server)
        cutter->is_of |= memmem(bytes, (size_t)n, cutter->of, strlen(cutter->of)) != NULL;
    bool is_end = is_from_server && cutter_sees_end(cutter, (const unsigned char *)bytes, (size_t)n);
    if (is_end && cutter->is_of && cutter->commits_to_cut > 0) {
        cutter->commits_to_cut--;
        cutter->commits_cut++;
        cutter_close(cutter);
        return;
    }
    cutter->is_of &= !is_end;
    cutter_send(is_from_server ? cutter->from_client.fd : cutter->from_server.fd, bytes, (size_t)n);
}

static inline void on_cutter_accept(struct ev_loop *loop, ev_io *io, int events)
{
    struct cutter *cutter = io->data;
    (void)events;
    cutter_close(cutter);
    int client = accept(io->fd, NULL, NULL), server = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(client >= 0 && server >= 0);
    assert_int_equal(connect(server, (struct sockaddr *)&cutter->server, sizeof(cutter->server)), 0);
    cutter->head_len = cutter->left = 0;
    cutter->is_of = false;
    ev_io_init(&cutter->from_client, on_cutter_data, client, EV_READ);
    ev_io_init(&cutter->from_server, on_cutter_data, server, EV_READ);
    cutter->from_client.data = cutter->from_server.data = cutter;
    ev_io_start(loop, &cutter->from_client);
    ev_io_start(loop, &cutter->from_server);
}

/* Writes to `url` the test's database as it is reached through the cutter. The server of the tests listens on
 * 127.0.0.1 (deploy/local/servers.sh). */
static inline void cutter_open(struct cutter *cutter, struct ev_loop *loop, const char *of, char *url,
                               size_t size)
{
    const char *host = strstr(test_url(), "127.0.0.1:");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_non_null(host);
    *cutter = (struct cutter){.loop = loop, .of = of, .server = address};
    const char *port = host + strlen("127.0.0.1:");
    cutter->server.sin_port = htons((uint16_t)atoi(port));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    ev_io_init(&cutter->accept, on_cutter_accept, fd, EV_READ);
    cutter->accept.data = cutter;
    ev_io_start(loop, &cutter->accept);
    snprintf(url, size, "%.*s%d%s%csslmode=disable", (int)(port - test_url()), test_url(),
             ntohs(address.sin_port), port + strspn(port, "0123456789"), strchr(port, '?') ? '&' : '?');
}

static inline void cutter_done(struct cutter *cutter)
{
    cutter_close(cutter);
    ev_io_stop(cutter->loop, &cutter->accept);
    close(cutter->accept.fd);
}
