#pragma once
/* One page of a list, and where the next one begins:
 *
 *   {"data":[…],"next":"<cursor>"}      Link: </v1/projects?status=active&after=<cursor>>; rel="next"  (RFC 8288)
 */

#include "common/db.h"
#include "gateway/call.h"

/* Rows: the entry as JSON, its time in microseconds, its id; one more than `limit` tells that there is a next page. */
void page_respond(struct call *call, const struct db_result *result, int64_t limit);
