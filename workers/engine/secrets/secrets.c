#include "workers/engine/secrets/secrets.h"

#include <stdio.h>

#include "common/base/log.h"

enum { VALUE_MAX = 64 << 10, KEPT_MAX = 128 << 10 };

struct secrets {
    struct seal_keys *keys;               /* NULL: no file is named */
    struct seal_keys *hook_keys;          /* the same: those that gateways have, too */
    struct seal_box boxes[SEAL_KEYS_MAX]; /* of the keys */
    size_t box_count;
};

static bool load(const char *file, const char *setting, struct seal_keys **ret_keys)
{
    char why[256];
    if (!file[0] || seal_keys_load(file, why, ret_keys) == ERR_OK)
        return true;
    log_error("secrets.no_keys", LOG_S("setting", setting), LOG_S("why", why));
    return false;
}

enum err secrets_new(const struct config *config, struct secrets **ret_secrets)
{
    struct secrets *s = xcalloc(1, sizeof(*s));
    if (!load(config->secret_keys, "CORTEX_SECRET_KEYS", &s->keys) ||
        !load(config->hook_keys, "CORTEX_HOOK_KEYS", &s->hook_keys)) {
        secrets_free(s);
        return ERR_BAD_REQUEST;
    }
    s->box_count = s->keys ? seal_keys_count(s->keys) : 0;
    for (size_t i = 0; i < s->box_count; i++)
        seal_box_of_key(s->keys, i, &s->boxes[i]);
    *ret_secrets = s;
    return ERR_OK;
}

void secrets_free(struct secrets *s)
{
    if (!s)
        return;
    seal_keys_free(s->keys);
    seal_keys_free(s->hook_keys);
    seal_wipe(s, sizeof(*s));
    free(s);
}

const struct seal_keys *secrets_keys(const struct secrets *s, const struct msg_field *field)
{
    return field->secret->is_for_gateways ? s->hook_keys : s->keys;
}

const struct seal_box *secrets_box(const struct secrets *s, const char **ret_key_id)
{
    if (s->box_count == 0)
        return NULL;
    *ret_key_id = seal_keys_id(s->keys, 0);
    return &s->boxes[0];
}

struct secret_place secrets_place(const struct msg_resource *resource, const struct msg_field *field,
                                  const struct uuid *company, const struct uuid *id)
{
    return (struct secret_place){resource->table, field->column, *company, *id};
}

static void wipe(struct buf *value)
{
    if (value->data)
        seal_wipe(value->data, value->capacity);
    buf_done(value);
}

/* Boxes that were sealed to a key before the first one may have waited for months. */
static bool open_box(const struct secrets *s, const struct secret_place *place, struct slice box,
                     struct buf *out)
{
    char context[SEAL_CONTEXT_MAX];
    for (size_t i = 0; i < s->box_count; i++)
        if (seal_box_open(&s->boxes[i], secret_context(place, context), box, out))
            return true;
    return false;
}

bool secrets_take(const struct secrets *s, const struct msg_field *field, const struct secret_place *place,
                  struct slice box, struct arena *arena, struct slice *ret_kept, char why[160])
{
    const struct seal_keys *keys = secrets_keys(s, field);
    struct buf value;
    CLEANUP(buf_done) struct buf kept;
    buf_init(&value, VALUE_MAX);
    buf_init(&kept, KEPT_MAX);
    bool is_there = box.data ? open_box(s, place, box, &value)
                             : secret_generate(field->secret->prefix, field->secret->octets, &value);
    if (!keys)
        snprintf(why, 160, "%.60s: this process has no keys for it (%s).", field->name,
                 field->secret->is_for_gateways ? "CORTEX_HOOK_KEYS" : "CORTEX_SECRET_KEYS");
    else if (!is_there)
        snprintf(why, 160, "%.60s: it was sealed to a key that is not there, or for another row.",
                 field->name);
    bool is_kept = keys && is_there && secret_keep(keys, place, buf_slice(&value), &kept);
    wipe(&value);
    *ret_kept = is_kept ? arena_copy(arena, buf_slice(&kept)) : SLICE_NONE;
    if (keys && is_there && !ret_kept->data)
        snprintf(why, 160, "%.60s: it is too long.", field->name);
    return ret_kept->data;
}

bool secrets_open(const struct secrets *s, const struct msg_field *field, const struct secret_place *place,
                  struct slice kept, struct buf *out)
{
    const struct seal_keys *keys = secrets_keys(s, field);
    return keys && secret_open(keys, place, kept, out);
}
