#include "common/crypto/keys.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/base64url.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/log.h"

enum {
    WHY_SIZE = 256,
    FILE_MAX = 1 << 20,
    JWKS_DEPTH_MAX = 8, /* levels; for members that we do not read */
    ED25519_KEY_SIZE = 32,
    PATH_SIZE = 4096,
};

static const int64_t TIME_MAX_S = 1000000000000000;

/* ---- the set ---- */

bool token_key_is_live(const struct token_keys *keys, const struct token_key *key, int64_t now_s)
{
    bool has_ended = key->until != INT64_MAX && now_s >= key->until + keys->leeway_s;
    return !key->is_retired && now_s >= key->not_before - keys->leeway_s && !has_ended;
}

static void key_done(struct token_key *key)
{
    if (key->secret) {
        OPENSSL_cleanse(key->secret, key->secret_len);
        free(key->secret);
    }
    EVP_PKEY_free(key->public_key);
    free(key->id);
    *key = (struct token_key){0};
}

static bool is_same_id(const struct token_key *a, const struct token_key *b)
{
    return a->id && b->id ? strcmp(a->id, b->id) == 0 : a->id == b->id;
}

static bool is_same_key(const struct token_key *a, const struct token_key *b)
{
    if (a->algorithm != b->algorithm || !is_same_id(a, b))
        return false;
    if (a->algorithm == KEY_EDDSA)
        return EVP_PKEY_eq(a->public_key, b->public_key) == 1;
    return a->secret_len == b->secret_len && CRYPTO_memcmp(a->secret, b->secret, a->secret_len) == 0;
}

static struct token_key *find_same(struct token_keys *keys, const struct token_key *key)
{
    for (size_t i = 0; i < keys->count; i++)
        if (is_same_key(&keys->keys[i], key))
            return &keys->keys[i];
    return NULL;
}

/* Takes over what the key holds. */
static enum err add(struct token_keys *keys, struct token_key *key, const char *path, char why[WHY_SIZE])
{
    const char *wrong = keys->count == KEYS_MAX ? "there are too many keys" : NULL;
    for (size_t i = 0; i < keys->count && !wrong; i++)
        if (key->id && is_same_id(&keys->keys[i], key) && keys->keys[i].algorithm == key->algorithm)
            wrong = "two keys have the same id";
    if (!wrong) {
        keys->keys[keys->count++] = *key;
        return ERR_OK;
    }
    snprintf(why, WHY_SIZE, "CORTEX_AUTH_KEYS: %.150s: %s", path, wrong);
    key_done(key);
    return ERR_BAD_REQUEST;
}

static char *copy(const char *text, size_t len)
{
    char *made = xmalloc(len + 1);
    memcpy(made, text, len);
    made[len] = '\0';
    return made;
}

/* ---- which files they are ---- */

static int64_t changed_at(FILE *file)
{
    struct stat info;
    return file && fstat(fileno(file), &info) == 0 ? (int64_t)info.st_mtim.tv_sec : 0;
}

static void mark_octets(uint64_t *mark, const void *octets, size_t len)
{
    for (size_t i = 0; i < len; i++) /* FNV-1a */
        *mark = (*mark ^ ((const uint8_t *)octets)[i]) * 0x100000001b3;
}

static void mark_file(uint64_t *mark, const char *path)
{
    struct stat info = {0};
    if (stat(path, &info))
        info = (struct stat){0};
    const int64_t parts[] = {(int64_t)info.st_dev,          (int64_t)info.st_ino,
                             (int64_t)info.st_size,         (int64_t)info.st_mtim.tv_sec,
                             (int64_t)info.st_mtim.tv_nsec, (int64_t)info.st_ctim.tv_sec,
                             (int64_t)info.st_ctim.tv_nsec};
    mark_octets(mark, path, strlen(path));
    mark_octets(mark, parts, sizeof(parts));
}

/* A file in a folder may change without a change of the folder. They come in any order, so their marks are
 * added. */
static void mark_folder(uint64_t *mark, const char *folder)
{
    char path[PATH_SIZE];
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        uint64_t of_file = *mark;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        mark_file(&of_file, path);
        *mark += entry->d_name[0] != '.' ? of_file : 0;
    }
    if (dir)
        closedir(dir);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* A number that differs when one of the files has changed, or the file of the settings, which may name others. */
static uint64_t files_mark(const struct token_keys *keys)
{
    const char *const paths[] = {getenv("CORTEX_CONFIG"), keys->hs256_file, keys->eddsa_file, keys->set_path};
    uint64_t mark = 0xcbf29ce484222325;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (paths[i] && paths[i][0])
            mark_file(&mark, paths[i]);
    if (is_folder(keys->set_path))
        mark_folder(&mark, keys->set_path);
    return mark;
}

/* ---- files of one key ---- */

/* Leaves out a line end behind a secret that was written as text. */
static size_t without_line_end(const uint8_t *secret, size_t len)
{
    if (len > 0 && secret[len - 1] == '\n')
        len--;
    if (len > 0 && secret[len - 1] == '\r')
        len--;
    return len;
}

static void take_secret(struct token_key *key, const uint8_t *secret, size_t len)
{
    key->algorithm = KEY_HS256;
    key->secret = xmalloc(len);
    memcpy(key->secret, secret, len);
    key->secret_len = len;
}

static enum err load_secret(const char *path, struct token_keys *keys, char why[WHY_SIZE])
{
    uint8_t secret[SECRET_MAX];
    struct token_key key = {.until = INT64_MAX};
    FILE *file = file_open(path);
    size_t len = file ? fread(secret, 1, sizeof(secret), file) : 0;
    bool is_whole = file && feof(file);
    key.since = changed_at(file);
    if (file)
        fclose(file);
    len = without_line_end(secret, len);
    if (is_whole && len >= SECRET_MIN)
        take_secret(&key, secret, len);
    OPENSSL_cleanse(secret, sizeof(secret));
    if (key.secret)
        return add(keys, &key, path, why);
    snprintf(why, WHY_SIZE, "CORTEX_AUTH_HS256_FILE: %.100s must be readable and hold %d to %d octets", path,
             SECRET_MIN, SECRET_MAX - 1);
    return ERR_BAD_REQUEST;
}

/* Takes over `id`. */
static enum err load_public_key(const char *path, char *id, const char *setting, struct token_keys *keys,
                                char why[WHY_SIZE])
{
    struct token_key key = {.id = id, .algorithm = KEY_EDDSA, .until = INT64_MAX};
    FILE *file = file_open(path);
    if (file) {
        key.public_key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
        key.since = changed_at(file);
        fclose(file);
    }
    if (key.public_key && EVP_PKEY_get_base_id(key.public_key) == EVP_PKEY_ED25519)
        return add(keys, &key, path, why);
    key_done(&key);
    snprintf(why, WHY_SIZE, "%s: %.100s must be readable and hold an Ed25519 public key in PEM", setting,
             path);
    return ERR_BAD_REQUEST;
}

/* ---- JSON Web Keys ---- */

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && json_string_length(value) == strlen(text) &&
           strcmp(json_string_value(value), text) == 0;
}

static bool has_text(const json_t *list, const char *text)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) if (is_text(one, text)) return true;
    return false;
}

/* Whether the key is one that verifies tokens by an algorithm of ours. A set may hold others, which are left
 * alone (RFC 7517 section 5). */
static bool is_for_us(const json_t *jwk)
{
    const json_t *alg = json_object_get(jwk, "alg"), *use = json_object_get(jwk, "use"),
                 *ops = json_object_get(jwk, "key_ops"), *kty = json_object_get(jwk, "kty");
    bool is_pair = is_text(kty, "OKP") && is_text(json_object_get(jwk, "crv"), "Ed25519");
    const char *name = is_pair ? "EdDSA" : is_text(kty, "oct") ? "HS256" : NULL;
    return name && (!alg || is_text(alg, name)) && (!use || is_text(use, "sig")) &&
           (!ops || has_text(ops, "verify"));
}

static const char *read_material(const json_t *jwk, struct token_key *key)
{
    uint8_t octets[SECRET_MAX];
    size_t len = 0;
    bool is_pair = is_text(json_object_get(jwk, "kty"), "OKP");
    const json_t *text = json_object_get(jwk, is_pair ? "x" : "k");
    if (!json_is_string(text) ||
        !base64url_decode((struct slice){json_string_value(text), json_string_length(text)}, (char *)octets,
                          sizeof(octets), &len))
        return "a key is not in base64url, or too long";
    const char *wrong = NULL;
    key->algorithm = is_pair ? KEY_EDDSA : KEY_HS256;
    if (is_pair)
        key->public_key =
            len == ED25519_KEY_SIZE ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, octets, len) : NULL;
    else if (len >= SECRET_MIN)
        take_secret(key, octets, len);
    if (is_pair && !key->public_key)
        wrong = "an Ed25519 key does not have 32 octets";
    else if (!is_pair && !key->secret)
        wrong = "a secret has fewer than 32 octets";
    OPENSSL_cleanse(octets, sizeof(octets));
    return wrong;
}

/* `kid`, and `nbf` and `exp` in seconds since 1970. */
static const char *read_name_and_times(const json_t *jwk, struct token_key *key)
{
    const json_t *kid = json_object_get(jwk, "kid"), *nbf = json_object_get(jwk, "nbf"),
                 *exp = json_object_get(jwk, "exp");
    size_t len = json_string_length(kid);
    if (kid && (!json_is_string(kid) || len == 0 || len > KEY_ID_MAX))
        return "a kid is not a text of 1 to 255 octets";
    if ((nbf && !json_is_integer(nbf)) || (exp && !json_is_integer(exp)))
        return "the nbf or exp of a key is not a number of seconds";
    key->id = kid ? copy(json_string_value(kid), len) : NULL;
    key->not_before = json_integer_value(nbf);
    key->until = exp ? json_integer_value(exp) : INT64_MAX;
    bool is_good = key->not_before >= 0 && key->not_before < TIME_MAX_S && key->until >= 0 &&
                   (!exp || key->until < TIME_MAX_S);
    return is_good ? NULL : "a time of a key is out of range";
}

static enum err add_jwk(struct token_keys *keys, const json_t *jwk, int64_t since, const char *path,
                        char why[WHY_SIZE])
{
    struct token_key key = {.since = since};
    if (!is_for_us(jwk))
        return ERR_OK;
    const char *wrong = read_name_and_times(jwk, &key);
    if (!wrong)
        wrong = read_material(jwk, &key);
    if (!wrong)
        return add(keys, &key, path, why);
    key_done(&key);
    snprintf(why, WHY_SIZE, "CORTEX_AUTH_KEYS: %.150s: %s", path, wrong);
    return ERR_BAD_REQUEST;
}

static enum err read_whole(const char *path, char **ret_text, size_t *ret_len, int64_t *ret_since,
                           char why[WHY_SIZE])
{
    FILE *file = file_open(path);
    char *text = file ? xmalloc(FILE_MAX) : NULL;
    size_t len = file ? fread(text, 1, FILE_MAX, file) : 0;
    bool is_whole = file && feof(file) && !ferror(file);
    *ret_since = changed_at(file);
    if (file)
        fclose(file);
    if (is_whole) {
        *ret_text = text;
        *ret_len = len;
        return ERR_OK;
    }
    free(text);
    snprintf(why, WHY_SIZE, "CORTEX_AUTH_KEYS: %.150s cannot be read, or has more than 1 MB", path);
    return ERR_BAD_REQUEST;
}

static enum err load_jwks(const char *path, struct token_keys *keys, char why[WHY_SIZE])
{
    char *text = NULL, what[160];
    size_t len = 0, i;
    int64_t since = 0;
    json_t *json = NULL;
    const json_t *jwk;
    enum err err = read_whole(path, &text, &len, &since, why);
    if (err)
        return err;
    if (json_parse_no_nul((struct slice){text, len}, JWKS_DEPTH_MAX, &json, what)) {
        snprintf(why, WHY_SIZE, "CORTEX_AUTH_KEYS: %.60s: %s", path, what);
        err = ERR_BAD_REQUEST;
    } else if (json_object_get(json, "kty")) { /* a single key */
        err = add_jwk(keys, json, since, path, why);
    } else if (!json_is_array(json_object_get(json, "keys"))) {
        snprintf(why, WHY_SIZE, "CORTEX_AUTH_KEYS: %.150s is not a JSON Web Key Set", path);
        err = ERR_BAD_REQUEST;
    } else {
        json_array_foreach(json_object_get(json, "keys"), i, jwk) if (!err) err =
            add_jwk(keys, jwk, since, path, why);
    }
    OPENSSL_cleanse(text, len);
    free(text);
    json_decref(json);
    return err;
}

/* ---- folders ---- */

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

static enum err load_entry(const char *folder, const char *name, struct token_keys *keys, char why[WHY_SIZE])
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (ends_with(name, ".pem"))
        return load_public_key(path, copy(name, strlen(name) - strlen(".pem")), "CORTEX_AUTH_KEYS", keys,
                               why);
    return ends_with(name, ".json") || ends_with(name, ".jwk") || ends_with(name, ".jwks")
               ? load_jwks(path, keys, why)
               : ERR_OK;
}

static enum err load_folder(const char *folder, struct token_keys *keys, char why[WHY_SIZE])
{
    enum err err = ERR_OK;
    DIR *dir = opendir(folder);
    if (!dir) {
        snprintf(why, WHY_SIZE, "CORTEX_AUTH_KEYS: %.150s: %s", folder, strerror(errno));
        return ERR_BAD_REQUEST;
    }
    for (struct dirent *entry; !err && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            err = load_entry(folder, entry->d_name, keys, why);
    closedir(dir);
    return err;
}

static enum err load_set(const char *path, struct token_keys *keys, char why[WHY_SIZE])
{
    return is_folder(path) ? load_folder(path, keys, why) : load_jwks(path, keys, why);
}

/* ---- the outside ---- */

static void cleanup_keys(struct token_keys **keys)
{
    token_keys_free(*keys);
}

enum err token_keys_load(const struct config *config, struct token_keys **ret_keys, char why[WHY_SIZE])
{
    CLEANUP(cleanup_keys) struct token_keys *keys = xcalloc(1, sizeof(*keys));
    keys->issuer = xstrdup(config->auth_issuer);
    keys->audience = xstrdup(config->auth_audience);
    keys->hs256_file = xstrdup(config->auth_hs256_file);
    keys->eddsa_file = xstrdup(config->auth_eddsa_file);
    keys->set_path = xstrdup(config->auth_keys ? config->auth_keys : "");
    keys->files = files_mark(keys);
    keys->leeway_s = config->auth_leeway_ms / 1000;
    keys->max_life_s = config->auth_max_life_ms / 1000;
    enum err err = ERR_OK;
    if (keys->hs256_file[0])
        err = load_secret(keys->hs256_file, keys, why);
    if (!err && keys->eddsa_file[0])
        err = load_public_key(keys->eddsa_file, NULL, "CORTEX_AUTH_EDDSA_FILE", keys, why);
    if (!err && keys->set_path[0])
        err = load_set(keys->set_path, keys, why);
    if (!err && keys->count == 0) {
        snprintf(why, WHY_SIZE,
                 "CORTEX_AUTH_HS256_FILE, CORTEX_AUTH_EDDSA_FILE or CORTEX_AUTH_KEYS must name a key");
        err = ERR_BAD_REQUEST;
    }
    if (!err)
        *ret_keys = TAKE(keys);
    return err;
}

/* ---- two sets ---- */

static struct token_key copy_of(const struct token_key *key)
{
    struct token_key made = *key;
    made.secret = NULL;
    made.id = key->id ? xstrdup(key->id) : NULL;
    if (key->secret)
        take_secret(&made, key->secret, key->secret_len);
    made.public_key = key->public_key;
    if (key->public_key)
        EVP_PKEY_up_ref(key->public_key);
    return made;
}

void token_keys_retire(struct token_keys *keys, const struct token_keys *replaced)
{
    for (size_t i = 0; i < replaced->count && keys->count < KEYS_MAX; i++) {
        if (find_same(keys, &replaced->keys[i]))
            continue;
        keys->keys[keys->count] = copy_of(&replaced->keys[i]);
        keys->keys[keys->count++].is_retired = true;
    }
}

/* The place of a new key: the end, or that of a retired one. NULL: there is none. */
static struct token_key *make_room(struct token_keys *keys)
{
    if (keys->count < KEYS_MAX)
        return &keys->keys[keys->count++];
    for (size_t i = 0; i < keys->count; i++)
        if (keys->keys[i].is_retired) {
            key_done(&keys->keys[i]);
            return &keys->keys[i];
        }
    return NULL;
}

static void take_one(struct token_keys *keys, const struct token_key *key)
{
    struct token_key *own = find_same(keys, key);
    if (own) {
        own->not_before = key->not_before;
        own->until = key->until;
        own->since = key->since;
        own->is_retired = false;
    } else if ((own = make_room(keys))) {
        *own = copy_of(key);
    }
}

static void swap(char **a, char **b)
{
    char *kept = *a;
    *a = *b;
    *b = kept;
}

bool token_keys_take_new(struct token_keys *keys)
{
    struct config config;
    CLEANUP(cleanup_keys) struct token_keys *read = NULL;
    char why[WHY_SIZE] = "";
    uint64_t files = files_mark(keys);
    if (files == keys->files)
        return false;
    keys->files = files; /* of files that cannot be used, the next change counts */
    enum err err = config_load(&config, why);
    if (!err) {
        err = token_keys_load(&config, &read, why);
        config_done(&config);
    }
    if (err) {
        log_warn("keys.unread", LOG_S("why", why));
        return false;
    }
    for (size_t i = 0; i < read->count; i++)
        take_one(keys, &read->keys[i]);
    swap(&keys->hs256_file, &read->hs256_file);
    swap(&keys->eddsa_file, &read->eddsa_file);
    swap(&keys->set_path, &read->set_path);
    keys->files = read->files;
    log_info("keys.taken", LOG_I("keys", (int64_t)keys->count));
    return true;
}

void token_keys_free(struct token_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        key_done(&keys->keys[i]);
    free(keys->issuer);
    free(keys->audience);
    free(keys->hs256_file);
    free(keys->eddsa_file);
    free(keys->set_path);
    free(keys);
}
