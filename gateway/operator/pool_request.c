#include "gateway/operator/pool_request.h"

#include <stdio.h>

#include "common/base/json.h"
#include "common/broker/topology.h"
#include "gateway/bus/control.h"
#include "gateway/http/schema_input.h"

enum { KEY_SIZE = 96 };

/* The last parameter of the path. */
static struct slice subject_of(const struct call *call)
{
    struct slice subject = SLICE_NONE;
    for (size_t i = 0; i < CALL_PARAMS_MAX && call->params[i].data; i++)
        subject = call->params[i];
    return subject;
}

/* The pool that the request names. When it names none, any pool can carry it out. */
static const char *pool_of(const json_t *body)
{
    const char *pool = json_string_value(json_object_get(body, "pool"));
    return pool ? pool : topology_pool_at(0);
}

void pool_request_send(struct call *call, json_t *body, const char *action)
{
    char key[KEY_SIZE];
    struct slice subject = subject_of(call);
    snprintf(key, sizeof(key), "admin.%s", pool_of(body));
    json_t *request = json_pack("{s:O}", "body", body);
    if (subject.data)
        json_object_set_new(request, "subject", json_stringn(subject.data, subject.len));
    char *text = json_dumps(request, JSON_COMPACT);
    control_request(call, key, slice_of(action), slice_of(text), control_answer_call, NULL);
    free(text);
    json_decref(request);
}

void pool_request_submit(struct call *call, const char *schema, const char *action)
{
    CLEANUP(json_cleanup) json_t *body = NULL;
    if (schema_input_read(call, schema, &body))
        pool_request_send(call, body, action);
}
