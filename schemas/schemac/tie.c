/* x-tie: of which condition of rights a field names the user, or, as `until`, the last day of a membership. */

#include "schemas/schemac/compiler.h"

static bool is_of_project(enum msg_condition condition)
{
    return condition == MSG_MAY_MEMBER || condition == MSG_MAY_MANAGER;
}

static const struct msg_field *field_with(const struct msg_object *object, unsigned tie)
{
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].tie == tie)
            return &object->fields[i];
    return NULL;
}

bool has_tie(const struct schema_set *set, const struct msg_resource *resource, enum msg_condition condition)
{
    for (size_t i = 0; is_of_project(condition) && i < set->message_count; i++)
        if (!set->messages[i].is_request && field_with(set->messages[i].resource.object, condition))
            return true;
    return !is_of_project(condition) && field_with(resource->object, condition);
}

/* Members and managers are those of projects. */
static bool check_place(struct compiler *c, const struct spot *at, const struct schema_set *set,
                        const struct msg_resource *resource, unsigned tie)
{
    bool is_last_day = tie == MSG_TIE_UNTIL;
    if (is_last_day && !field_with(resource->object, MSG_MAY_MEMBER))
        return refuse(c, at, "`until` needs a field before it whose x-tie is member");
    if (tie == MSG_MAY_MANAGER && resource->channel != MSG_CHANNEL_OWN)
        return refuse(c, at, "the manager is named by what has a channel of its own");
    if (tie == MSG_MAY_MEMBER && resource->channel != MSG_CHANNEL_PARENT)
        return refuse(c, at, "members are entities below that of which they are members");
    if (is_last_day || !is_of_project((enum msg_condition)tie))
        return !field_with(resource->object, tie) ||
               refuse(c, at, "another field of the resource has this tie");
    return !has_tie(set, resource, (enum msg_condition)tie) || refuse(c, at, "another field has this tie");
}

static bool read_tie(struct compiler *c, const struct spot *property, const struct schema_set *set,
                     const struct msg_resource *resource, struct msg_field *field)
{
    const json_t *json = json_object_get(property->json, "x-tie");
    const char *name = json_string_value(json);
    struct spot at = spot_below(c, property, "x-tie", json);
    enum msg_condition condition = MSG_MAY_ANY;
    if (!json)
        return true;
    bool is_last_day = name && strcmp(name, "until") == 0;
    if (!is_last_day &&
        (!name || !msg_condition_by_name(slice_of(name), &condition) || condition == MSG_MAY_ANY))
        return refuse(c, &at, "must be member, manager, assignee, creator, self or until");
    if (field->shape.format != (is_last_day ? MSG_FORMAT_DATE : MSG_FORMAT_UUID))
        return refuse(c, &at, "is for a field of the format %s", is_last_day ? "date" : "uuid");
    unsigned tie = is_last_day ? MSG_TIE_UNTIL : (unsigned)condition;
    if (!check_place(c, &at, set, resource, tie))
        return false;
    field->tie = (uint8_t)tie;
    return true;
}

bool read_all_ties(struct compiler *c, struct schema_set *set)
{
    for (size_t i = 0; i < set->message_count; i++) {
        const struct schema_message *message = &set->messages[i];
        struct document *document = document_named(c, message->file);
        struct spot root = {.document = document, .pointer = "", .json = document->json};
        struct spot properties = spot_below(c, &root, "properties", json_object_get(root.json, "properties"));
        for (size_t k = 0; !message->is_request && k < message->resource.object->field_count; k++) {
            struct msg_field *field = (struct msg_field *)(uintptr_t)&message->resource.object->fields[k];
            struct spot at =
                spot_below(c, &properties, field->name, json_object_get(properties.json, field->name));
            if (!read_tie(c, &at, set, &message->resource, field))
                return false;
        }
    }
    return true;
}
