#pragma once
/* The partitions of the pool whose commands this process runs. All commands of a company, delivered or
 * waiting in `deferred`, are of one partition. */

#include <stdbool.h>
#include <stdint.h>

struct partition_set {
    unsigned count; /* of the pool: 1 to TOPOLOGY_PARTITIONS_MAX */
    uint64_t mine;  /* bit p: partition p */
};

static inline bool partition_is_mine(const struct partition_set *set, unsigned partition)
{
    return set->mine >> partition & 1;
}
