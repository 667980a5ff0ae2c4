#include "gateway/net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_port(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && port <= 65535;
}

static enum err parse_address(const char *address, struct addrinfo **ret_info, char why[256])
{
    const char *colon = strrchr(address, ':');
    char host[64];
    size_t len = colon ? (size_t)(colon - address) : 0;
    bool bracketed = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    if (!colon || !is_port(colon + 1) || len >= sizeof(host)) {
        snprintf(why, 256, "CORTEX_LISTEN: \"%s\" is not address:port", address);
        return ERR_BAD_REQUEST;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? len - 2 : len), address + (bracketed ? 1 : 0));
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    int error = getaddrinfo(host[0] ? host : NULL, colon + 1, &hints, ret_info);
    if (error != 0) {
        snprintf(why, 256, "CORTEX_LISTEN: \"%s\": %s", address, gai_strerror(error));
        return ERR_BAD_REQUEST;
    }
    return ERR_OK;
}

enum err listen_check(const char *address, char why[256])
{
    struct addrinfo *info = NULL;
    const int on = 1;
    enum err err = parse_address(address, &info, why);
    if (err)
        return err;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool may = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
               bind(fd, info->ai_addr, info->ai_addrlen) == 0;
    if (!may && errno != EADDRINUSE) { /* perhaps by ourselves */
        snprintf(why, 256, "CORTEX_LISTEN: \"%.100s\": %s", address, strerror(errno));
        err = ERR_BAD_REQUEST;
    }
    if (fd >= 0)
        close(fd);
    freeaddrinfo(info);
    return err;
}

static bool prepare_socket(int fd, const struct addrinfo *info)
{
    const int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 &&
           setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 && /* accepted sockets inherit it */
           bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0;
}

enum err listen_open(const char *address, int *ret_fd, char why[256])
{
    struct addrinfo *info = NULL;
    enum err err = parse_address(address, &info, why);
    if (err)
        return err;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !prepare_socket(fd, info)) {
        snprintf(why, 256, "cannot listen on %s: %s", address, strerror(errno));
        if (fd >= 0)
            close(fd);
        freeaddrinfo(info);
        return ERR_INTERNAL;
    }
    freeaddrinfo(info);
    *ret_fd = fd;
    return ERR_OK;
}

bool listen_is_taken(const char *address)
{
    struct addrinfo *info = NULL;
    char why[256];
    if (parse_address(address, &info, why))
        return false;
    const int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
                 bind(fd, info->ai_addr, info->ai_addrlen) != 0 && errno == EADDRINUSE;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(info);
    return taken;
}
