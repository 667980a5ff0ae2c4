#include "common/broker/topology.h"

#include <stdio.h>

#include "common/base/log.h"

enum { REQUESTS_EXPIRE_MS = 3000 };

/* Two digits, so that names sort as numbers do. CORTEX_PARTITIONS is below a hundred. */
#define PARTITION_FORMAT "%02u"

static const struct pool {
    const char *name;
    struct retry_policy retries;
} pools[] = {
#define POOL(name, attempts, first_ms, max_ms) {name, {attempts, first_ms, max_ms}},
#include "common/broker/pools.def"
#undef POOL
};

static struct broker_header text_argument(const char *name, const char *value)
{
    return (struct broker_header){.name = slice_of(name), .text = slice_of(value)};
}

static struct broker_header integer_argument(const char *name, int64_t value)
{
    return (struct broker_header){.name = slice_of(name), .is_integer = true, .integer = value};
}

/* Limits are arguments of the queue and not policies: to set a policy takes rights over the whole broker,
 * which no process of ours should have, and a broker that nobody has given policies must bound its queues,
 * too. RabbitMQ refuses a declaration with other limits than the queue has. Such a queue is used as it is,
 * and the log says what to do. */
static void declare(struct broker *broker, const char *name, const struct broker_header *arguments,
                    size_t count)
{
    const struct broker_queue queue = {
        .name = name,
        .durable = true,
        .keeps_limits = true,
        .arguments = arguments,
        .argument_count = count,
    };
    broker_declare_queue(broker, &queue);
}

/* A queue that holds nothing: its x-max-length is the number of partitions. The broker is the place for it:
 * the number describes its queues, every process that routes or consumes is connected to it before it can do
 * harm, and RabbitMQ itself compares and refuses whoever declares another number. PostgreSQL is not: a
 * gateway may read from a replica, which lags, and a manager has no database. A process with another number
 * must not start, so the queue does not keep its limit as others do. */
void topology_declare_partitions(struct broker *broker, const struct config *config)
{
    const struct broker_header arguments[] = {
        text_argument("x-queue-type", "quorum"),
        integer_argument("x-max-length", config->partitions),
    };
    broker_declare_queue(broker, &(struct broker_queue){.name = TOPOLOGY_PARTITIONS_QUEUE,
                                                        .durable = true,
                                                        .arguments = arguments,
                                                        .argument_count = ARRAY_LEN(arguments)});
}

/* Reads "… inequivalent arg 'x-max-length' for queue 'commands.partitions' in vhost '/': received '16' but
 * current is '8'": the first number past "current is". */
static int64_t current_in(const char *difference)
{
    const char *current = strstr(difference, "current is");
    const char *digit = current ? strpbrk(current, "0123456789") : NULL;
    return digit ? strtoll(digit, NULL, 10) : 0;
}

bool topology_disagrees(const char *why, const struct config *config, char sentence[TOPOLOGY_SENTENCE_SIZE])
{
    if (strncmp(why, "406 ", 4) != 0 || !strstr(why, "'" TOPOLOGY_PARTITIONS_QUEUE "'") ||
        !strstr(why, "'x-max-length'"))
        return false;
    snprintf(sentence, TOPOLOGY_SENTENCE_SIZE,
             "CORTEX_PARTITIONS is %lld here, and %lld is recorded for this broker's queues: set it to %lld, "
             "or change the "
             "number for all processes as deploy/operating.md says (\"The number of partitions\").",
             (long long)config->partitions, (long long)current_in(why), (long long)current_in(why));
    return true;
}

int64_t topology_queue_limit(const struct broker *broker, const char *queue, int64_t declared)
{
    const char *difference = broker_queue_difference(broker, queue);
    bool is_length = difference && strstr(difference, "'x-max-length'");
    int64_t current = is_length ? current_in(difference) : 0;
    return current > 0 ? current : declared;
}

/* at-least-once keeps a dead letter in its queue until the exchange `dead` has confirmed it; this strategy
 * requires reject-publish. With a single active consumer, RabbitMQ serves one of several consumers until it
 * goes. So the commands of a company stay in order even when two workers take the same partition for their
 * own. */
static void declare_command_queue(struct broker *broker, const struct config *config, const char *pool,
                                  unsigned partition)
{
    char name[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_NAME_SIZE];
    topology_command_queue(pool, partition, name, sizeof(name));
    snprintf(key, sizeof(key), "%s." PARTITION_FORMAT ".#", pool, partition);
    const struct broker_header arguments[] = {
        text_argument("x-queue-type", "quorum"),
        {.name = SLICE("x-single-active-consumer"), .is_boolean = true},
        integer_argument("x-delivery-limit", config->delivery_limit),
        text_argument("x-dead-letter-exchange", EXCHANGE_DEAD),
        text_argument("x-dead-letter-strategy", "at-least-once"),
        integer_argument("x-max-length", config->queue_max_length),
        integer_argument("x-max-length-bytes", config->queue_max_bytes),
        text_argument("x-overflow", "reject-publish"),
    };
    declare(broker, name, arguments, ARRAY_LEN(arguments));
    broker_bind(broker, name, EXCHANGE_COMMANDS, key);
}

/* Reading a dead letter and putting it back counts as a delivery, and RabbitMQ 4 would drop it after twenty.
 * RabbitMQ 3.10 does not know -1 (no limit), so the limit is one that nobody reaches. */
static void declare_dead_queue(struct broker *broker, const struct config *config, const char *pool)
{
    char name[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_NAME_SIZE];
    snprintf(name, sizeof(name), EXCHANGE_DEAD ".%s", pool);
    snprintf(key, sizeof(key), "%s.#", pool);
    const struct broker_header arguments[] = {
        text_argument("x-queue-type", "quorum"),
        integer_argument("x-delivery-limit", 1000000),
        integer_argument("x-max-length", config->queue_max_length),
        integer_argument("x-max-length-bytes", config->queue_max_bytes),
        text_argument("x-overflow", "reject-publish"),
    };
    declare(broker, name, arguments, ARRAY_LEN(arguments));
    broker_bind(broker, name, EXCHANGE_DEAD, key);
}

static void declare_acts_queue(struct broker *broker, const struct config *config)
{
    const struct broker_header arguments[] = {
        text_argument("x-queue-type", "quorum"),
        integer_argument("x-delivery-limit", 1000000),
        integer_argument("x-max-length", config->queue_max_length),
        text_argument("x-overflow", "reject-publish"),
    };
    declare(broker, TOPOLOGY_ACTS_QUEUE, arguments, ARRAY_LEN(arguments));
    broker_bind(broker, TOPOLOGY_ACTS_QUEUE, EXCHANGE_CONTROL, TOPOLOGY_ACTS_KEY);
}

static void log_differences(void *arg)
{
    const char *example;
    size_t count = broker_differing_queues(arg, &example);
    if (count > 0)
        log_warn("queues.other_limits", LOG_I("queues", count), LOG_S("for_example", example),
                 LOG_S("hint",
                       "they keep the limits with which they were declared; a policy of the broker can lower "
                       "them, and a queue that is deleted while it is empty is declared with the new ones "
                       "(deploy/operating.md, \"Limits of the queues\")"));
}

/* Of events, replies to one gateway and what gateways say to each other have keys of two words, and stay. A broker that
 * is given has the same from its definitions (deploy/local/lib/broker_users.sh). */
static void declare_exchanges(struct broker *broker)
{
    static const char *const names[] = {EXCHANGE_COMMANDS, EXCHANGE_EVENTS, EXCHANGE_SLOTS,
                                        EXCHANGE_GATEWAYS, EXCHANGE_DEAD,   EXCHANGE_CONTROL};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        broker_declare_exchange(broker, names[i], BROKER_TOPIC);
    broker_bind_exchange(broker, EXCHANGE_SLOTS, EXCHANGE_EVENTS, "*.*.*.#");
    broker_bind_exchange(broker, EXCHANGE_GATEWAYS, EXCHANGE_EVENTS, "*.*.*.#");
    broker_bind_exchange(broker, EXCHANGE_SLOTS, EXCHANGE_GATEWAYS, "*.*.*.*.#");
}

void topology_declare_exchanges(struct broker *broker, const struct config *config)
{
    if (!config->broker_given)
        declare_exchanges(broker);
}

static void declare_pool(struct broker *broker, const struct config *config, const char *pool)
{
    declare_dead_queue(broker, config, pool);
    for (unsigned partition = 0; partition < (unsigned)config->partitions; partition++)
        declare_command_queue(broker, config, pool, partition);
}

/* The number of partitions comes first: with another one nothing else is declared. */
void topology_declare_all(struct broker *broker, const struct config *config)
{
    topology_declare_partitions(broker, config);
    declare_exchanges(broker);
    declare_acts_queue(broker, config);
    for (size_t i = 0; i < ARRAY_LEN(pools); i++)
        declare_pool(broker, config, pools[i].name);
    broker_after_declarations(broker, log_differences, broker);
}

static void declare_own(struct broker *broker, const struct config *config, const char *pool)
{
    topology_declare_partitions(broker, config);
    if (!pool)
        return;
    declare_acts_queue(broker, config);
    declare_pool(broker, config, pool);
    broker_after_declarations(broker, log_differences, broker);
}

void topology_declare(struct broker *broker, const struct config *config, const char *pool)
{
    if (config->broker_given)
        declare_own(broker, config, pool);
    else
        topology_declare_all(broker, config);
}

/* A request that waits longer than the gateway does is dropped. The queue goes when no worker has consumed it
 * for REQUESTS_EXPIRE_MS, so that a request to a pool that does not run fails at once. */
void topology_declare_requests(struct broker *broker, const struct config *config, const char *pool)
{
    char name[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_NAME_SIZE];
    topology_requests_queue(pool, name, sizeof(name));
    snprintf(key, sizeof(key), "admin.%s", pool);
    const struct broker_header arguments[] = {
        text_argument("x-queue-type", "quorum"),
        integer_argument("x-message-ttl", config->admin_wait_ms),
        integer_argument("x-max-length", config->admin_pending_max),
        integer_argument("x-expires", REQUESTS_EXPIRE_MS),
        text_argument("x-overflow", "reject-publish"),
    };
    declare(broker, name, arguments, ARRAY_LEN(arguments));
    broker_bind(broker, name, EXCHANGE_CONTROL, key);
}

const char *topology_pool_at(size_t i)
{
    return i < ARRAY_LEN(pools) ? pools[i].name : NULL;
}

struct retry_policy topology_retries(const char *pool, const struct config *config)
{
    struct retry_policy retries = pools[0].retries;
    for (size_t i = 0; i < ARRAY_LEN(pools); i++)
        if (strcmp(pools[i].name, pool) == 0)
            retries = pools[i].retries;
    if (config->retry_attempts > 0)
        retries.attempts = config->retry_attempts;
    if (config->retry_first_ms > 0)
        retries.first_ms = config->retry_first_ms;
    if (config->retry_max_ms > 0)
        retries.max_ms = config->retry_max_ms;
    return retries;
}

/* FNV-1a with xor-folding, as its authors describe it. The result is stored, so it never changes. */
uint16_t topology_slot(const struct uuid *company)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < sizeof(company->octet); i++)
        hash = (hash ^ company->octet[i]) * 16777619U;
    return (uint16_t)(hash >> 16 ^ hash);
}

unsigned topology_partition(const struct uuid *company, int64_t partitions)
{
    return topology_slot(company) % (unsigned)partitions;
}

unsigned topology_event_slot(const struct uuid *company)
{
    return topology_slot(company) % TOPOLOGY_EVENT_SLOTS;
}

void topology_event_slot_format(unsigned slot, char text[TOPOLOGY_SLOT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    text[0] = digits[slot >> 8 & 15];
    text[1] = digits[slot >> 4 & 15];
    text[2] = digits[slot & 15];
    text[3] = '\0';
}

static bool begins_with(struct slice key, struct slice prefix)
{
    return key.len > prefix.len && memcmp(key.data, prefix.data, prefix.len) == 0;
}

static bool has_more_than(struct slice key, struct slice prefix)
{
    return key.len > prefix.len && begins_with(key, prefix);
}

struct slice topology_peer_key(struct slice asked)
{
    return has_more_than(asked, SLICE(TOPOLOGY_PEER_KEY)) ? asked : SLICE_NONE;
}

struct slice topology_reply_key(struct slice asked)
{
    return has_more_than(asked, SLICE(TOPOLOGY_SLOTS_REPLY)) ? asked : topology_peer_key(asked);
}

bool topology_binds_slots(struct slice reply_key)
{
    return begins_with(reply_key, SLICE(TOPOLOGY_SLOTS_REPLY));
}

bool topology_reads_parcels(struct slice reply_key)
{
    return begins_with(reply_key, SLICE(TOPOLOGY_PARCELS_REPLY));
}

size_t topology_command_key(const char *pool, unsigned partition, struct slice type, char *key, size_t size)
{
    int len = snprintf(key, size, "%s." PARTITION_FORMAT ".%.*s", pool, partition, (int)type.len, type.data);
    return (size_t)len < size ? (size_t)len : 0;
}

void topology_command_queue(const char *pool, unsigned partition, char *name, size_t size)
{
    snprintf(name, size, EXCHANGE_COMMANDS ".%s." PARTITION_FORMAT, pool, partition);
}

void topology_exclusive_queue(const char *kind, const char *pool, char *name, size_t size)
{
    struct uuid id = uuid_v7();
    char text[UUID_TEXT_LEN + 1];
    uuid_format(&id, text);
    snprintf(name, size, "%s.%s.%s", kind, pool, text);
}

void topology_requests_queue(const char *pool, char *name, size_t size)
{
    snprintf(name, size, EXCHANGE_CONTROL ".%s.requests", pool);
}
