#pragma once
/* Routes of what operators have done. */

#include "gateway/http/call.h"

void read_acts(struct call *call);
