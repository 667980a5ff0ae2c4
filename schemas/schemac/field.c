#include "schemas/schemac/compiler.h"

#include "common/msg/check.h"
#include "common/msg/problem.h"

enum { ID_MAX = 65535, NAME_MAX_LEN = 63 };

bool is_identifier(const char *text)
{
    size_t len = strlen(text);
    return len >= 1 && len <= NAME_MAX_LEN && text[0] >= 'a' && text[0] <= 'z' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool read_id(struct compiler *c, const struct spot *spot, uint32_t *ret_id)
{
    const json_t *id = json_object_get(spot->json, "x-id");
    json_int_t value = json_integer_value(id);
    struct spot at = spot_below(c, spot, "x-id", id);
    if (!id)
        return refuse(c, spot, "x-id is missing");
    if (!json_is_integer(id) || value < 1 || value > ID_MAX)
        return refuse(c, &at, "must be an integer from 1 to %d", ID_MAX);
    *ret_id = (uint32_t)value;
    return true;
}

static bool read_flag(struct compiler *c, const struct spot *spot, const char *name, bool *ret_flag)
{
    const json_t *flag = json_object_get(spot->json, name);
    struct spot at = spot_below(c, spot, name, flag);
    *ret_flag = json_is_true(flag);
    return !flag || json_is_boolean(flag) || refuse(c, &at, "must be true or false");
}

static bool read_column(struct compiler *c, const struct spot *spot, struct msg_field *field)
{
    const json_t *column = json_object_get(spot->json, "x-column");
    struct spot at = spot_below(c, spot, "x-column", column);
    field->column = column ? json_string_value(column) : field->name;
    if (!field->column || !is_identifier(field->column))
        return refuse(c, &at, "must be the name of a column: lower-case letters, digits and underscores");
    field->column = compiler_format(c, "%s", field->column);
    return true;
}

/* Returns the default in the text form of PostgreSQL. The default null means that there is none. */
static const char *default_text(struct compiler *c, const json_t *json)
{
    char number[MSG_NUMBER_TEXT_SIZE];
    switch (json_typeof(json)) {
    case JSON_STRING:
        return compiler_format(c, "%s", json_string_value(json));
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_INTEGER:
        msg_integer_text(json_integer_value(json), number);
        return compiler_format(c, "%s", number);
    case JSON_REAL:
        msg_number_text(json_real_value(json), number);
        return compiler_format(c, "%s", number);
    case JSON_ARRAY:
    case JSON_OBJECT: {
        char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
        const char *kept = compiler_format(c, "%s", text);
        free(text);
        return kept;
    }
    default:
        return NULL;
    }
}

static bool read_default(struct compiler *c, const struct spot *spot, struct msg_field *field)
{
    const json_t *json = json_object_get(spot->json, "default");
    struct spot at = spot_below(c, spot, "default", json);
    if (!json)
        return true;
    struct msg_problems problems = {.arena = c->arena};
    if (!msg_validate(&field->shape, MSG_EXACT, json, &problems))
        return refuse(c, &at, "the default does not fit its own schema: %s", problems.first->detail.data);
    field->fallback = default_text(c, json);
    return true;
}

static bool is_scalar(const struct msg_shape *shape)
{
    return shape->type != MSG_OBJECT && shape->type != MSG_ARRAY;
}

/* Whether the field is one of the message, and of no object inside it. */
static bool is_at_the_top(const struct spot *spot)
{
    static const char begin[] = "/properties/";
    return strncmp(spot->pointer, begin, strlen(begin)) == 0 && !strchr(spot->pointer + strlen(begin), '/');
}

static bool check_flags(struct compiler *c, const struct spot *spot, const struct msg_field *field)
{
    if (field->filter && !is_scalar(&field->shape))
        return refuse(c, spot, "x-filter is for single values");
    if (field->indexed && !field->filter)
        return refuse(c, spot, "x-indexed is for fields with x-filter");
    /* Row-level security keeps comparisons of numeric from every index: they are not leakproof. */
    if (field->indexed && field->shape.type == MSG_NUMBER)
        return refuse(c, spot, "x-indexed is not for numbers");
    if (field->search && field->shape.type != MSG_STRING)
        return refuse(c, spot, "x-search is for strings");
    bool is_url = field->shape.type == MSG_STRING && field->shape.format == MSG_FORMAT_URI;
    if (field->outbound && (!is_url || field->read_only || !is_at_the_top(spot)))
        return refuse(c, spot, "x-outbound is for a uri in the message itself, which a client gives");
    bool is_list = field->shape.type == MSG_ARRAY && field->shape.items->type == MSG_STRING;
    if (field->event_types && (!is_list || field->read_only || !is_at_the_top(spot)))
        return refuse(c, spot,
                      "x-event-types is for an array of texts in the message itself, which a client gives");
    if (field->read_only && field->create_only)
        return refuse(c, spot, "readOnly and x-create-only exclude each other");
    return true;
}

static const char *value_named(const struct msg_shape *shape, const char *name)
{
    for (const char *const *value = shape->allowed; value && name && *value; value++)
        if (strcmp(*value, name) == 0)
            return *value;
    return NULL;
}

/* Reads what a value may become: an array of other values, or an object, whose conditions transitions.c reads. */
static bool read_transition(struct compiler *c, const struct spot *at, const struct msg_shape *shape,
                            const char *const **ret_to)
{
    size_t count = json_array_size(at->json), named = 0;
    const char **to = compiler_alloc(c, count + json_object_size(at->json) + 1, sizeof(*to)), *name;
    json_t *conditions;
    *ret_to = to;
    json_object_foreach((json_t *)at->json, name, conditions)
    {
        struct spot entry = spot_below(c, at, name, conditions);
        to[named] = value_named(shape, name);
        if (!to[named++])
            return refuse(c, &entry, "`%s` is no value of the enum", name);
    }
    if (json_is_object(at->json))
        return true;
    if (!json_is_array(at->json))
        return refuse(c, at, "must be an array of what the value may become, or an object");
    for (size_t i = 0; i < count; i++) {
        struct spot entry = spot_at(c, at, i, json_array_get(at->json, i));
        to[i] = value_named(shape, json_string_value(entry.json));
        if (!to[i])
            return refuse(c, &entry, "must be a value of the enum");
    }
    return true;
}

/* Every value of the enum has its row, so that none is forgotten when one is added. What a create may begin with
 * stands under "" and comes last. */
static bool read_transitions(struct compiler *c, const struct spot *spot, struct msg_field *field)
{
    const json_t *rows = json_object_get(spot->json, "x-transitions");
    struct spot at = spot_below(c, spot, "x-transitions", rows);
    const char *name;
    json_t *value;
    size_t count = 0;
    if (!rows)
        return true;
    if (!json_is_object(rows) || !field->shape.allowed || field->shape.nullable)
        return refuse(c, &at, "must be an object, of a field that has an enum and is never null");
    json_object_foreach((json_t *)rows, name, value)
    {
        if (*name && !value_named(&field->shape, name))
            return refuse(c, &at, "`%s` is no value of the enum", name);
    }
    if (json_object_size(rows) > MSG_TRANSITIONS_MAX)
        return refuse(c, &at, "has more than %d values", MSG_TRANSITIONS_MAX);
    struct msg_transition *transitions = compiler_alloc(c, json_object_size(rows) + 1, sizeof(*transitions));
    for (const char *const *from = field->shape.allowed; *from; from++) {
        struct spot row = spot_below(c, &at, *from, json_object_get(rows, *from));
        if (!row.json)
            return refuse(c, &at, "`%s` is missing: what it may become", *from);
        transitions[count].from = *from;
        if (!read_transition(c, &row, &field->shape, &transitions[count++].to))
            return false;
    }
    struct spot begin = spot_below(c, &at, "", json_object_get(rows, ""));
    if (begin.json && !json_is_array(begin.json))
        return refuse(c, &begin, "must be an array of the values that a create may begin with");
    if (begin.json && !read_transition(c, &begin, &field->shape, &transitions[count].to))
        return false;
    if (begin.json)
        transitions[count].from = "";
    field->transitions = transitions;
    return true;
}

bool compile_field(struct compiler *c, const struct spot *spot, const char *name, struct msg_field *ret_field)
{
    struct msg_field field = {.name = name, .column = name};
    if (is_message(c) && !is_identifier(name))
        return refuse(c, spot, "a field's name must be lower-case letters, digits and underscores");
    if (!compile_shape(c, spot, ROLE_FIELD, &field.shape))
        return false;
    bool ok =
        !is_message(c) ||
        (read_id(c, spot, &field.id) && read_flag(c, spot, "readOnly", &field.read_only) &&
         read_flag(c, spot, "x-create-only", &field.create_only) &&
         read_flag(c, spot, "x-filter", &field.filter) && read_flag(c, spot, "x-indexed", &field.indexed) &&
         read_flag(c, spot, "x-outbound", &field.outbound) &&
         read_flag(c, spot, "x-event-types", &field.event_types) &&
         read_flag(c, spot, "x-search", &field.search) && read_flag(c, spot, "x-sort", &field.sort) &&
         read_column(c, spot, &field) && read_default(c, spot, &field) && read_transitions(c, spot, &field) &&
         check_flags(c, spot, &field) && check_sort(c, spot, &field) && compile_secret(c, spot, &field));
    *ret_field = field;
    return ok;
}
