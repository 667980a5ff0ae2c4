#pragma once
/* The queries of one lane that wait, company by company. Companies stand in a line and take turns:
 *
 *   turns_add ─▶ IN LINE ── turns_take ─▶ at the end of the line again, or
 *                   ▲                     RESTING: as many of its queries run as it may have
 *                   └── turns_end ────────┘
 *
 * A company is kept while a query of it waits or runs. */

#include <sys/queue.h>

#include "common/base/uuid_map.h"

struct turns_company;

/* Embedded in a query. */
struct turn {
    TAILQ_ENTRY(turn) waiting;
    struct turns_company *company; /* from turns_add until turns_end or turns_remove */
};
TAILQ_HEAD(turn_list, turn);

struct turns_company {
    struct uuid_node node;
    TAILQ_ENTRY(turns_company) line;
    struct turn_list waiting;
    size_t waiting_count, running;
    unsigned taken; /* in its present turn */
    bool is_in_line;
};
TAILQ_HEAD(turns_line, turns_company);

struct turns {
    struct uuid_map companies;
    struct turns_line line;
    size_t waiting;     /* queries, those of resting companies included */
    size_t running_max; /* queries of one company */
};

void turns_init(struct turns *turns, size_t running_max);
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
