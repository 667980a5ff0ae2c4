#pragma once
/* What this process has cost so far. */

#include <stdint.h>
#include <sys/resource.h>

static inline int64_t cpu_time_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (int64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + use.ru_utime.tv_usec +
           use.ru_stime.tv_usec;
}
