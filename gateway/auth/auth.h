#pragma once
/* Who is asking: bearer tokens (RFC 6750), verified once and then remembered.
 *
 * An EdDSA signature takes some 50 µs to verify, which would be most of what a request costs. So the identity
 * of a token that was found valid is kept in a small table of the process, under the whole token, until it
 * expires.
 */

#include "gateway/gateway.h"

struct auth;

enum err auth_new(struct gateway *gateway, struct auth **ret_auth) MUST_CHECK;
void auth_free(struct auth *auth);

/* token_verify with a memory. `why` (a constant) says what is wrong; NULL when there is nothing to say. */
enum err auth_verify(struct auth *auth, struct slice token, struct identity *ret_identity,
                     const char **ret_why) MUST_CHECK;

/* Each channel that a token names which auth_verify has found valid (token.h). */
void auth_channels(struct slice token, token_on_channel *on_channel, void *arg);
