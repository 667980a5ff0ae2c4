/* What the rules of a mapping name: commands, and the places of values in them. */

#include <stdio.h>

#include "common/base/json.h"
#include "common/hooks/private.h"

struct hook_target hook_target_of(const char *command)
{
    static const enum msg_verb verbs[] = {MSG_VERB_CREATE, MSG_VERB_UPDATE, MSG_VERB_DELETE};
    const char *dot = strchr(command, '.');
    if (!dot)
        return (struct hook_target){0};
    const struct msg_resource *resource =
        msg_resource_by_name((struct slice){command, (size_t)(dot - command)});
    for (size_t i = 0; resource && i < ARRAY_LEN(verbs); i++)
        if (strcmp(dot + 1, msg_verb_name(verbs[i])) == 0 && msg_resource_has(resource, verbs[i]))
            return (struct hook_target){resource, verbs[i]};
    return (struct hook_target){0};
}

static bool is_parent(const struct msg_resource *resource, const char *to)
{
    size_t len = resource->parent ? strlen(resource->parent) : 0;
    return len > 0 && strncmp(to, resource->parent, len) == 0 && strcmp(to + len, "_id") == 0;
}

enum hook_place hook_place_of(const struct hook_target *target, const char *to,
                              const struct msg_field **ret_field)
{
    const struct msg_object *object = target->resource->object;
    bool is_create = target->verb == MSG_VERB_CREATE;
    if (strcmp(to, "id") == 0)
        return is_create || target->resource->is_single ? HOOK_PLACE_NONE : HOOK_PLACE_ID;
    if (is_parent(target->resource, to))
        return HOOK_PLACE_PARENT;
    for (size_t i = 0; i < object->field_count && target->verb != MSG_VERB_DELETE; i++) {
        const struct msg_field *field = &object->fields[i];
        if (strcmp(field->name, to) != 0)
            continue;
        *ret_field = field;
        bool is_given = !field->read_only && !(field->create_only && !is_create) && msg_is_shown(field);
        return is_given ? HOOK_PLACE_FIELD : HOOK_PLACE_NONE;
    }
    return HOOK_PLACE_NONE;
}

/* ---- values ---- */

enum { NUMBER_TEXT_MAX = 40 };

static json_t *kept(const json_t *value)
{
    return json_incref((json_t *)(uintptr_t)value);
}

static json_t *boolean_of(const char *text)
{
    if (strcmp(text, "true") == 0)
        return json_true();
    return strcmp(text, "false") == 0 ? json_false() : NULL;
}

static json_t *text_of(const json_t *value)
{
    char number[NUMBER_TEXT_MAX];
    if (json_is_boolean(value))
        return json_string(json_is_true(value) ? "true" : "false");
    if (json_is_integer(value))
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        snprintf(number, sizeof(number), "%.17g", json_real_value(value));
    return json_string(number);
}

json_t *hook_value_for(const struct msg_shape *shape, const json_t *value)
{
    bool is_number = shape->type == MSG_INTEGER || shape->type == MSG_NUMBER;
    json_t *other = NULL;
    if (shape->type == MSG_STRING && (json_is_number(value) || json_is_boolean(value)))
        other = text_of(value);
    else if (is_number && json_is_string(value))
        other = json_number_of((struct slice){json_string_value(value), json_string_length(value)});
    else if (shape->type == MSG_BOOLEAN && json_is_string(value))
        other = boolean_of(json_string_value(value));
    return other ? other : kept(value);
}

json_t *hook_constant_for(const struct msg_shape *shape, const char *text)
{
    char why[160];
    json_t *value = NULL;
    bool is_json = shape->type == MSG_ARRAY || shape->type == MSG_OBJECT;
    if (is_json && json_parse(slice_of(text), HOOK_DEPTH_MAX, &value, why) == ERR_OK)
        return value;
    CLEANUP(json_cleanup) json_t *constant = json_string(text);
    return hook_value_for(shape, constant);
}
