#include "workers/engine/command/retry.h"

static double with_jitter(double value)
{
    return value * (0.5 + (double)arc4random_uniform(1000) / 1000);
}

static double doubled(double first, double max, int64_t times)
{
    double value = first;
    for (; times > 0 && value < max; times--)
        value *= 2;
    return value < max ? value : max;
}

/* A command that lost against a neighbour may try again soon; a server in trouble is given time. */
double retry_backoff_s(const struct command *command)
{
    bool is_conflict = command->error == ERR_DATABASE_CONFLICT;
    return with_jitter(doubled(is_conflict ? 0.02 : 0.25, is_conflict ? 0.2 : 10, command->backoffs - 1));
}

double retry_lock_backoff_s(unsigned times)
{
    return with_jitter(doubled(0.005, 1, (int64_t)times - 1));
}

int64_t retry_delay_ms(const struct retry_policy *policy, const struct command *command)
{
    int64_t number = (int64_t)command->attempts - RETRY_IN_PLACE_MAX; /* 0: the first one */
    if (number >= policy->attempts)
        return -1;
    return (int64_t)with_jitter(doubled((double)policy->first_ms, (double)policy->max_ms, number));
}
