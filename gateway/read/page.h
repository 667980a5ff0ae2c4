#pragma once
/* One page of a list, and where the next one begins:
 *
 *   {"data":[…],"next":"<cursor>"}      Link: </v1/projects?status=active&after=<cursor>>; rel="next"  (RFC 8288)
 */

#include <jansson.h>

#include "common/db.h"
#include "gateway/call.h"

/* Rows: the entry as JSON, its time in microseconds, its id; one more than `limit` tells that there is a next page. */
void page_respond(struct call *call, const struct db_result *result, int64_t limit);

/* `after` of an operator's list as the time and the id that its statement begins behind; SLICE_NONE: it begins at the beginning.
 * False: the call is answered. Memory is the call's. */
bool page_read_after(struct call *call, struct slice *ret_at, struct slice *ret_id) MUST_CHECK;
/* The `limit` of such a list's query, or what stands for it. */
int64_t page_limit(const struct call *call, const json_t *selection);
