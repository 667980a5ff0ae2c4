#pragma once
/* A selection is the query of a list request, checked and turned into the parameters of the list's statement.
 *
 *   limit=20  after=<cursor>  text=…  sort=[-]<field>  archived=true|false|any     each at most once
 *   <filter>=<value>,<value>,null    is one of these
 *   <filter>[ne]=<value>,null        is none of these
 *   <filter>[gte]=  [gt]=  [lte]=  [lt]=<value>     of dates, times and numbers
 *
 * A comma that belongs to a value is written %2C, in texts that may have one. */

#include "gateway/http/call.h"
#include "gateway/resources/cursor.h"
#include "gateway/resources/filter.h"
#include "gateway/resources/plan.h"

enum {
    SELECTION_TEXT_MAX = 200, /* characters */
    SELECTION_TEXT_OCTETS = 4 * SELECTION_TEXT_MAX,
    SELECTION_PARAMS_MAX = 3 * PLAN_FILTERS_MAX + 8
};

struct selection {
    int64_t limit;
    struct plan_shape shape;
    struct filter filters[PLAN_FILTERS_MAX];
    struct slice text; /* as the client sent it */
    struct cursor
        after; /* its kind and its digest are those of the list, whether it comes from the query or not */
};

/* ERR_FORBIDDEN where a parameter names a field that the reader does not see, else
 * ERR_BAD_REQUEST, with a problem for each parameter that is unknown, is repeated, or has a value that
 * does not fit its field. The problems' pointers are "?name". Memory is the call's. */
enum err selection_parse(struct call *call, const struct plan *plan, struct selection *ret_selection,
                         struct msg_problems *problems) MUST_CHECK;

/* Fills in the parameters of plan_search(shape) after the company, and returns their number. rows: the most to return. */
size_t selection_params(struct call *call, const struct selection *selection, const struct plan *plan,
                        int64_t rows, struct slice params[SELECTION_PARAMS_MAX]);
/* The same of plan_step(shape). look_at, in_turn: where plan_compares. */
size_t selection_step_params(struct call *call, const struct selection *selection, const struct plan *plan,
                             int64_t rows, int64_t look_at, bool in_turn,
                             struct slice params[SELECTION_PARAMS_MAX]);
