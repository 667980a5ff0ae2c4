#pragma once
/* The worker pools, for operators: GET /v1/admin/pools, GET and PUT of one. */

#include "gateway/http/call.h"

void pools_show(struct call *call);
void pool_show(struct call *call);
void pool_resize(struct call *call);
