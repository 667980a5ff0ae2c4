#pragma once
/* One gateway process: a loop, a share of the port, a broker connection each way, database connections for reads. */

#include "common/config.h"
#include "common/token.h"

/* Runs until it has drained after SIGTERM or SIGINT. Owns listen_fd. Returns the exit status. */
int process_run(const struct config *config, struct token_keys *keys, int listen_fd);
