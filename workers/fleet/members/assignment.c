#include "workers/fleet/members/assignment.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/broker/topology.h"

struct pair {
    uint64_t score;
    uint16_t worker; /* in the order of the ids */
    uint16_t partition;
};

/* The finalizer of SplitMix64: each bit of the argument changes about half of the result's. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t score(const struct uuid *worker, unsigned partition)
{
    uint64_t halves[2];
    memcpy(halves, worker->octet, sizeof(halves));
    return mix(mix(mix(partition + 1) ^ halves[0]) ^ halves[1]);
}

/* Of two equal scores the lesser id comes first: the order is the same everywhere. */
static int by_score(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->worker != y->worker ? x->worker - y->worker : x->partition - y->partition;
}

static struct pair *make_pairs(const struct uuid *sorted, size_t workers, unsigned partitions)
{
    struct pair *pairs = xmalloc(workers * partitions * sizeof(*pairs)), *next = pairs;
    for (size_t worker = 0; worker < workers; worker++)
        for (unsigned partition = 0; partition < partitions; partition++)
            *next++ = (struct pair){
                .score = score(&sorted[worker], partition),
                .worker = (uint16_t)worker,
                .partition = (uint16_t)partition,
            };
    qsort(pairs, workers * partitions, sizeof(*pairs), by_score);
    return pairs;
}

/* Every worker may have the lesser share; the partitions left over go one each to the workers that come
 * first. */
static bool has_room(unsigned load, unsigned share, unsigned *left)
{
    if (load < share)
        return true;
    if (load > share || *left == 0)
        return false;
    --*left;
    return true;
}

uint64_t assignment_of(const struct uuid *workers, size_t count, size_t self, unsigned partitions)
{
    assert(count >= 1 && count <= ASSIGNMENT_WORKERS_MAX && self < count &&
           partitions <= TOPOLOGY_PARTITIONS_MAX);
    struct uuid sorted[ASSIGNMENT_WORKERS_MAX];
    unsigned loads[ASSIGNMENT_WORKERS_MAX] = {0};
    unsigned share = partitions / (unsigned)count, left = partitions % (unsigned)count;
    uint64_t taken = 0, ours = 0;
    memcpy(sorted, workers, count * sizeof(*workers));
    qsort(sorted, count, sizeof(*sorted), uuid_compare);
    CLEANUP_FREE struct pair *pairs = make_pairs(sorted, count, partitions);
    for (size_t i = 0; i < count * partitions; i++) {
        const struct pair *pair = &pairs[i];
        uint64_t bit = UINT64_C(1) << pair->partition;
        if ((taken & bit) || !has_room(loads[pair->worker], share, &left))
            continue;
        taken |= bit;
        loads[pair->worker]++;
        if (uuid_equal(&sorted[pair->worker], &workers[self]))
            ours |= bit;
    }
    return ours;
}
