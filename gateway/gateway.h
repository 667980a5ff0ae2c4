#pragma once
/* What one gateway process has. process.c makes it, wiring.c fills it in, and everybody else borrows it.
 * There is no other global state. */

#include <ev.h>

#include "common/crypto/token.h"
#include "common/process/config.h"

struct gateway {
    struct ev_loop *loop;
    const struct config *config;
    struct token_keys *keys;
    const struct route_table *routes; /* http/router.h: the endpoints */
    struct auth *auth;                /* auth.h: who is asking; remembers verified tokens */
    struct http *http;                /* http.h: what requests share */
    struct server *server;            /* server.h: listening, connections, drain */
    struct db_pool *reads;            /* common/db/db.h */
    struct plans *plans;              /* resources/plan.h: the SQL of each resource's reads */
    struct commands *commands;        /* commands.h: publishes, waits for results (pending) */
    struct events *events;            /* events.h: replies and events of the workers */
    struct control *control;          /* control.h: asks workers and managers what operators want */
    struct presence *presence;        /* presence.h: who is on the channels of all processes */
    struct revocations *revocations;  /* revocations.h: tokens that are worth nothing any more */
    struct user_counts *user_counts;  /* user_counts.h: WebSockets of each user */
    struct hub *hub;                  /* hub.h: channels and subscribers, fed by events */
    struct ws_deflate *deflate;       /* deflate.h; NULL: no WebSocket is compressed */
    char reply_key[48];               /* "reply.<uuid>": where workers answer this process */
    bool unready;                     /* balancers are told to send nobody here any more */
    bool draining;                    /* what is open is being closed */
};
