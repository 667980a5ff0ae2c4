#include "workers/fleet/pool/crash_loop.h"

bool crash_loop_add(struct crash_loop *loop, int64_t now_ms, size_t limit, int64_t window_ms)
{
    if (limit > CRASH_LIMIT_MAX)
        limit = CRASH_LIMIT_MAX;
    loop->times_ms[loop->count++ % CRASH_LIMIT_MAX] = now_ms;
    return loop->count >= limit &&
           now_ms - loop->times_ms[(loop->count - limit) % CRASH_LIMIT_MAX] <= window_ms;
}
