#include "workers/fleet/members/partitions.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/broker/topology.h"

enum { TAG_SIZE = 4 };

enum partition_state { PARTITION_FREE, PARTITION_CONSUMING, PARTITION_ENDING, PARTITION_FINISHING };

struct partition {
    struct partitions *all;
    enum partition_state state;
};

struct partitions {
    struct broker *broker;
    const char *pool;
    unsigned count;
    uint16_t prefetch; /* of each partition */
    struct partitions_callbacks callbacks;
    void *ctx;
    bool is_up;
    uint64_t ours, held_by_others;
    struct partition each[TOPOLOGY_PARTITIONS_MAX];
};

static unsigned number_of(const struct partition *partition)
{
    return (unsigned)(partition - partition->all->each);
}

static uint64_t bit_of(const struct partition *partition)
{
    return UINT64_C(1) << number_of(partition);
}

static void write_tag(const struct partition *partition, char tag[TAG_SIZE])
{
    snprintf(tag, TAG_SIZE, "%u", number_of(partition) % 100);
}

unsigned partitions_of(const struct broker_delivery *delivery)
{
    unsigned number = 0;
    for (size_t i = 0; i < delivery->consumer_tag.len; i++)
        number = number * 10 + (unsigned)(delivery->consumer_tag.data[i] - '0');
    return number;
}

/* ---- the states ---- */

/* The only function that changes one. */
static void set_state(struct partition *partition, enum partition_state state)
{
    struct partitions *p = partition->all;
    unsigned number = number_of(partition);
    enum partition_state before = partition->state;
    partition->state = state;
    if (state == PARTITION_CONSUMING)
        p->callbacks.on_gained(p->ctx, number);
    else if (before == PARTITION_CONSUMING)
        p->callbacks.on_lost(p->ctx, number);
    if (state == PARTITION_FREE || before == PARTITION_FREE)
        p->callbacks.on_changed(p->ctx);
}

static void on_cancelled(void *arg)
{
    struct partition *partition = arg;
    set_state(partition, PARTITION_FINISHING);
}

static void consume(struct partition *partition)
{
    struct partitions *p = partition->all;
    char queue[TOPOLOGY_NAME_SIZE], tag[TAG_SIZE];
    topology_command_queue(p->pool, number_of(partition), queue, sizeof(queue));
    write_tag(partition, tag);
    set_state(partition, PARTITION_CONSUMING);
    broker_consume(p->broker, queue, tag, p->prefetch, false, false);
}

static void give_up(struct partition *partition)
{
    char tag[TAG_SIZE];
    write_tag(partition, tag);
    set_state(partition, PARTITION_ENDING);
    broker_cancel(partition->all->broker, tag, on_cancelled, partition);
}

static void turn(struct partition *partition)
{
    struct partitions *p = partition->all;
    bool is_ours = p->ours & bit_of(partition);
    if (partition->state == PARTITION_FINISHING && !p->callbacks.has_work(p->ctx, number_of(partition)))
        set_state(partition, PARTITION_FREE);
    if (partition->state == PARTITION_FREE && is_ours && !(p->held_by_others & bit_of(partition)))
        consume(partition);
    else if (partition->state == PARTITION_CONSUMING && !is_ours)
        give_up(partition);
}

void partitions_turn(struct partitions *p)
{
    for (unsigned i = 0; i < p->count && p->is_up; i++)
        turn(&p->each[i]);
}

/* ---- the outside ---- */

struct partitions *partitions_new(struct broker *broker, const char *pool, unsigned count, uint16_t prefetch,
                                  const struct partitions_callbacks *callbacks, void *ctx)
{
    assert(count >= 1 && count <= TOPOLOGY_PARTITIONS_MAX);
    struct partitions *p = xcalloc(1, sizeof(*p));
    *p = (struct partitions){
        .broker = broker,
        .pool = pool,
        .count = count,
        .prefetch = prefetch,
        .callbacks = *callbacks,
        .ctx = ctx,
    };
    for (unsigned i = 0; i < count; i++)
        p->each[i].all = p;
    return p;
}

void partitions_free(struct partitions *p)
{
    free(p);
}

uint64_t partitions_held(const struct partitions *p)
{
    uint64_t held = 0;
    for (unsigned i = 0; i < p->count; i++)
        if (p->each[i].state != PARTITION_FREE)
            held |= bit_of(&p->each[i]);
    return held;
}

void partitions_assign(struct partitions *p, uint64_t ours, uint64_t held_by_others)
{
    p->ours = ours;
    p->held_by_others = held_by_others;
}

void partitions_up(struct partitions *p)
{
    p->is_up = true;
}

/* What was delivered and not acked has gone back to its queue. */
void partitions_down(struct partitions *p)
{
    p->is_up = false;
    for (unsigned i = 0; i < p->count; i++)
        if (p->each[i].state != PARTITION_FREE)
            set_state(&p->each[i], PARTITION_FREE);
}
