#pragma once
/* One page of a list, and where the next one begins:
 *
 *   {"data":[…],"next":"<cursor>"}   Link: </v1/projects?status=active&after=<cursor>>; rel="next" (RFC 8288)
 *
 * A page of a list whose entries were counted (Prefer: count=exact) has `"count":7`, or `"count":"10000+"`.
 *
 * A partial page has `"partial":true` besides: looking for entries ended before the page was full. It may be empty, and
 * its `next` goes on where looking ended.
 */

#include "common/db/db.h"
#include "gateway/http/call.h"
#include "gateway/resources/cursor.h"

/* The rows of several results, one behind the other: the entry as JSON, the value by which the list is sorted (its time
 * in microseconds, or a text), its id. One entry
 * more than `limit` shows that there is a next page. A last row of a result that has no JSON is no entry. */
struct page {
    struct db_result *const *results;
    size_t result_count;
    int64_t limit;
    const struct cursor *stopped_at; /* looking ended there, and there may be more; NULL: there are none */
    const struct cursor
        *like;          /* the page's cursors have its digest; NULL: they are of times, and have none */
    bool is_by_time;    /* the list is sorted by time; without `like` it is */
    struct slice count; /* how many entries the list has, as JSON; SLICE_NONE: nobody has asked */
};

/* Where the list goes on behind this row. Its text lives as long as the result. False: the row has no id. */
bool page_position(const struct db_result *result, int row, bool is_by_time, const struct cursor *like,
                   struct cursor *ret_cursor) MUST_CHECK;

/* How many rows of the result are entries. */
int page_entries(const struct db_result *result);
void page_respond(struct call *call, const struct page *page);

enum { PAGE_FILTERS_MAX = 6 };

/* How many rows a page of such a list looks at, along an index: few may fit its filters. */
#define PAGE_LOOK_AT "5000"
/* What comes after the cursor, as a condition that an index knows in every plan: also without a cursor. */
#define PAGE_AFTER(at, id, cursor_at, cursor_id)                                  \
    " AND (" at ", " id ") > (coalesce(" cursor_at "::timestamptz, '-infinity')," \
    " coalesce(" cursor_id "::uuid, '00000000-0000-0000-0000-000000000000'))"

/* A list that is not one of a resource. Its statement's parameters are the company where the list is one of a
 * company, the filters, then the time and the id after which the page begins (NULL: at the first entry), then
 * the number of rows. A last row without JSON is where the statement has stopped looking: the page is partial. */
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
