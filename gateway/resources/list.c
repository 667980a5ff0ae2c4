#include "gateway/resources/list.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "gateway/http/authorize.h"
#include "gateway/http/preconditions.h"
#include "gateway/resources/page.h"
#include "gateway/resources/position.h"
#include "gateway/resources/query.h"
#include "gateway/resources/selection.h"

/* How many rows a step looks at. A step with a text costs ten times as much a row. Steps are short, since others wait
 * for a processor meanwhile. */
enum { LOOK_AT_FIRST = 1000, LOOK_AT_FIRST_WITH_TEXT = 250, LOOK_AT_MAX = 65536 };
enum { STEPS_MAX = 64 };
/* Entries are counted up to so many, among at most so many rows. */
enum { COUNT_MAX = 10000, COUNT_LOOK_AT = 100000, COUNT_LOOK_AT_WITH_TEXT = 10000 };

static const double STEP_QUICK_S = 0.003, STEP_SLOW_S = 0.012;

struct listing {
    struct plan *plan;
    struct selection selection; /* its `after` moves on with each step */
    int64_t look_at;            /* rows, by the next step */
    double began;
    struct db_result *results[STEPS_MAX + 1]; /* those that have entries; held */
    size_t result_count;
    int64_t found; /* entries in them */
    unsigned steps;
    bool has_looked; /* up to selection.after */
    bool wants_count, is_end;
    const char *count; /* JSON; NULL: it is not known */
};

static void release(struct listing *l)
{
    while (l->result_count > 0)
        db_result_release(l->results[--l->result_count]);
}

static void on_gone(void *context)
{
    release(context);
}

static void on_parent(struct call *call, struct db_result *result, void *context)
{
    const struct listing *l = context;
    if (db_rows(result) == 0)
        call_fail(call, ERR_NOT_FOUND, NULL);
    else
        page_respond(call, &(struct page){.limit = 1, .count = slice_of(l->count)});
}

static bool is_by_time(const struct listing *l)
{
    return l->selection.shape.sort == 0;
}

static void count(struct call *call, struct listing *l);

static void ask_parent(struct call *call, struct listing *l)
{
    const struct slice params[] = {call->params[0], query_user(call)};
    query_start(call, QUERY_ROW, l->plan->parent, params, l->plan->conditions_of_parent ? 2 : 1, on_parent,
                l);
}

/* is_end: the list has no more entries, or the page has enough. An empty list may mean that the parent does not
 * exist. Only then the database is asked for it. */
static void finish(struct call *call, struct listing *l, bool is_end)
{
    l->is_end = is_end;
    if (l->wants_count) {
        count(call, l);
        return;
    }
    const struct page page = {.results = l->results,
                              .result_count = l->result_count,
                              .limit = l->selection.limit,
                              .stopped_at = is_end ? NULL : &l->selection.after,
                              .like = &l->selection.after,
                              .is_by_time = is_by_time(l),
                              .count = slice_of(l->count)};
    if (l->found == 0 && !l->has_looked && l->plan->parent)
        ask_parent(call, l);
    else
        page_respond(call, &page);
    release(l);
}

/* Without a word of what went wrong, when there is something to answer with. */
static void fail(struct call *call, struct listing *l, enum err err)
{
    if (l->has_looked || l->found > 0) {
        finish(call, l, false);
        return;
    }
    release(l);
    call_fail(call, err, NULL);
}

/* ---- steps ---- */

static void step(struct call *call, struct listing *l);

static void hold(struct listing *l, struct db_result *result, int64_t entries)
{
    if (entries == 0)
        return;
    l->results[l->result_count++] = db_result_hold(result);
    l->found += entries;
}

/* Steps grow as long as the database is quick with them. */
static void pace(struct listing *l, double took)
{
    if (took < STEP_QUICK_S && l->look_at < LOOK_AT_MAX)
        l->look_at *= 2;
    else if (took > STEP_SLOW_S && l->look_at > LOOK_AT_FIRST_WITH_TEXT)
        l->look_at /= 2;
}

/* The walk over the entries that have a value has ended, and the page is not full. */
static bool is_followed_by_nulls(const struct listing *l)
{
    const struct plan_shape *shape = &l->selection.shape;
    return (shape->place == PLAN_BEGIN || shape->place == PLAN_AFTER) && l->found <= l->selection.limit &&
           plan_has_nulls(l->plan, shape);
}

static void on_step(struct call *call, struct db_result *result, void *context)
{
    struct listing *l = context;
    if (db_result_error(result)) {
        fail(call, l, db_result_error(result));
        return;
    }
    int rows = db_rows(result), entries = page_entries(result);
    hold(l, result, entries);
    if (rows == entries && is_followed_by_nulls(l)) {
        position_go_on_with_nulls(&l->selection);
        step(call, l);
        return;
    }
    if (rows == entries) {
        finish(call, l, true);
        return;
    }
    struct cursor last;
    if (!page_position(result, entries, is_by_time(l), &l->selection.after, &last)) {
        fail(call, l, ERR_INTERNAL);
        return;
    }
    if (!position_go_on(call, &l->selection, &last)) {
        fail(call, l, ERR_HEADERS_TOO_LARGE);
        return;
    }
    l->has_looked = true;
    double now = clock_monotonic_s();
    if (++l->steps == STEPS_MAX || (now - l->began) * 1000 >= (double)call->gateway->config->read_walk_ms) {
        finish(call, l, false);
        return;
    }
    pace(l, db_result_took(result));
    step(call, l);
}

static bool is_complete(const struct slice *params, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!params[i].data)
            return false; /* the call's memory is used up */
    return true;
}

static void step(struct call *call, struct listing *l)
{
    struct slice params[SELECTION_PARAMS_MAX];
    bool is_short = l->steps == 0 && !l->selection.shape.text;
    enum query_need need = is_short ? plan_compares(l->plan, &l->selection.shape) ? QUERY_LOOK : QUERY_LIST
                           : l->has_looked ? QUERY_STEP
                                           : QUERY_EXPENSIVE;
    size_t count = selection_step_params(call, &l->selection, l->plan, l->selection.limit + 1 - l->found,
                                         l->look_at, !is_short, params);
    if (is_complete(params, count))
        query_try(call, need, plan_step(l->plan, &l->selection.shape), params, count, on_step, on_gone, l);
    else
        fail(call, l, ERR_HEADERS_TOO_LARGE);
}

static void walk(struct call *call, struct listing *l)
{
    l->began = clock_monotonic_s();
    l->look_at = l->selection.shape.text ? LOOK_AT_FIRST_WITH_TEXT : LOOK_AT_FIRST;
    step(call, l);
}

/* ---- text search ---- */

/* A search that takes long looks at many rows that do not match. Then a walk takes less, for it ends early. */
static void on_search(struct call *call, struct db_result *result, void *context)
{
    struct listing *l = context;
    enum err err = db_result_error(result);
    bool is_no_help =
        err ? err == ERR_TIMEOUT || err == ERR_DATABASE_BUSY : page_entries(result) < db_rows(result);
    if (is_no_help) {
        walk(call, l);
    } else if (err) {
        call_fail(call, err, NULL);
    } else {
        hold(l, result, db_rows(result));
        finish(call, l, true);
    }
}

static void search(struct call *call, struct listing *l)
{
    struct slice params[SELECTION_PARAMS_MAX];
    size_t count = selection_params(call, &l->selection, l->plan, l->selection.limit + 1, params);
    if (is_complete(params, count))
        query_try(call, QUERY_STEP, plan_search(l->plan, &l->selection.shape), params, count, on_search, NULL,
                  l);
    else
        call_fail(call, ERR_HEADERS_TOO_LARGE, NULL);
}

/* ---- how many ---- */

static bool wants_count(struct call *call)
{
    struct prefer prefer = {0};
    struct slice field = call_header_list(call, "prefer");
    if (field.data)
        prefer_parse(field, &prefer);
    return prefer.count_exact;
}

/* The number; "7+" when there may be more. */
static void say_count(struct call *call, struct listing *l, int64_t number, bool is_all)
{
    char text[32];
    if (number > COUNT_MAX)
        snprintf(text, sizeof(text), "\"%d+\"", COUNT_MAX);
    else
        snprintf(text, sizeof(text), is_all ? "%lld" : "\"%lld+\"", (long long)number);
    l->count = arena_copy(&call->arena, slice_of(text)).data;
}

static int64_t count_look_at(const struct listing *l)
{
    if (l->selection.shape.text)
        return COUNT_LOOK_AT_WITH_TEXT;
    return plan_compares(l->plan, &l->selection.shape) ? COUNT_LOOK_AT : COUNT_MAX + 1;
}

/* Without a count, when the database has none in time: a page is worth more. */
static void on_count(struct call *call, struct db_result *result, void *context)
{
    struct listing *l = context;
    if (!db_result_error(result))
        say_count(call, l, db_int(result, 0, 0), db_int(result, 0, 1) < count_look_at(l));
    finish(call, l, l->is_end);
}

static void count_rows(struct call *call, struct listing *l)
{
    struct slice params[SELECTION_PARAMS_MAX];
    struct selection whole = l->selection;
    whole.shape.place = PLAN_BEGIN;
    whole.shape.includes = 0;
    size_t count = selection_params(call, &whole, l->plan, count_look_at(l), params);
    bool compares = plan_compares(l->plan, &l->selection.shape);
    params[count++] = compares ? SLICE("true") : SLICE("false");
    if (is_complete(params, count))
        query_try(call, compares ? QUERY_STEP : QUERY_LOOK, plan_count(l->plan, &whole.shape), params, count,
                  on_count, on_gone, l);
    else
        finish(call, l, l->is_end);
}

static void on_count_found(struct call *call, struct db_result *result, void *context)
{
    struct listing *l = context;
    if (!db_result_error(result) && db_text(result, 0, 0).data) {
        say_count(call, l, db_int(result, 0, 0), true);
        finish(call, l, l->is_end);
    } else {
        count_rows(call, l);
    }
}

/* After the page has been found. */
static void count(struct call *call, struct listing *l)
{
    struct slice params[SELECTION_PARAMS_MAX];
    struct selection whole = l->selection;
    l->wants_count = false;
    whole.shape.place = PLAN_BEGIN;
    whole.shape.includes = 0;
    if (!whole.shape.text || l->plan->hides_searched) {
        count_rows(call, l);
        return;
    }
    size_t count = selection_params(call, &whole, l->plan, COUNT_MAX + 1, params);
    if (is_complete(params, count))
        query_try(call, QUERY_STEP, plan_count_found(l->plan, &whole.shape), params, count, on_count_found,
                  on_gone, l);
    else
        finish(call, l, l->is_end);
}

void read_list(struct call *call)
{
    if (!authorize_right(call, call->resource, MSG_RIGHT_READ))
        return;
    struct plan *plan = plans_of(call->gateway->plans, call->resource, call->identity.role_row);
    struct msg_problems problems = {.arena = &call->arena};
    struct selection selection;
    enum err err = selection_parse(call, plan, &selection, &problems);
    if (err) {
        call_fail_fields(call, err, err == ERR_FORBIDDEN ? NULL : "The query does not fit this list.",
                         &problems);
        return;
    }
    struct listing *l = arena_alloc(&call->arena, sizeof(*l));
    if (!l) {
        call_fail(call, ERR_HEADERS_TOO_LARGE, NULL);
        return;
    }
    *l = (struct listing){.plan = plan, .selection = selection, .wants_count = wants_count(call)};
    if (selection.shape.text && !plan->hides_searched)
        search(call, l);
    else
        walk(call, l);
}
