#pragma once
/* Why a queue refused a message. RabbitMQ says only "nack": when the queue is full, but also for other reasons. On 3.10 a
 * connection that was made while the leader of a queue moved may have all its messages for that queue refused for good.
 *
 *   nack ─▶ how long is the queue? ─┬─ as long as it may be ──▶ it is full
 *                                   └─ shorter ──▶ the broker is in trouble, and the connection is made anew
 *
 * While refusals of one queue go on, the connection is made anew each second for REFUSALS_EAGER_MS, since a leader is elected
 * within seconds, and the connection that was made just before has to be made once more. Then after 2 s, 4 s, up to
 * REFUSALS_SPACING_MAX_MS: it carries the messages of all other queues, too. */

#include "common/broker/broker.h"

enum {
    REFUSALS_SPACING_MIN_MS = 1000,
    REFUSALS_SPACING_MAX_MS = 30000,
    REFUSALS_EAGER_MS = 10000,
    REFUSALS_TROUBLE_MS = 3000,
    REFUSALS_FORGET_MS = 30000,
};

/* When the connection is made anew for the sake of one queue. Times are milliseconds of a clock that never goes back. */
struct refusals_pace {
    int64_t reconnected_ms, spacing_ms; /* 0: never */
    int64_t since_ms;                   /* the first reconnection of those that go on */
};
/* Whether now is a time for it: then it is taken as made. */
bool refusals_pace_is_due(struct refusals_pace *pace, int64_t now_ms);

struct refusals;

/* ERR_QUEUE_FULL, or ERR_BROKER_UNAVAILABLE. */
typedef void refusals_on_reason(void *arg, enum err reason);

/* publisher: the connection whose messages are refused; it must outlive the callbacks, not this struct. */
struct refusals *refusals_new(struct broker *publisher);
void refusals_free(struct refusals *refusals); /* nobody may wait for a reason any more */

/* limit: how many messages the queue holds when it is full. on_reason is called once, perhaps from in here. It may be NULL. */
void refusals_explain(struct refusals *refusals, const char *queue, int64_t limit,
                      refusals_on_reason *on_reason, void *arg);
/* A queue has taken a message. */
void refusals_taken(struct refusals *refusals);
/* For REFUSALS_TROUBLE_MS and longer, every message was refused by a queue that is not full. It is false again once
 * a queue takes one, or when nothing was sent for REFUSALS_FORGET_MS: then somebody has to try. */
bool refusals_are_all(const struct refusals *refusals);
/* The connection is gone, and with it the answers. */
void refusals_down(struct refusals *refusals);
