#pragma once
/* Whether settings can work, asked before a process is stopped or started for them. */

#include <stdbool.h>

/* Writes every fault of the settings to stderr, a line each, and returns 1 when there is one, else 0. It
 * connects to nobody. with_broker: also whether the broker of CORTEX_AMQP_URL lets us in, and has the number of
 * partitions of CORTEX_PARTITIONS; a broker that has none yet records it. */
int check_run(bool with_broker);
