#include "gateway/resources/sealing.h"

#include "common/base/base64url.h"
#include "common/db/db.h"

const struct db_statement sealing_statement = {
    "sealing.key", "SELECT public_key FROM pool_key WHERE pool = $2 AND $1::uuid IS NOT NULL"};

bool sealing_is_needed(const struct msg_resource *resource, const json_t *body)
{
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (resource->object->fields[i].secret &&
            json_is_string(json_object_get(body, resource->object->fields[i].name)))
            return true;
    return false;
}

bool sealing_read_key(struct call *call, const struct db_result *result, struct sealing *sealing)
{
    size_t len = 0;
    char *key = (char *)sealing->public_key;
    if (db_rows(result) > 0 &&
        base64url_decode(db_text(result, 0, 0), key, sizeof(sealing->public_key), &len) &&
        len == sizeof(sealing->public_key))
        return true;
    call_fail(call, ERR_UNROUTABLE,
              "The pool has no keys for secrets (CORTEX_SECRET_KEYS), or has not begun yet.");
    return false;
}

static bool seal(void *arg, const struct msg_field *field, struct slice value, struct buf *out)
{
    const struct sealing *sealing = arg;
    char context[SEAL_CONTEXT_MAX];
    const struct secret_place place = {sealing->resource->table, field->column, sealing->company,
                                       sealing->id};
    return seal_box_close(sealing->public_key, secret_context(&place, context), value, out);
}

struct msg_sealer sealing_sealer(struct sealing *sealing)
{
    return (struct msg_sealer){seal, sealing};
}

static bool leave_out(void *arg, const struct msg_field *field, struct slice value, struct buf *out)
{
    (void)arg, (void)field, (void)value, (void)out;
    return true;
}

const struct msg_sealer sealing_leaves_out = {leave_out, NULL};
