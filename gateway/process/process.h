#pragma once
/* One gateway process: a loop, a socket that shares the port, two broker connections, and database
 * connections for reads. */

#include "common/crypto/token.h"
#include "common/process/config.h"

/* Exit status of a process that cannot start with its settings: the parent does not try again. */
enum { PROCESS_CANNOT_START = 78 };

/* Runs until it has drained: after SIGTERM or SIGINT because the whole host leaves, after SIGQUIT because a
 * successor accepts from the same socket. It owns listen_fd, and pulse_fd, on which it beats
 * (common/process/pulse.h). Returns the exit status. */
int process_run(const struct config *config, struct token_keys *keys, int listen_fd, int pulse_fd);
