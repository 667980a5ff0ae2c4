#pragma once
/* The keys that may have signed a token: a set with ids and times.
 *
 *   CORTEX_AUTH_HS256_FILE, CORTEX_AUTH_EDDSA_FILE   one key each, without an id: any token may be of them
 *   CORTEX_AUTH_KEYS                                 a JSON Web Key Set (RFC 7517), or a folder of such files
 *                                                    and of PEM files, whose names are their ids
 *
 * A key is of one algorithm, and nothing but its own `kty` says which (RFC 8725 section 3.1). A key that was
 * replaced by a reload stays in the set as a retired one. It makes no token valid; it only tells a token that
 * its owner should renew from one that somebody forged.
 *
 *   token_keys_load ──▶ live ── a reload finds it gone ──▶ retired
 *   token_keys_take_new ──▶ live: it has come into the files since, and no reload has been asked for yet */

#include <openssl/evp.h>

#include "common/crypto/token.h"

enum key_algorithm { KEY_HS256, KEY_EDDSA };

enum {
    KEYS_MAX = 64,
    SECRET_MIN = 32, /* RFC 7518 section 3.2: as long as the hash */
    SECRET_MAX = 1024,
    KEY_ID_MAX = 255,
    HMAC_SIZE = 32,
    ED25519_SIZE = 64, /* of a signature */
};

struct token_key {
    char *id; /* NULL: none */
    enum key_algorithm algorithm;
    uint8_t *secret; /* of KEY_HS256 */
    size_t secret_len;
    EVP_PKEY *public_key;      /* of KEY_EDDSA */
    int64_t not_before, until; /* seconds since 1970; INT64_MAX: it has no end */
    int64_t since;             /* when its file was last changed, in seconds since 1970 */
    bool is_retired;
};

struct token_keys {
    struct token_key keys[KEYS_MAX];
    size_t count;
    char *issuer, *audience;
    char *hs256_file, *eddsa_file, *set_path; /* where they came from; "": nowhere */
    uint64_t files; /* what those files were, and that of the settings (files_mark) */
    int64_t leeway_s;
    int64_t max_life_s; /* of a token; 0: not bounded */
};

/* Whether tokens may be signed with the key at that time. */
bool token_key_is_live(const struct token_keys *keys, const struct token_key *key, int64_t now_s);
