#pragma once
/* Claims what is due of the table `schedule` (schemas/sql/0009_schedules.sql), and does the system's own work.
 *
 *   look ─▶ due ─▶ claim ─┬─▶ a command: a row of `deferred`, in the same statement
 *     ▲                   └─▶ work: a step ─▶ a step ─▶ … ─▶ ended
 *     └── poll ── nothing (more) to do
 *
 * There is no leader to be elected, and none to die: every process of every pool looks, and a time is claimed by the statement
 * that still finds next_at as it was read, under the lock of its row. So each time has one run over any number of processes,
 * and what a dead one had begun is rolled back, or is there for the others. The run of a command has the id that follows
 * from its schedule and its time.
 *
 * Work is done by one process at a time, too: a step holds the row of its schedule, and who finds it locked goes on.
 *
 * A part of the desk, on its connection to the database. */

#include <ev.h>

#include "common/db/db.h"
#include "common/process/config.h"
#include "common/time/cron.h"

struct schedules;

/* `config` must outlive it. */
struct schedules *schedules_new(struct ev_loop *loop, struct db *db, const struct config *config);
void schedules_free(struct schedules *schedules); /* after its db */

void schedules_drain(struct schedules *schedules); /* claims nothing more */
bool schedules_is_idle(const struct schedules *schedules);

/* The time that follows when `planned_s` is claimed at now_s. Times that are late by no more than late_s have a run each;
 * those that are older share the one that is being claimed. Never before planned_s, whatever the clock says. */
int64_t schedule_next(const struct cron *cron, const struct time_zone *zone, int64_t planned_s, int64_t now_s,
                      int64_t late_s);
