#pragma once
/* POST /v1/hooks/{source}: a webhook of another system.
 *
 *   signed as an active source? ─ no ─▶ 401, whatever is wrong
 *      │ a question of the sender whether we are there ─▶ its answer
 *      ▼
 *   a command for the pool webhooks ── confirmed by the broker ──▶ 200
 */

#include "gateway/http/call.h"

void hook_receive(struct call *call);
