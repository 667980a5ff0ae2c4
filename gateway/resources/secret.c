/* A question to the pool, whose answer is sealed to a key made for it: neither the broker nor anybody who listens there can
 * open it (workers/engine/housekeeping/secret_questions.h). */

#include "gateway/resources/secret.h"

#include <stdio.h>

#include "common/base/base64url.h"
#include "common/base/json.h"
#include "common/crypto/secret.h"
#include "gateway/bus/control.h"

enum { DEPTH_MAX = 4, WHY_SIZE = 160, ANSWER_MAX = 256 << 10, KEY_SIZE = 96, QUESTION_SIZE = 256 };

struct question {
    struct seal_box box; /* of this question alone */
    struct secret_place place;
};

static bool open_answer(const struct question *q, struct slice body, struct buf *out)
{
    CLEANUP(json_cleanup) json_t *json = NULL;
    char why[WHY_SIZE], context[SEAL_CONTEXT_MAX];
    size_t len = 0;
    if (json_parse(body, DEPTH_MAX, &json, why))
        return false;
    const json_t *sealed = json_object_get(json, "sealed");
    struct slice text = {json_string_value(sealed), json_string_length(sealed)};
    CLEANUP_FREE char *octets = xmalloc(text.len + 1);
    return text.data && base64url_decode(text, octets, text.len, &len) &&
           seal_box_open(&q->box, secret_context(&q->place, context), (struct slice){octets, len}, out);
}

static void on_answer(struct call *call, const struct control_answer *answer, void *context)
{
    struct question *q = context;
    struct buf secrets;
    buf_init(&secrets, ANSWER_MAX);
    call->cache = "no-store";
    if (answer->err)
        control_answer_call(call, answer, NULL);
    else if (open_answer(q, answer->body, &secrets))
        call_respond(call, 200, "application/json", buf_slice(&secrets));
    else
        call_fail(call, ERR_INTERNAL, NULL);
    if (secrets.data)
        seal_wipe(secrets.data, secrets.capacity);
    buf_done(&secrets);
    seal_wipe(q, sizeof(*q));
}

void read_secret(struct call *call)
{
    const struct msg_resource *resource = call->resource;
    struct question *q = arena_calloc(&call->arena, 1, sizeof(*q));
    char key[KEY_SIZE], text[QUESTION_SIZE];
    CLEANUP(buf_done) struct buf public_key;
    struct uuid id;
    buf_init(&public_key, KEY_SIZE);
    if (call->identity.role_row != MSG_ROLE_COMPANY_ADMIN)
        call_fail(call, ERR_FORBIDDEN, "Secrets are shown to a company_admin alone.");
    else if (!uuid_parse(call->params[0], &id))
        call_fail(call, ERR_NOT_FOUND, NULL);
    else if (!q)
        call_fail(call, ERR_BODY_TOO_LARGE, NULL);
    else {
        seal_box_new(&q->box);
        q->place = (struct secret_place){resource->table, msg_rotating_secret(resource)->column,
                                         call->identity.company, id};
        base64url_append(&public_key, (struct slice){(const char *)q->box.public_key, SEAL_BOX_KEY_SIZE});
        snprintf(key, sizeof(key), "admin.%s", resource->pool);
        int len = snprintf(text, sizeof(text), "{\"resource\":\"%s\",\"id\":\"%.*s\",\"key\":\"%.*s\"}",
                           resource->name, UUID_TEXT_LEN, call->params[0].data, (int)buf_len(&public_key),
                           buf_data(&public_key));
        control_request(call, key, SLICE("secret.read"), (struct slice){text, (size_t)len}, on_answer, q);
    }
}
