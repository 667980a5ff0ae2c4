#include "gateway/http/schema_input.h"

#include <stdio.h>

#include "common/base/json.h"
#include "common/msg/problem.h"
#include "gateway/http/preconditions.h"
#include "gateway/http/target.h"

enum { DETAIL_MAX = 1024 };

/* ---- the query ---- */

static void complain(struct msg_problems *problems, struct slice name, const char *detail)
{
    char text[80];
    snprintf(text, sizeof(text), "%.*s", (int)(name.len < 64 ? name.len : 64), name.data);
    const struct msg_place place = {.name = text};
    msg_problem_add(problems, &place, detail);
}

/* The value as JSON of the field's type. A number or a truth value that cannot be read stays a text, which
 * msg_validate then refuses. */
static json_t *value_of(const struct msg_shape *shape, struct slice value)
{
    json_t *json = NULL;
    if (shape->type == MSG_INTEGER || shape->type == MSG_NUMBER)
        json = json_number_of(value);
    else if (shape->type != MSG_STRING)
        json = json_loadb(value.data, value.len, JSON_DECODE_ANY, NULL);
    return json ? json : json_stringn(value.data, value.len);
}

static const struct msg_field *field_of(struct call *call, const struct msg_object *object, struct slice pair,
                                        struct slice *ret_value)
{
    for (size_t i = 0; i < object->field_count; i++) {
        *ret_value = target_parameter(&call->arena, pair, object->fields[i].name);
        if (ret_value->data)
            return &object->fields[i];
    }
    return NULL;
}

static bool is_other(struct call *call, struct slice pair, const char *const *others)
{
    for (; others && *others; others++)
        if (target_parameter(&call->arena, pair, *others).data)
            return true;
    return false;
}

/* Says which parameters there are. */
static void complain_of_unknown(struct msg_problems *problems, struct slice name,
                                const struct msg_object *object, const char *const *others)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, DETAIL_MAX);
    buf_append_text(&text, "is not a parameter of this request, which has ");
    for (size_t i = 0; i < object->field_count; i++)
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", object->fields[i].name);
    for (; others && *others; others++)
        buf_printf(&text, ", %s", *others);
    buf_append_char(&text, '\0');
    complain(problems, name, buf_data(&text));
}

static void take_pair(struct call *call, const struct msg_object *object, const char *const *others,
                      struct slice pair, json_t *json, struct msg_problems *problems)
{
    struct slice value;
    const struct msg_field *field = field_of(call, object, pair, &value);
    struct slice decoded = target_decode(&call->arena, target_pair_name(pair));
    struct slice name = decoded.data ? decoded : target_pair_name(pair);
    if (!field)
        complain_of_unknown(problems, name, object, others);
    else if (json_object_get(json, field->name))
        complain(problems, name, "is given more than once");
    else if (json_object_set_new(json, field->name, value_of(&field->shape, value)))
        complain(problems, name, "must be UTF-8");
}

/* The pointer "/type" is a place in a body; a parameter of a query is "?type". */
static void point_at_parameters(struct call *call, struct msg_problems *problems)
{
    for (struct msg_problem *p = problems->first; p; p = p->next) {
        char pointer[96];
        struct slice name =
            p->pointer.len > 0 ? (struct slice){p->pointer.data + 1, p->pointer.len - 1} : SLICE("");
        snprintf(pointer, sizeof(pointer), "?%.*s", (int)name.len, name.data);
        struct slice copy = arena_copy(&call->arena, slice_of(pointer));
        if (copy.data)
            p->pointer = copy;
    }
}

enum err schema_input_query(struct call *call, const struct msg_object *object, const char *const *others,
                            json_t **ret_json, struct msg_problems *problems)
{
    CLEANUP(json_cleanup) json_t *json = json_object();
    const struct msg_shape shape = {.type = MSG_OBJECT, .object = object};
    for (struct slice pair, rest = call->query; (pair = target_next_pair(&rest)).data;)
        if (!is_other(call, pair, others))
            take_pair(call, object, others, pair, json, problems);
    msg_validate(&shape, MSG_CREATE, json, problems);
    point_at_parameters(call, problems);
    if (problems->count > 0)
        return ERR_BAD_REQUEST;
    *ret_json = TAKE(json);
    return ERR_OK;
}

/* ---- the body ---- */

/* A POST may come without a body, if the schema requires no member. */
static enum err read_body(struct call *call, const struct msg_object *object, const char *member,
                          json_t **ret_json, json_t **ret_apart, struct msg_problems *problems, char why[160])
{
    CLEANUP(json_cleanup) json_t *json = NULL;
    const struct msg_shape shape = {.type = MSG_OBJECT, .object = object};
    enum err err = ERR_OK;
    if (call->body.len == 0 && call->method == METHOD_POST)
        json = json_object();
    else if (!media_type_is(call_header(call, "content-type"), "application/json"))
        return ERR_UNSUPPORTED_MEDIA;
    else
        err = json_parse(call->body, call->gateway->config->max_json_depth, &json, why);
    if (err)
        return err;
    CLEANUP(json_cleanup) json_t *apart = member ? json_incref(json_object_get(json, member)) : NULL;
    if (apart)
        json_object_del(json, member);
    if (!msg_validate(&shape, MSG_CREATE, json, problems))
        return ERR_VALIDATION;
    *ret_json = TAKE(json);
    if (member)
        *ret_apart = TAKE(apart);
    return ERR_OK;
}

bool schema_input_read(struct call *call, const char *schema_name, json_t **ret_json)
{
    return schema_input_read_apart(call, schema_name, NULL, ret_json, NULL);
}

bool schema_input_read_apart(struct call *call, const char *schema_name, const char *member,
                             json_t **ret_json, json_t **ret_apart)
{
    struct msg_problems problems = {.arena = &call->arena};
    char why[160] = "";
    const struct msg_request *schema = schema_name ? msg_request_by_name(slice_of(schema_name)) : NULL;
    if (!schema) {
        *ret_json = json_object();
        return true;
    }
    enum err err = call->method == METHOD_DELETE
                       ? schema_input_query(call, schema->object, NULL, ret_json, &problems)
                       : read_body(call, schema->object, member, ret_json, ret_apart, &problems, why);
    if (err)
        call_fail_fields(call, err, why[0] ? why : NULL, &problems);
    return err == ERR_OK;
}
