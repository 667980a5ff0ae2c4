/* GET of a collection, a page at a time, oldest first. */

#include "gateway/resources/list.h"

#include "gateway/resources/page.h"
#include "gateway/resources/query.h"
#include "gateway/resources/selection.h"

struct listing {
    const struct plan *plan;
    int64_t limit;
};

static void on_parent(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    if (db_rows(result) == 0)
        call_fail(call, ERR_NOT_FOUND, NULL);
    else
        call_respond(call, 200, "application/json", SLICE("{\"data\":[],\"next\":null}"));
}

/* An empty page may mean that the parent does not exist. Only then the database is asked for it. */
static void on_page(struct call *call, struct db_result *result, void *context)
{
    const struct listing *page = context;
    if (db_rows(result) == 0 && page->plan->parent)
        query_start(call, QUERY_ROW, page->plan->parent, call->params, 1, on_parent, NULL);
    else
        page_respond(call, result, page->limit);
}

void read_list(struct call *call)
{
    struct plan *plan = plans_of(call->gateway->plans, call->resource);
    struct msg_problems problems = {.arena = &call->arena};
    struct selection selection;
    enum err err = selection_parse(call, plan, &selection, &problems);
    if (err) {
        call_fail_fields(call, err, "The query does not fit this list.", &problems);
        return;
    }
    struct listing *page = arena_alloc(&call->arena, sizeof(*page));
    if (!page) {
        call_fail(call, ERR_HEADERS_TOO_LARGE, NULL);
        return;
    }
    *page = (struct listing){plan, selection.limit};
    struct slice params[SELECTION_PARAMS_MAX];
    size_t count = selection_params(call, &selection, plan, params);
    query_start(call,
                plan_is_expensive(plan, selection.shape, selection.asks_archived) ? QUERY_EXPENSIVE
                                                                                  : QUERY_LIST,
                plan_list(plan, selection.shape), params, count, on_page, page);
}
