#pragma once
/* The Gregorian calendar, for every year that PostgreSQL and RFC 3339 know. It knows no time zones;
 * time_zone.h does. */

#include <stdint.h>

struct date {
    int year, month, day; /* months and days count from 1 */
};

/* Days since 1970-01-01, which is day 0; and back. */
int64_t calendar_days(int year, int month, int day);
struct date calendar_date(int64_t days);

int calendar_month_days(int year, int month); /* 28 to 31 */
int calendar_weekday(int64_t days);           /* 0: Sunday */
