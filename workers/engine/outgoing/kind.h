#pragma once
/* What a pool does outside: requests, mails. A pool that does any has one kind, a row in kinds.c. A kind says in SQL what is
 * due and what is written of an outcome, and in C how one act is done; the rest, who does it and when, is this room's. */

#include <ev.h>

#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"
#include "common/process/config.h"
#include "workers/engine/secrets/secrets.h"

enum { OUTGOING_COLUMNS_MAX = 16 };

/* One act, until its outcome is recorded. */
struct outgoing_act {
    struct uuid company, lane, id;
    struct slice columns[OUTGOING_COLUMNS_MAX]; /* what `due` says of it; they live as long as it does */
    void *doing;                                /* the kind's own */
};

struct outgoing_outcome {
    bool is_success;
    bool is_slow;        /* the destination asks for less: one act at a time until one succeeds */
    bool is_stop;        /* nothing more goes there until somebody has looked at the lane anew */
    double again_s;      /* the act is due again in so many seconds; below 0: it is over */
    struct slice detail; /* for `record`: JSON */
};

struct outgoing_sender;

struct outgoing_kind {
    const char *pool;
    /* No act lasts longer; so its lease outlasts it. */
    double act_max_s;
    /* What is due in lanes that this process holds: common table expressions, each with a comma before it, and a SELECT. They may
     * read
     *   asked (company_id, id, most)   the lanes, and how many acts of each are wanted
     *   $4                             the ids of those that are in hand already, which it leaves out: uuid[]
     * It returns at least one row for each lane that is still there, with these columns; an act without an id is none. */
    const char *due;
    int columns; /* of the kind's own, at most OUTGOING_COLUMNS_MAX */
    /* What is written of outcomes: common table expressions, each with a comma before it. They may read
     *   results (company_id, lane, id, detail, place)   detail: jsonb. Results of leases that were lost are not among them
     * Its transaction holds the locks of the lanes. */
    const char *record;
    /* The part that acts. */
    enum err (*open)(struct ev_loop *loop, const struct config *config, const struct secrets *secrets,
                     struct outgoing_sender **ret_sender);
    void (*close)(struct outgoing_sender *sender); /* drops what is under way */
    /* Begins an act, which ends in one outgoing_done, never from inside this call. */
    void (*begin)(struct outgoing_sender *sender, struct outgoing_act *act);
};

enum {
    OUTGOING_COMPANY,
    OUTGOING_LANE,
    OUTGOING_CONCURRENCY, /* most acts at once */
    OUTGOING_RATE,        /* most that begin in a second; NULL: any number */
    OUTGOING_FAILURES,    /* in a row */
    OUTGOING_NEXT,     /* seconds until the first act of the lane that is not due yet; NULL: there is none */
    OUTGOING_LEFT,     /* whether more is due than was wanted */
    OUTGOING_IN_ORDER, /* whether more may be due when an outcome is recorded */
    OUTGOING_ACT,
    OUTGOING_OWN, /* the first of the kind's own */
};

void outgoing_done(struct outgoing_act *act, const struct outgoing_outcome *outcome);

/* NULL: the pool does nothing outside. */
const struct outgoing_kind *outgoing_kind_of(const char *pool);

extern const struct outgoing_kind webhooks_outgoing; /* webhooks/sender.c */
