#pragma once
/* Changes that operators make (routes under /v1/admin). The gateway checks the request by its schema and a
 * worker carries it out, with the SQL that workers/engine/housekeeping/operator.c has for the action
 * ("dead.replay"). The worker gets
 *
 *   {"subject": the last parameter of the path, "body": {…},      body: of POST, PUT; of DELETE the query
 *    "if": {"match": "*" or [versions], "none_match": the same}}   as the request's If-Match and If-None-Match say */

#include "gateway/bus/control.h"

/* Sends the request to the pool that `body` names, or to any pool. Answers the call in every case. */
void pool_request_send(struct call *call, json_t *body, const char *action);
/* The same; on_answer answers the call. */
void pool_request_send_to(struct call *call, json_t *body, const char *action, control_on_answer *on_answer);

/* What the request's If-Match and If-None-Match say, as above; NULL: it has neither. False: they are malformed, and
 * the call has been answered. */
bool pool_request_read_conditions(struct call *call, json_t **ret_conditions) MUST_CHECK;

/* Reads the request's body or query by the msg_request `schema` (NULL: it has none) and sends it. Answers
 * the call in every case. */
void pool_request_submit(struct call *call, const char *schema, const char *action);
