#include "gateway/bus/refusals.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/broker/topology.h"

enum { QUIET_MS = 60000, WHY_SIZE = 256 };

struct waiter {
    struct waiter *next;
    refusals_on_reason *on_reason;
    void *arg;
};

/* A queue that has refused something, ever. */
struct refused {
    struct refused *next;
    struct refusals *all;
    char queue[TOPOLOGY_NAME_SIZE];
    int64_t limit;
    bool is_asked; /* the broker, for its length */
    struct waiter *waiters;
    struct refusals_pace pace;
};

struct refusals {
    struct broker *publisher;
    struct refused *queues;
    int64_t first_ms, last_ms; /* refusals without a message that was taken in between; 0: none */
};

static void settle(struct refused *refused, enum err reason)
{
    struct waiter *waiter = TAKE(refused->waiters);
    refused->is_asked = false;
    while (waiter) {
        struct waiter *next = waiter->next;
        waiter->on_reason(waiter->arg, reason);
        free(waiter);
        waiter = next;
    }
}

bool refusals_pace_is_due(struct refusals_pace *pace, int64_t now_ms)
{
    int64_t passed_ms = now_ms - pace->reconnected_ms;
    if (pace->spacing_ms && passed_ms < pace->spacing_ms)
        return false;
    if (!pace->spacing_ms || passed_ms >= QUIET_MS) {
        pace->since_ms = now_ms;
        pace->spacing_ms = REFUSALS_SPACING_MIN_MS;
    } else if (now_ms - pace->since_ms >= REFUSALS_EAGER_MS) {
        pace->spacing_ms *= 2;
    }
    if (pace->spacing_ms > REFUSALS_SPACING_MAX_MS)
        pace->spacing_ms = REFUSALS_SPACING_MAX_MS;
    pace->reconnected_ms = now_ms;
    return true;
}

static void reconnect(struct refused *refused, uint32_t waiting)
{
    char why[WHY_SIZE];
    snprintf(why, sizeof(why), "%s refuses messages, although only %u of %lld wait in it", refused->queue,
             waiting, (long long)refused->limit);
    broker_reconnect(refused->all->publisher, why);
}

static void note_trouble(struct refusals *refusals)
{
    int64_t now = clock_monotonic_ms();
    if (!refusals->first_ms || now - refusals->last_ms >= REFUSALS_FORGET_MS)
        refusals->first_ms = now;
    refusals->last_ms = now;
}

void refusals_taken(struct refusals *refusals)
{
    refusals->first_ms = 0;
}

bool refusals_are_all(const struct refusals *refusals)
{
    int64_t now = clock_monotonic_ms();
    return refusals->first_ms && refusals->last_ms - refusals->first_ms >= REFUSALS_TROUBLE_MS &&
           now - refusals->last_ms < REFUSALS_FORGET_MS;
}

/* RabbitMQ takes messages again once a full queue has come down to four fifths of its limit. */
static void on_seen(void *arg, uint32_t waiting, uint32_t consumers)
{
    struct refused *refused = arg;
    (void)consumers;
    bool is_full = waiting >= refused->limit - refused->limit / 5;
    settle(refused, is_full ? ERR_QUEUE_FULL : ERR_BROKER_UNAVAILABLE);
    if (!is_full) {
        note_trouble(refused->all);
        if (refusals_pace_is_due(&refused->pace, clock_monotonic_ms()))
            reconnect(refused, waiting);
    }
}

static struct refused *find(struct refusals *refusals, const char *queue)
{
    for (struct refused *refused = refusals->queues; refused; refused = refused->next)
        if (strcmp(refused->queue, queue) == 0)
            return refused;
    struct refused *refused = xcalloc(1, sizeof(*refused));
    refused->all = refusals;
    snprintf(refused->queue, sizeof(refused->queue), "%s", queue);
    refused->next = refusals->queues;
    refusals->queues = refused;
    return refused;
}

void refusals_explain(struct refusals *refusals, const char *queue, int64_t limit,
                      refusals_on_reason *on_reason, void *arg)
{
    struct refused *refused = find(refusals, queue);
    refused->limit = limit;
    if (on_reason) {
        struct waiter *waiter = xcalloc(1, sizeof(*waiter));
        *waiter = (struct waiter){.next = refused->waiters, .on_reason = on_reason, .arg = arg};
        refused->waiters = waiter;
    }
    if (!broker_is_up(refusals->publisher)) {
        settle(refused, ERR_BROKER_UNAVAILABLE);
        return;
    }
    if (!refused->is_asked)
        broker_look_at_queue(refusals->publisher, queue, on_seen, refused);
    refused->is_asked = true;
}

void refusals_down(struct refusals *refusals)
{
    for (struct refused *refused = refusals->queues; refused; refused = refused->next)
        settle(refused, ERR_BROKER_UNAVAILABLE);
}

struct refusals *refusals_new(struct broker *publisher)
{
    struct refusals *refusals = xcalloc(1, sizeof(*refusals));
    refusals->publisher = publisher;
    return refusals;
}

void refusals_free(struct refusals *refusals)
{
    if (!refusals)
        return;
    while (refusals->queues) {
        struct refused *refused = refusals->queues;
        refusals->queues = refused->next;
        free(refused);
    }
    free(refusals);
}
