#pragma once
/* Cron expressions: when something that repeats is due next. Nothing here does I/O or reads a clock.
 *
 *   [second] minute hour day-of-month month day-of-week      "30 6 * * mon-fri"; "@hourly", "@daily", …
 *
 * Fields are those of Vixie cron: *, numbers, ranges, lists, steps of a range ("8-18/2") or of all ("*" with
 * "/5"), names of months and days in any case, Sunday as 0 and as 7. A sixth field, in front, counts seconds.
 * Where day of month and day of week are both restricted, a day need only fit one of them; a field that
 * begins with * is not restricted.
 *
 * When clocks are changed:
 * - Where the hour or the minute begins with *, the expression goes by the time that passes: it is due at
 *   each moment whose clock reading fits. So nothing is due in the hour that is skipped, and the hour that
 *   comes twice counts twice.
 * - Otherwise it names times of the day, each of which is due once a day. Times that are skipped are made up
 *   for when the clocks go on, once for all of them; a time that comes twice counts the first time.
 *
 * An expression is refused, with what is wrong, when it cannot be read, when a step is longer than its range,
 * or when its day never comes.
 *
 * Decision: this is our own code, because Debian has no such library in C, and the recurrence rules of
 * libical lack the "or" of cron between the two days. */

#include "common/time/time_zone.h"

enum { CRON_TEXT_MAX = 128, CRON_WHY_SIZE = 160 };

struct cron {
    uint64_t seconds, minutes, hours, days, months, weekdays; /* one bit for each value that fits */
    bool any_day_fits;                                        /* a day need only fit `days` or `weekdays` */
    bool is_by_elapsed_time;
};

enum err cron_parse(struct slice text, struct cron *ret_cron, char why[CRON_WHY_SIZE]) MUST_CHECK;

/* Returns the first time after `after_s` by the clocks of the zone, both in seconds since 1970. To list
 * several times, ask again with the last one. INT64_MAX: there is none within a lifetime. */
int64_t cron_next(const struct cron *cron, const struct time_zone *zone, int64_t after_s);
