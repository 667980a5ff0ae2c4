#pragma once
/* What operators change (routes under /v1/admin): the request is checked here, by its schema, and done by a worker, with
 * the SQL that workers/engine/housekeeping/operator.c has for `ask`. The worker gets
 *
 *   {"subject": what the path names, "body": {…}}       body: of POST and PUT; of DELETE its query */

#include <jansson.h>

#include "gateway/http/call.h"

/* Asks the pool that `body` names, or any, for `ask`. Answers the call itself in every case. */
void admin_ask_with(struct call *call, json_t *body, const char *ask);

/* Checks the request by the msg_request `schema` (NULL: it has no body) and asks the pool that it names, or any, for `ask`
 * ("dead.replay"). Answers the call itself in every case. */
void admin_ask(struct call *call, const char *schema, const char *ask);
