#pragma once
/* Looks for queues of the pool beyond CORTEX_PARTITIONS: an earlier number was larger, and whoever still had it sent
 * commands there, which no worker consumes.
 *
 * Whether a queue exists is asked by looking at it, and RabbitMQ ends the channel over one that does not. So this has a
 * connection of its own, which lives for one look: from the first queue beyond the number up to the first that does not
 * exist. RabbitMQ logs that as an error, so a look is rare. */

#include <ev.h>

#include "common/process/config.h"

struct strays;

struct stray {
    char name[128];
    uint32_t waiting, consumers;
};

/* Strings of `config` and `pool` must outlive it. */
struct strays *strays_new(struct ev_loop *loop, const struct config *config, const char *pool);
void strays_free(struct strays *strays);

/* Call it about once a second while the broker can be reached: it begins a look when one is due, and ends the one that is
 * over. */
void strays_tick(struct strays *strays, int64_t now_ms);

/* The i-th queue that the last whole look has found; false past the last. */
bool strays_at(const struct strays *strays, size_t i, struct stray *ret_stray);
