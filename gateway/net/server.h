#pragma once
/* One process's share of the port: accepts, bounds the number of connections, drains.
 *
 *   LISTENING ⇄ PAUSED (too many connections, or no descriptors)
 *       └── server_drain ──▶ NOTICE (drain_notice_ms: not ready, serving) ──▶ DRAINING ── last connection or time ──▶ on_drained
 *       └── server_hand_over ─────────────────────────────────────────────────▲
 *
 * The listening socket is made by the parent, one per process with SO_REUSEPORT, so that the kernel balances; the parent
 * keeps its copy, so that what waits in the queue of a process that dies is served by the one that replaces it. One that
 * drains without a successor takes what is in its queue until that is empty, and closes it; one whose successor accepts from
 * the same socket already leaves the queue to that.
 */

#include "gateway/gateway.h"

struct conn_protocol;
struct conn_set;
struct server;

/* Accepts from listen_fd and owns it from now on; -1: connections come from server_adopt only. Each begins with first_protocol and no
 * state. */
enum err server_new(struct gateway *gateway, int listen_fd, const struct conn_protocol *first_protocol,
                    struct server **ret_server) MUST_CHECK;
void server_free(struct server *server);

struct conn_set *server_conns(struct server *server);
/* A socket that is connected already; tests use it with socketpair. */
void server_adopt(struct server *server, int fd);

/* Readiness off; then what waits in the queue is accepted, what is in work is answered, the rest is closed within drain_ms,
 * streams evenly spread over it and never faster than drain_per_s, even where that takes longer; then on_drained, once. Who asks for a stream
 * meanwhile gets it, and is told to leave in its turn. Again during the notice: its rest is skipped. */
void server_drain(struct server *server, void (*on_drained)(void *arg), void *arg);
/* The same for one process of several on a host that stays: somebody accepts from this socket in its place, now. */
void server_hand_over(struct server *server, void (*on_drained)(void *arg), void *arg);

/* The longest that a drain takes, without the notice. */
int64_t server_drain_max_ms(const struct config *config);
