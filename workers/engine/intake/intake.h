#pragma once
/* The commands that this process holds and has not begun, company by company: each company's in order, and the
 * companies in turn (deficit round robin), so that one with much to do does not hold up the others.
 *
 *   delivery ─▶ arrivals ─ no rows, few ready ─▶ ready ─ intake_take ─▶ a batch
 *                  │ much is held               ▲   ▲
 *                  └──▶ parked: rows ── loaded ─┘   └─ returned, at once or after a rest
 *
 *   ready      to be run, in order
 *   rows       of `deferred` whose reason is TURN: all older than the arrivals, all younger than what is ready
 *   arrivals   deliveries behind those; they are parked when the queue's prefetch fills, so that others'
 *              commands can reach us
 *
 * A company whose first command rests waits for it. What is held from the broker is bounded by the prefetch,
 * what is loaded by INTAKE_ROWS a company and LOADS companies at a time. */

#include <ev.h>

#include "workers/engine/command/command.h"
#include "workers/engine/command/partition_set.h"

struct intake;

enum {
    INTAKE_ALONE =
        4, /* shares in a batch of a company with a backlog, when nobody else has anything to run */
    INTAKE_ROWS = 64, /* of a company, asked for in one go, before half as many are left */
};

struct intake_options {
    size_t batch_max;  /* commands run in a batch */
    size_t share;      /* of them, of one company, while others wait; ALONE of them while it has a backlog */
    size_t park_max;   /* commands parked in a batch */
    size_t parked_max; /* rows of one company */
    size_t prefetch;   /* deliveries of one partition */
    const size_t *unacked; /* of each partition: how much of that is used; outlives it */
};

/* `partitions` must outlive it. */
struct intake *intake_new(struct ev_loop *loop, const struct partition_set *partitions,
                          const struct intake_options *options);
void intake_free(struct intake *intake);

/* A delivery. */
void intake_add(struct intake *intake, struct command *command);

/* The next batch, as a list: commands to be run, about a megabyte of bodies at most, and after them commands
 * to be parked (their deferral is TURN). No two have the same id: the second finds the result of the first in
 * the inbox, if it comes after it. A suspect goes alone. NULL when nothing is to be done now. */
struct command *intake_take(struct intake *intake);

/* What was taken comes back (outcome RETRY: after a rest; AGAIN), or is settled otherwise: the caller still
 * owns it then. */
void intake_return(struct intake *intake, struct command *command);
void intake_settled(struct command *command);

/* The process leaves: what cannot be run before rows that it will not load is parked. */
void intake_drain(struct intake *intake);

/* The connection is gone: all deliveries will come again. Rows stay. */
void intake_clear(struct intake *intake);

/* ---- rows (backlog.h) ---- */

struct intake_want {
    struct uuid company;
    int64_t place; /* rows after this one */
};

/* The companies that have rows and too little here; each is answered by intake_loaded. At most `max`. */
size_t intake_wants(struct intake *intake, struct intake_want *wants, size_t max);
/* A row of such a company, in order; or one that has become due. */
void intake_load(struct intake *intake, struct command *command);
/* `rows` were there; no more of them when is_last. */
void intake_loaded(struct intake *intake, const struct uuid *company, size_t rows, bool is_last);
/* The company has `rows` rows, or more. Known companies are left as they are. */
void intake_found(struct intake *intake, const struct uuid *company, size_t rows);
/* Those of which it is known that they have rows that are not here. */
void intake_each_with_rows(const struct intake *intake, void (*each)(void *arg, const struct uuid *company),
                           void *arg);

size_t intake_waiting(const struct intake *intake);     /* ready or arrived: all that is here */
size_t intake_backing_off(const struct intake *intake); /* companies */
size_t intake_companies(const struct intake *intake);   /* known at the moment */
size_t intake_parked(
    const struct intake *intake); /* rows of our partitions that are not here, as far as is known */
