#pragma once
/* Discards the plans of a connection's prepared statements every 15 seconds.
 *
 * PostgreSQL keeps a plan until the statistics of its tables change, and it gathers the statistics of a new
 * table only when that table has a million rows already. A plan that is made anew looks at the tables'
 * present sizes. */

#include "common/db/db.h"

struct plan_cache;

struct plan_cache *plan_cache_new(struct ev_loop *loop, struct db *db);
void plan_cache_free(struct plan_cache *cache); /* after its db */

/* Discards the plans when 15 seconds have passed since the last time. The caller calls it only while no
 * transaction is open on the connection. */
void plan_cache_discard(struct plan_cache *cache);
