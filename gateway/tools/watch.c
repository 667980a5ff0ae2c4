/* cortex-watch ADDRESS:PORT CHANNEL < token: a WebSocket client for the terminal. It connects, subscribes,
 * and prints every message of the server as a line of JSON (Centrifuge client protocol), until interrupted.
 * It serves nothing else, so it may block on its one socket. */

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "common/base/slice.h"

enum { TOKEN_MAX = 4096, HEAD_MAX = 8192 };

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "cortex-watch: %s%s%s\n", what, *why ? ": " : "", why);
    return 1;
}

static int connect_to(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int fd = -1;

    if (getaddrinfo(host, port, &hints, &list) != 0)
        return -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

static bool send_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = (struct slice){bytes.data + n, bytes.len - (size_t)n};
    }
    return true;
}

/* Reads the response head octet by octet, so that the first frame behind it stays in the socket. */
static bool read_head(int fd, char head[HEAD_MAX])
{
    size_t len = 0;
    while (len < HEAD_MAX - 1 && recv(fd, head + len, 1, 0) == 1) {
        head[++len] = '\0';
        if (len >= 4 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

/* RFC 6455, 4.1. The key need not be secret. The server's answer to it is not checked, for the server is
 * our own. */
static int shake_hands(int fd, const char *address)
{
    char request[512];
    char head[HEAD_MAX] = "";
    int len = snprintf(
        request, sizeof(request),
        "GET /connection/websocket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: Y29ydGV4LXdhdGNoLTAwMQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        address);
    if (len >= (int)sizeof(request))
        return complain("the address is too long", "");
    if (!send_all(fd, slice_of(request)) || !read_head(fd, head))
        return complain("the gateway closed the connection", "");
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0) {
        head[strcspn(head, "\r")] = '\0';
        return complain("the gateway did not switch to a WebSocket", head);
    }
    return 0;
}

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *data, size_t size, int flags, void *arg)
{
    (void)flags;
    ssize_t n = recv(*(const int *)arg, data, size, MSG_DONTWAIT);
    if (n > 0)
        return n;
    wslay_event_set_error(ctx, n < 0 && (errno == EINTR || errno == EAGAIN) ? WSLAY_ERR_WOULDBLOCK
                                                                            : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t size, int flags, void *arg)
{
    (void)flags;
    if (send_all(*(const int *)arg, (struct slice){(const char *)data, size}))
        return (ssize_t)size;
    wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static int on_mask(wslay_event_context_ptr ctx, uint8_t *mask, size_t size, void *arg)
{
    (void)ctx;
    (void)arg;
    return getrandom(mask, size, 0) == (ssize_t)size ? 0 : -1;
}

static void queue_text(wslay_event_context_ptr ctx, const char *text)
{
    wslay_event_queue_msg(ctx, &(struct wslay_event_msg){.opcode = WSLAY_TEXT_FRAME,
                                                         .msg = (const uint8_t *)text,
                                                         .msg_length = strlen(text)});
}

/* A message may have several lines. "{}" is the server's ping, and the answer is the same. */
static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *message,
                       void *arg)
{
    (void)arg;
    if (message->opcode == WSLAY_CONNECTION_CLOSE) {
        fprintf(stderr, "cortex-watch: closed by the gateway (%u).\n", message->status_code);
        return;
    }
    struct slice text = {(const char *)message->msg, message->msg_length};
    if (message->opcode != WSLAY_TEXT_FRAME)
        return;
    if (slice_is(text, "{}")) {
        queue_text(ctx, "{}");
        return;
    }
    printf("%.*s\n", (int)text.len, text.data);
    fflush(stdout);
}

static int watch(int fd, const char *token, const char *channel)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .genmask_callback = on_mask,
        .on_msg_recv_callback = on_message,
    };
    wslay_event_context_ptr ctx;
    char text[TOKEN_MAX + 256];

    if (wslay_event_context_client_init(&ctx, &callbacks, &fd) != 0)
        return complain("out of memory", "");
    snprintf(text, sizeof(text),
             "{\"id\":1,\"connect\":{\"token\":\"%s\"}}\n{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}",
             token, channel);
    queue_text(ctx, text);
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    while (wslay_event_send(ctx) == 0 && wslay_event_want_read(ctx)) {
        if (poll(&readable, 1, -1) < 0 && errno != EINTR)
            break;
        if (wslay_event_recv(ctx) != 0)
            break;
    }
    wslay_event_context_free(ctx);
    return complain("the connection has ended", "");
}

int main(int argc, char **argv)
{
    char token[TOKEN_MAX];
    if (argc != 3 || !strrchr(argv[1], ':')) {
        fputs("usage: cortex-watch ADDRESS:PORT CHANNEL < token\n", stderr);
        return 2;
    }
    if (!fgets(token, sizeof(token), stdin))
        return complain("there is no token on standard input", "");
    token[strcspn(token, "\r\n")] = '\0';

    char *host = strdup(argv[1]);
    char *colon = host ? strrchr(host, ':') : NULL;
    if (!colon)
        return complain("out of memory", "");
    *colon = '\0';
    int fd = connect_to(host, colon + 1);
    free(host);
    if (fd < 0)
        return complain("cannot connect to", argv[1]);
    int status = shake_hands(fd, argv[1]);
    if (status == 0)
        status = watch(fd, token, argv[2]);
    close(fd);
    return status;
}
