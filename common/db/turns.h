#pragma once
/* The queries of one lane that wait, company by company. Companies stand in a line and take turns:
 *
 *   turns_add ─▶ IN LINE ── turns_take ─▶ at the end of the line again, or
 *                   ▲                     FULL: as many of its queries run as it may have
 *                   ├── turns_end ────────┘
 *                   └── turns_wake ─────── RESTING: it owes more time than it may
 *
 * A company may be charged with the time that its queries took, for others' sake. It pays off what it owes as time
 * passes, `share` seconds in a second, or its part of that while several companies rest. It may owe TURNS_CREDIT_S, so
 * whoever asks now and then never rests; one that owes more rests until it owes no more than that. It never rests for
 * more than TURNS_REST_MAX_S: so a query that waits meanwhile still has time to be answered.
 *
 * A company is kept while a query of it waits or runs, or while it owes. */

#include <sys/queue.h>

#include "common/base/uuid_map.h"

struct turns_company;

/* Embedded in a query. */
struct turn {
    TAILQ_ENTRY(turn) waiting;
    struct turns_company *company; /* from turns_add until turns_end or turns_remove */
};
TAILQ_HEAD(turn_list, turn);

enum turns_account { TURNS_EVEN, TURNS_OWING, TURNS_RESTING };

struct turns_company {
    struct uuid_node node;
    TAILQ_ENTRY(turns_company) line;
    struct turn_list waiting;
    size_t waiting_count, running;
    unsigned taken; /* in its present turn */
    bool is_in_line;
    enum turns_account account;
    double owes_until; /* the time at which it will have paid everything */
    TAILQ_ENTRY(turns_company) debtors;
};
TAILQ_HEAD(turns_line, turns_company);

#define TURNS_CREDIT_S   0.05
#define TURNS_REST_MAX_S 2.0

struct turns {
    struct uuid_map companies;
    struct turns_line line;
    struct turns_line owing, resting; /* by owes_until */
    size_t resting_count;
    size_t waiting;     /* queries, those of companies that are full or rest included */
    size_t running_max; /* queries of one company */
    double share;       /* of the time, for what companies are charged with; above 0 and at most 1 */
};

void turns_init(struct turns *turns, size_t running_max, double share);
void turns_done(struct turns *turns); /* no query may be left */
/* at_front: before the company's other queries, because it has waited before. */
void turns_add(struct turns *turns, struct turn *turn, const struct uuid *company, bool at_front);
/* How many queries of the company wait or run. */
size_t turns_held(const struct turns *turns, const struct uuid *company);
/* The query that runs next; NULL: none may run now. turns_take takes it. */
struct turn *turns_next(const struct turns *turns);
void turns_take(struct turns *turns, struct turn *turn);   /* must be turns_next */
void turns_end(struct turns *turns, struct turn *turn);    /* it was taken, and runs no more */
void turns_remove(struct turns *turns, struct turn *turn); /* while it waits */
struct turn *turns_any(struct turns *turns); /* one that waits, whether it may run or not; NULL: none */

/* The company's queries took so long, and others had to do without that time. */
void turns_charge(struct turns *turns, const struct uuid *company, double seconds, double now);
static inline bool turns_owe(const struct turns *turns) /* any company */
{
    return !TAILQ_EMPTY(&turns->owing) || turns->resting_count > 0;
}
bool turns_rests(const struct turns *turns, const struct uuid *company);
void turns_wake(struct turns *turns, double now); /* companies that have rested are in line again */
/* When the next company has rested that has queries waiting, or an earlier time; 0: there is none. */
double turns_next_wake(const struct turns *turns);
