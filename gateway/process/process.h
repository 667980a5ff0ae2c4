#pragma once
/* One gateway process: a loop, a socket that shares the port, two broker connections, and database
 * connections for reads. */

#include "common/crypto/token.h"
#include "common/process/config.h"

/* Runs until it has drained: after SIGTERM or SIGINT because the whole host leaves, after SIGQUIT because a
 * successor accepts from the same socket. It owns listen_fd, and pulse_fd, on which it beats
 * (common/process/pulse.h). A successor accepts nobody before it is ready. Returns the exit status; CHILD_CANNOT_START: not with these settings. */
int process_run(const struct config *config, struct token_keys *keys, int listen_fd, int pulse_fd,
                bool is_successor);
