#include "workers/engine/outbox/acks.h"

#include <assert.h>

#include "common/base/clock.h"
#include "common/broker/topology.h"

enum {
    FIRST_CAPACITY = 256,
    OF_LATE = 64, /* deliveries, over which the size of a parcel is averaged */
};

enum tag_state { TAG_OPEN, TAG_HELD, TAG_DONE, TAG_GONE /* acked by itself, or rejected */ };

struct delivery {
    uint8_t state; /* enum tag_state */
    uint8_t partition;
    uint8_t commands, left; /* of them, those that are not settled */
    bool is_rejected;       /* one of them was */
    int64_t at_ms;
};

struct acks {
    struct broker *broker;
    uint32_t epoch;
    uint64_t first, next;  /* tags; first: the oldest that is open or not yet acked */
    struct delivery *ring; /* by tag */
    size_t capacity;       /* a power of two */
    size_t open, unacked_of[TOPOLOGY_PARTITIONS_MAX], commands_of[TOPOLOGY_PARTITIONS_MAX];
    double commands_a_delivery; /* of late */
    size_t parcels;             /* that are not acked */
    int64_t parcel_at_ms;       /* when the last one came; 0: none has */
    bool has_changed;
};

struct acks *acks_new(struct broker *broker)
{
    struct acks *a = xcalloc(1, sizeof(*a));
    a->broker = broker;
    a->capacity = FIRST_CAPACITY;
    a->ring = xcalloc(a->capacity, sizeof(*a->ring));
    a->first = a->next = 1;
    a->commands_a_delivery = 1;
    return a;
}

void acks_free(struct acks *a)
{
    if (!a)
        return;
    free(a->ring);
    free(a);
}

static struct delivery *at(struct acks *a, uint64_t tag)
{
    return &a->ring[tag & (a->capacity - 1)];
}

static void grow(struct acks *a)
{
    struct acks larger = *a;
    larger.capacity = 2 * a->capacity;
    larger.ring = xcalloc(larger.capacity, sizeof(*a->ring));
    for (uint64_t tag = a->first; tag < a->next; tag++)
        *at(&larger, tag) = *at(a, tag);
    free(a->ring);
    *a = larger;
}

void acks_forget(struct acks *a)
{
    a->epoch = 0; /* no connection's */
    a->first = a->next = 1;
    a->open = a->parcels = 0;
    memset(a->unacked_of, 0, sizeof(a->unacked_of));
    memset(a->commands_of, 0, sizeof(a->commands_of));
}

void acks_add(struct acks *a, uint32_t epoch, uint64_t tag, unsigned partition, size_t commands)
{
    if (epoch != a->epoch) {
        acks_forget(a);
        a->epoch = epoch;
        a->first = a->next = tag;
    }
    assert(tag >= a->next && commands > 0 && commands <= UINT8_MAX);
    while (a->next <= tag) { /* those between were refused before they came here (BROKER_BODY_MAX) */
        if (a->next - a->first == a->capacity)
            grow(a);
        at(a, a->next++)->state = TAG_GONE;
    }
    int64_t now = clock_monotonic_ms();
    *at(a, tag) = (struct delivery){.state = TAG_OPEN,
                                    .partition = (uint8_t)partition,
                                    .commands = (uint8_t)commands,
                                    .left = (uint8_t)commands,
                                    .at_ms = now};
    if (commands > 1) {
        a->parcels++;
        a->parcel_at_ms = now;
    }
    a->open += commands;
    a->unacked_of[partition]++;
    a->commands_of[partition] += commands;
    a->commands_a_delivery += ((double)commands - a->commands_a_delivery) / OF_LATE;
}

static bool is_ours(const struct acks *a, uint32_t epoch, uint64_t tag)
{
    return epoch == a->epoch && tag >= a->first && tag < a->next;
}

/* The broker does not count it against the prefetch any more. */
static void is_answered(struct acks *a, const struct delivery *delivery)
{
    a->unacked_of[delivery->partition]--;
    a->commands_of[delivery->partition] -= delivery->commands;
    a->parcels -= delivery->commands > 1;
}

static void settle_one(struct acks *a, uint32_t epoch, uint64_t tag, bool is_rejected)
{
    if (!is_ours(a, epoch, tag))
        return;
    struct delivery *delivery = at(a, tag);
    assert(delivery->left > 0);
    delivery->is_rejected = delivery->is_rejected || is_rejected;
    a->open--;
    if (--delivery->left > 0)
        return;
    delivery->state = delivery->is_rejected ? TAG_GONE : TAG_DONE;
    a->has_changed = true;
    if (!delivery->is_rejected)
        return;
    is_answered(a, delivery);
    broker_reject(a->broker, epoch, tag, false);
}

void acks_done(struct acks *a, uint32_t epoch, uint64_t tag)
{
    settle_one(a, epoch, tag, false);
}

void acks_reject(struct acks *a, uint32_t epoch, uint64_t tag)
{
    settle_one(a, epoch, tag, true);
}

void acks_hold(struct acks *a, uint32_t epoch, uint64_t tag)
{
    if (!is_ours(a, epoch, tag))
        return;
    at(a, tag)->state = TAG_HELD;
    a->has_changed = true;
}

static void ack_one_by_one(struct acks *a)
{
    for (uint64_t tag = a->first; tag < a->next; tag++)
        if (at(a, tag)->state == TAG_DONE) {
            at(a, tag)->state = TAG_GONE;
            is_answered(a, at(a, tag));
            broker_ack(a->broker, a->epoch, tag, false);
        }
}

void acks_flush(struct acks *a)
{
    if (!a->has_changed)
        return;
    a->has_changed = false;
    uint64_t last = 0;
    for (; a->first < a->next && at(a, a->first)->state >= TAG_DONE; a->first++)
        if (at(a, a->first)->state == TAG_DONE) {
            is_answered(a, at(a, a->first));
            last = a->first;
        }
    if (last)
        broker_ack(a->broker, a->epoch, last, true);
    if (a->first < a->next && at(a, a->first)->state == TAG_HELD)
        ack_one_by_one(a);
}

size_t acks_open(const struct acks *a)
{
    return a->open;
}

bool acks_has_parcels(const struct acks *a)
{
    return a->parcels > 0 || (a->parcel_at_ms && clock_monotonic_ms() - a->parcel_at_ms < ACKS_PARCELS_MS);
}

int64_t acks_oldest_ms(const struct acks *a)
{
    return a->first < a->next ? clock_monotonic_ms() - a->ring[a->first & (a->capacity - 1)].at_ms : 0;
}

const size_t *acks_unacked(const struct acks *a)
{
    return a->unacked_of;
}

const size_t *acks_unacked_commands(const struct acks *a)
{
    return a->commands_of;
}

unsigned acks_percent_a_delivery(const struct acks *a)
{
    return (unsigned)(a->commands_a_delivery * 100 + 0.5);
}
