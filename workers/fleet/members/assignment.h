#pragma once
/* Which worker of a pool has which partition. The answer depends on nothing but the set of workers, so that
 * all who know the same workers come to the same answer without asking each other.
 *
 * Rendezvous hashing with bounded loads: every pair of worker and partition has a score. The pairs are taken
 * from the highest score down, each for which the worker still has room. Of n workers and p partitions each
 * worker has p / n partitions, rounded down or up; a worker that comes or goes moves little more than its own
 * share. */

#include <stddef.h>
#include <stdint.h>

#include "common/base/uuid.h"

enum { ASSIGNMENT_WORKERS_MAX = 512 };

/* The partitions of workers[self], bit by bit. The ids all differ, in any order. At most
 * ASSIGNMENT_WORKERS_MAX workers and TOPOLOGY_PARTITIONS_MAX partitions. */
uint64_t assignment_of(const struct uuid *workers, size_t worker_count, size_t self, unsigned partitions);
