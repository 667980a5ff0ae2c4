#pragma once
/* The names of exchanges and queues, and their declaration. Gateway and workers declare the same things, so
 * either may start first. Where the broker has the exchanges already and each kind of process a user of its own
 * (CORTEX_BROKER_GIVEN), each declares what is its own alone; common/broker/rights.table says what that is.
 *
 *   commands (topic) ─ <pool>.<partition>.<resource>.<verb> ─▶ commands.<pool>.<partition> (quorum)
 *                                        └─ rejected, over the limit ─▶ dead (topic) ─▶ dead.<pool> (quorum)
 *   events.gateways (topic) ─ <slot>.<company>.<resource>.<verb>, slots.p-<gateway> ─▶ an exclusive classic queue
 *      ▲      │                <slot>.<resource>.<verb>: a parcel                       of each gateway process
 *      │      └ four words or more ─▶ events.slots (topic) ─▶ feeds of pools (workers/engine/feed/), consumers that are
 *      │                                   ▲                  not ours, gateways of the versions before parcels
 *      └─────────── three words or more ───┴─ events (topic) ─ <company>.<resource>.<verb>, slots.p-<gateway>, …
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
 *
 * A gateway process binds the slots of the companies that it watches: companies are spread over
 * TOPOLOGY_EVENT_SLOTS of them by a hash, so that a process that watches 60,000 companies has no more bindings
 * than that. A version before binds each company on `events`. What goes out while one of its processes may run
 * goes to `events`, with the slot's key in CC, and the exchange passes it on; a queue that several keys lead to gets
 * it once. When all bind slots, events go to `events.gateways`, which passes them on to `events.slots`.
 *
 * Only gateways that read parcels (event_parcel.h) bind on `events.gateways`. The keys of parcels have three words,
 * so they stay there: nobody who has bound elsewhere gets one.
 */

#include "common/base/uuid.h"
#include "common/broker/broker.h"
#include "common/process/config.h"

enum {
    TOPOLOGY_NAME_SIZE = 128,     /* room for the name of a queue */
    TOPOLOGY_PARTITIONS_MAX = 64, /* as in config.def */
    TOPOLOGY_SENTENCE_SIZE = 320,
    /* All processes must agree on it. More slots cost bindings when a connection comes back (RabbitMQ 3.10
     * makes 1,000 to 2,000 of them a second); fewer bring a process more events of companies that it does not
     * watch. A process that watches 200 companies binds 195 of 4096 slots, and drops 1 of 20 events of the
     * others. */
    TOPOLOGY_EVENT_SLOTS = 4096,
    TOPOLOGY_SLOT_SIZE = 4, /* three hexadecimal digits */
    TOPOLOGY_REPORT_MAX_MS = 3600000,
};

#define EXCHANGE_COMMANDS "commands"
#define EXCHANGE_EVENTS   "events"
#define EXCHANGE_SLOTS    "events.slots"
#define EXCHANGE_GATEWAYS "events.gateways"
#define EXCHANGE_DEAD     "dead"
#define EXCHANGE_CONTROL  "control"

#define TOPOLOGY_PARTITIONS_QUEUE "commands.partitions"
/* What operators have asked of managers, for the record. Any worker of any pool takes it. */
#define TOPOLOGY_ACTS_QUEUE "acts"
#define TOPOLOGY_ACTS_KEY   "acts"

/* Gateways say on `events`, each beat, whether every gateway and worker speaks of slots, and whether every gateway
 * reads parcels of events (JSON):
 *     {"slots": whether, "parcels": whether, "for_ms": for so long that is to be believed, at most
 *      TOPOLOGY_REPORT_MAX_MS} */
#define TOPOLOGY_REPORTS_KEY "gateways.slots"
/* With which the reply key of a gateway process that binds slots begins; "reply." before. */
#define TOPOLOGY_SLOTS_REPLY "slots."
/* Of one that reads parcels of events, too. */
#define TOPOLOGY_PARCELS_REPLY TOPOLOGY_SLOTS_REPLY "p-"

/* With which the key begins under which other gateways answer one. */
#define TOPOLOGY_PEER_KEY "reply."

/* Declares the number of partitions, every exchange, and for each pool its command queues and its queue of
 * dead letters, with their bindings. Where the broker is given, only the number and what is the pool's own. pool: NULL
 * for a gateway. Call it from on_up. */
void topology_declare(struct broker *broker, const struct config *config, const char *pool);
/* All of it, by a user who may. */
void topology_declare_all(struct broker *broker, const struct config *config);
/* The number of partitions alone. */
void topology_declare_partitions(struct broker *broker, const struct config *config);
/* True when `why`, as given to on_down, says that another number of partitions is recorded. *sentence names
 * both numbers and says what to do. The process must not go on. */
bool topology_disagrees(const char *why, const struct config *config, char sentence[TOPOLOGY_SENTENCE_SIZE]);

/* The exchanges, and what they pass on; nothing where the broker is given. Call from on_up, before anything is
 * published there or a queue bound. topology_declare does it, too. */
void topology_declare_exchanges(struct broker *broker, const struct config *config);

/* What operators ask of the pool's workers (workers/engine/housekeeping/operator.h). Call from on_up. */
void topology_declare_requests(struct broker *broker, const struct config *config, const char *pool);

/* How many messages the queue holds before it is full: `declared`, unless it is known to have been declared
 * with another limit. */
int64_t topology_queue_limit(const struct broker *broker, const char *queue, int64_t declared);

/* Returns the name of pool i (pools.def), counted from 0; NULL past the last. There is at least one. */
const char *topology_pool_at(size_t i);

/* How a failed command is tried again after its short tries in place: `attempts` more times, after first_ms,
 * twice that, and so on up to max_ms. The values come from pools.def, unless a setting overrides
 * them. */
struct retry_policy {
    int64_t attempts, first_ms, max_ms;
};
struct retry_policy topology_retries(const char *pool, const struct config *config);

/* A hash of the company, by which partitions and rows of `deferred` are chosen. */
uint16_t topology_slot(const struct uuid *company);
/* The partition of a company: its slot modulo `partitions` (CORTEX_PARTITIONS). */
unsigned topology_partition(const struct uuid *company, int64_t partitions);

/* The slot of a company's events, below TOPOLOGY_EVENT_SLOTS. */
unsigned topology_event_slot(const struct uuid *company);
/* "0a3" */
void topology_event_slot_format(unsigned slot, char text[TOPOLOGY_SLOT_SIZE]);
/* Whether a reply key is one of a gateway process that binds slots. */
bool topology_binds_slots(struct slice reply_key);
/* What somebody asks to be answered under, when that is a key under which a gateway process is answered by workers, or
 * by other gateways; SLICE_NONE otherwise. Whoever answers goes by this: the broker refuses other keys to some of us, and
 * ends the connection that tries. */
struct slice topology_reply_key(struct slice asked);
struct slice topology_peer_key(struct slice asked);
/* Whether that process reads parcels of events, too. */
bool topology_reads_parcels(struct slice reply_key);

/* Writes "projects.07.project.create". Returns its length, or 0 when it does not fit into `size` octets with
 * the NUL. */
size_t topology_command_key(const char *pool, unsigned partition, struct slice type, char *key, size_t size);
/* Writes "commands.projects.07", at most `size` octets with the NUL. */
void topology_command_queue(const char *pool, unsigned partition, char *name, size_t size);
/* The name of an exclusive queue, new with every call: "member.projects.<uuid>". The server may not have noticed yet
 * that the connection before is gone. */
void topology_exclusive_queue(const char *kind, const char *pool, char *name, size_t size);
/* "control.projects.requests" */
void topology_requests_queue(const char *pool, char *name, size_t size);
