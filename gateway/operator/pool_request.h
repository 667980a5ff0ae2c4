#pragma once
/* What operators change (routes under /v1/admin): the request is checked here, by its schema, and done by a worker, with
 * the SQL that workers/engine/housekeeping/operator.c has for `ask`. The worker gets
 *
 *   {"subject": what the path names, "body": {…}}       body: of POST and PUT; of DELETE its query */

#include <jansson.h>

#include "gateway/http/call.h"

/* The query as an object of the schema, checked like a body. ERR_BAD_REQUEST with complaints whose pointers are "?name".
 * The caller owns *ret_json. Names in `others` (NULL-terminated) are left alone. */
enum err admin_read_query(struct call *call, const struct msg_object *object, const char *const *others,
                          json_t **ret_json, struct msg_problems *problems) MUST_CHECK;

/* The request's body, or the query of a DELETE, checked by the msg_request `schema`; NULL: there is none. False: the call
 * is answered. The caller owns *ret_json. */
bool admin_read_request(struct call *call, const char *schema, json_t **ret_json) MUST_CHECK;

/* The same, but for `member`, which only its reader can check: it is taken out (*ret_apart; NULL: absent; the caller owns it). */
bool admin_read_request_apart(struct call *call, const char *schema, const char *member, json_t **ret_json,
                              json_t **ret_apart) MUST_CHECK;

/* Asks the pool that `body` names, or any, for `ask`. Answers the call itself in every case. */
void admin_ask_with(struct call *call, json_t *body, const char *ask);

/* Checks the request by the msg_request `schema` (NULL: it has no body) and asks the pool that it names, or any, for `ask`
 * ("dead.replay"). Answers the call itself in every case. */
void admin_ask(struct call *call, const char *schema, const char *ask);
