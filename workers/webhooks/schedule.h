#pragma once
/* When a delivery that has failed is tried again. Pure functions. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

enum { WEBHOOK_TRIES = 10, WEBHOOK_RETRY_AFTER_MAX_S = 86400 };

/* What an answer, or the lack of one, says of the time of the next attempt. */
struct webhook_wish {
    bool is_hurried;       /* it was a time-out, or 429: not before a minute is over */
    int64_t retry_after_s; /* below 0: it does not say */
};

/* The seconds until the next attempt, when so many have failed (at least one); below 0: that was the last one. `chance`, from 0
 * to 1, spreads it by a fifth either way. */
double webhook_again_s(int64_t failed, const struct webhook_wish *wish, double chance);

/* Reads a Retry-After (RFC 9110 section 10.2.3): seconds, or a date in one of the three forms, against the time now, in seconds since 1970.
 * At most WEBHOOK_RETRY_AFTER_MAX_S, and at least 0. Below 0: it is neither. */
int64_t webhook_retry_after_s(struct slice text, int64_t now_s);
