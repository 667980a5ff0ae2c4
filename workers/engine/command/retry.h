#pragma once
/* When a command that failed is tried again.
 *
 *   in place     RETRY_IN_PLACE_MAX runs, a moment apart; its company waits for it
 *   `deferred`   policy.attempts more, further and further apart; its company goes on
 *   then         it becomes a dead letter
 *
 * Every wait has jitter, so that commands which failed together do not come back together. */

#include "common/broker/topology.h"
#include "workers/engine/command/command.h"

enum { RETRY_IN_PLACE_MAX = 3 };

/* The back-off before the next try in place, in seconds. */
double retry_backoff_s(const struct command *command);

/* The back-off of a company that another transaction holds, after `times` tries in a row. It stays below two
 * seconds, so that the company goes on soon after that transaction has ended. */
double retry_lock_backoff_s(unsigned times);

/* The wait before the next try, for a command whose tries in place are used up. Returns -1 when the others
 * are used up too. */
int64_t retry_delay_ms(const struct retry_policy *policy, const struct command *command);
