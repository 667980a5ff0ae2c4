#pragma once
/* Changes that operators make (routes under /v1/admin). The gateway checks the request by its schema and a
 * worker carries it out, with the SQL that workers/engine/housekeeping/operator.c has for the action
 * ("dead.replay"). The worker gets
 *
 *   {"subject": the last parameter of the path, "body": {…}}   body: of POST, PUT; of DELETE the query */

#include <jansson.h>

#include "gateway/http/call.h"

/* Sends the request to the pool that `body` names, or to any pool. Answers the call in every case. */
void pool_request_send(struct call *call, json_t *body, const char *action);

/* Reads the request's body or query by the msg_request `schema` (NULL: it has none) and sends it. Answers
 * the call in every case. */
void pool_request_submit(struct call *call, const char *schema, const char *action);
