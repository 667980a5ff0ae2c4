#pragma once
/* One worker process. It takes the commands of its share of the pool's queues
 * (workers/fleet/members/partitions.h), runs them in batches, and publishes their results and events.
 *
 *   commands.<pool>.<partition> ─▶ intake ─▶ batch ─▶ PostgreSQL
 *                                              └────▶ outbox ─▶ events ─ confirmed ─▶ ack
 *
 * A batch is whatever has arrived while the last one was with the database, up to batch_max; a command never
 * waits for others to fill a batch. The broker confirms the events of one batch while the next one runs. The
 * prefetch bounds what is taken from the queues, and with it everything here. */

#include <ev.h>

#include "common/process/config.h"

struct worker;

/* Strings of `config` and `pool` must outlive it. */
enum err worker_new(struct ev_loop *loop, const struct config *config, const char *pool,
                    struct worker **ret_worker) MUST_CHECK;
void worker_free(struct worker *worker);

/* Takes nothing more, finishes what it has, and breaks the loop, at the latest after drain_ms. Commands that
 * are left then go back to their queues. */
void worker_drain(struct worker *worker);

/* The broker and the database are connected, requests of operators come in, and it does not drain. */
bool worker_is_ready(const struct worker *worker);
/* The settings do not fit the broker; the loop has been broken. */
bool worker_cannot_start(const struct worker *worker);

/* The life of a worker process: until SIGTERM or SIGINT. Returns its exit status. pulse_fd:
 * common/process/pulse.h; -1: none. */
int worker_run(const struct config *config, const char *pool, int pulse_fd);
