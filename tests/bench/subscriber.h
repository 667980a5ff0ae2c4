#pragma once
/* A WebSocket client (RFC 6455) that speaks as much of the Centrifuge protocol (JSON) as a listener needs:
 * connects with a token, subscribes to one channel, answers pings, and hands over every publication. Whatever
 * else happens ends the process. */

#include <ev.h>
#include <stdint.h>

#include "common/base/buf.h"

struct subscriber {
    struct ev_loop *loop;
    ev_io watcher;
    int fd;
    bool upgraded;
    struct buf in;
    char *token, *channel;
    const struct subscriber_callbacks *callbacks;
    void *ctx;
    uint64_t publications;
};

struct subscriber_callbacks {
    void (*on_subscribed)(void *ctx);
    void (*on_publication)(void *ctx, struct slice json); /* one reply of the protocol, as it came */
};

struct sockaddr;
/* Connects (blocking) and begins the handshake on `path`. host: for the Host header. Strings are copied. */
void subscriber_init(struct subscriber *s, struct ev_loop *loop, const struct sockaddr *address,
                     unsigned address_len, const char *host, const char *path, const char *token,
                     const char *channel, const struct subscriber_callbacks *callbacks, void *ctx);
void subscriber_done(struct subscriber *s);
