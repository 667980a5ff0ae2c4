#pragma once
/* Reads a query or a body as the JSON object that a schema describes, and checks it by that schema. */

#include <jansson.h>

#include "gateway/http/call.h"

/* The query as an object of the schema, checked as a body would be. ERR_BAD_REQUEST, with complaints whose
 * pointers are "?name". The caller owns *ret_json. Parameters named in `others` (NULL-terminated; NULL: none)
 * are not looked at. */
enum err schema_input_query(struct call *call, const struct msg_object *object, const char *const *others,
                            json_t **ret_json, struct msg_problems *problems) MUST_CHECK;

/* The request's body, or the query of a DELETE, checked by the msg_request `schema`. Without a schema (NULL)
 * the result is an empty object. False: the call is answered already. The caller owns *ret_json. */
bool schema_input_read(struct call *call, const char *schema, json_t **ret_json) MUST_CHECK;

/* The same, but `member` is taken out of the body before the check, for a caller that knows how to check it:
 * *ret_apart, which the caller owns; NULL when the body has no such member. */
bool schema_input_read_apart(struct call *call, const char *schema, const char *member, json_t **ret_json,
                             json_t **ret_apart) MUST_CHECK;
