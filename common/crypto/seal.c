#include "common/crypto/seal.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/base/base64url.h"
#include "common/base/file.h"

/* At rest: form, length of the id, id, nonce, what is sealed, tag. */
enum { FORM = 1, NONCE_SIZE = 12, TAG_SIZE = 16, FILE_MAX = 16 * 1024, VALUE_MAX = 64 * 1024 };

struct seal_key {
    char id[SEAL_KEY_ID_MAX + 1];
    uint8_t secret[SEAL_KEY_SIZE];
};

struct seal_keys {
    size_t count;
    struct seal_key keys[SEAL_KEYS_MAX];
};

void seal_wipe(void *memory, size_t size)
{
    OPENSSL_cleanse(memory, size);
}

/* ---- the file ---- */

static bool is_id(struct slice id)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (id.len == 0 || id.len > SEAL_KEY_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!memchr(letters, id.data[i], sizeof(letters) - 1))
            return false;
    return true;
}

static const struct seal_key *find(const struct seal_keys *keys, struct slice id)
{
    for (size_t i = 0; i < keys->count; i++)
        if (slice_is(id, keys->keys[i].id))
            return &keys->keys[i];
    return NULL;
}

/* Returns what is wrong with the line; NULL: nothing. */
static const char *read_line(struct seal_keys *keys, struct slice line)
{
    size_t len = 0;
    const char *space = memchr(line.data, ' ', line.len);
    if (!space)
        return "is no key; it must be an id, a space and 32 octets in base64url";
    struct slice id = {line.data, (size_t)(space - line.data)};
    struct slice secret = {space + 1, line.len - id.len - 1};
    if (!is_id(id))
        return "has an id that is not 1 to 32 letters, digits, '.', '_' and '-'";
    if (find(keys, id))
        return "has the id of a line before";
    if (keys->count == SEAL_KEYS_MAX)
        return "is one key too many; 16 are allowed";
    struct seal_key *key = &keys->keys[keys->count];
    if (!base64url_decode(secret, (char *)key->secret, sizeof(key->secret), &len) ||
        len != sizeof(key->secret))
        return "has a key that is not 32 octets in base64url";
    memcpy(key->id, id.data, id.len);
    keys->count++;
    return NULL;
}

static bool read_lines(struct seal_keys *keys, struct slice text, const char *file, char why[static 256])
{
    for (int number = 1; text.len > 0; number++) {
        const char *newline = memchr(text.data, '\n', text.len);
        struct slice line = {text.data, newline ? (size_t)(newline - text.data) : text.len};
        size_t taken = line.len + (newline ? 1 : 0);
        text = (struct slice){text.data + taken, text.len - taken};
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        const char *wrong = line.len == 0 || line.data[0] == '#' ? NULL : read_line(keys, line);
        if (wrong) {
            snprintf(why, 256, "Line %d of %.100s %s.", number, file, wrong);
            return false;
        }
    }
    if (keys->count == 0)
        snprintf(why, 256, "%.150s has no key.", file);
    return keys->count > 0;
}

static bool read_file(const char *path, struct buf *text)
{
    FILE *file = file_open(path);
    char *at = file ? buf_reserve(text, FILE_MAX) : NULL;
    size_t len = at ? fread(at, 1, FILE_MAX, file) : 0;
    bool is_read = at && !ferror(file) && fgetc(file) == EOF;
    if (is_read)
        buf_commit(text, len);
    if (file)
        fclose(file);
    return is_read;
}

enum err seal_keys_load(const char *file, char why[static 256], struct seal_keys **ret_keys)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, FILE_MAX);
    struct seal_keys *keys = xcalloc(1, sizeof(*keys));
    bool is_read = read_file(file, &text);
    if (!is_read)
        snprintf(why, 256, "%.150s cannot be read, or is too large.", file);
    bool is_good = is_read && read_lines(keys, buf_slice(&text), file, why);
    if (text.data)
        seal_wipe(text.data, text.capacity);
    if (is_good) {
        *ret_keys = keys;
        return ERR_OK;
    }
    seal_keys_free(keys);
    return ERR_BAD_REQUEST;
}

void seal_keys_free(struct seal_keys *keys)
{
    if (!keys)
        return;
    seal_wipe(keys, sizeof(*keys));
    free(keys);
}

size_t seal_keys_count(const struct seal_keys *keys)
{
    return keys->count;
}

const char *seal_keys_id(const struct seal_keys *keys, size_t at)
{
    assert(at < keys->count);
    return keys->keys[at].id;
}

/* ---- at rest ---- */

/* Runs AES-256-GCM over the value. The tag is written, or compared. */
static bool cipher(const struct seal_key *key, bool is_closing, const uint8_t *nonce, struct slice context,
                   struct slice in, uint8_t *out, uint8_t *tag)
{
    int len = 0, last = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool is_done = ctx &&
                   EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->secret, nonce, is_closing) == 1 &&
                   (is_closing || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1) &&
                   EVP_CipherUpdate(ctx, NULL, &len, (const uint8_t *)context.data, (int)context.len) == 1 &&
                   EVP_CipherUpdate(ctx, out, &len, (const uint8_t *)in.data, (int)in.len) == 1 &&
                   EVP_CipherFinal_ex(ctx, out + len, &last) == 1 &&
                   (!is_closing || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) == 1);
    EVP_CIPHER_CTX_free(ctx);
    return is_done;
}

bool seal_close(const struct seal_keys *keys, struct slice context, struct slice value, struct buf *out)
{
    const struct seal_key *key = &keys->keys[0];
    size_t id_len = strlen(key->id), head = 2 + id_len + NONCE_SIZE;
    if (value.len > VALUE_MAX || context.len > SEAL_CONTEXT_MAX)
        return false;
    uint8_t *at = (uint8_t *)buf_reserve(out, head + value.len + TAG_SIZE);
    if (!at)
        return false;
    at[0] = FORM;
    at[1] = (uint8_t)id_len;
    memcpy(at + 2, key->id, id_len);
    uint8_t *nonce = at + 2 + id_len;
    if (RAND_bytes(nonce, NONCE_SIZE) != 1 ||
        !cipher(key, true, nonce, context, value, at + head, at + head + value.len))
        return false;
    buf_commit(out, head + value.len + TAG_SIZE);
    return true;
}

/* The id in what is sealed; absent when it is too short, or of another form. */
static struct slice id_of(struct slice sealed)
{
    if (sealed.len < 2 || sealed.data[0] != FORM)
        return SLICE_NONE;
    struct slice id = {sealed.data + 2, (uint8_t)sealed.data[1]};
    return sealed.len < 2 + id.len + NONCE_SIZE + TAG_SIZE ? SLICE_NONE : id;
}

bool seal_open(const struct seal_keys *keys, struct slice context, struct slice sealed, struct buf *out)
{
    uint8_t tag[TAG_SIZE];
    struct slice id = id_of(sealed);
    const struct seal_key *key = id.data ? find(keys, id) : NULL;
    if (!key || context.len > SEAL_CONTEXT_MAX)
        return false;
    size_t head = 2 + id.len + NONCE_SIZE, len = sealed.len - head - TAG_SIZE;
    uint8_t *at = len <= VALUE_MAX ? (uint8_t *)buf_reserve(out, len + 1) : NULL;
    if (!at)
        return false;
    memcpy(tag, sealed.data + sealed.len - TAG_SIZE, TAG_SIZE);
    if (!cipher(key, false, (const uint8_t *)sealed.data + 2 + id.len, context,
                (struct slice){sealed.data + head, len}, at, tag)) {
        seal_wipe(at, len); /* what a forged value came to */
        return false;
    }
    buf_commit(out, len);
    return true;
}

bool seal_is_current(const struct seal_keys *keys, struct slice sealed)
{
    struct slice id = id_of(sealed);
    return id.data && slice_is(id, keys->keys[0].id);
}

/* ---- boxes ---- */

static void must_have_sodium(void)
{
    int status = sodium_init(); /* 1: it was done before */
    assert(status >= 0);
    (void)status;
}

void seal_box_new(struct seal_box *ret_box)
{
    static_assert(sizeof(ret_box->public_key) == crypto_box_PUBLICKEYBYTES, "a key of X25519");
    must_have_sodium();
    crypto_box_keypair(ret_box->public_key, ret_box->private_key);
}

void seal_box_of_key(const struct seal_keys *keys, size_t at, struct seal_box *ret_box)
{
    static const char label[] = "cortex box";
    uint8_t seed[crypto_box_SEEDBYTES];
    must_have_sodium();
    assert(at < keys->count);
    crypto_generichash(seed, sizeof(seed), (const uint8_t *)label, sizeof(label) - 1, keys->keys[at].secret,
                       SEAL_KEY_SIZE);
    crypto_box_seed_keypair(ret_box->public_key, ret_box->private_key, seed);
    seal_wipe(seed, sizeof(seed));
}

/* A sealed box has no context of its own, so a hash of the context is sealed in front of the value. */
enum { CONTEXT_HASH_SIZE = 32 };

static void hash_context(struct slice context, uint8_t hash[static CONTEXT_HASH_SIZE])
{
    crypto_generichash(hash, CONTEXT_HASH_SIZE, (const uint8_t *)context.data, context.len, NULL, 0);
}

bool seal_box_close(const uint8_t public_key[static SEAL_BOX_KEY_SIZE], struct slice context,
                    struct slice value, struct buf *out)
{
    must_have_sodium();
    size_t len = CONTEXT_HASH_SIZE + value.len;
    if (value.len > VALUE_MAX)
        return false;
    uint8_t *at = (uint8_t *)buf_reserve(out, len + crypto_box_SEALBYTES);
    if (!at)
        return false;
    uint8_t *plain = xmalloc(len);
    hash_context(context, plain);
    memcpy(plain + CONTEXT_HASH_SIZE, value.data, value.len);
    bool is_done = crypto_box_seal(at, plain, len, public_key) == 0;
    seal_wipe(plain, len);
    free(plain);
    if (is_done)
        buf_commit(out, len + crypto_box_SEALBYTES);
    return is_done;
}

bool seal_box_open(const struct seal_box *box, struct slice context, struct slice sealed, struct buf *out)
{
    uint8_t hash[CONTEXT_HASH_SIZE];
    must_have_sodium();
    if (sealed.len < crypto_box_SEALBYTES + CONTEXT_HASH_SIZE ||
        sealed.len > crypto_box_SEALBYTES + CONTEXT_HASH_SIZE + VALUE_MAX)
        return false;
    size_t len = sealed.len - crypto_box_SEALBYTES;
    uint8_t *plain = xmalloc(len);
    hash_context(context, hash);
    bool is_done = crypto_box_seal_open(plain, (const uint8_t *)sealed.data, sealed.len, box->public_key,
                                        box->private_key) == 0 &&
                   CRYPTO_memcmp(plain, hash, CONTEXT_HASH_SIZE) == 0 &&
                   buf_append(out, plain + CONTEXT_HASH_SIZE, len - CONTEXT_HASH_SIZE);
    seal_wipe(plain, len);
    free(plain);
    return is_done;
}
