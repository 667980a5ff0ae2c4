#pragma once
/* Where a page of a list begins: at the first entry, or after the one of a cursor. A cursor belongs to one list, which its
 * digest names: the company, the resource, the parent, the order, the filters and the text. */

#include "gateway/resources/selection.h"

/* When all else of the selection is known: checks the cursor in selection->after, where the query has one, and sets the place
 * and the digest of the list. Returns what is wrong with the cursor; SLICE_NONE: nothing. */
struct slice position_begin(struct call *call, const struct plan *plan, bool has_cursor,
                            struct selection *selection) MUST_CHECK;

/* The page begins after this entry of the list. False: the call's memory is used up. */
bool position_go_on(struct call *call, struct selection *selection, const struct cursor *after) MUST_CHECK;
/* The page begins with the entries that have no value in the column of the sort; `after` is the place before them. */
void position_go_on_with_nulls(struct selection *selection);
