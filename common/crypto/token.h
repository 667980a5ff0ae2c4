#pragma once
/* Bearer tokens: JSON Web Tokens (RFC 7519, 8725) signed with HS256 or EdDSA (Ed25519, RFC 8037). OpenSSL
 * does the cryptography; comparisons take constant time. Claims: sub (the user, a UUID), company (UUID), role
 * and exp are required; iss and aud are, where the settings name them; iat, nbf, channels and subs may be
 * there. No text of a token may hold a NUL, since a role or an id is used as a C string. */

#include "common/base/uuid.h"
#include "common/process/config.h"

struct token_keys;

struct identity {
    struct uuid user, company;
    char role[32];
    int64_t expires_at; /* seconds since 1970: the token, or its key before it */
    int64_t issued_at;  /* seconds since 1970; 0: the token does not say */
    uint8_t
        role_row; /* of common/msg/roles.def, set by whoever believes the token; 0: the role has no rights */
};

/* Reads the keys that `config` names, at least one (keys.h). On failure it returns ERR_BAD_REQUEST with a
 * sentence in `why`. */
enum err token_keys_load(const struct config *config, struct token_keys **ret_keys, char why[256]) MUST_CHECK;
void token_keys_free(struct token_keys *keys);

/* Keeps those of the replaced keys that `keys` does not have, as far as there is room: token_verify then says of
 * their tokens that the key is not in use any more (token_why_key), and not that they are forged. */
void token_keys_retire(struct token_keys *keys, const struct token_keys *replaced);

/* Takes in the keys that have come into the files since they were last read; the others stay as they are until
 * the next reload. It costs a stat(2) of each file while none has changed. Returns true when tokens may be valid
 * that were not before. */
bool token_keys_take_new(struct token_keys *keys);

/* Checks a token at the time now_s. It returns ERR_UNAUTHENTICATED for anything but a valid token, and then
 * `why` (a constant) says what is wrong, for WWW-Authenticate. */
enum err token_verify(const struct token_keys *keys, struct slice token, int64_t now_s,
                      struct identity *ret_identity, const char **ret_why) MUST_CHECK;

/* The `why` of a token that was valid until its exp, and of one whose key is not in use any more or not known:
 * its owner should get a new one. A token that no key has signed is taken for one of a key that was replaced when
 * its iat says that it is older than the newest key; nobody who forges one gains by that. */
extern const char token_why_expired[], token_why_key[];

/* Whether a key that has come since may be the one that signed the token. */
bool token_why_is_of_keys(const char *why);

/* A token may subscribe its connection to channels, as in Centrifugo: `channels` is a list of names; `subs`
 * is an object of names, whose override.force_push_join_leave.value may ask for join and leave messages.
 * token_channels calls on_channel for each of them; the token must be one that token_verify has found
 * valid. */
typedef void token_on_channel(void *arg, struct slice channel, bool join_leave);
void token_channels(struct slice token, token_on_channel *on_channel, void *arg);

/* Signs with HS256, for `cortex token` and tests. It returns ERR_BAD_REQUEST when the keys have no HS256
 * secret. */
enum err token_sign(const struct token_keys *keys, const struct identity *identity, char *text,
                    size_t size) MUST_CHECK;
