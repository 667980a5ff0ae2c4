#pragma once
/* A token bucket in one number: the time at which all tokens that were taken will have been given back. A
 * bucket that holds `burst` tokens and gets `per_s` of them a second is empty when that time is more than
 * burst / per_s ahead. */

#include <ev.h>
#include <stdint.h>

enum rate_verdict {
    RATE_FITS,
    RATE_OVER,  /* the bucket is empty */
    RATE_FLOOD, /* the client ignores that: it has taken a whole bucket more than there was */
};

/* Takes a token, also from an empty bucket: a client that goes on after a refusal has to wait longer. */
static inline enum rate_verdict rate_take(ev_tstamp *repaid_at, ev_tstamp now, int64_t per_s, int64_t burst)
{
    ev_tstamp bucket = (ev_tstamp)burst / (ev_tstamp)per_s;
    if (*repaid_at < now)
        *repaid_at = now;
    *repaid_at += 1. / (ev_tstamp)per_s;
    ev_tstamp ahead = *repaid_at - now - 1e-6; /* the sum of fractions may be a little more than the whole */
    return ahead <= bucket ? RATE_FITS : ahead <= 2 * bucket ? RATE_OVER : RATE_FLOOD;
}
