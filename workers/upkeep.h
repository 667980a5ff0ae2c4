#pragma once
/* What a worker does beside its commands, when it starts and every hour: partitions of `events` for the days
 * to come, and the expiry of the inbox in small deletes, so that no batch waits long behind one. */

#include "common/db.h"

struct upkeep;

/* on_due: the upkeep wants the connection; call upkeep_run when no transaction is open on it. */
struct upkeep *upkeep_new(struct ev_loop *loop, struct db *db, int64_t inbox_days, void (*on_due)(void *ctx),
                          void *ctx);
void upkeep_free(struct upkeep *upkeep); /* after its db */

bool upkeep_is_due(const struct upkeep *upkeep);
/* Sends one step, a transaction of its own. */
void upkeep_run(struct upkeep *upkeep);
