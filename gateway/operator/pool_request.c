#include "gateway/operator/pool_request.h"

#include <stdio.h>

#include "common/base/json.h"
#include "common/broker/topology.h"
#include "gateway/bus/control.h"
#include "gateway/http/etag.h"
#include "gateway/http/field.h"
#include "gateway/http/preconditions.h"
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

/* The versions of a list of tags as an array, or "*"; false: it is malformed. What stands behind the dot of a tag
 * tells representations of one version apart (operator/schedules.c), and does not matter to a change. */
static bool read_tags(struct slice list, bool weak_counts, json_t **ret_tags)
{
    CLEANUP(json_cleanup) json_t *versions = json_array();
    bool is_weak;
    list = field_trim(list);
    if (slice_is(list, "*")) {
        *ret_tags = json_string("*");
        return true;
    }
    size_t count = 0;
    for (struct slice tag; (tag = etag_next(&list, &is_weak)).data; count++) {
        const char *dot = memchr(tag.data, '.', tag.len);
        struct slice version = {tag.data + 1, (dot ? (size_t)(dot - tag.data) : tag.len - 1) - 1};
        int64_t number;
        if (etag_read_version(version, &number) && (weak_counts || !is_weak))
            json_array_append_new(versions, json_integer(number));
    }
    *ret_tags = TAKE(versions);
    return count > 0 && list.len == 0;
}

bool pool_request_read_conditions(struct call *call, json_t **ret_conditions)
{
    static const struct {
        const char *header, *member;
        bool weak_counts;
    } fields[] = {{"if-match", "match", false}, {"if-none-match", "none_match", true}};
    CLEANUP(json_cleanup) json_t *conditions = json_object();
    *ret_conditions = NULL;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct slice list = call_header_list(call, fields[i].header);
        json_t *tags = NULL;
        if (!list.data)
            continue;
        bool is_good = read_tags(list, fields[i].weak_counts, &tags);
        json_object_set_new(conditions, fields[i].member, tags ? tags : json_array());
        if (!is_good) {
            call_fail(call, ERR_BAD_REQUEST, CONDITIONS_DEMAND);
            return false;
        }
    }
    if (json_object_size(conditions) > 0)
        *ret_conditions = TAKE(conditions);
    return true;
}

void pool_request_send(struct call *call, json_t *body, const char *action)
{
    pool_request_send_to(call, body, action, control_answer_call);
}

void pool_request_send_to(struct call *call, json_t *body, const char *action, control_on_answer *on_answer)
{
    CLEANUP(json_cleanup) json_t *conditions = NULL;
    if (!pool_request_read_conditions(call, &conditions))
        return;
    char key[KEY_SIZE];
    struct slice subject = subject_of(call);
    snprintf(key, sizeof(key), "admin.%s", pool_of(body));
    json_t *request = json_pack("{s:O}", "body", body);
    if (subject.data)
        json_object_set_new(request, "subject", json_stringn(subject.data, subject.len));
    if (conditions)
        json_object_set(request, "if", conditions);
    char *text = json_dumps(request, JSON_COMPACT);
    control_request(call, key, slice_of(action), slice_of(text), on_answer, NULL);
    free(text);
    json_decref(request);
}

void pool_request_submit(struct call *call, const char *schema, const char *action)
{
    CLEANUP(json_cleanup) json_t *body = NULL;
    if (schema_input_read(call, schema, &body))
        pool_request_send(call, body, action);
}
