#pragma once
/* When a command that failed is tried again.
 *
 *   in place    BATCH_ATTEMPTS_MAX runs, a moment apart; its company waits for it
 *   `deferred`  policy.attempts more, further and further apart; its company goes on
 *   then        dead letter
 *
 * All with jitter, so that what failed together does not come back together. */

#include "common/broker/topology.h"
#include "workers/engine/command/command.h"

/* The rest before the next try in place. */
double retry_backoff_s(const struct command *command);

/* The wait before the next try, for a command whose tries in place are used up; -1 when the others are, too. */
int64_t retry_delay_ms(const struct retry_policy *policy, const struct command *command);
