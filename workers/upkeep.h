#pragma once
/* What a worker does beside its commands, each in a transaction of its own and between two batches:
 *
 *   partitions   those of `events` for the days to come; hourly
 *   events       partitions that are older than event_days and that no inbox row needs are dropped; hourly
 *   inbox        results older than inbox_days, in small deletes, so that no batch waits long; hourly
 *   plans        are made anew: a table that has grown since wants another index; every few seconds
 *
 * All of them when it starts. Several processes may do the same at the same time. */

#include "common/db.h"

struct upkeep;

struct upkeep *upkeep_new(struct ev_loop *loop, struct db *db, int64_t inbox_days, int64_t event_days);
void upkeep_free(struct upkeep *upkeep); /* after its db */

bool upkeep_is_due(const struct upkeep *upkeep);
/* Sends what is due; only while no transaction is open on the connection. */
void upkeep_run(struct upkeep *upkeep);
