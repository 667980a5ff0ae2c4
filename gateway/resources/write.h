#pragma once
/* POST, PATCH and DELETE of a resource. Each becomes a command for the workers. */

#include "gateway/http/call.h"

void write_create(struct call *call);
void write_update(struct call *call);
void write_delete(struct call *call);
void write_rotate(struct call *call); /* POST …/rotate-secret */
void write_test(struct call *call);   /* POST /v1/webhook-endpoints/{id}/test */
void write_resend(struct call *call); /* POST /v1/webhook-deliveries/{id}/resend */
void write_cancel(struct call *call); /* DELETE /v1/operations/{id} */
