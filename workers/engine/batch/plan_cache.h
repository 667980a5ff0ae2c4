#pragma once
/* Makes the plans of a connection's prepared statements anew, now and then: they stay as they are until the statistics of their
 * tables change, and those of a new table are made when it has a million rows already. A new plan looks at the tables' sizes
 * as they are. */

#include "common/db/db.h"

struct fresh_plans;

struct fresh_plans *fresh_plans_new(struct ev_loop *loop, struct db *db);
void fresh_plans_free(struct fresh_plans *plans); /* after its db */

/* Drops the plans when that is due; only while no transaction is open on the connection. */
void fresh_plans_make(struct fresh_plans *plans);
