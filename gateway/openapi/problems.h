#pragma once
/* The types of problems (RFC 9457), as err.def has them: the `type` of each problem is the address at which it is
 * described. */

#include "gateway/http/call.h"

void problems_show(struct call *call); /* GET /problems */
void problem_show(struct call *call);  /* GET /problems/{name} */
