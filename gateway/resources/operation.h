#pragma once
/* GET /v1/operations/{id}: the state of a command, what it waits for, and its result when it is done. */

#include "gateway/http/call.h"

void read_operation(struct call *call);
void read_operations(struct call *call);
