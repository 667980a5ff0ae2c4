#pragma once
/* Bearer tokens: JSON Web Tokens (RFC 7519, 8725) signed with HS256 or EdDSA (Ed25519, RFC 8037). OpenSSL does the
 * cryptography; comparisons are constant-time. Claims: sub (user, UUID), company (UUID), role, exp (required), nbf, iss, aud. */

#include "common/config.h"
#include "common/uuid.h"

struct token_keys;

struct identity {
    struct uuid user, company;
    char role[32];
    int64_t expires_at; /* seconds since 1970 */
};

/* Reads the key files that `config` names; at least one must be given. ERR_BAD_REQUEST with a sentence in `why`. */
enum err token_keys_load(const struct config *config, struct token_keys **ret_keys, char why[256]) MUST_CHECK;
void token_keys_free(struct token_keys *keys);

/* ERR_UNAUTHENTICATED for anything but a valid token; `why` (a constant) says what is wrong, for WWW-Authenticate. */
enum err token_verify(const struct token_keys *keys, struct slice token, int64_t now_s,
                      struct identity *ret_identity, const char **ret_why) MUST_CHECK;

/* What `why` is for a token that was in order until its exp: its owner should get a new one. */
extern const char token_why_expired[];

/* Signs with HS256 (for `cortex token` and tests). ERR_BAD_REQUEST when the keys have no HS256 secret. */
enum err token_sign(const struct token_keys *keys, const struct identity *identity, char *text,
                    size_t size) MUST_CHECK;
