#pragma once
/* Runs the pool's long jobs (schemas/sql/0008_long_jobs.sql) beside its commands: one at a time in this process, on a connection of
 * its own, a step after the other with a rest as long as the step between them.
 *
 *              nothing due                     ┌──────── rest ◀───────┐
 *   IDLE ◀──────────────── LOOKING             ▼                      │
 *    └─ poll, poke ──────────▲ └─ taken ─▶ what is next? ─ a step ────┤
 *                            │                 │ └──── a change of status, its event published ──┘
 *                            └─ ended, lost, ──┘
 *                               put off
 *
 * - Every step is one transaction that writes its results, the cursor and the progress, and asks for the number of the
 *   lease: after kill -9 the next holder goes on where the last step ended, and who lost the lease writes nothing.
 * - The lease is renewed by each step, and by a heartbeat while the job waits here.
 * - A change of status is an event in the company's sequence, written in the same transaction. It is published afterwards, and
 *   again by the next holder when nobody has noted that it was.
 * - What fails is put off with a growing delay, or has failed at once, as the table of errors says (common/base/err.def).
 */

#include <ev.h>

#include "common/broker/broker.h"
#include "common/process/config.h"

struct long_jobs;

/* Strings of `config` and `pool` must outlive it; the publisher is borrowed. */
enum err long_jobs_new(struct ev_loop *loop, const struct config *config, const char *pool,
                       struct broker *publisher, struct long_jobs **ret_jobs) MUST_CHECK;
/* Before the publisher's broker_free, which may still confirm: long_jobs_free after it. */
void long_jobs_close(struct long_jobs *jobs);
void long_jobs_free(struct long_jobs *jobs);

/* There may be a new job. */
void long_jobs_poke(struct long_jobs *jobs);
/* Takes no more, and gives back what it has after the step at work. */
void long_jobs_drain(struct long_jobs *jobs);
bool long_jobs_is_idle(const struct long_jobs *jobs);
