#pragma once
/* One page of a list, and where the next one begins:
 *
 *   {"data":[…],"next":"<cursor>"}      Link: </v1/projects?status=active&after=<cursor>>; rel="next"  (RFC 8288)
 */

#include "common/db/db.h"
#include "gateway/http/call.h"

/* Rows: the entry as JSON, its time in microseconds, its id; one more than `limit` tells that there is a next page. */
void page_respond(struct call *call, const struct db_result *result, int64_t limit);

enum { PAGE_FILTERS_MAX = 6 };

/* A list of what operators see. The parameters of its statement: the filters, the time and the id behind which it begins (NULL: it
 * begins at the beginning), how many rows. */
struct page_list {
    struct db_statement statement;
    const char *request;                   /* the msg_request that its query is checked as, but for `after` */
    const char *filters[PAGE_FILTERS_MAX]; /* members of the query; ended by NULL, unless full */
};

/* `list` must be static. Answers the call in every case. */
void page_start_as_operator(struct call *call, const struct page_list *list);
