#pragma once
/* Who sends a call, and whether that user may use the route. In case of an error `why` says what is wrong, as
 * a constant text; it is left alone when there is nothing to say. */

#include "gateway/http/call.h"

/* Verifies the bearer token in the Authorization header (RFC 6750) and sets call->identity; else
 * ERR_UNAUTHENTICATED. */
enum err authorize_bearer(struct call *call, const char **ret_why) MUST_CHECK;

/* Verifies a token that came on this connection (auth_verify). An address of which too many tokens were refused
 * gets ERR_TOO_MANY_REQUESTS for tokens that are not remembered. What is refused is logged, sampled. */
enum err authorize_token(struct conn *conn, struct slice token, struct identity *ret_identity,
                         const char **ret_why) MUST_CHECK;

/* For what stands in place of a token, such as the secret of a stream: whether the address of this connection may still
 * show one that the process does not know, and that it was wrong. It counts as a refused token. */
bool authorize_may_try(const struct conn *conn);
void authorize_refused(struct conn *conn, const char *why);

/* ERR_FORBIDDEN unless the role of call->identity may use call->route. */
enum err authorize_role(const struct call *call, const char **ret_why) MUST_CHECK;

/* The conditions under which the role of call->identity may do it, as bits of enum msg_condition; 0: never. */
unsigned authorize_conditions(const struct call *call, const struct msg_resource *resource,
                              enum msg_right right);
/* Whether the role may do it under any condition; else the call has been answered with 403, which names the right. */
bool authorize_right(struct call *call, const struct msg_resource *resource, enum msg_right right) MUST_CHECK;

/* Who has come without a token, and is known otherwise: ERR_UNAUTHENTICATED where `identity` is NULL, has expired or was
 * revoked, ERR_TOO_MANY_REQUESTS as above; else call->identity is set. */
enum err authorize_known(struct call *call, const struct identity *identity, const char **ret_why) MUST_CHECK;
