#pragma once
/* The way back from the workers: one exclusive queue of this process, bound for the replies to it, for the
 * slots of the companies that are watched (common/broker/topology.h), and for the keys that its listeners
 * name. Replies go to commands.h and control.h; the rest goes to the listeners. A slot brings events of other
 * companies as well, and so does a parcel (common/broker/event_parcel.h): the listeners look at the company of each
 * event and drop what nobody here watches.
 *
 * The queue dies with its connection, so what is published until it is declared and bound again is missed.
 * The listeners are told (on_bound); a command that waits for its reply finds the result in the inbox
 * instead.
 */

#include "common/broker/envelope.h"
#include "gateway/gateway.h"

struct events;

/* What gateway processes send each other, by its type: an announcement (commands_announce), or a question (peers.h), whose
 * answer is the error. */
struct events_announcement {
    struct slice type;
    void (*on_announcement)(struct gateway *gateway, struct slice body);
    enum err (*on_question)(struct gateway *gateway, struct slice body); /* in place of on_announcement */
};

/* Who hears what arrives; wiring.c fills it in. It must outlive the events, and every member is set. */
struct events_listeners {
    /* The queue is bound for these, too: on `events`, and where slots are. NULL-terminated. */
    const char *const *keys, *const *slot_keys;
    const struct events_announcement *announcements; /* ended by one without a type */
    /* An event of a worker, after the command that waits for it has been answered. */
    void (*on_event)(struct gateway *gateway, const struct event *event);
    /* The broker has confirmed the binding for a company: from now on none of its events is missed. */
    void (*on_watched)(struct gateway *gateway, const struct uuid *company);
    /* The queue and all of its bindings are confirmed. is_again: there was a connection before, and what was
     * published since it broke has been missed, of every company. Else on_watched has been called for each
     * company that is watched. */
    void (*on_bound)(struct gateway *gateway, bool is_again);
};

enum err events_new(struct gateway *gateway, const struct events_listeners *listeners,
                    struct events **ret_events) MUST_CHECK;
void events_free(struct events *events);

/* Connected, and all bindings are confirmed. */
bool events_ready(const struct events *events);

/* A gateway process was heard, that binds slots or not, and reads parcels or not. */
void events_hear_gateway(struct events *events, bool slots, bool parcels);

/* Watches are counted: events_unwatch is called as often as events_watch. on_watched follows when the broker
 * has confirmed the binding, never from inside of events_watch. */
void events_watch(struct events *events, const struct uuid *company);
void events_unwatch(struct events *events, const struct uuid *company);
