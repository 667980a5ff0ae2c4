#pragma once
/* Rows of `deferred` and of `unpublished` that cannot be worked on: this process cannot read them, or the
 * database takes no result of their commands. Each becomes a row of `dead_letter` with the command's id, in one
 * statement of the database, so that no worker finds it again and again.
 *
 *   unreadable_add   notes the row
 *   unreadable_send  moves what was noted, in a transaction of its own
 *
 * A row that stays, because the move failed or its process died, is found again. */

#include "common/db/db.h"
#include "common/db/pg_rows.h"
#include "workers/engine/command/command.h"

enum { UNREADABLE_TABLES = 2 }; /* `deferred`, `unpublished` */

struct unreadable {
    struct db *db;
    const char *pool;
    struct pg_rows rows[UNREADABLE_TABLES];
    size_t moving; /* statements without an answer */
};

/* `db` and `pool` must outlive it, unless only unreadable_done() follows. */
void unreadable_init(struct unreadable *unreadable, struct db *db, const char *pool);
void unreadable_done(struct unreadable *unreadable);

/* `company` and `id`: as the database wrote them. `reason` and `why` become those of the dead letter. */
void unreadable_add(struct unreadable *unreadable, bool is_unpublished, struct slice company, struct slice id,
                    struct slice reason, struct slice why);

/* Sends nothing while the last move is under way. Nothing else may be open on the connection. */
void unreadable_send(struct unreadable *unreadable);

bool unreadable_is_idle(const struct unreadable *unreadable); /* nothing is left to be moved */
