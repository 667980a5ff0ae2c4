#pragma once
/* Inside of the intake: for the files of this room only.
 *
 *   intake.c  companies, deliveries, returns, back-offs
 *   take.c    a batch: whose turn it is, and what is parked
 *   parked.c  rows that are loaded */

#include "common/base/uuid_map.h"
#include "workers/engine/command/command_list.h"
#include "workers/engine/intake/intake.h"

/* A company lives while there is anything of it: here, in a batch, or as rows. */
struct company {
    struct uuid_node node;
    struct intake *intake;
    unsigned partition;
    struct command_list ready, arrivals;
    size_t out;                  /* taken and not settled */
    size_t parked;               /* rows that are not here */
    size_t parking;              /* taken in order to become rows */
    size_t loaded;               /* rows whose reason is TURN, here or taken */
    int64_t place;               /* of the last of those */
    bool is_loading;             /* intake_wants named it */
    unsigned found_in;           /* how often intake_close was called before it was found */
    int64_t deficit;             /* units that it may use in its turn */
    struct company *next_active; /* in the round; is_active: it is there */
    bool is_active;
    struct company *next_crowded; /* of those with arrivals or rows; is_crowded: it is there */
    bool is_crowded;
    ev_timer backoff;
    unsigned locks;  /* tries in a row that found rows of it held by another transaction */
    bool is_blocked; /* the last of them waited for that transaction: the next one goes alone */
};

/* Command ids of the batch being put together, by open addressing: at most half full. */
struct ids {
    const struct command **slots;
    size_t size; /* a power of two */
};

struct intake {
    struct ev_loop *loop;
    const struct partition_set *partitions;
    struct intake_options options;
    struct uuid_map companies;
    struct company *active,
        **last_active; /* the round: those that have something ready and do not back off */
    size_t active_count;
    struct company *crowded;
    struct ids ids;
    uint64_t next_order;
    bool is_draining;
    size_t waiting, backing_off;
    uint64_t closed;       /* partitions */
    struct uuid open_upto; /* companies of those up to here are open */
    unsigned closings;
    double blocked_until; /* monotonic; no company that is_blocked tries again before */
};

/* Commands of one partition. Parcels fill the memory before they fill the prefetch. */
static inline size_t intake_held_max(const struct intake *intake)
{
    enum { HELD_A_DELIVERY = 16 };
    return HELD_A_DELIVERY * intake->options.prefetch;
}

static inline bool company_has_rows(const struct company *company)
{
    return company->parked > 0 || company->parking > 0;
}

/* intake.c */
struct company *company_get(struct intake *intake, const struct uuid *id);
void company_activate(struct company *company);
void company_crowd(struct company *company);
void company_back_off(struct company *company, double seconds);
/* Makes arrivals ready as far as they may be. */
void company_let_in(struct company *company);
void company_take_back(struct company *company); /* deliveries leave `ready`: there are rows before them */
void company_release(struct company *company);   /* frees it when there is nothing of it */
