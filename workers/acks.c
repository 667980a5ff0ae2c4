#include "workers/acks.h"

#include <assert.h>

enum { FIRST_CAPACITY = 256 };

enum tag_state { TAG_OPEN, TAG_HELD, TAG_DONE, TAG_GONE /* acked by itself, or rejected */ };

struct acks {
    struct broker *broker;
    uint32_t epoch;
    uint64_t first, next; /* tags; first: the oldest that is open or not yet acked */
    uint8_t *ring;        /* enum tag_state by tag */
    size_t capacity;      /* a power of two */
    size_t open;
    bool has_changed;
};

struct acks *acks_new(struct broker *broker)
{
    struct acks *a = xcalloc(1, sizeof(*a));
    a->broker = broker;
    a->capacity = FIRST_CAPACITY;
    a->ring = xcalloc(a->capacity, 1);
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

static uint8_t *state_of(struct acks *a, uint64_t tag)
{
    return &a->ring[tag & (a->capacity - 1)];
}

static void grow(struct acks *a)
{
    struct acks larger = *a;
    larger.capacity = 2 * a->capacity;
    larger.ring = xcalloc(larger.capacity, 1);
    for (uint64_t tag = a->first; tag < a->next; tag++)
        *state_of(&larger, tag) = *state_of(a, tag);
    free(a->ring);
    *a = larger;
}

void acks_add(struct acks *a, uint32_t epoch, uint64_t tag)
{
    if (epoch != a->epoch) {
        a->epoch = epoch;
        a->first = a->next = tag;
        a->open = 0;
    }
    assert(tag >= a->next);
    while (a->next <= tag) { /* those between were refused before they came here (BROKER_BODY_MAX) */
        if (a->next - a->first == a->capacity)
            grow(a);
        *state_of(a, a->next++) = TAG_GONE;
    }
    *state_of(a, tag) = TAG_OPEN;
    a->open++;
}

static bool is_ours(const struct acks *a, uint32_t epoch, uint64_t tag)
{
    return epoch == a->epoch && tag >= a->first && tag < a->next;
}

void acks_done(struct acks *a, uint32_t epoch, uint64_t tag)
{
    if (!is_ours(a, epoch, tag))
        return;
    *state_of(a, tag) = TAG_DONE;
    a->open--;
    a->has_changed = true;
}

void acks_reject(struct acks *a, uint32_t epoch, uint64_t tag, bool requeue)
{
    if (!is_ours(a, epoch, tag))
        return;
    *state_of(a, tag) = TAG_GONE;
    a->open--;
    a->has_changed = true;
    broker_reject(a->broker, epoch, tag, requeue);
}

void acks_hold(struct acks *a, uint32_t epoch, uint64_t tag)
{
    if (!is_ours(a, epoch, tag))
        return;
    *state_of(a, tag) = TAG_HELD;
    a->has_changed = true;
}

static void ack_one_by_one(struct acks *a)
{
    for (uint64_t tag = a->first; tag < a->next; tag++)
        if (*state_of(a, tag) == TAG_DONE) {
            *state_of(a, tag) = TAG_GONE;
            broker_ack(a->broker, a->epoch, tag, false);
        }
}

void acks_flush(struct acks *a)
{
    if (!a->has_changed)
        return;
    a->has_changed = false;
    uint64_t last = 0;
    for (; a->first < a->next && *state_of(a, a->first) >= TAG_DONE; a->first++)
        if (*state_of(a, a->first) == TAG_DONE)
            last = a->first;
    if (last)
        broker_ack(a->broker, a->epoch, last, true);
    if (a->first < a->next && *state_of(a, a->first) == TAG_HELD)
        ack_one_by_one(a);
}

size_t acks_open(const struct acks *a)
{
    return a->open;
}
