#pragma once
/* The lanes that this process holds, and what is in hand of each: which act begins next. No I/O.
 *
 *   lane:  RESTING ── has a queued act, and room ──▶ READY ── its turn: one act begins ──▶ READY, or RESTING
 *                                                    │  ▲
 *                                 too early (rate) ──┴──┘── PACED
 *                    its company has its share ──────┴──┘── CROWDED
 *
 *   act:   QUEUED ── begun ──▶ UNDER_WAY ── outcome ──▶ ENDED ── recorded, or void ──▶ freed
 *
 * A lane that is lost keeps its acts under way until they have ended; their outcomes are void. */

#include <sys/queue.h>

#include "common/base/uuid_map.h"
#include "workers/engine/outgoing/kind.h"

enum { FAILURES_MAX = 5 }; /* in a row; then one act at a time */

enum lane_place { RESTING, READY, PACED, CROWDED };

struct tenant {
    struct uuid_node node;
    size_t lanes, under_way;
};

struct act {
    struct outgoing_act out; /* the first member: an outgoing_act is an act */
    struct lane *lane;
    struct lanes *lanes;
    TAILQ_ENTRY(act) link;    /* in lane->queued, or in lanes->ended, or in that of outcomes on their way */
    TAILQ_ENTRY(act) of_lane; /* in lane->acts */
    struct outgoing_outcome outcome;
    char *detail;
    char text[]; /* the columns */
};
TAILQ_HEAD(act_list, act);

struct lane {
    struct uuid_node node;
    struct tenant *tenant;
    TAILQ_ENTRY(lane) link; /* in the list of its place */
    TAILQ_ENTRY(lane) of_all;
    enum lane_place place;
    int64_t lease;
    double until; /* of the lease; this and the other times are monotonic */
    struct act_list queued, acts;
    size_t queued_count, under_way, in_hand;
    int64_t concurrency, failures;
    double pace_s;    /* between two beginnings; 0: any */
    double paced;     /* when the next act may begin */
    double next;      /* when something of it is due that was not; INFINITY: nothing is */
    double busy_at;   /* when it last had something to do */
    bool needs_due;   /* there may be something due that is not in hand */
    bool is_in_order; /* what is recorded may make something due */
    bool is_slow, is_stopped, is_leaving, is_lost;
};
TAILQ_HEAD(lane_list, lane);

struct lanes {
    const struct outgoing_kind *kind;
    struct outgoing_sender *sender;
    size_t max, share_max; /* acts under way, of all and of one company */
    struct uuid_map by_id, tenants;
    struct lane_list all; /* those that are lost, too, until their acts have ended */
    struct lane_list ready, paced, crowded;
    struct act_list ended;
    size_t held, under_way, in_hand, ended_count;
    void (*on_ended)(void *ctx);
    void *ctx;
};

void lanes_init(struct lanes *lanes);
void lanes_done(struct lanes *lanes); /* after the kind's close */

struct lane *lanes_find(const struct lanes *lanes, const struct uuid *id);
/* Ours from now on, or still, under that lease. NULL: another company's lane has the same id, and is held. */
struct lane *lanes_take(struct lanes *lanes, const struct uuid *company, const struct uuid *id, int64_t lease,
                        double until);
void lanes_lose(struct lanes *lanes, struct lane *lane);
/* Forgets a lane that has nothing in hand. */
void lanes_forget(struct lanes *lanes, struct lane *lane);
/* Drops what is queued and not begun. */
void lanes_drop_queued(struct lanes *lanes, struct lane *lane);

/* How many acts more it is to have in hand. */
size_t lane_wants(const struct lanes *lanes, const struct lane *lane);
void lanes_queue(struct lanes *lanes, struct lane *lane, const struct uuid *id,
                 const struct slice columns[OUTGOING_COLUMNS_MAX]); /* copied */
/* Begins what may begin. */
void lanes_begin(struct lanes *lanes);
/* Those whose pace allows the next act are ready. Returns whether there are others. */
bool lanes_pace(struct lanes *lanes);
/* The act is recorded, or void. */
void lanes_settle(struct act *act);
