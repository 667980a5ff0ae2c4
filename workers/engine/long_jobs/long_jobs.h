#pragma once
/* Runs the pool's long jobs (schemas/sql/0008_long_jobs.sql) beside its commands. A process has one of them
 * at a time, on a database connection of its own, and does it step by step, with a pause after each step that
 * lasts as long as the step.
 *
 *              nothing due                     ┌──────── pause ◀──────┐
 *   IDLE ◀──────────────── LOOKING             ▼                      │
 *    └─ poll, poke ──────────▲ └─ taken ─▶ what is next? ─ a step ────┤
 *                            │                 │ └──── a change of status, its event published ──┘
 *                            └─ ended, lost, ──┘
 *                               put off
 *
 * - Every step is one transaction that writes its results, the cursor and the progress, if the number of the
 *   lease is still
 *   ours. After kill -9 the next holder goes on where the last step ended, and a process that has lost the lease writes
 *   nothing.
 * - Each step renews the lease, and a heartbeat does while the job waits here.
 * - A change of status is an event in the company's sequence, written in the same transaction. It is
 *   published afterwards. The
 *   next holder publishes it again if nobody has recorded that it was.
 * - A job that fails is put off with a growing back-off, or has failed at once, as the table of errors says
 *   (common/base/err.def).
 */

#include <ev.h>

#include "common/broker/broker.h"
#include "common/process/config.h"
#include "workers/engine/outbox/gateways.h"

struct long_jobs;

/* Strings of `config` and `pool` must outlive it; the publisher and `gateways` are borrowed. *ret_jobs is NULL where the
 * pool has no long jobs: then there is no connection, and the functions below do nothing. */
enum err long_jobs_new(struct ev_loop *loop, const struct config *config, const char *pool,
                       struct broker *publisher, struct gateways *gateways,
                       struct long_jobs **ret_jobs) MUST_CHECK;
/* Call long_jobs_close before the publisher's broker_free, which may still confirm, and long_jobs_free after
 * it. */
void long_jobs_close(struct long_jobs *jobs);
void long_jobs_free(struct long_jobs *jobs);

/* There may be a new job. */
void long_jobs_poke(struct long_jobs *jobs);
/* Takes no more jobs while `is_held`: the database lacks what they need. */
void long_jobs_hold(struct long_jobs *jobs, bool is_held);
/* Takes no more jobs, and gives the one that it has back after the step in work. */
void long_jobs_drain(struct long_jobs *jobs);
bool long_jobs_is_idle(const struct long_jobs *jobs);
