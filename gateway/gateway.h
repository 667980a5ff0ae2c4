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
    struct auth *auth;                /* auth.h: verifies tokens and remembers them */
    struct http *http;                /* http.h: what requests share */
    struct server *server;            /* server.h: accepts connections, drains */
    struct db_pool *reads;            /* common/db/db.h */
    struct db_pool *primary;          /* where `reads` is a replica; NULL: it is none */
    struct writers *writers; /* writers.h: whose reads a late replica must not serve; NULL: no replica */
    struct neighbours *neighbours;   /* bus/neighbours.h: which companies read in the other processes */
    struct plans *plans;             /* resources/plan.h: the SQL of each resource's reads */
    struct address_guard *outbound;  /* common/net/address_guard.h: where requests to clients' URLs may go */
    struct columns *columns;         /* resources/columns.h: whether the database has what the schemas say */
    struct commands *commands;       /* commands.h: publishes, waits for results (pending) */
    struct events *events;           /* events.h: replies and events of the workers */
    struct control *control;         /* control.h: requests of operators to workers and managers */
    struct peers *peers;             /* bus/peers.h: questions to other gateway processes */
    struct presence *presence;       /* presence.h: who is on the channels, over all processes */
    struct revocations *revocations; /* revocations.h: revoked tokens */
    struct hook_sources *hooks;      /* hooks/sources.h: who may post webhooks */
    struct addresses *addresses;     /* addresses.h: what each network address may do */
    struct user_counts *user_counts; /* user_counts.h: counts the WebSockets of each user */
    struct hub *hub;                 /* hub.h: channels and subscribers, fed by events */
    struct tickets *tickets;         /* sse/tickets.h: open one stream of events each, without a token */
    struct http_streams *streams;    /* centrifuge/http_stream.h: sessions that stand on HTTP answers */
    struct ws_deflate *deflate;      /* deflate.h; NULL: no WebSocket is compressed */
    char reply_key[48];              /* "slots.p-<uuid>": where workers answer this process */
    char peer_key[48];               /* "reply.<uuid>": where other gateway processes answer it */
    bool is_successor;               /* another process serves this one's clients until this one is ready */
    bool unready;                    /* /readyz says no, so that load balancers send no new clients */
    bool cannot_start; /* these settings do not fit the broker: the loop ends, and so does the process */
    bool draining;     /* the open connections are being closed */

    /* full_companies.h: whose commands are refused because too many of them wait */
    struct full_companies *full_companies;
};
