#pragma once
/* GET and PUT of worker pools, for operators. */

#include "gateway/http/call.h"

void pools_show(struct call *call);
void pool_show(struct call *call);
void pool_resize(struct call *call);
