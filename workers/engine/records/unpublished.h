#pragma once
/* The table `unpublished`: commands that ran from a row of `deferred` and of which not everything is
 * published yet.
 *
 *   deferred_claim     writes the row
 *   unpublished_add    the broker has confirmed everything: the row may go
 *   unpublished_send   deletes the rows that may go
 *
 * A row that stays, because its process died in between, is found by intake/backlog.c, and the command's
 * result is published again. */

#include "common/db/db.h"
#include "common/db/pg_rows.h"
#include "workers/engine/command/command.h"

struct unpublished {
    struct db *db;
    struct pg_rows published; /* to be deleted */
    bool is_deleting;
};

/* `db` must outlive it, unless only unpublished_done() follows. */
void unpublished_init(struct unpublished *unpublished, struct db *db);
void unpublished_done(struct unpublished *unpublished);

/* Everything of the command is published; a command without a row is passed over. */
void unpublished_add(struct unpublished *unpublished, const struct command *command);

/* Deletes the rows of those that were added, in a transaction of its own, unless the last one is still under
 * way. */
void unpublished_send(struct unpublished *unpublished);

bool unpublished_is_idle(const struct unpublished *unpublished); /* all those rows are gone */
