#pragma once
/* Whether the database has what this worker was built for: every column of the resources that its pool reads, the
 * rights on the tables that its commands change, and the newest migration.
 *
 *   UNKNOWN ── compared ──▶ COMPLETE ⇄ LACKING      again each second while it is lacking, else each minute
 *
 * While it is not complete the worker begins no command, because each would fail and become a dead letter through no
 * fault of its own: what a migration that nobody has applied lacks, all commands lack. They wait in their queues
 * instead. A database that cannot be asked changes nothing. */

#include "common/db/db.h"
#include "workers/engine/resource/handlers.h"

struct schema_check;

/* on_changed: it has become complete, or lacking. */
struct schema_check *schema_check_new(struct ev_loop *loop, struct db *db, const char *pool,
                                      const struct handlers *handlers, void (*on_changed)(void *ctx),
                                      void *ctx);
void schema_check_free(struct schema_check *check); /* after its db */

bool schema_check_is_complete(const struct schema_check *check);
bool schema_check_is_lacking(const struct schema_check *check);

/* The connection is new, so the database behind it may be another one: the next run asks. */
void schema_check_renew(struct schema_check *check);
/* Asks when it is time to. The connection must be between two transactions. */
void schema_check_run(struct schema_check *check);

/* Asks now. on_answer comes when it is known, or when the database could not be asked. */
void schema_check_ask(struct schema_check *check, db_on_sync *on_answer, void *arg);
