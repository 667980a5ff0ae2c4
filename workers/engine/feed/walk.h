#pragma once
/* Looks for companies whose cursor is behind their sequence: a page of cursors at a time, in the order of their ids,
 * round after round. So a look costs the same however many companies there are, and a whole round takes as many looks
 * as there are pages. A round that is hurried reads one page after the other.
 *
 *   RESTING ── time ──▶ a page ──▶ RESTING          hurried: a page ──▶ a page ─▶ … ─▶ the end ──▶ RESTING */

#include <ev.h>

#include "common/base/uuid.h"
#include "common/db/db.h"

enum { WALK_PAGE = 1000 }; /* about 2 ms of PostgreSQL */

struct walk;

struct walk_callbacks {
    /* The pool's feed has this company. */
    void (*on_company)(void *ctx, const struct uuid *company, bool is_behind);
    /* A round has reached its end: it has named every company that was there all the while. */
    void (*on_round)(void *ctx);
};

/* Strings of `pool` must outlive it. */
struct walk *walk_new(struct ev_loop *loop, struct db *db, const char *pool, int64_t look_ms,
                      const struct walk_callbacks *callbacks, void *ctx);
void walk_free(struct walk *walk); /* after its db */

/* Begins a round anew, and hurries. */
void walk_hurry(struct walk *walk);
void walk_stop(struct walk *walk);
bool walk_is_idle(const struct walk *walk);
