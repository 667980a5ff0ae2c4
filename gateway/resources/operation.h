#pragma once
/* GET /v1/operations/{id}: what became of a command, or for what it waits. */

#include "gateway/http/call.h"

void read_operation(struct call *call);
