#pragma once
/* Bearer tokens: JSON Web Tokens (RFC 7519, 8725) signed with HS256 or EdDSA (Ed25519, RFC 8037). OpenSSL does the
 * cryptography; comparisons are constant-time. Claims: sub (user, UUID), company (UUID), role, exp (required), iat, nbf, iss, aud;
 * channels and subs (below). */

#include "common/base/uuid.h"
#include "common/process/config.h"

struct token_keys;

struct identity {
    struct uuid user, company;
    char role[32];
    int64_t expires_at; /* seconds since 1970 */
    int64_t issued_at;  /* the same; 0: the token does not say */
};

/* Reads the key files that `config` names; at least one must be given. ERR_BAD_REQUEST with a sentence in `why`. */
enum err token_keys_load(const struct config *config, struct token_keys **ret_keys, char why[256]) MUST_CHECK;
void token_keys_free(struct token_keys *keys);

/* ERR_UNAUTHENTICATED for anything but a valid token; `why` (a constant) says what is wrong, for WWW-Authenticate. */
enum err token_verify(const struct token_keys *keys, struct slice token, int64_t now_s,
                      struct identity *ret_identity, const char **ret_why) MUST_CHECK;

/* What `why` is for a token that was in order until its exp: its owner should get a new one. */
extern const char token_why_expired[];

/* What a token that token_verify has found valid subscribes its connection to, as Centrifugo has it: `channels`, a list of names,
 * and `subs`, an object of names whose override.force_push_join_leave.value may ask for who comes and goes. */
typedef void token_on_channel(void *arg, struct slice channel, bool join_leave);
void token_channels(struct slice token, token_on_channel *on_channel, void *arg);

/* Signs with HS256 (for `cortex token` and tests). ERR_BAD_REQUEST when the keys have no HS256 secret. */
enum err token_sign(const struct token_keys *keys, const struct identity *identity, char *text,
                    size_t size) MUST_CHECK;
