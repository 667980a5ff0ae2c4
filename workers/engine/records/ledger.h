#pragma once
/* What a batch reads before its commands run and writes after: sequences, inbox, events. All in the batch's
 * transaction.
 *
 *   lock     the sequence rows of the batch's companies, in the order of company
 *   look     in a statement that already sees what the last holder of those rows committed, look the commands
 *            up in the inbox, and among those that wait
 *
 *   record   insert all events, insert all inbox rows, advance the sequences: one statement each
 *
 * Holding the sequence row means that nobody else changes anything of that company: sequences and numbers
 * have no gaps, and handlers need no locks of their own. */

#include "common/db/db.h"
#include "common/db/pg_array.h"
#include "workers/engine/command/command.h"

enum { LEDGER_ARRAY_MAX = 64 << 20 }; /* bytes of one column of a batch */

struct ledger_company {
    struct uuid id;
    size_t commands; /* of the batch */
    bool is_known;   /* it has a sequence */
    bool has_moved;
    int64_t seq;
    int64_t scheduled; /* commands of it that wait for their time; counted when the batch may bring another */
};

struct ledger {
    struct ledger_company *companies; /* of the batch in work */
    size_t company_count, company_capacity;
    struct command **sorted;
    size_t sorted_capacity;
    struct pg_array columns[10];
};

void ledger_init(struct ledger *ledger);
void ledger_done(struct ledger *ledger);

/* Brings the commands of each company together, in the order in which they came, and locks the sequences. The commands
 * must stay in place until all answers are read. */
void ledger_lock(struct ledger *ledger, struct db *db, struct command **commands, size_t count,
                 db_on_result *on_locked, void *arg);
void ledger_read_locked(struct ledger *ledger, const struct db_result *result);
void ledger_look(struct ledger *ledger, struct db *db, struct command *const *commands, size_t count,
                 db_on_result *on_found, void *arg);
/* Gives their results to the commands that ran before, and notes those that wait already; a command id that was used for something else is refused.
 * Returns how many of them were successes: their events are to be recalled before anything else is sent. */
size_t ledger_read_found(struct ledger *ledger, struct command *const *commands, size_t count,
                         const struct db_result *result);
void ledger_recall(struct ledger *ledger, struct db *db, db_on_result *on_recalled, void *arg);
void ledger_read_recalled(struct command *const *commands, size_t count, const struct db_result *result);

static inline bool ledger_knows(const struct ledger *ledger, const struct command *command)
{
    return ledger->companies[command->company_at].is_known;
}

/* Gives every effect its number and sends what is to be written; returns how many statements that took (0
 * when every command is a replay). `at`: the time of the batch. */
size_t ledger_record(struct ledger *ledger, struct db *db, struct command *const *commands, size_t count,
                     const char *at, db_on_result *on_recorded, void *arg);
