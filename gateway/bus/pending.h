#pragma once
/* Commands and requests that were published here and are not done with: which call waits, and what the broker
 * has said.
 *
 *   add ─▶ WAITING ── time ──▶ ASKING (the inbox) ─▶ answered
 *             └─ reply, refusal by the broker, client gone ─▶ answered
 *
 * An entry lives until no call waits for it, the broker has spoken, and the inbox has answered. It is found
 * by its number, which travels in the correlation id behind a prefix that no other process has:
 * "<prefix>.<number>.<X-Request-Id>".
 */

#include "common/base/err.h"
#include "common/base/uuid.h"
#include "gateway/bus/deadlines.h"

struct call;
struct commands;
struct control_answer;
struct control_message;

struct pending {
    struct deadline deadline;
    struct commands *commands;
    uint64_t number;
    struct pending *next; /* in its bucket */
    struct call *call;    /* that waits; NULL: none (any more) */
    struct uuid id, company;
    uint64_t fingerprint;
    int64_t since_ms;   /* since 1970 */
    bool is_async;      /* 202 as soon as the broker has it */
    bool is_scheduled;  /* is_async because the command is to run later, not because the client prefers it */
    unsigned in_flight; /* messages of it that the broker has neither confirmed nor refused */
    bool confirmed;     /* the broker has the command */
    bool asking;        /* the inbox has been asked and has not answered */
    bool explaining;    /* the broker refused it, and why is not known yet (refusals.h) */
    const char *pool;   /* whose command it is */
    enum err refusal;   /* of the broker */
    /* Of a request: control.h. */
    void (*on_answer)(struct call *call, const struct control_answer *answer, void *context);
    void *context;
    struct control_message *message; /* in the arena of the call */
    /* Of a question: peers.h. */
    void (*on_peer_answer)(struct call *call, enum err err, const char *detail);
};

enum { PENDING_CORRELATION_SIZE = 128 };

struct pending_table {
    struct pending **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;        /* entries for which a call waits */
    uint64_t last_number;
    char prefix[17];
    struct deadlines deadlines;
};

/* max: how many calls may wait. on_due gets the `deadline` of an entry. */
void pending_table_init(struct pending_table *table, struct ev_loop *loop, size_t max,
                        void (*on_due)(struct deadline *deadline));
void pending_table_done(struct pending_table *table); /* no entry may be left */

/* Adds an entry, with its number and its call set. */
struct pending *pending_add(struct pending_table *table, struct call *call);
void pending_correlation(const struct pending_table *table, const struct pending *pending,
                         char text[PENDING_CORRELATION_SIZE]);
/* The entry that the correlation id names and for which a call waits. NULL: there is none, or the id is not
 * of this process. */
struct pending *pending_find(const struct pending_table *table, struct slice correlation);
/* Every entry for which a call waits. `visit` adds none and lets none go. */
void pending_each(const struct pending_table *table, void (*visit)(struct pending *pending));
/* The id is of this table, whether somebody still waits for it or not. */
bool pending_is_of(const struct pending_table *table, struct slice correlation);

/* Takes the call from the entry, because it is answered or gone. The entry is not found any more. */
struct call *pending_let_go(struct pending_table *table, struct pending *pending);
/* Frees the entry when no call waits for it, it is not in flight, the inbox is not asked and no refusal of it
 * is being explained. */
void pending_release(struct pending *pending);
