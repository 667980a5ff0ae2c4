#pragma once
/* The query of a list request, checked and turned into the parameters of its statement.
 *
 *   limit=20  after=<cursor>  text=…  <filter>=<value>  archived=true|false|any     each at most once, nothing else
 */

#include "gateway/http/call.h"
#include "gateway/resources/cursor.h"
#include "gateway/resources/plan.h"

enum { SELECTION_TEXT_MAX = 200, SELECTION_PARAMS_MAX = PLAN_FILTERS_MAX + 5 };

struct selection {
    int64_t limit;
    unsigned shape;
    struct slice filters[PLAN_FILTERS_MAX]; /* values of those in the shape */
    struct slice text;                      /* as given */
    struct cursor after;
};

/* ERR_BAD_REQUEST with a complaint for each parameter that is unknown, repeated, or whose value does not fit
 * its field; their pointers are "?name". Memory is the call's. */
enum err selection_parse(struct call *call, const struct plan *plan, struct selection *ret_selection,
                         struct msg_problems *problems) MUST_CHECK;

/* The parameters of plan_list(shape) behind the company. One entry more than the limit is asked for: it tells
 * whether there is a next page. Returns their number. */
size_t selection_params(struct call *call, const struct selection *selection, const struct plan *plan,
                        struct slice params[SELECTION_PARAMS_MAX]);
