#include "common/process/rhythm.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static const double APART_S = 0.5;

/* Of the moments of this process within APART_S. Neighbours by their pids are far apart (the golden ratio). */
static double phase_s(void)
{
    uint32_t spread = (uint32_t)getpid() * UINT32_C(2654435769);
    return APART_S * (double)spread / ((double)UINT32_MAX + 1);
}

double rhythm_after(struct ev_loop *loop, double seconds)
{
    if (seconds < APART_S)
        return seconds * (0.9 + (double)arc4random_uniform(200) / 1000);
    double now = ev_now(loop), phase = phase_s();
    double moment = phase + round((now + seconds - phase) / APART_S) * APART_S;
    if (moment - now < seconds / 2)
        moment += APART_S;
    return moment - now;
}
