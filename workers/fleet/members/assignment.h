#pragma once
/* Which worker of a pool has which partition: a function of who is there, and of nothing else, so that all
 * who know the same workers come to the same answer without asking one another.
 *
 * Rendezvous hashing with bounded loads: every pair of worker and partition has a score; the pairs are taken
 * from the highest on, each that a worker still has room for. Of n workers and p partitions each has p / n of
 * them, rounded down or up, and who comes or goes moves little more than its own share. */

#include <stddef.h>
#include <stdint.h>

#include "common/base/uuid.h"

enum { ASSIGNMENT_WORKERS_MAX = 512 };

/* The partitions of workers[self], bit by bit. The ids are different from one another, in any order; at most
 * ASSIGNMENT_WORKERS_MAX of them and TOPOLOGY_PARTITIONS_MAX partitions. */
uint64_t assignment_of(const struct uuid *workers, size_t worker_count, size_t self, unsigned partitions);
