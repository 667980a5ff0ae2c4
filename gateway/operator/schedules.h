#pragma once
/* Schedules, for operators: list and show them, make, replace, delete or run one. */

#include "gateway/http/call.h"

void read_schedules(struct call *call);
void read_schedule(struct call *call);
void schedule_put(struct call *call);
void schedule_delete(struct call *call);
void schedule_run(struct call *call);
