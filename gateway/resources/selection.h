#pragma once
/* A selection is the query of a list request, checked and turned into the parameters of the list's statement.
 *
 *   limit=20  after=<cursor>  text=…  <filter>=<value>  archived=true|false|any     each at most once
 */

#include "gateway/http/call.h"
#include "gateway/resources/cursor.h"
#include "gateway/resources/plan.h"

enum { SELECTION_TEXT_MAX = 200, SELECTION_PARAMS_MAX = 3 * PLAN_FILTERS_MAX + 7 };

/* What a filter asks for; SLICE_NONE: it does not. */
struct selection_filter {
    struct slice values; /* one, or several as an array of PostgreSQL */
    struct slice low, high;
};

struct selection {
    int64_t limit;
    struct plan_shape shape;
    struct selection_filter filters[PLAN_FILTERS_MAX];
    struct slice text; /* as the client sent it */
    struct cursor after;
};

/* ERR_BAD_REQUEST, with a problem for each parameter that is unknown, is repeated, or has a value that
 * does not fit its field. The problems' pointers are "?name". Memory is the call's. */
enum err selection_parse(struct call *call, const struct plan *plan, struct selection *ret_selection,
                         struct msg_problems *problems) MUST_CHECK;

/* The page begins after this entry. */
void selection_go_on(struct selection *selection, const struct cursor *after);

/* Fills in the parameters of plan_search(shape) after the company, and returns their number. rows: the most to return. */
size_t selection_params(struct call *call, const struct selection *selection, const struct plan *plan,
                        int64_t rows, struct slice params[SELECTION_PARAMS_MAX]);
/* The same of plan_step(shape). look_at, in_turn: where plan_compares. */
size_t selection_step_params(struct call *call, const struct selection *selection, const struct plan *plan,
                             int64_t rows, int64_t look_at, bool in_turn,
                             struct slice params[SELECTION_PARAMS_MAX]);
