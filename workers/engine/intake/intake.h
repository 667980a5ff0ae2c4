#pragma once
/* The commands that this process holds and has not begun. Each company has a queue of its own, and the
 * companies take turns (deficit round robin), so that one with much to do does not hold up the others.
 *
 *   delivery ─▶ arrivals ─ no rows, few ready ─▶ ready ─ intake_take ─▶ a batch
 *                  │ much is held               ▲   ▲
 *                  └──▶ parked: rows ── loaded ─┘   └─ returned, at once or after a back-off
 *
 *   ready      to be run, in order
 *   rows       of `deferred` whose reason is TURN: older than all arrivals, younger than all that is ready
 *   arrivals   deliveries behind those; they are parked when the queue's prefetch fills, so that commands of
 *              other companies can reach us
 *
 * A company waits while its first command backs off, or while another transaction holds rows of it: then one
 * command of it tries again now and then (LOCKED), by itself when trying means to wait for that transaction
 * (BLOCKED). Its surplus is parked meanwhile, so that it does not fill the prefetch. The prefetch bounds what is held from the broker;
 * INTAKE_ROWS a company, and LOADS companies at a time, bound what is loaded. */

#include <ev.h>

#include "workers/engine/command/command.h"
#include "workers/engine/command/partition_set.h"

struct intake;

enum {
    INTAKE_ALONE =
        4, /* shares in a batch of a company with a backlog, when no other company has anything to run */
    INTAKE_ROWS = 64, /* of a company, asked for in one go, before half as many are left */
};

struct intake_options {
    size_t batch_max;      /* commands run in a batch */
    size_t share;          /* of them, those of one company, while others wait */
    size_t park_max;       /* commands parked in a batch */
    size_t parked_max;     /* rows of one company */
    size_t prefetch;       /* deliveries of one partition, each of which may bring a parcel */
    int64_t lock_ms;       /* what a batch waits for a row that another transaction holds */
    const size_t *unacked; /* of each partition: how much of that is used; outlives it */
    const size_t *held;    /* of each partition: the commands of these deliveries; outlives it */
};

/* `partitions` must outlive it. */
struct intake *intake_new(struct ev_loop *loop, const struct partition_set *partitions,
                          const struct intake_options *options);
void intake_free(struct intake *intake);

/* Takes a delivery. */
void intake_add(struct intake *intake, struct command *command);

/* Returns the next batch as a list: commands to be run, with about a megabyte of bodies at most, and after
 * them commands to be parked (their deferral is TURN). No two have the same id, because the second finds the
 * result of the first in the inbox only when it comes after it. A command that was begun before goes alone, or with
 * those of the same parcel that were, too.
 * Returns NULL when there is nothing to be done now. */
struct command *intake_take(struct intake *intake);

/* A command that was taken comes back (outcome AGAIN: at once; RETRY, LOCKED, BLOCKED: after a back-off), or is
 * settled otherwise. The caller keeps a command that is settled. */
void intake_return(struct intake *intake, struct command *command);
void intake_settled(struct command *command);

/* The process leaves: commands behind rows that it will not load any more are parked. */
void intake_drain(struct intake *intake);

/* The process leaves, and companies are locked: hands their rows to `take`, which owns them. Their deliveries
 * are parked. */
void intake_give_up_locked(struct intake *intake, void (*take)(void *arg, struct command *row), void *arg);

/* The connection is gone: drops all deliveries, because they will come again. Rows stay. */
void intake_clear(struct intake *intake);

/* ---- rows (backlog.h) ---- */

struct intake_want {
    struct uuid company;
    int64_t place; /* rows after this one */
};

/* Names the companies that have rows and too few of them here, at most `max`; the caller answers each with
 * intake_loaded. */
size_t intake_wants(struct intake *intake, struct intake_want *wants, size_t max);
/* Takes a row of such a company, in order, or one that has become due. */
void intake_load(struct intake *intake, struct command *command);
/* `rows` rows of the company were there; is_last: there are no more of them. */
void intake_loaded(struct intake *intake, const struct uuid *company, size_t rows, bool is_last);
/* The company has `rows` rows or more. A company that is known to have rows stays as it is. */
void intake_found(struct intake *intake, const struct uuid *company, size_t rows);
/* So many more rows of a company that was found since the last intake_close are counted. */
void intake_counted(struct intake *intake, const struct uuid *company, size_t rows);

/* Nobody knows which companies of these partitions have rows: their deliveries wait, or are parked. */
void intake_close(struct intake *intake, uint64_t partitions);
/* It is known of all companies up to this one; NULL: of all. */
void intake_open(struct intake *intake, const struct uuid *through);

/* true while another transaction holds rows of the company, as far as is known. */
bool intake_is_locked(const struct intake *intake, const struct uuid *company);

size_t intake_waiting(const struct intake *intake);     /* ready or arrived: all that is here */
size_t intake_backing_off(const struct intake *intake); /* companies */
size_t intake_companies(const struct intake *intake);   /* known at the moment */
size_t intake_parked(
    const struct intake *intake); /* rows of our partitions that are not here, as far as is known */
