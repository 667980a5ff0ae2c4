#pragma once
/* Brings the events of companies to a pool that does not cause them, for the companies of this worker's partitions.
 *
 *   events.slots ─▶ words ─┐
 *                          ├─▶ due companies ─▶ pass ─▶ one transaction: what follows, and the cursor `feed`
 *   feed, sequences ─▶ walk ┘          ▲           │
 *                                      └─ there is more, or it has failed
 *
 * - A word only wakes: which events are new is read from `events`, behind the cursor. So it does not matter how many
 *   words come, in which order, or whether one is lost.
 * - The walk reads WALK_PAGE cursors every CORTEX_FEED_LOOK_MS, however many companies there are, and begins anew when
 *   it is through. When a partition is gained or a connection is back, it goes through all of them at once.
 * - Two workers that are mistaken about a partition do no harm: the cursor moves by compare-and-set.
 * - A company whose events cannot be passed does not hold up the others.
 *
 * It has a database connection of its own, and hears on the worker's publisher. */

#include <ev.h>

#include "common/base/uuid.h"
#include "common/broker/broker.h"
#include "common/process/config.h"
#include "workers/engine/command/partition_set.h"
#include "workers/engine/feed/consumer.h"

struct feed;

struct feed_options {
    const struct config *config;
    const char *pool;
    const struct feed_consumer *consumer;
    const struct partition_set *partitions;
    struct broker *broker;
    /* Something may follow for the pool to do at once. */
    void (*on_passed)(void *ctx);
    void *ctx;
};

/* What `options` point to must outlive it. */
enum err feed_new(struct ev_loop *loop, const struct feed_options *options,
                  struct feed **ret_feed) MUST_CHECK;
/* Before the broker is freed, and after it. All functions here do nothing for a feed that is NULL. */
void feed_close(struct feed *feed);
void feed_free(struct feed *feed);

/* The owner of the broker's connection calls these. */
void feed_up(struct feed *feed);
void feed_down(struct feed *feed);
/* false: the delivery is none of ours. */
bool feed_delivery(struct feed *feed, const struct broker_delivery *delivery);

/* The worker's partitions have changed. */
void feed_gained(struct feed *feed);
void feed_lost(struct feed *feed, unsigned partition);
/* This company may have come to the feed. */
void feed_joined(struct feed *feed, const struct uuid *company);

/* Passes nothing while `is_held`: the database lacks what it needs. */
void feed_hold(struct feed *feed, bool is_held);
void feed_drain(struct feed *feed);
bool feed_is_idle(const struct feed *feed);
