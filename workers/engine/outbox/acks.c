#include "workers/engine/outbox/acks.h"

#include <assert.h>

#include "common/base/clock.h"
#include "common/broker/topology.h"

enum { FIRST_CAPACITY = 256 };

enum tag_state { TAG_OPEN, TAG_HELD, TAG_DONE, TAG_GONE /* acked by itself, or rejected */ };

struct delivery {
    uint8_t state; /* enum tag_state */
    uint8_t partition;
    int64_t at_ms;
};

struct acks {
    struct broker *broker;
    uint32_t epoch;
    uint64_t first, next;  /* tags; first: the oldest that is open or not yet acked */
    struct delivery *ring; /* by tag */
    size_t capacity;       /* a power of two */
    size_t open, unacked_of[TOPOLOGY_PARTITIONS_MAX];
    bool has_changed;
};

struct acks *acks_new(struct broker *broker)
{
    struct acks *a = xcalloc(1, sizeof(*a));
    a->broker = broker;
    a->capacity = FIRST_CAPACITY;
    a->ring = xcalloc(a->capacity, sizeof(*a->ring));
    a->first = a->next = 1;
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
    a->open = 0;
    memset(a->unacked_of, 0, sizeof(a->unacked_of));
}

void acks_add(struct acks *a, uint32_t epoch, uint64_t tag, unsigned partition)
{
    if (epoch != a->epoch) {
        acks_forget(a);
        a->epoch = epoch;
        a->first = a->next = tag;
    }
    assert(tag >= a->next);
    while (a->next <= tag) { /* those between were refused before they came here (BROKER_BODY_MAX) */
        if (a->next - a->first == a->capacity)
            grow(a);
        at(a, a->next++)->state = TAG_GONE;
    }
    *at(a, tag) =
        (struct delivery){.state = TAG_OPEN, .partition = (uint8_t)partition, .at_ms = clock_monotonic_ms()};
    a->open++;
    a->unacked_of[partition]++;
}

static bool is_ours(const struct acks *a, uint32_t epoch, uint64_t tag)
{
    return epoch == a->epoch && tag >= a->first && tag < a->next;
}

static void close_tag(struct acks *a, uint64_t tag, enum tag_state state)
{
    at(a, tag)->state = (uint8_t)state;
    a->open--;
    a->has_changed = true;
}

void acks_done(struct acks *a, uint32_t epoch, uint64_t tag)
{
    if (!is_ours(a, epoch, tag))
        return;
    close_tag(a, tag, TAG_DONE);
}

void acks_reject(struct acks *a, uint32_t epoch, uint64_t tag, bool requeue)
{
    if (!is_ours(a, epoch, tag))
        return;
    close_tag(a, tag, TAG_GONE);
    a->unacked_of[at(a, tag)->partition]--;
    broker_reject(a->broker, epoch, tag, requeue);
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
            a->unacked_of[at(a, tag)->partition]--;
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
            a->unacked_of[at(a, a->first)->partition]--;
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

int64_t acks_oldest_ms(const struct acks *a)
{
    return a->first < a->next ? clock_monotonic_ms() - a->ring[a->first & (a->capacity - 1)].at_ms : 0;
}

const size_t *acks_unacked(const struct acks *a)
{
    return a->unacked_of;
}
