#pragma once
/* GET /v1/webhook-deliveries/{id}/attempts: what was tried, and what the receiver has answered. */

#include "gateway/http/call.h"

void read_attempts(struct call *call);
