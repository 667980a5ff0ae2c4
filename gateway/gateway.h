#pragma once
/* What one gateway process has: made in main.c, borrowed by everybody else. No global state beside it. */

#include <ev.h>

#include "common/crypto/token.h"
#include "common/process/config.h"

struct gateway {
    struct ev_loop *loop;
    const struct config *config;
    struct token_keys *keys;
    struct auth *auth;               /* auth.h: who is asking; remembers verified tokens */
    struct http *http;               /* http.h: what requests share */
    struct server *server;           /* server.h: listening, connections, drain */
    struct db_pool *reads;           /* common/db/db.h */
    struct plans *plans;             /* read/plan.h: the SQL of each resource's reads */
    struct commands *commands;       /* commands.h: publishes, waits for results (pending) */
    struct control *control;         /* control.h: asks workers and managers what operators want */
    struct presence *presence;       /* presence.h: who is on the channels of all processes */
    struct revocations *revocations; /* revocations.h: tokens that are worth nothing any more */
    struct user_counts *user_counts; /* user_counts.h: WebSockets of each user */
    struct hub *hub;                 /* hub.h: channels and subscribers, fed by events */
    struct ws_deflate *deflate;      /* deflate.h; NULL: no WebSocket is compressed */
    char reply_key[48];              /* "reply.<uuid>": where workers answer this process */
    bool unready;                    /* balancers are told to send nobody here any more */
    bool draining;                   /* what is open is being closed */
};

/* Opens the parts; loop, config and keys are set by the caller and stay his. listen_fd as in server.h. After an error too,
 * gateway_close frees what there is. */
enum err gateway_open(struct gateway *gateway, int listen_fd) MUST_CHECK;
void gateway_close(struct gateway *gateway);

/* health.c: as /readyz says. */
bool gateway_is_ready(const struct gateway *gateway);
