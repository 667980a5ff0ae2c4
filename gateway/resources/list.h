#pragma once
/* GET of a collection, a page at a time: filters and cursor come from the query. Oldest first.
 *
 * A list is read in steps (plan.h). The first one is a query like any other; when the page is not full after it,
 * further ones follow as expensive queries, each a transaction of its own with a turn of its own, until the page is full,
 * the list ends, or CORTEX_READ_WALK_MS are over. Then the page is partial: it has what was found so far, says
 * `"partial":true`, and its `next` goes on where looking ended. So no filter takes long, and none keeps others waiting. */

#include "gateway/http/call.h"

void read_list(struct call *call);
