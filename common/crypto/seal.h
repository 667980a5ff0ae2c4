#pragma once
/* Secrets that we keep for somebody, such as those that sign webhooks: how they rest and how they travel.
 *
 *   at rest   AES-256-GCM under the first key of a file of keys. All keys of the file open, so that a key can be
 *             replaced: add the new one as the first, seal everything again, take the old one away.
 *   on the way  a sealed box (X25519, libsodium's crypto_box_seal) to a process's public key. Whoever made it cannot
 *             open it, and neither can what carries it.
 *
 * Both bind a value to a context, such as "webhook_endpoint.secret" with the ids of its company and row: under another
 * one it does not open, so nobody makes one row's secret another's by copying it. Keys are wiped before their memory
 * is freed; the memory of what was opened is the caller's to wipe (seal_wipe). */

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum {
    SEAL_KEY_SIZE = 32,
    SEAL_KEY_ID_MAX = 32,
    SEAL_KEYS_MAX = 16,
    SEAL_CONTEXT_MAX = 256,
    SEAL_BOX_KEY_SIZE = 32,
};

struct seal_keys;

/* A line for each key: its id ([A-Za-z0-9._-]), a space, and 32 octets in base64url. Empty lines, and those that begin with
 * '#', do not count. ERR_BAD_REQUEST with `why`, which names the file and the line but no key. */
enum err seal_keys_load(const char *file, char why[static 256], struct seal_keys **ret_keys) MUST_CHECK;
void seal_keys_free(struct seal_keys *keys); /* NULL is allowed */
size_t seal_keys_count(const struct seal_keys *keys);
const char *seal_keys_id(const struct seal_keys *keys, size_t at);

/* Appends the sealed value. false: `out` is full, or the value does not fit. */
bool seal_close(const struct seal_keys *keys, struct slice context, struct slice value,
                struct buf *out) MUST_CHECK;
/* Appends the value. false: it was sealed by a key that is not there, for another context, or it was changed. */
bool seal_open(const struct seal_keys *keys, struct slice context, struct slice sealed,
               struct buf *out) MUST_CHECK;
/* Whether the first key has sealed it; a value that is sealed by another one should be sealed again. */
bool seal_is_current(const struct seal_keys *keys, struct slice sealed);

/* ---- boxes ---- */

struct seal_box {
    uint8_t public_key[SEAL_BOX_KEY_SIZE], private_key[SEAL_BOX_KEY_SIZE];
};

/* A pair for one question and its answer. */
void seal_box_new(struct seal_box *ret_box);
/* The pair that belongs to a key of the file: the same in every process that has the file. Boxes are sealed to that of the
 * first one (at 0). */
void seal_box_of_key(const struct seal_keys *keys, size_t at, struct seal_box *ret_box);

bool seal_box_close(const uint8_t public_key[static SEAL_BOX_KEY_SIZE], struct slice context,
                    struct slice value, struct buf *out) MUST_CHECK;
bool seal_box_open(const struct seal_box *box, struct slice context, struct slice sealed,
                   struct buf *out) MUST_CHECK;

void seal_wipe(void *memory, size_t size);
