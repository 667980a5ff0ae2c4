#pragma once
/* One line of the log for each command that a transaction has ended (command.done, command.deferred), with the
 * correlation that the gateway's line about its request has (gateway/http/access_log.h). CORTEX_ACCESS_LOG_PER_S
 * bounds the lines. */

#include "workers/engine/command/command.h"

void outcome_log(const struct command *command);
