#pragma once
/* Commands that were published here and are not done with: who waits for the result, what the broker has
 * said.
 *
 *   add ─▶ WAITING ── time ──▶ ASKING (the inbox) ─▶ answered
 *             └─ reply, refusal by the broker, client gone ─▶ answered
 *
 * An entry lives until nobody waits, the broker has spoken, and no question to the inbox is open. It is found
 * by its number, which travels in the correlation id behind a prefix that no other process has:
 * "<prefix>.<number>.<X-Request-Id>".
 */

#include "common/base/err.h"
#include "common/base/uuid.h"
#include "gateway/bus/deadlines.h"

struct call;
struct commands;
struct control_answer;

struct pending {
    struct deadline deadline;
    struct commands *commands;
    uint64_t number;
    struct pending *next; /* in its bucket */
    struct call *call;    /* NULL: nobody waits (any more) */
    struct uuid id, company;
    uint64_t fingerprint;
    bool is_async;     /* 202 as soon as the broker has it */
    bool is_scheduled; /* and not because the client preferred that */
    bool in_flight;    /* the broker has not spoken yet */
    bool confirmed;    /* it has the command */
    bool asking;       /* a question to the inbox is open */
    enum err refusal;  /* of the broker */
    /* Of a question: control.h. */
    void (*on_answer)(struct call *call, const struct control_answer *answer, void *context);
    void *context;
};

enum { PENDING_CORRELATION_SIZE = 128 };

struct pending_table {
    struct pending **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;        /* entries for which somebody waits */
    uint64_t last_number;
    char prefix[17];
    struct deadlines deadlines;
};

/* max: entries for which somebody waits. on_due gets the `deadline` of an entry. */
void pending_table_init(struct pending_table *table, struct ev_loop *loop, size_t max,
                        void (*on_due)(struct deadline *deadline));
void pending_table_done(struct pending_table *table); /* no entry may be left */

/* With its number and its call set. */
struct pending *pending_add(struct pending_table *table, struct call *call);
void pending_correlation(const struct pending_table *table, const struct pending *pending,
                         char text[PENDING_CORRELATION_SIZE]);
/* The entry that a correlation id of this process names and for which somebody waits; else NULL. */
struct pending *pending_find(const struct pending_table *table, struct slice correlation);

/* The call is answered or gone: the entry is not found any more. Returns the call. */
struct call *pending_let_go(struct pending_table *table, struct pending *pending);
/* Frees it when nothing is open. */
void pending_release(struct pending *pending);
