#pragma once
/* What waits in a pool and who works on it, as one of its managers knows it. The broker says how long the
 * queues of the partitions are, and the workers say what they hold (workers/fleet/members/wire.h).
 *
 *   ready    in the queues: no worker has them yet
 *   open     delivered to a worker, and not finished
 *   parked   taken from the queues into `deferred`, until the turn of their company comes
 *
 * Commands that wait for a time of their own (retries, schedules) are not counted: no worker could run them
 * now. */

#include "common/broker/broker.h"
#include "common/broker/topology.h"
#include "common/process/config.h"
#include "workers/fleet/members/view.h"

struct manager_load;

enum { PROBLEMS_UNCONSUMED_MS = 10000 }; /* workers hand partitions over in less, as a rule */

/* The queue of one partition. */
struct manager_queue {
    char name[TOPOLOGY_NAME_SIZE];
    uint32_t ready;
    bool is_unconsumed; /* it has had no consumer for PROBLEMS_UNCONSUMED_MS */
};

struct manager_load_sum {
    int64_t ready, open, parked;
    int64_t oldest_ms; /* of those that are open */
    bool is_troubled;  /* some worker waits for the database */
};

/* pool: kept, not copied. */
struct manager_load *manager_load_new(const struct config *config, const char *pool);
void manager_load_free(struct manager_load *load); /* after the broker of manager_load_ask */

/* Asks the broker how long the queues are. Call it once a second while the connection is up; the answers come
 * later. */
void manager_load_ask(struct manager_load *load, struct broker *broker);
/* Logs which queues have no consumer any more, and which have one again. Call it once a second. */
void manager_load_watch(struct manager_load *load, int64_t now_ms);
void manager_load_down(struct manager_load *load); /* the connection is gone, and so are the answers */

/* A message under the key member.<pool>; false when it cannot be read. */
bool manager_load_hear(struct manager_load *load, struct slice body, int64_t now_ms) MUST_CHECK;
/* Drops the workers that were silent for too long. After a time in which none could be heard, thaw: silence
 * counts from now. */
void manager_load_expire(struct manager_load *load, int64_t now_ms);
void manager_load_thaw(struct manager_load *load, int64_t now_ms);

struct manager_load_sum manager_load_sum(const struct manager_load *load);
/* The last report of that process; NULL: there is none yet. */
const struct member_report *manager_load_of(const struct manager_load *load, const char *host, pid_t pid);
/* The last report of each worker, one after the other; NULL past the last. */
const struct member_announcement *manager_load_worker(const struct manager_load *load, size_t i);
/* The queue of each partition, one after the other; false past the last. */
bool manager_load_queue(const struct manager_load *load, unsigned partition, int64_t now_ms,
                        struct manager_queue *ret_queue);
