#pragma once
/* The deliveries of the present connection and which of them are settled, so that one ack covers as many as
 * possible.
 *
 *   tags:   … 40 41 │ 42 43 44 45 46 …          42 to 44 done: one ack of 44 with `multiple`
 *            acked  └ first: the oldest open
 *
 * Commands end out of order. One that is done waits for the open ones before it, unless the first of them is
 * held (it backs off): then it is acked by itself. */

#include "common/broker/broker.h"

struct acks;

struct acks *acks_new(struct broker *broker);
void acks_free(struct acks *acks);

/* Called for every delivery, in order, with its partition. */
void acks_add(struct acks *acks, uint32_t epoch, uint64_t tag, unsigned partition);
void acks_done(struct acks *acks, uint32_t epoch, uint64_t tag);
void acks_reject(struct acks *acks, uint32_t epoch, uint64_t tag, bool requeue);
/* The delivery stays open for some time: those behind it need not wait for it. */
void acks_hold(struct acks *acks, uint32_t epoch, uint64_t tag);

/* Sends the acks; called once in each turn of the loop. */
void acks_flush(struct acks *acks);

/* The connection is gone: the broker will deliver everything again. */
void acks_forget(struct acks *acks);

size_t acks_open(const struct acks *acks); /* deliveries without an answer */
int64_t acks_oldest_ms(
    const struct acks *acks); /* since the oldest that is not acked came; 0: there is none */
/* For each partition: the deliveries that the broker counts against the prefetch. They have no answer yet, or
 * one that waits for older ones. Lives as long as `acks`. */
const size_t *acks_unacked(const struct acks *acks);
