#pragma once
/* Claims the rows of the table `schedule` that are due (schemas/sql/0009_schedules.sql), and does the
 * system's own work.
 *
 *   probe ─▶ take ─▶ claim ─┬─▶ a command: a row of `deferred`, in the same statement
 *     ▲                       └─▶ work: a step ─▶ a step ─▶ … ─▶ ended
 *     └── until the next is due, poll_ms at most
 *
 * The probe reads one entry of an index, however many schedules there are. What is due is taken with its lock,
 * some hundreds of rows at a time, past what other processes have locked; the times that follow are worked out
 * here, and one statement claims them all before the locks go.
 *
 * There is no leader. Every process of every pool looks; the caller says how often. A time has one run over any number of processes,
 * because next_at moves on in the transaction that has the lock of the row; and what a process had begun when
 * it died is rolled back, or other processes find it. The id of a command follows from its schedule and its
 * time. (Processes of the version before claim without a lock, by a statement that still has to find next_at
 * as it was read.)
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
struct schedules *schedules_new(struct ev_loop *loop, struct db *db, const struct config *config,
                                int64_t poll_ms);
void schedules_free(struct schedules *schedules); /* after its db */

void schedules_drain(struct schedules *schedules); /* it claims nothing more */
bool schedules_is_idle(const struct schedules *schedules);

/* The time that follows when `planned_s` is claimed at now_s. A time that is late by no more than late_s has
 * a run of its own; older ones share the run that is being claimed. Never before planned_s, whatever the
 * clock says. */
int64_t schedule_next(const struct cron *cron, const struct time_zone *zone, int64_t planned_s, int64_t now_s,
                      int64_t late_s);
