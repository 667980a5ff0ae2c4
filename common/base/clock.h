#pragma once
/* Wall clock and monotonic clock in milliseconds and microseconds, and RFC 3339 text. */

#include <stdint.h>

int64_t clock_wall_ms(void);
int64_t clock_wall_us(void);
int64_t clock_monotonic_us(void);
int64_t clock_monotonic_ms(void);
/* Durations are measured with the monotonic clock. ev_now() is the wall clock, which may jump. */
double clock_monotonic_s(void);

/* "2026-01-31T09:15:00.123456Z" and a NUL take 28 octets. */
#define CLOCK_TEXT_SIZE 28
void clock_format(int64_t wall_us, char text[CLOCK_TEXT_SIZE]);
/* The same where the text is of the same second already. */
void clock_format_fraction(int64_t wall_us, char text[CLOCK_TEXT_SIZE]);
