#pragma once
/* The names of exchanges and queues, and their declaration (design: RabbitMQ). Both sides declare the same
 * things, so either may start first.
 *
 *   commands (topic) ─ <pool>.<partition>.<resource>.<verb> ─▶ commands.<pool>.<partition> (quorum)
 *                                        └─ rejected, over the limit ─▶ dead (topic) ─▶ dead.<pool> (quorum)
 *   events (topic) ─ <company>.<resource>.<verb>, reply.<gateway> ─▶ one exclusive classic queue per gateway process
 *
 * The commands of one company always go to the same partition of its pool, which one worker at a time consumes: so they
 * are done in order however many workers there are. How many partitions there are is fixed once the queues hold
 * something: another number sends companies elsewhere while their older commands still wait.
 */

#include "common/base/uuid.h"
#include "common/broker/broker.h"
#include "common/process/config.h"

enum {
    TOPOLOGY_NAME_SIZE = 128,    /* room for the name of a queue */
    TOPOLOGY_PARTITIONS_MAX = 64 /* as in config.def */
};

#define EXCHANGE_COMMANDS "commands"
#define EXCHANGE_EVENTS   "events"
#define EXCHANGE_DEAD     "dead"
#define EXCHANGE_CONTROL  "control"

/* Every exchange, and for each pool its command queues and its dead letters, bound. Call from on_up. */
void topology_declare(struct broker *broker, const struct config *config);

/* The pool that runs commands of `resource` ("projects" for "project" and "task"); NULL when none does.
 * The one table of pools and their resources is in topology.c. */
const char *topology_pool(const char *resource);

/* Of all pools, from 0 on; NULL past the last. There is one at least, and each can be asked what every pool can answer. */
const char *topology_pool_at(size_t i);

/* How commands of a pool that failed, and may do better later, are tried again once the short tries in place are used
 * up: `attempts` more, after first_ms, twice that, and so on up to max_ms. Rows of the table of pools, unless the
 * configuration says otherwise. */
struct retry_policy {
    int64_t attempts, first_ms, max_ms;
};
struct retry_policy topology_retries(const char *pool, const struct config *config);

/* A hash of the company. What is told apart by company (partitions, rows of `deferred`) is told apart by it. */
uint16_t topology_slot(const struct uuid *company);
/* slot % partitions, of CORTEX_PARTITIONS. */
unsigned topology_partition(const struct uuid *company, int64_t partitions);

/* "projects.07.project.create"; returns its length, 0 when it does not fit into `size` octets with the NUL. */
size_t topology_command_key(const char *pool, unsigned partition, struct slice type, char *key, size_t size);
/* "commands.projects.07"; writes at most `size` octets with the NUL. */
void topology_command_queue(const char *pool, unsigned partition, char *name, size_t size);
