#pragma once
/* Who is on the channels of a company, over all gateway processes.
 *
 * Nobody asks most of the time, and then nothing is kept or sent: those who are here are found on the hub's own lists. A process in
 * which somebody asks, or wants to hear who comes and goes, watches the company:
 *
 *   watcher ── watch ──▶ every process ── state: who is there ──▶ watcher (by its reply key)
 *                             └────────── changes, gathered for PRESENCE_GATHER_MS ──▶ key <company>.presence
 *   watcher ── unwatch ─▶ nobody has asked for PRESENCE_LINGER_S
 *
 *   every process ── beat, each presence_beat_ms ──▶ every process; one that is silent for PRESENCE_BEATS of them is gone, and
 *                                                    those who were on it too
 *
 * All of it on exchange `events`, not persistent: a process that comes back to the broker says hello, and is watched anew.
 */

#include "gateway/hub/hub.h"

#define PRESENCE_TYPE    "presence"
#define PRESENCE_ALL_KEY "gateways.presence" /* every process binds it */

struct presence;
struct roster;

struct presence *presence_new(struct gateway *gateway);
void presence_free(struct presence *presence); /* after the hub */

void presence_on_bound(
    struct presence *presence); /* the queue is (again) bound: what was said meanwhile was missed */
void presence_on_message(struct presence *presence, struct slice body);

/* One question, a part of the asker's own struct, all zero but for on_answer before it is asked. */
struct presence_request {
    void (*on_answer)(struct presence_request *request); /* once, unless it is forgotten */
    struct roster *roster;
    enum channel_kind kind;
    struct uuid id;
    struct presence_request *next, **place; /* among those that wait; place NULL: not there */
};

/* Of one who is live. Answered inside the call or later, presence_wait_ms at most; it may have left by then. */
void presence_request_start(struct subscriber *subscriber, struct presence_request *request);
void presence_request_forget(
    struct presence_request *request); /* also of one that was never asked, or is answered */
/* Inside on_answer: each member, once. */
void presence_request_each(const struct presence_request *request,
                           void (*visit)(void *arg, const struct member *member), void *arg);
