#pragma once
/* What is wrong with a pool, in sentences for operators (GET /v1/admin/pools, ./cortex status):
 *
 * - a queue of a partition has had no consumer for PROBLEMS_UNCONSUMED_MS;
 * - a queue beyond CORTEX_PARTITIONS, which no worker consumes, holds commands;
 * - a worker does not hear requests of operators. */

#include <jansson.h>

#include "workers/fleet/manager/load.h"
#include "workers/fleet/manager/strays.h"

/* A new array of sentences without quotation marks; empty: all is well. */
json_t *problems_list(const struct manager_load *load, const struct strays *strays, int64_t now_ms);
