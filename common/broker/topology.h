#pragma once
/* The names of exchanges and queues, and their declaration. Gateway and workers declare the same things, so
 * either may start first.
 *
 *   commands (topic) ─ <pool>.<partition>.<resource>.<verb> ─▶ commands.<pool>.<partition> (quorum)
 *                                        └─ rejected, over the limit ─▶ dead (topic) ─▶ dead.<pool> (quorum)
 *   events (topic) ─ <company>.<resource>.<verb>, reply.<gateway> ─▶ an exclusive classic queue
 *                                                                    of each gateway process
 *   control (topic) ─ admin.<pool> ─▶ control.<pool>.requests (quorum), which every worker consumes
 *              ├───── manager.<pool>, pool.<pool>, member.<pool> ─▶ an exclusive classic queue of each manager
 *              └───── member.<pool> ─▶ an exclusive classic queue of each worker
 *
 * A queue that several processes share is a quorum queue, which outlives the loss of a node. An exclusive
 * queue lives on the node that its process is connected to, and goes with that connection.
 *
 * The commands of one company always go to the same partition of its pool, and one worker at a time consumes
 * a partition. So the commands of a company run in order, however many workers there are. The number of
 * partitions is fixed once the queues hold something: another number sends companies to other queues while
 * their older commands still wait. So the broker records the number (in the queue commands.partitions) and
 * refuses a process that has another.
 */

#include "common/base/uuid.h"
#include "common/broker/broker.h"
#include "common/process/config.h"

enum {
    TOPOLOGY_NAME_SIZE = 128,     /* room for the name of a queue */
    TOPOLOGY_PARTITIONS_MAX = 64, /* as in config.def */
    TOPOLOGY_SENTENCE_SIZE = 320,
};

#define EXCHANGE_COMMANDS "commands"
#define EXCHANGE_EVENTS   "events"
#define EXCHANGE_DEAD     "dead"
#define EXCHANGE_CONTROL  "control"

#define TOPOLOGY_PARTITIONS_QUEUE "commands.partitions"
/* What operators have asked of managers, for the record. Any worker of any pool takes it. */
#define TOPOLOGY_ACTS_QUEUE "acts"
#define TOPOLOGY_ACTS_KEY   "acts"

/* Declares the number of partitions, every exchange, and for each pool its command queues and its queue of
 * dead letters, with their bindings. Call it from on_up. */
void topology_declare(struct broker *broker, const struct config *config);
/* The number of partitions alone. */
void topology_declare_partitions(struct broker *broker, const struct config *config);
/* True when `why`, as given to on_down, says that another number of partitions is recorded. *sentence names
 * both numbers and says what to do. The process must not go on. */
bool topology_disagrees(const char *why, const struct config *config, char sentence[TOPOLOGY_SENTENCE_SIZE]);

/* What operators ask of the pool's workers (workers/engine/housekeeping/operator.h). Call from on_up. */
void topology_declare_requests(struct broker *broker, const struct config *config, const char *pool);

/* How many messages the queue holds before it is full: `declared`, unless it is known to have been declared
 * with another limit. */
int64_t topology_queue_limit(const struct broker *broker, const char *queue, int64_t declared);

/* Returns the pool that runs commands of `resource` ("projects" for "project" and "task"); NULL: none does.
 * The only table of pools and their resources is in topology.c. */
const char *topology_pool(const char *resource);

/* Returns the name of pool i, counted from 0; NULL past the last. There is at least one. */
const char *topology_pool_at(size_t i);

/* How a failed command is tried again after its short tries in place: `attempts` more times, after first_ms,
 * twice that, and so on up to max_ms. The values come from the table of pools, unless a setting overrides
 * them. */
struct retry_policy {
    int64_t attempts, first_ms, max_ms;
};
struct retry_policy topology_retries(const char *pool, const struct config *config);

/* A hash of the company, by which partitions and rows of `deferred` are chosen. */
uint16_t topology_slot(const struct uuid *company);
/* The partition of a company: its slot modulo `partitions` (CORTEX_PARTITIONS). */
unsigned topology_partition(const struct uuid *company, int64_t partitions);

/* Writes "projects.07.project.create". Returns its length, or 0 when it does not fit into `size` octets with
 * the NUL. */
size_t topology_command_key(const char *pool, unsigned partition, struct slice type, char *key, size_t size);
/* Writes "commands.projects.07", at most `size` octets with the NUL. */
void topology_command_queue(const char *pool, unsigned partition, char *name, size_t size);
/* "control.projects.requests" */
void topology_requests_queue(const char *pool, char *name, size_t size);
