#pragma once
/* Whether settings can work, asked before a process is stopped or started for them. */

#include <stdbool.h>

/* CHECK_BROKER: also whether the broker of CORTEX_AMQP_URL lets us in, and has the number of partitions of
 * CORTEX_PARTITIONS; a broker that has none yet records it. CHECK_QUEUES: declares the queues besides, and writes
 * what the server says of each that exists in another shape (more than its limits differ) to stdout, a line each. */
enum check_depth { CHECK_SETTINGS, CHECK_BROKER, CHECK_QUEUES };

/* Writes every fault of the settings to stderr, a line each, and returns 1 when there is one, else 0.
 * CHECK_SETTINGS connects to nobody. */
int check_run(enum check_depth depth);
