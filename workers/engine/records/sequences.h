#pragma once
/* The companies of a batch and their rows in `company_sequence`, which the batch holds locked until it
 * commits.
 *
 *   gather  brings the commands of each company together
 *   recall  says what this process has last seen of the rows
 *   lock     locks the rows, and passes over those that another transaction holds: nobody waits
 *   number   gives each new event the next number of its company
 *   advance  writes the last numbers back
 *   keep     notes them for the next recall
 *
 * Nobody else changes anything of a company while a batch holds its row. So its events are numbered without
 * gaps, and handlers need no locks of their own. */

#include "workers/engine/command/command.h"
#include "workers/engine/records/records.h"

struct sequence {
    struct uuid company;
    size_t commands; /* of the batch */
    bool is_known;   /* the company has a row */
    bool is_held;    /* another transaction has it locked */
    bool is_awaited; /* so commands that were to run go back */
    bool has_moved;
    int64_t seq;      /* of its last event */
    int64_t promised; /* numbers after it that a statement was given beforehand */
    /* Its commands that wait for their time, and their bodies; counted when the batch may bring another one. */
    int64_t scheduled, scheduled_bytes;
};

struct sequence_seen;

struct sequences {
    struct sequence *rows;
    size_t count, capacity;
    struct sequence_seen *seen; /* of many companies, not of all; NULL: of none yet */
    struct command **sorted;    /* scratch */
    size_t sorted_capacity;
};

/* A zeroed struct is empty. */
void sequences_done(struct sequences *sequences);

/* Brings the commands of each company together, in the order in which they came. They must stay where they are
 * until all answers are read. */
void sequences_gather(struct sequences *sequences, struct command **commands, size_t count);

/* Gives each row the number that this process has last seen. Returns false when it has not seen all of them.
 * Nobody may rely on these numbers: another process may have moved the row since. */
bool sequences_recall(struct sequences *sequences);
/* Notes the numbers, after the commit. */
void sequences_keep(struct sequences *sequences);

/* Locks the rows. */
void sequences_lock(struct sequences *sequences, struct records *records, struct command *const *commands,
                    size_t count, db_on_result *on_locked, void *arg);
void sequences_read_locked(struct sequences *sequences, const struct db_result *result);

static inline struct sequence *sequence_of(const struct sequences *sequences, const struct command *command)
{
    return &sequences->rows[command->company_at];
}

/* Numbers the effects of the commands that have a result. */
void sequences_number(struct sequences *sequences, struct command *const *commands, size_t count);

/* Sends one statement, or none when no sequence has moved. */
void sequences_advance(const struct sequences *sequences, struct records *records, db_on_result *on_done,
                       void *arg);
