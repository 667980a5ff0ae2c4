#pragma once
/* Verifies bearer tokens (RFC 6750), and remembers the valid ones.
 *
 * Verifying an EdDSA signature takes some 50 µs, which would be most of what a request costs. So each process
 * keeps the identity of a valid token in a small table, found by the whole token, until the token expires. What
 * was refused is remembered for a few seconds (refused.h).
 */

#include "gateway/gateway.h"

struct auth;

enum err auth_new(struct gateway *gateway, struct auth **ret_auth) MUST_CHECK;
void auth_free(struct auth *auth);

/* Does what token_verify does, but remembers, and refuses a token that has been revoked. While the revoked
 * tokens are not known it returns ERR_DATABASE_UNAVAILABLE for a token that is valid otherwise. In case of an
 * error *ret_why may be set to a constant text that says what is wrong. */
enum err auth_verify(struct auth *auth, struct slice token, struct identity *ret_identity,
                     const char **ret_why) MUST_CHECK;

/* Whether auth_verify would say at once what it thinks of the token, without verifying a signature. */
bool auth_remembers(const struct auth *auth, struct slice token);

/* The `why` of a token that has been revoked. */
extern const char auth_why_revoked[];

/* Calls on_channel for each channel that the token names. The token must be one that auth_verify has found
 * valid (token.h). */
void auth_channels(struct slice token, token_on_channel *on_channel, void *arg);
