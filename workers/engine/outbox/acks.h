#pragma once
/* The deliveries of the present connection and which of them are settled, so that one ack covers as many as
 * possible.
 *
 *   tags:   … 40 41 │ 42 43 44 45 46 …          42 to 44 done: one ack of 44 with `multiple`
 *            acked  └ first: the oldest open
 *
 * Deliveries end out of order. One that is done waits for the open ones before it, unless the first of them is
 * held (a command of it backs off): then it is acked by itself.
 *
 * A delivery may be a parcel of several commands (common/broker/parcel.h). It is settled when each of them is: acked,
 * or rejected as a whole when one of them was. The queue of dead letters then leaves out those that have a result
 * (housekeeping/dead_queue.h). */

#include "common/broker/broker.h"

enum { ACKS_PARCELS_MS = 30000 };

struct acks;

struct acks *acks_new(struct broker *broker);
void acks_free(struct acks *acks);

/* Called for every delivery, in order, with its partition and the number of its commands, at least one. */
void acks_add(struct acks *acks, uint32_t epoch, uint64_t tag, unsigned partition, size_t commands);
/* One command of the delivery is done, or rejected. */
void acks_done(struct acks *acks, uint32_t epoch, uint64_t tag);
void acks_reject(struct acks *acks, uint32_t epoch, uint64_t tag);
/* The delivery stays open for some time: those behind it need not wait for it. */
void acks_hold(struct acks *acks, uint32_t epoch, uint64_t tag);

/* Sends the acks; called once in each turn of the loop. */
void acks_flush(struct acks *acks);

/* The connection is gone: the broker will deliver everything again. */
void acks_forget(struct acks *acks);

size_t acks_open(const struct acks *acks); /* commands of deliveries without an answer that are not settled */
/* How many commands a delivery has on average, of late, in hundredths; 100: each is a single command. */
unsigned acks_percent_a_delivery(const struct acks *acks);
/* A delivery that is not acked is a parcel, or one was in the last ACKS_PARCELS_MS. */
bool acks_has_parcels(const struct acks *acks);
int64_t acks_oldest_ms(
    const struct acks *acks); /* since the oldest that is not acked came; 0: there is none */
/* For each partition: the deliveries that the broker counts against the prefetch. They have no answer yet, or
 * one that waits for older ones. Lives as long as `acks`. */
const size_t *acks_unacked(const struct acks *acks);
/* Likewise, the commands of these deliveries. */
const size_t *acks_unacked_commands(const struct acks *acks);
