#pragma once
/* The way back from the workers: one exclusive queue of this process, bound for replies to it and for the events of
 * the companies that are watched. What comes goes to the one who waits for it and to the hub.
 *
 * The queue dies with its connection: what is published until it is declared and bound again is missed, which the hub is told
 * (hub_on_gap), and which those who wait find out from the inbox.
 */

#include "common/broker/envelope.h"
#include "gateway/gateway.h"

struct events;

/* on_reply is called for every event or refusal before the hub is. */
enum err events_new(struct gateway *gateway, void (*on_reply)(void *arg, const struct event *event),
                    void *arg, struct events **ret_events) MUST_CHECK;
void events_free(struct events *events);

/* Connected, and all bindings confirmed. */
bool events_ready(const struct events *events);

/* Counted: as many unwatch as watch. hub_on_watched follows when the broker has confirmed the binding. */
void events_watch(struct events *events, const struct uuid *company);
void events_unwatch(struct events *events, const struct uuid *company);
