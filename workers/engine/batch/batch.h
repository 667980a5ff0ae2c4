#pragma once
/* Runs commands in one transaction: the engine of "effects happen once" and "events follow effects".
 *
 *   IDLE ── batch_start ──▶ MARKING ──▶ LOOKING ──▶ RUNNING ──▶ RECORDING ── committed ──▶ IDLE
 *                              │          ▲  │          │            │
 *     again, or one command    │          │  └──────────┴── failed ──┴──▶ ROLLING_BACK ── PROBING
 *     at a time                └──────────┤                                    │             │
 *                                         ├────────────────────────────────────┴─────────────┘
 *                                         └── it is back ── HELD ◀── the database is gone
 *
 *   MARKING    for a suspect alone: a mark is committed before it runs (begun_mark.h)
 *   LOOKING    sequences locked, rows of `deferred` claimed, inbox looked up (inbox.h)
 *   RUNNING    the prepared statements of the commands that are new, in order
 *   RECORDING  events, inbox rows, sequences, waits, dead letters, and the sync that commits
 *   PROBING    the error may be the server's: a transaction without any command will tell
 *
 * What must hold:
 * - Each command given to batch_start comes back in exactly one on_settled call, those of one company in the
 *   order in which they were given (AGAIN: in the opposite one); until then the batch owns it.
 * - DONE, DEAD and DEFERRED come after the commit: what they say can be told to everybody, and is found again
 *   by whoever runs the same command later. A command has a result, or waits in `deferred`, never both.
 * - A statement that fails costs its own command only: the transaction is rolled back and the commands run
 *   again one at a time. What has to wait here for another try takes those of its company that come after it
 *   along.
 * - Trouble of the whole server (disk full, read-only, …) costs no command a try.
 * - No two commands of a batch have the same company and command id (intake.h sees to that).
 */

#include "common/broker/topology.h"
#include "common/db/db.h"
#include "workers/engine/command/command.h"
#include "workers/engine/resource/handlers.h"

struct batch;

struct batch_callbacks {
    void (*on_settled)(void *ctx, struct command *command); /* takes the command; its outcome is set */
    void (*on_trouble)(void *ctx);                          /* the server cannot work: no more for a moment */
    void (*on_idle)(void *ctx);                             /* all have come back; may be NULL */
};

struct batch_options {
    const char *pool; /* must outlive it */
    struct retry_policy retries;
    int64_t scheduled_max; /* commands of one company that wait for their time */
};

struct batch *batch_new(struct db *db, const struct handlers *handlers, const struct batch_options *options,
                        const struct batch_callbacks *callbacks, void *ctx);
void batch_free(struct batch *batch); /* after its db; frees the commands it still has */

bool batch_is_idle(const struct batch *batch);
/* The list `commands` (by next), at least one; only while idle. */
void batch_start(struct batch *batch, struct command *commands);
/* The database is there again. */
void batch_resume(struct batch *batch);
