#pragma once
/* One page of a list, and where the next one begins:
 *
 *   {"data":[…],"next":"<cursor>"}   Link: </v1/projects?status=active&after=<cursor>>; rel="next" (RFC 8288)
 */

#include "common/db/db.h"
#include "gateway/http/call.h"

/* Answers with the rows of a result: the entry as JSON, its time in microseconds, its id. One row more
 * than `limit` shows that there is a next page. */
void page_respond(struct call *call, const struct db_result *result, int64_t limit);

enum { PAGE_FILTERS_MAX = 6 };

/* A list that is not one of a resource. Its statement's parameters are the company where the list is one of a
 * company, the filters, then the time and the id after which the page begins (NULL: at the first entry), then
 * the number of rows. */
struct page_list {
    struct db_statement statement;
    const char *request;                   /* the msg_request that its query must fit, apart from `after` */
    const char *filters[PAGE_FILTERS_MAX]; /* members of the query; ended by NULL, unless full */
};

/* Answers the call in every case. `list` must be static. */
void page_start_as_operator(struct call *call, const struct page_list *list);
/* The same, over the company of the call's token. What `forced` names, where it is not NULL, takes the place of
 * what the query says for that filter. */
struct page_forced {
    const char *filter, *value;
};
void page_start(struct call *call, const struct page_list *list, const struct page_forced *forced);
