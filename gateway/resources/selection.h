#pragma once
/* A selection is the query of a list request, checked and turned into the parameters of the list's statement.
 *
 *   limit=20  after=<cursor>  text=…  <filter>=<value>  archived=true|false|any     each at most once
 */

#include "gateway/http/call.h"
#include "gateway/resources/cursor.h"
#include "gateway/resources/plan.h"

enum { SELECTION_TEXT_MAX = 200, SELECTION_PARAMS_MAX = PLAN_FILTERS_MAX + 5 };

struct selection {
    int64_t limit;
    unsigned shape;
    bool asks_archived;                     /* the client said which, so `archived` is a filter of its own */
    struct slice filters[PLAN_FILTERS_MAX]; /* the values of the filters in the shape */
    struct slice text;                      /* as the client sent it */
    struct cursor after;
};

/* ERR_BAD_REQUEST, with a problem for each parameter that is unknown, is repeated, or has a value that
 * does not fit its field. The problems' pointers are "?name". Memory is the call's. */
enum err selection_parse(struct call *call, const struct plan *plan, struct selection *ret_selection,
                         struct msg_problems *problems) MUST_CHECK;

/* Fills in the parameters of plan_list(shape) after the company, and returns their number. The limit is
 * one more than the page's, so that a last row shows that there is a next page. */
size_t selection_params(struct call *call, const struct selection *selection, const struct plan *plan,
                        struct slice params[SELECTION_PARAMS_MAX]);
