#pragma once
/* One client connection: bytes in, bytes out, time limits. What the bytes mean is its protocol's business.
 *
 *   socket ─▶ (one read buffer per process) ─▶ protocol.on_bytes ──┐ not consumed: kept by the connection, bounded
 *   socket ◀── one writev per turn of the loop ◀── output queue ◀──┘ own bytes and shared `struct bytes`
 *
 * Protocols: http (every connection begins there) and ws (after an upgrade). A connection at rest holds no buffers, so
 * that ten thousand idle sockets cost little. Freed connections are reaped at the end of the turn, never inside a callback.
 *
 *   OPEN ── conn_close ──▶ CLOSING ── output written ──▶ LINGERING ── peer closed, or time ──▶ DEAD ── end of turn ──▶ freed
 *     └──────────────────────┴── conn_abort, socket error, write time-out ──────────────────────┘
 *
 * Who reads slowly costs memory: its own bound is max_output_bytes, that of all together output_total_bytes, past which those with the
 * most go first (conn_slow.c); what the kernel holds for one that does not read is bounded by socket_unsent_bytes.
 */

#include <ev.h>
#include <sys/socket.h>

#include "common/base/bytes.h"
#include "common/base/err.h"

struct config;
struct conn;
struct conn_set;
struct gateway;

struct conn_protocol {
    const char *name;
    /* Looks at what has arrived; returns how many octets it is done with. What is left comes again, with more behind it.
     * After a pause it is called at once, also with nothing kept (an empty slice). */
    size_t (*on_bytes)(struct conn *conn, void *state, struct slice bytes);
    void (*on_end)(struct conn *conn,
                   void *state); /* the peer will send nothing more, and all that it sent was offered */
    void (*on_timeout)(struct conn *conn, void *state); /* the limit set by conn_limit has passed */
    /* Its output passed max_output_bytes, or is among the largest when those of the process pass output_total_bytes: say goodbye
     * or conn_abort. Who holds as much after the latter as before is aborted. */
    void (*on_overflow)(struct conn *conn, void *state);
    void (*on_drain)(struct conn *conn, void *state); /* the process is leaving: finish and close */
    void (*on_revoked)(struct conn *conn,
                       void *state); /* tokens were revoked: close, if by such a one (NULL: never) */
    void (*on_free)(struct conn *conn, void *state); /* last call: free the state */
    bool is_stream; /* its client comes back when it is closed: told to leave in its turn, not all at once */
};

struct gateway *conn_gateway(const struct conn *conn);
const char *conn_peer(
    const struct conn *conn); /* "127.0.0.1" for logs and limits; valid until the next call */

/* Hands the connection over to another protocol (an upgrade). The old state is not freed: the caller does that. */
void conn_set_protocol(struct conn *conn, const struct conn_protocol *protocol, void *state);
/* Until it is handed over again it counts as a stream: its client asks again as soon as it is told to leave. */
void conn_comes_back(struct conn *conn);

/* Output is gathered and written once per turn of the loop. */
void conn_write(struct conn *conn, struct slice bytes);         /* copied */
void conn_write_shared(struct conn *conn, struct bytes *bytes); /* takes one reference of its own */
void conn_write_part(struct conn *conn, struct bytes *bytes,
                     struct slice part);     /* the same for a part of them */
size_t conn_output(const struct conn *conn); /* bytes not yet accepted by the kernel */
/* So much waits for the peer that nothing more is read or offered until it has taken some. */
bool conn_is_congested(const struct conn *conn);
bool conn_is_open(const struct conn *conn); /* neither closed nor aborted */
/* Drops what waits and has not been begun: for a protocol whose messages are one call of conn_write… each, before its goodbye. */
void conn_cut(struct conn *conn);

/* While paused nothing is offered: one request at a time, back-pressure on the socket. Resuming offers what is kept at once
 * (from the loop, not from inside the call). */
void conn_pause(struct conn *conn, bool paused);
/* One timer: on_timeout after `ms` from now; 0: none. Cheap enough to be set for every request. */
void conn_limit(struct conn *conn, int64_t ms);
void conn_close(struct conn *conn); /* when the output is written; reads no more */
void conn_abort(struct conn *conn); /* now, what waits is dropped */

/* The connections of one process, and what they share: the read buffer, the pool of output pieces, the turn of the loop. */
enum err conn_set_new(struct gateway *gateway, struct conn_set **ret_set) MUST_CHECK;
void conn_set_free(struct conn_set *set); /* frees its connections too */
size_t conn_set_count(const struct conn_set *set);
/* on_freed: a connection has gone (the server may accept again). */
void conn_set_on_freed(struct conn_set *set, void (*on_freed)(void *arg), void *arg);
/* Each protocol's on_drain, once: for the streams, and for those that become one later, evenly over drain_ms less the time for goodbyes, or
 * over more when drain_per_s asks for it; for the others now. */
void conn_set_drain(struct conn_set *set);
/* Milliseconds until all of those will have been told and had time to read it; 0: they had. */
int64_t conn_set_drain_left(const struct conn_set *set);
int64_t conn_drain_least_ms(const struct config *config, size_t streams); /* to tell so many */
int64_t conn_drain_goodbye_ms(const struct config *config); /* for the last of them to read it */
void conn_set_revoked(struct conn_set *set);                /* each protocol's on_revoked */
void conn_set_abort(struct conn_set *set);

/* Takes over a connected, non-blocking socket, which begins with `protocol` and a NULL state. peer may be NULL. */
struct conn *conn_new(struct conn_set *set, int fd, const struct sockaddr *peer,
                      const struct conn_protocol *protocol);
