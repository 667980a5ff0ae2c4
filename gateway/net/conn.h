#pragma once
/* One client connection: bytes in, bytes out, time limits. What the bytes mean is its protocol's business.
 *
 *   socket ─▶ (one read buffer per process) ─▶ protocol.on_bytes ──┐ what it does not take is kept, bounded
 *   socket ◀── one writev per turn of the loop ◀── output queue ◀──┘ own bytes and shared `struct bytes`
 *
 * The server says in which protocol a connection begins (http); that may hand it over to another one (ws
 * after an upgrade, sse). An idle connection holds no buffers, so that ten thousand of them cost little. A
 * dead connection is freed at the end of the turn of the loop, never inside a callback.
 *
 *   OPEN ── conn_close ──▶ CLOSING ── output written ──▶ LINGERING ── peer closed, or time ──▶ DEAD
 *     └──────────────────────┴── conn_abort, socket error, write time-out ──────────────────────┘
 *
 * A client that reads slowly costs memory. Each connection may hold max_output_bytes of output; all of them
 * together may hold output_total_bytes, and past that the connections that hold the most are ended first
 * (conn_slow.c). What the kernel buffers for a client that does not read is bounded by socket_unsent_bytes.
 *
 * A client that does not finish what it sends costs memory, too: heads, bodies, messages and what waits behind
 * a request in work. All of it together may be input_total_bytes; past that the connections that hold the most
 * are ended first, and those without a valid token before all others (conn_input_total.c).
 */

#include <ev.h>
#include <sys/socket.h>

#include "common/base/bytes.h"
#include "common/base/err.h"

enum { CONN_GUESTS_MAX = 64, CONN_GUEST_MS = 1000 };

struct config;
struct conn;
struct conn_set;
struct gateway;

struct conn_protocol {
    const char *name;
    /* Takes what has arrived and returns how many octets it is done with. The others are offered again when
     * more has arrived. After a pause it is called at once, even when nothing has arrived (an empty
     * slice). */
    size_t (*on_bytes)(struct conn *conn, void *state, struct slice bytes);
    /* The peer will send nothing more, and all that it has sent was offered. */
    void (*on_end)(struct conn *conn, void *state);
    /* The limit that conn_limit set has passed. */
    void (*on_timeout)(struct conn *conn, void *state);
    /* The connection's output has passed max_output_bytes, or it is among the largest while the process holds
     * more than output_total_bytes. The protocol says goodbye or calls conn_abort. In the second case a
     * connection that holds as much output after this call as before is aborted. */
    void (*on_overflow)(struct conn *conn, void *state);
    /* Octets of memory that the state holds for what its client has sent: unfinished input and requests in
     * work. NULL: none. It is asked after each event of the socket. */
    size_t (*input)(const struct conn *conn, const void *state);
    /* The connection is among those that hold the most input while the process holds more than
     * input_total_bytes. The protocol says goodbye and lets go of the input; a connection that holds as much
     * after this call as before is aborted, and so is one whose protocol has no such function. */
    void (*on_input_overflow)(struct conn *conn, void *state);
    /* The connection makes room for another client. The protocol may write a goodbye, of which the socket gets what
     * it takes at once; then the connection is aborted. NULL: there is nothing to say. */
    void (*on_crowded)(struct conn *conn, void *state);
    /* The process is leaving: finish, then close. */
    void (*on_drain)(struct conn *conn, void *state);
    /* Tokens have been revoked: close if the connection was opened with one of them. NULL: the protocol does
     * not care. */
    void (*on_revoked)(struct conn *conn, void *state);
    /* The last call: free the state. */
    void (*on_free)(struct conn *conn, void *state);
    /* Its clients connect again as soon as they are closed, so a drain closes them one after the other, not
     * all at once. */
    bool is_stream;
};

/* What somebody keeps of a connection until it ends. */
struct conn_record {
    uint64_t sent; /* octets that the kernel has taken since */
    /* The last octet has been sent, or the connection has broken. It is called once, and frees the record. */
    void (*on_ended)(struct conn *conn, struct conn_record *record);
};
void conn_keep_record(struct conn *conn, struct conn_record *record); /* there is none yet */
struct conn_record *conn_record_of(const struct conn *conn);          /* NULL: there is none */
const char *conn_protocol_name(const struct conn *conn);

int64_t conn_now_us(const struct conn *conn); /* when this turn of the loop began: of the monotonic clock */

struct gateway *conn_gateway(const struct conn *conn);
/* The client's address, for logs and limits: "127.0.0.1". Valid until the next call. */
const char *conn_peer(const struct conn *conn);

uint64_t conn_address(const struct conn *conn); /* address_key of limit/addresses.h */
/* The process has as many connections as it may, or the client's address has, and none was there to make room
 * (conn_room.c). So this one was let in only to ask for the process's health: it must do so within CONN_GUEST_MS, and is
 * closed after one answer. */
bool conn_is_guest(const struct conn *conn);

/* Hands the connection over to another protocol (an upgrade). The caller frees the old state. A known connection
 * without a state is idle: it makes room before others. */
void conn_set_protocol(struct conn *conn, const struct conn_protocol *protocol, void *state);
/* Treats the connection as a stream until it is handed over again: its client will ask again as soon as it is
 * told to leave. */
void conn_set_long_lived(struct conn *conn);

/* The client has shown a valid token. Until then it is a stranger: the kernel and this connection hold less output
 * for it, it is ended before others when memory is short, and it makes room before others when the table is full. */
void conn_set_known(struct conn *conn);
bool conn_is_known(const struct conn *conn);

/* Output is gathered and written once per turn of the loop. */
void conn_write(struct conn *conn, struct slice bytes);         /* copied */
void conn_write_shared(struct conn *conn, struct bytes *bytes); /* takes one reference of its own */
/* The same for a part of the bytes. */
void conn_write_part(struct conn *conn, struct bytes *bytes, struct slice part);
/* Asks the protocol anew how much input it holds (input): it has got some that did not come by its socket. */
void conn_count_input(struct conn *conn);
size_t conn_output(const struct conn *conn); /* bytes that the kernel has not accepted yet */
/* So much output waits for the peer that nothing more is read or offered until the peer has taken some of
 * it. */
bool conn_is_congested(const struct conn *conn);
bool conn_is_open(const struct conn *conn); /* neither closed nor aborted */
/* Drops the output of which the kernel has nothing yet. A protocol that writes each message with one call of
 * conn_write… may use it before its goodbye, since no message is cut in two. */
void conn_cut(struct conn *conn);

/* A paused connection offers nothing to its protocol, so that one request is in work at a time and a client
 * that sends more is held back by its socket. When the pause ends, what has been kept is offered from the
 * loop, not from inside the call. */
void conn_pause(struct conn *conn, bool paused);
/* Calls on_timeout `ms` from now, in place of an earlier limit; 0: never. It is cheap enough to be set for
 * every request. */
void conn_limit(struct conn *conn, int64_t ms);
void conn_close(struct conn *conn); /* reads no more, and closes when the output is written */
void conn_abort(struct conn *conn); /* closes now and drops the output that waits */

/* The connections of one process, and what they share: the read buffer, the pool of output pieces, the turn
 * of the loop. */
enum err conn_set_new(struct gateway *gateway, struct conn_set **ret_set) MUST_CHECK;
void conn_set_free(struct conn_set *set); /* frees its connections too */
size_t conn_set_count(const struct conn_set *set);
/* Of them, those that take up room: neither guests nor dead. */
size_t conn_set_members(const struct conn_set *set);
size_t conn_set_guests(const struct conn_set *set);
/* While the table is full, as many connections come in one turn of the loop, and as many strangers have the time to
 * show a token. */
size_t conn_set_few(const struct conn_set *set);
/* Ends the guest that came first, with these bytes as its answer when it has none yet. */
void conn_set_dismiss_guest(struct conn_set *set, struct slice answer);
size_t conn_set_input(const struct conn_set *set); /* octets of input that all connections hold */
/* Calls on_freed after each connection that is freed, so that the server may accept again. */
void conn_set_on_freed(struct conn_set *set, void (*on_freed)(void *arg), void *arg);
/* Calls each protocol's on_drain once. Connections that are no streams are told now. Streams, and connections
 * that become one later, are told evenly over drain_ms less the time for goodbyes, or over a longer time when
 * drain_per_s allows no more. */
void conn_set_drain(struct conn_set *set);
/* Milliseconds until every stream has been told to leave and has had time to read that; 0: that time has
 * passed. */
int64_t conn_set_drain_left(const struct conn_set *set);
int64_t conn_drain_least_ms(const struct config *config,
                            size_t streams);                /* that telling so many streams takes */
int64_t conn_drain_goodbye_ms(const struct config *config); /* for the last stream to read its goodbye */
void conn_set_revoked(struct conn_set *set);                /* calls each protocol's on_revoked */
void conn_set_abort(struct conn_set *set);                  /* aborts all connections */

/* Takes over a connected, non-blocking socket, which begins with `protocol` and a NULL state. peer may be
 * NULL. When is_full says so, or when its address has as many connections as it may, another one makes room; it is a
 * guest when there is none that does. */
struct conn *conn_new(struct conn_set *set, int fd, const struct sockaddr *peer,
                      const struct conn_protocol *protocol, bool is_full);
