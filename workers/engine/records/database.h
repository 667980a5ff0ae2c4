#pragma once
/* A connection of a worker process to the database, with the server, role and limits of the settings. A
 * process has three of them, so that none waits for another: for batches, for housekeeping, and for long
 * jobs. */

#include "common/db/db.h"
#include "common/process/config.h"

/* `part` follows the pool in the name by which the server knows the connection ("housekeeping"); NULL: none.
 * The strings need not outlive the call, those of `config` must outlive the connection. */
enum err database_connect(struct ev_loop *loop, const struct config *config, const char *pool,
                          const char *part, const struct db_callbacks *callbacks, void *ctx,
                          struct db **ret_db) MUST_CHECK;

/* The caller calls it when the connection is up. A statement that then waits longer for a row which another
 * transaction holds ends with ERR_DATABASE_LOCKED: what comes behind it on the connection may be about other
 * companies. */
void database_limit_lock_waits(struct db *db, int64_t ms);
