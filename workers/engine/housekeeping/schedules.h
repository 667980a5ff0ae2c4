#pragma once
/* Claims the rows of the table `schedule` that are due (schemas/sql/0009_schedules.sql), and does the
 * system's own work.
 *
 *   look ─▶ due ─▶ claim ─┬─▶ a command: a row of `deferred`, in the same statement
 *     ▲                   └─▶ work: a step ─▶ a step ─▶ … ─▶ ended
 *     └── poll ── nothing (more) to do
 *
 * There is no leader. Every process of every pool looks, and the one that claims a time is the one whose
 * statement still finds next_at as it was read, under the lock of the row. So each time has one run, over any
 * number of processes; and what a process had begun when it died is rolled back, or other processes find it.
 * The id of a command follows from its schedule and its time.
 *
 * One process at a time does a step of the system's work: it holds the lock of the schedule's row, and a
 * process that finds the row locked skips it.
 *
 * It works on the database connection of housekeeping. */

#include <ev.h>

#include "common/db/db.h"
#include "common/process/config.h"
#include "common/time/cron.h"

struct schedules;

/* `config` must outlive it. */
struct schedules *schedules_new(struct ev_loop *loop, struct db *db, const struct config *config);
void schedules_free(struct schedules *schedules); /* after its db */

void schedules_drain(struct schedules *schedules); /* it claims nothing more */
bool schedules_is_idle(const struct schedules *schedules);

/* The time that follows when `planned_s` is claimed at now_s. A time that is late by no more than late_s has
 * a run of its own; older ones share the run that is being claimed. Never before planned_s, whatever the
 * clock says. */
int64_t schedule_next(const struct cron *cron, const struct time_zone *zone, int64_t planned_s, int64_t now_s,
                      int64_t late_s);
