#pragma once
/* One gateway process: a loop, a share of the port, a broker connection each way, database connections for
 * reads. */

#include "common/crypto/token.h"
#include "common/process/config.h"

/* Exit status of a process whose settings do not let it start: trying again would not help. */
enum { PROCESS_CANNOT_START = 78 };

/* Runs until it has drained: after SIGTERM or SIGINT with the whole host, after SIGQUIT for its successor on
 * the same socket. Owns listen_fd, and pulse_fd, by which the parent hears whether its loop turns and whether
 * it can do its work (common/process/pulse.h). Returns the exit status. */
int process_run(const struct config *config, struct token_keys *keys, int listen_fd, int pulse_fd);
