#pragma once
/* GET of a collection, a page at a time: filters, sort order and cursor come from the query. */

#include "gateway/http/call.h"

void read_list(struct call *call);
