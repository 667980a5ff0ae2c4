#pragma once
/* GET of one entity: its JSON and its ETag, or 304 when If-None-Match names that ETag. */

#include "gateway/http/call.h"
#include "gateway/resources/plan.h"

void read_entity(struct call *call);

enum { ENTITY_PARAMS_MAX = 3 };

/* Fills in the parameters of plan->entity after the company, and returns their number. */
size_t entity_params(struct call *call, const struct plan *plan, struct slice params[ENTITY_PARAMS_MAX]);
