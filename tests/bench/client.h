#pragma once
/* One HTTP/1.1 keep-alive connection that sends a request, waits for its answer, and says so: llhttp parses
 * strictly, the body is counted and dropped. When the server closes, breaks or refuses the connection, it is
 * made again.
 *
 *   CONNECTING ──▶ IDLE ⇄ WAITING
 *       ▲  ▲         │       │
 *       └──┴─ again ─┴───────┘ */

#include <ev.h>
#include <llhttp.h>
#include <sys/socket.h>

#include "common/base/buf.h"

enum client_state { CLIENT_CONNECTING, CLIENT_IDLE, CLIENT_WAITING };

struct client {
    struct ev_loop *loop;
    const struct client_callbacks *callbacks;
    void *ctx;
    const struct sockaddr *address;
    socklen_t address_len;
    int fd;
    enum client_state state;
    ev_io reads, writes; /* writes: while connecting, and while a request does not fit the socket */
    ev_timer again;      /* after a refused connection */
    uint64_t refused;
    llhttp_t parser;
    bool complete, keep_alive; /* of the answer that has just ended */
    struct buf unsent;
    int64_t started_us; /* the caller's: when the request was due */
    uint64_t body_octets;
};

struct client_callbacks {
    void (*on_idle)(void *ctx,
                    struct client *client); /* connected, or connected again: client_send may be called */
    void (*on_lost)(
        void *ctx,
        struct client *client); /* an idle connection ended: not to be used before the next on_idle */
    /* The answer to the request is whole, or status 0: the connection broke before it was. The client is idle
     * again, or connecting, and then on_idle follows. */
    void (*on_answer)(void *ctx, struct client *client, int status);
};

/* Finds the address of "http://host:port/…" (blocking, once); the path is left in *ret_path, host:port in
 * *ret_host, malloc'd. */
void client_resolve(const char *url, struct sockaddr_storage *ret_address, socklen_t *ret_len,
                    char **ret_host, char **ret_path);

/* Begins to connect. What is passed lives longer than the client. */
void client_init(struct client *client, struct ev_loop *loop, const struct client_callbacks *callbacks,
                 void *ctx, const struct sockaddr *address, socklen_t address_len);
void client_done(struct client *client);

void client_send(struct client *client, struct slice request, int64_t started_us); /* in CLIENT_IDLE */
