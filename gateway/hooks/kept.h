#pragma once
/* Webhooks that are kept: their octets, mapping one again, and what would become of one. */

#include "gateway/http/call.h"

void hook_body(struct call *call);    /* GET /v1/hook-events/{id}/body */
void hook_replay(struct call *call);  /* POST /v1/hook-events/{id}/replay */
void hook_preview(struct call *call); /* POST /v1/hook-sources/{id}/preview */
