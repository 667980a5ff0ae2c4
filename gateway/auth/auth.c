#include "gateway/auth/auth.h"

#include <openssl/crypto.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/msg/rights.h"
#include "gateway/auth/refused.h"
#include "gateway/auth/revocations.h"

enum {
    SETS = 256, /* a power of two */
    WAYS = 4,   /* 1,024 tokens in all, of 4 KB at most */
};

const char auth_why_revoked[] = "the token has been revoked";

struct remembered {
    uint64_t hash; /* 0: empty */
    char *token;
    size_t len;
    struct identity identity;
};

struct auth {
    struct gateway *gateway;
    uint64_t key[2]; /* random, so that no client can choose tokens that all fall into one set */
    struct refused_tokens refused;
    uint8_t next_way[SETS];
    struct remembered table[SETS][WAYS];
};

enum err auth_new(struct gateway *gateway, struct auth **ret_auth)
{
    struct auth *auth = xcalloc(1, sizeof(*auth));
    auth->gateway = gateway;
    if (getrandom(auth->key, sizeof(auth->key), 0) != (ssize_t)sizeof(auth->key)) {
        free(auth);
        return ERR_INTERNAL;
    }
    *ret_auth = auth;
    return ERR_OK;
}

static void forget(struct remembered *entry)
{
    if (entry->token) {
        OPENSSL_cleanse(entry->token, entry->len);
        free(entry->token);
    }
    *entry = (struct remembered){0};
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    for (size_t set = 0; set < SETS; set++)
        for (size_t way = 0; way < WAYS; way++)
            forget(&auth->table[set][way]);
    free(auth);
}

/* Folds 128 bits of product into 64, eight octets at a time. It only has to spread tokens over the table
 * without being predictable; whether a token is the remembered one is decided by comparing all of it. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t keyed_hash(const struct auth *auth, struct slice token)
{
    uint64_t hash = auth->key[0] ^ token.len, word;
    size_t at = 0;
    for (; token.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, token.data + at, sizeof(word));
        hash = mix(hash ^ word, auth->key[1] | 1);
    }
    if (at < token.len) {
        word = 0;
        memcpy(&word, token.data + at, token.len - at);
        hash = mix(hash ^ word, auth->key[1] | 1);
    }
    return hash ? hash : 1;
}

static bool is_same(const struct remembered *entry, uint64_t hash, struct slice token)
{
    return entry->hash == hash && entry->len == token.len &&
           CRYPTO_memcmp(entry->token, token.data, token.len) == 0;
}

static void remember(struct auth *auth, uint64_t hash, struct slice token, const struct identity *identity)
{
    size_t set = hash & (SETS - 1);
    struct remembered *entry = &auth->table[set][auth->next_way[set]++ % WAYS];
    forget(entry);
    entry->token = xmalloc(token.len);
    memcpy(entry->token, token.data, token.len);
    entry->len = token.len;
    entry->hash = hash;
    entry->identity = *identity;
}

bool auth_remembers(const struct auth *auth, struct slice token)
{
    uint64_t hash = keyed_hash(auth, token);
    const struct remembered *set = auth->table[hash & (SETS - 1)];
    for (size_t way = 0; way < WAYS; way++)
        if (is_same(&set[way], hash, token))
            return true;
    return refused_find(&auth->refused, hash, token.len, (int64_t)clock_monotonic_s()) != NULL;
}

/* A key may have come into its file before anybody has asked this process to reload: its tokens are none that
 * somebody forged. */
static bool keys_have_come(struct auth *auth, const char *why)
{
    if (!token_why_is_of_keys(why) || !token_keys_take_new(auth->gateway->keys))
        return false;
    auth->refused = (struct refused_tokens){0};
    return true;
}

static enum err verify(struct auth *auth, struct slice token, struct identity *ret_identity,
                       const char **ret_why)
{
    int64_t now_s = (int64_t)ev_now(auth->gateway->loop);
    int64_t leeway_s = auth->gateway->config->auth_leeway_ms / 1000;
    uint64_t hash = keyed_hash(auth, token);
    struct remembered *set = auth->table[hash & (SETS - 1)];
    for (size_t way = 0; way < WAYS; way++) {
        if (!is_same(&set[way], hash, token))
            continue;
        if (now_s < set[way].identity.expires_at + leeway_s) {
            *ret_identity = set[way].identity;
            return ERR_OK;
        }
        forget(&set[way]);
    }
    const struct refused_token *refused =
        refused_find(&auth->refused, hash, token.len, (int64_t)clock_monotonic_s());
    if (refused && !keys_have_come(auth, refused->why)) {
        *ret_why = refused->why;
        return ERR_UNAUTHENTICATED;
    }
    enum err err = token_verify(auth->gateway->keys, token, now_s, ret_identity, ret_why);
    if (err == ERR_UNAUTHENTICATED && keys_have_come(auth, *ret_why))
        err = token_verify(auth->gateway->keys, token, now_s, ret_identity, ret_why);
    ret_identity->role_row = err ? MSG_ROLE_UNKNOWN : (uint8_t)msg_role_by_name(slice_of(ret_identity->role));
    if (!err)
        remember(auth, hash, token, ret_identity);
    else if (err == ERR_UNAUTHENTICATED)
        refused_add(&auth->refused, hash, token.len, (int64_t)clock_monotonic_s(), *ret_why);
    return err;
}

/* A token that is remembered may have been revoked since, so the revocations are asked each time. As long as
 * they are not known, any token may be a revoked one. */
enum err auth_verify(struct auth *auth, struct slice token, struct identity *ret_identity,
                     const char **ret_why)
{
    const struct revocations *revocations = auth->gateway->revocations;
    enum err err = verify(auth, token, ret_identity, ret_why);
    if (err)
        return err;
    if (revocations && !revocations_are_known(revocations)) {
        *ret_why = "the revoked tokens have not been read yet";
        return ERR_DATABASE_UNAVAILABLE;
    }
    if (!revocations_have(revocations, ret_identity))
        return ERR_OK;
    *ret_why = auth_why_revoked;
    return ERR_UNAUTHENTICATED;
}

void auth_channels(struct slice token, token_on_channel *on_channel, void *arg)
{
    token_channels(token, on_channel, arg);
}
