#pragma once
/* Fills the blocks of text search with what has changed (schemas/sql/0025_text_blocks.sql).
 *
 *   changed ─▶ wait ─▶ step ─▶ step ─▶ … ─▶ nothing is left ─▶ wait for the next change
 *
 * Nobody waits for it: a search also looks through what is in no block yet, which takes longer the more that is.
 * So this process fills once few commands come, for a step takes time from them, or once many changes have
 * gathered. It looks now and then in any case: other processes and people change rows, too.
 *
 * There is no leader. Two processes do not fill at once: a lock of the database sends the second one away. A step
 * is one transaction, so what a process has begun when it dies, another one does.
 *
 * It works on the database connection of housekeeping. */

#include <ev.h>

#include "common/db/db.h"

struct text_blocks;

/* While nothing changes here it looks every look_s for what others have changed. */
struct text_blocks *text_blocks_new(struct ev_loop *loop, struct db *db, double look_s);
void text_blocks_free(struct text_blocks *blocks); /* after its db */

void text_blocks_changed(
    struct text_blocks *blocks); /* a command was committed: it may have changed a text */

void text_blocks_drain(struct text_blocks *blocks); /* it begins no step any more */
bool text_blocks_is_idle(const struct text_blocks *blocks);
