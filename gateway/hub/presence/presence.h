#pragma once
/* Presence knows which clients are on the channels of a company, over all gateway processes.
 *
 * Most of the time nobody asks, and then nothing is kept or sent: a process finds its own clients on the
 * hub's lists. A process in which a client asks, or wants joins and leaves, watches the company:
 *
 *   watcher ── watch ──▶ every process ── state: its clients ──▶ watcher (by its peer key)
 *                             └── changes, gathered for PRESENCE_GATHER_MS ──▶ key <company>.presence, and with
 *                                                                                 the slot in front
 *   watcher ── unwatch, PRESENCE_LINGER_S after the last request ──▶ every process
 *
 *   every process ── beat, each presence_beat_ms ──▶ every process
 *
 * A process that has been silent for PRESENCE_BEATS beats is taken to be gone, with its clients. All messages
 * go to the exchange `events` and are not persistent. A process that reconnects to the broker sends hello,
 * and watches again.
 */

#include "gateway/hub/hub.h"

#define PRESENCE_TYPE    "presence"
#define PRESENCE_ALL_KEY "gateways.presence" /* every process binds this key */

struct presence;
struct roster;

struct presence *presence_new(struct gateway *gateway);
void presence_free(struct presence *presence); /* after the hub */

/* The queue is bound, for the first time or again: messages that were sent before have been missed. */
void presence_on_bound(struct presence *presence);
void presence_on_message(struct presence *presence, struct slice body);

/* One request for a channel's members. It is a part of the caller's own struct, and all zero but for
 * on_answer before. */
struct presence_request {
    void (*on_answer)(struct presence_request *request); /* called once, unless the request is forgotten */
    struct roster *roster;
    enum channel_kind kind;
    struct uuid id;
    struct presence_request *next, **place; /* in the roster's list; place NULL: in no list */
};

/* The members of a live subscriber's channel. Answered inside the call or within presence_wait_ms; the
 * subscriber may have left by then. */
void presence_request_start(struct subscriber *subscriber, struct presence_request *request);
/* Does nothing before presence_request_start, or after the answer. */
void presence_request_forget(struct presence_request *request);
/* Inside on_answer: visits each member once. */
void presence_request_each(const struct presence_request *request,
                           void (*visit)(void *arg, const struct member *member), void *arg);
