#pragma once
/* One process's share of the port: it accepts connections, bounds their number, and drains.
 *
 *   (of a successor: HELD ── server_begin ──▶) LISTENING ⇄ PAUSED (too many connections, or no descriptors)
 *       └── server_drain ──▶ NOTICE (not ready, serving) ──▶ DRAINING ── all closed, or time ──▶ on_drained
 *       └── server_hand_over ────────────────────────────────▲
 *
 * The parent opens the listening socket (listen.h), one for each process, and keeps a copy. So the clients
 * that wait in the queue of a process that dies are served by the process that replaces it. A process that
 * drains without a successor accepts the clients in its queue until that is empty, and closes the socket. A
 * process whose successor accepts from the same socket already leaves the queue to it. A successor accepts once
 * it is ready; until then the process before it serves all clients.
 */

#include "gateway/gateway.h"

struct conn_protocol;
struct conn_set;
struct server;

/* Accepts from listen_fd, unless gateway->is_successor, and owns it from now on; -1: connections come from server_adopt only. Each begins
 * with first_protocol and no state. */
enum err server_new(struct gateway *gateway, int listen_fd, const struct conn_protocol *first_protocol,
                    struct server **ret_server) MUST_CHECK;
void server_free(struct server *server);

/* Accepts from now on. Further calls change nothing. */
void server_begin(struct server *server);

struct conn_set *server_conns(struct server *server);
/* Takes over a socket that is connected already; tests use it with socketpair. */
void server_adopt(struct server *server, int fd);

/* The process is not ready from now on. After the notice, the clients in the queue are accepted, the calls in
 * work are answered, and the connections are closed within drain_ms. Streams are spread evenly over that
 * time, and never closed faster than drain_per_s, even where that takes longer. Then on_drained is called,
 * once. A client that asks for a stream meanwhile gets it and is told to leave in its turn. A second call
 * during the notice ends the notice. */
void server_drain(struct server *server, void (*on_drained)(void *arg), void *arg);
/* The same for one process of a gateway that stays: another process accepts from this socket already. */
void server_hand_over(struct server *server, void (*on_drained)(void *arg), void *arg);

/* The longest time that a drain takes, without the notice. */
int64_t server_drain_max_ms(const struct config *config);
