#pragma once
/* Cron expressions: when something that comes again and again comes next. No I/O, no clock.
 *
 *   [second] minute hour day-of-month month day-of-week      "30 6 * * mon-fri"; "@hourly", "@daily", …
 *
 * Fields are as Vixie cron has them: *, numbers, ranges, lists, steps of a range ("8-18/2") or of all ("*" with "/5"), names of
 * months and days in any case, Sunday as 0 and as 7. A sixth field, in front, counts seconds. When day of month and day
 * of week both leave something out, a day need only fit one of them; a field that begins with * leaves nothing out.
 *
 * When clocks are changed:
 *
 *   the hour or the minute begins with *   by the time that passes: each moment whose clock reading fits, so nothing in the
 *                                          hour that is left out, and twice what fits the hour that comes twice
 *   otherwise: at a time of the day        once a day. A time that is left out is made up for when the clocks go on, once
 *                                          for all that were left out; one that comes twice counts the first time
 *
 * Refused, with what is wrong: what cannot be read, a step that is longer than its range, a day that never comes.
 *
 * Why our own: Debian has no such library in C. libical's recurrence rules do not know cron's "or" between the two days. */

#include "common/time/time_zone.h"

enum { CRON_TEXT_MAX = 128, CRON_WHY_SIZE = 160 };

struct cron {
    uint64_t seconds, minutes, hours, days, months, weekdays; /* bit by bit */
    bool any_day_fits;                                        /* a day need only fit `days` or `weekdays` */
    bool is_by_elapsed_time;
};

enum err cron_parse(struct slice text, struct cron *ret_cron, char why[CRON_WHY_SIZE]) MUST_CHECK;

/* The first time after `after_s` (seconds since 1970) by the clocks of the zone. Those that follow one another are found by
 * asking again with the last. INT64_MAX: there is none within a lifetime. */
int64_t cron_next(const struct cron *cron, const struct time_zone *zone, int64_t after_s);
