#pragma once
/* Which deliveries of the present connection are settled, so that one ack covers as many as possible.
 *
 *   tags:   … 40 41 │ 42 43 44 45 46 …          42 to 44 done: one ack of 44 with `multiple`
 *            acked  └ first: the oldest open
 *
 * Commands end out of order; what is done behind an open one waits for it, unless that one is resting (a
 * retry): then it is acked by itself. */

#include "common/broker/broker.h"

struct acks;

struct acks *acks_new(struct broker *broker);
void acks_free(struct acks *acks);

/* Every delivery, in order, and whose partition it is of. */
void acks_add(struct acks *acks, uint32_t epoch, uint64_t tag, unsigned partition);
void acks_done(struct acks *acks, uint32_t epoch, uint64_t tag);
void acks_reject(struct acks *acks, uint32_t epoch, uint64_t tag, bool requeue);
/* Open for some time to come. */
void acks_hold(struct acks *acks, uint32_t epoch, uint64_t tag);

/* Once per turn of the loop. */
void acks_flush(struct acks *acks);

/* The connection is gone: everything will be delivered again. */
void acks_forget(struct acks *acks);

size_t acks_open(const struct acks *acks); /* deliveries without an answer */
int64_t acks_oldest_ms(
    const struct acks *acks); /* since the oldest that is not acked came; 0: there is none */
/* By partition: deliveries that the broker counts against the prefetch, whether they have an answer that waits for older
 * ones or none. Lives as long as `acks`. */
const size_t *acks_unacked(const struct acks *acks);
