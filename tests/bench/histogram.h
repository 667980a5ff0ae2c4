#pragma once
/* Latencies in microseconds, counted into buckets that are never wider than 1/64 of their value (as
 * HdrHistogram does), so that a percentile is right to 1.6% at any size and recording costs one increment. */

#include <stdint.h>
#include <stdio.h>

#include "common/base/macros.h"

enum {
    HISTOGRAM_SUB_BITS = 6, /* 64 buckets for each power of two */
    HISTOGRAM_POWERS = 32,  /* up to 2^37 µs, over a day */
    HISTOGRAM_BUCKETS = (HISTOGRAM_POWERS + 1) << HISTOGRAM_SUB_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Zeroed memory is an empty histogram. A negative latency counts as 0. */
void histogram_record(struct histogram *h, int64_t us);

/* The smallest value that `percent` of the records do not exceed, rounded up to its bucket's end; 0 when
 * empty. */
uint64_t histogram_percentile(const struct histogram *h, double percent);

/* `"p50_us":…,"p90_us":…,"p99_us":…,"p999_us":…,"max_us":…`, without braces. */
void histogram_print_json(const struct histogram *h, FILE *out);
/* "p50 1.20 ms  p90 … " on one line, without the newline. */
void histogram_print_text(const struct histogram *h, FILE *out);
