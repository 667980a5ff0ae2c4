#pragma once
/* Runs commands in one transaction. It is where "effects happen once" and "events follow effects" come true.
 *
 *   IDLE ── batch_start ──▶ MARKING ──▶ LOOKING ──▶ RUNNING ──▶ RECORDING ── committed ──▶ IDLE
 *                              │          ▲  │          │            │
 *     again, or one company    │          │  └──────────┴── failed ──┴──▶ ROLLING_BACK ─ UNMARKING ─ PROBING
 *     or command at a time     └──────────┤                                    │             │          │
 *                                         ├────────────────────────────────────┴─────────────┴──────────┘
 *                                         └── it is back ── HELD ◀── the database is gone
 *
 *   MARKING    for a command that may have ended a process: its begun mark is committed before it runs alone, or
 *              with others of its parcel
 *   LOOKING    locks the sequences, claims the rows of `deferred`, asks whether the senders of those that have
 *              waited were revoked, looks the commands up in the inbox
 *   RUNNING    sends the prepared statements of the commands that are new, in order; when all of them are of one
 *              kind that takes many, one statement that also records them, and commits without an answer
 *   RECORDING  writes events, inbox rows, sequences, waits and dead letters, and commits
 *   UNMARKING  takes back the count of a run that has come to nothing
 *   PROBING    the error may be the server's: a transaction without any command tells; or that of a database which
 *              lacks a column: it is compared with the schemas
 *
 * What must hold:
 * - Each command given to batch_start comes back in exactly one on_settled call, those of one company in the
 *   order in which they were given (AGAIN, LOCKED, BLOCKED: in the opposite order); until then the batch owns
 *   it.
 * - DONE, DEAD and DEFERRED come after the commit. So their result can be published, and who runs the same
 *   command later finds it. A command has a result or waits in `deferred`, never both.
 * - A statement that fails costs only its own command: the transaction is rolled back, and the commands run
 *   again one at a time. A command that waits here for another try takes along those of its company that come
 *   after it.
 * - Trouble of the whole server (disk full, read-only, a migration that was not applied, …) costs no command a try.
 * - Nor does a row that another transaction holds. The commands of its company come back as LOCKED or BLOCKED,
 *   and the batch goes on with the others: at once when the row is a sequence, after CORTEX_LOCK_TIMEOUT_MS when
 *   it is another one. When nothing says whose row it is, each company gets a transaction of its own.
 * - No two commands of a batch have the same company and command id (intake.h sees to that).
 */

#include "common/broker/topology.h"
#include "common/db/db.h"
#include "workers/engine/command/command.h"
#include "workers/engine/resource/handlers.h"
#include "workers/engine/resource/schema_check.h"

struct batch;

struct batch_callbacks {
    void (*on_settled)(void *ctx, struct command *command); /* takes the command; its outcome is set */
    void (*on_trouble)(void *ctx);                          /* the server cannot work: give it a pause */
    void (*on_idle)(void *ctx);                             /* all have come back; may be NULL */
};

struct batch_options {
    const char *pool; /* must outlive it */
    struct retry_policy retries;
    int64_t scheduled_max;             /* commands of one company that wait for their time */
    int64_t scheduled_bytes;           /* of their bodies */
    struct schema_check *schema_check; /* NULL: the database has what the schemas need */
    const struct secrets *secrets;     /* outlives it */
};

struct batch *batch_new(struct db *db, const struct handlers *handlers, const struct batch_options *options,
                        const struct batch_callbacks *callbacks, void *ctx);
void batch_free(struct batch *batch); /* after its db; frees the commands that it still has */

bool batch_is_idle(const struct batch *batch);
/* Takes the list `commands` (linked by `next`, at least one). Only an idle batch may be started. */
void batch_start(struct batch *batch, struct command *commands);
/* Goes on after the database was gone. */
void batch_resume(struct batch *batch);
