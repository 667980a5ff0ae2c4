#pragma once
/* Inside of the batch: for the files of this room only.
 *
 *   batch.c    the states, the transactions, and what is written at their end
 *   run.c      the commands' own statements
 *   at_once.c  the transactions of creates, which wait for one answer or two
 *   fault.c    what becomes of commands whose transaction failed
 */

#include "common/base/clock.h"
#include "workers/engine/batch/batch.h"
#include "workers/engine/records/begun_mark.h"
#include "workers/engine/records/dead_letter.h"
#include "workers/engine/records/deferred.h"
#include "workers/engine/records/events.h"
#include "workers/engine/records/inbox.h"
#include "workers/engine/records/revoked.h"
#include "workers/engine/records/sequences.h"

enum batch_state {
    BATCH_IDLE,
    BATCH_MARKING,
    BATCH_LOOKING,
    BATCH_RUNNING,
    BATCH_RECORDING,
    BATCH_ROLLING_BACK,
    BATCH_UNMARKING,
    BATCH_PROBING,
    BATCH_HELD
};

/* What one transaction takes of the batch. */
enum batch_unit { UNIT_ALL, UNIT_COMPANY, UNIT_COMMAND };

enum { WHY_SIZE = 300 };

/* The first error of a transaction; those that follow are consequences of it. */
struct fault {
    enum err err;
    enum batch_state phase;
    bool is_duplicate; /* the entity that the command creates is there already */
    bool is_too_large; /* a sum that follows from the command does not fit */
    bool has_company;  /* the statement was for the commands of one company */
    struct uuid company;
    char why[WHY_SIZE];
};

/* Neighbouring commands that share a statement. They may be of several companies. */
struct run {
    struct batch *batch;
    const struct handler *handler;
    struct command **commands;
    size_t count;
};

/* How a transaction goes whose commands are all creates of one kind that takes many, the best way first. */
enum batch_way {
    WAY_AT_ONCE, /* nothing is looked up: one statement does and records them, if all is as this process has seen
                     it, and the commit goes with it */
    WAY_RECORDED, /* everything is looked up; then one statement does and records them, and the commit goes with it */
    WAY_BY_STEPS, /* as all other transactions: look, run, record */
};

/* A transaction that did nothing, because its statement found that it must not, begins again the next way. When
 * a rule has refused a command, the next batches go by steps at once, since refusals seldom come alone. */
struct ways {
    enum batch_way best;  /* that is left to this batch */
    enum batch_way taken; /* by the transaction at work */
    bool has_missed;      /* it did nothing */
    unsigned batches_by_steps;
};

struct batch {
    struct db *db;
    const struct handlers *handlers;
    struct retry_policy retries;
    int64_t scheduled_max, scheduled_bytes;
    struct schema_check *schema_check;
    struct batch_callbacks callbacks;
    void *ctx;
    enum batch_state state;
    struct command **commands;
    size_t count, capacity;
    size_t from, to; /* the commands of the transaction at work */
    enum batch_unit unit;
    struct ways ways;
    bool has_rows;   /* among them are rows of `deferred`, to be claimed */
    bool had_marks;  /* some of those that were to run together */
    unsigned losses; /* of the connection, with this batch at work */
    size_t awaited;  /* answers of runs */
    struct fault fault;
    struct records records;
    struct sequences sequences;
    struct resource_writer *writer;
    struct arena runs; /* of the transaction at work */
    char at[CLOCK_TEXT_SIZE], year[5];
};

static inline void batch_enter(struct batch *b, enum batch_state state)
{
    b->state = state;
}

/* batch.c */
void batch_begin(struct batch *b);   /* the transaction of the commands from `from` to `to` */
void batch_record(struct batch *b);  /* its end */
void batch_commit(struct batch *b);  /* likewise, when everything is recorded */
void batch_advance(struct batch *b); /* those are settled: the next ones, or the end of the batch */
void batch_roll_back(struct batch *b);
void batch_settle(struct batch *b, struct command *command, enum command_outcome outcome);
/* Where the transaction ends that begins at `from`. */
size_t batch_unit_end(const struct batch *b);
/* Begins the rest in smaller transactions. */
void batch_divide(struct batch *b, enum batch_unit unit);
/* Settles all commands of the company that are left, and takes them out of the batch. */
void batch_put_company_aside(struct batch *b, struct uuid company, enum command_outcome outcome);
/* Settles those of the transaction whose companies' sequences are held, as LOCKED. A company of which all are to
 * be parked stays: they become rows without the sequence, in their order, since a row of a command that has its
 * result already only brings that result when its turn comes. Behind one that goes back, nothing may become a
 * row: rows run before deliveries. */
void batch_put_held_aside(struct batch *b);

/* run.c */
void batch_run_all(struct batch *b);
void batch_take_time(struct batch *b);
struct resource_moment batch_moment(const struct batch *b);
/* A copy that lives as long as the transaction: what a statement refers to until its answer comes. */
struct run *batch_keep_run(struct batch *b, const struct run *run);
/* The command that a failure is noted with. A statement about many companies does not say whose fault it is. */
const struct command *batch_culprit(const struct run *run);

/* at_once.c */
/* Each sends the whole transaction with its commit and returns true, or sends nothing. */
bool batch_goes_at_once(struct batch *b); /* before anything is looked up */
bool batch_goes_recorded(struct batch *b,
                         struct run *to_run); /* when everything is; the commands that are to run */

/* fault.c */
/* Returns true when the answer is an error. The first error of the transaction is kept; a statement that was
 * skipped because of it says nothing of its own. */
bool batch_note_fault(struct batch *b, const struct db_result *result, const struct command *command);
void batch_failed(struct batch *b, enum err err);
