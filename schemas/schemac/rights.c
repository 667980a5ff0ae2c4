/* Who may do what: x-rights of a resource, and x-class of its fields. They are read once all resources are known,
 * because a condition may ask for the project that an entity belongs to. */

#include "schemas/schemac/compiler.h"

/* The verbs of a resource that make a right worth giving. A resource without any verb has commands that are written
 * by hand, and rights for these; one with acts has the right to change its entities by them. */
static bool has_use(enum msg_right right, const struct schema_wishes *wishes)
{
    static const unsigned wanted[] = {
        [MSG_RIGHT_CREATE] = 1U << MSG_VERB_CREATE,
        [MSG_RIGHT_READ] = 1U << MSG_VERB_GET | 1U << MSG_VERB_LIST,
        [MSG_RIGHT_UPDATE] = 1U << MSG_VERB_UPDATE,
        [MSG_RIGHT_DELETE] = 1U << MSG_VERB_DELETE,
    };
    return wishes->verbs == 0 || (wishes->verbs | wishes->commands) & wanted[right] ||
           (wishes->has_acts && right == MSG_RIGHT_UPDATE);
}

static bool check_condition(struct compiler *c, const struct spot *at, const struct schema_set *set,
                            const struct msg_resource *resource, enum msg_right right,
                            enum msg_condition condition)
{
    bool is_of_project = condition == MSG_MAY_MEMBER || condition == MSG_MAY_MANAGER;
    if (is_of_project && resource->channel == MSG_CHANNEL_NONE)
        return refuse(c, at, "the resource does not belong to a project");
    if (is_of_project && resource->channel == MSG_CHANNEL_OWN && right == MSG_RIGHT_CREATE)
        return refuse(c, at, "what is created has no members yet");
    if (right == MSG_RIGHT_CREATE && (condition == MSG_MAY_ASSIGNEE || condition == MSG_MAY_CREATOR))
        return refuse(c, at, "is for entities that there are already");
    return condition == MSG_MAY_ANY || has_tie(set, resource, condition) ||
           refuse(c, at, "no field names this user (x-tie)");
}

static bool read_condition(struct compiler *c, const struct spot *at, const struct schema_set *set,
                           struct msg_resource *resource, enum msg_role role, enum msg_right right)
{
    enum msg_condition condition;
    const char *name = json_string_value(at->json);
    if (!name || !msg_condition_by_name(slice_of(name), &condition))
        return refuse(c, at, "must be any, member, manager, assignee, creator or self");
    resource->rights[role][right] |= (uint8_t)condition;
    return check_condition(c, at, set, resource, right, condition);
}

/* One condition, or an array of which one must be satisfied. */
static bool read_conditions(struct compiler *c, const struct spot *at, const struct schema_set *set,
                            struct msg_resource *resource, enum msg_role role, enum msg_right right)
{
    if (!json_is_array(at->json))
        return read_condition(c, at, set, resource, role, right);
    if (json_array_size(at->json) == 0)
        return refuse(c, at, "must not be empty: what is left out nobody may do");
    for (size_t i = 0; i < json_array_size(at->json); i++) {
        struct spot entry = spot_at(c, at, i, json_array_get(at->json, i));
        if (!read_condition(c, &entry, set, resource, role, right))
            return false;
    }
    return true;
}

static bool read_rights_of(struct compiler *c, const struct spot *of_role, const struct schema_set *set,
                           struct schema_message *message, enum msg_role role)
{
    const char *name;
    json_t *value;
    if (!json_is_object(of_role->json))
        return refuse(c, of_role, "must be an object: of a right, its condition");
    json_object_foreach((json_t *)of_role->json, name, value)
    {
        struct spot at = spot_below(c, of_role, name, value);
        enum msg_right right;
        if (!msg_right_by_name(slice_of(name), &right))
            return refuse(c, &at, "must be create, read, update or delete");
        if (!has_use(right, &message->wishes))
            return refuse(c, &at, "x-resource has no verb for it");
        if (!read_conditions(c, &at, set, &message->resource, role, right))
            return false;
    }
    return true;
}

static bool read_rights(struct compiler *c, const struct spot *root, const struct schema_set *set,
                        struct schema_message *message)
{
    const json_t *rights = json_object_get(root->json, "x-rights");
    struct spot at = spot_below(c, root, "x-rights", rights);
    const char *name;
    json_t *value;
    if (!rights)
        return refuse(c, root, "x-rights is missing: of each role, what it may do");
    if (!json_is_object(rights))
        return refuse(c, &at, "must be an object: of a role, its rights");
    json_object_foreach((json_t *)rights, name, value)
    {
        struct spot of_role = spot_below(c, &at, name, value);
        enum msg_role role = msg_role_by_name(slice_of(name));
        if (role == MSG_ROLE_UNKNOWN)
            return refuse(c, &of_role, "must be the name of a role, a row of common/msg/roles.def");
        if (!read_rights_of(c, &of_role, set, message, role))
            return false;
    }
    return true;
}

/* ---- x-class ---- */

/* What everybody who sees the entity must see: clients and the server rely on it. */
static bool is_for_all(const struct msg_resource *resource, const char *name)
{
    static const char *const names[] = {"id", "version", "created_at", "updated_at"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    size_t len = resource->parent ? strlen(resource->parent) : 0;
    return len > 0 && strncmp(name, resource->parent, len) == 0 && strcmp(name + len, "_id") == 0;
}

/* A role that must give the field in a create has to see it. */
static bool check_required(struct compiler *c, const struct spot *at, const struct msg_resource *resource,
                           const struct msg_field *field)
{
    for (unsigned role = 0; role < MSG_ROLES && field->required; role++)
        if (resource->rights[role][MSG_RIGHT_CREATE] && msg_role_hidden((enum msg_role)role) & field->classes)
            return refuse(c, at, "%s may create, and a create needs the field, which it does not see",
                          msg_role_name((enum msg_role)role));
    return true;
}

static bool read_class(struct compiler *c, const struct spot *property, const struct msg_resource *resource,
                       struct msg_field *field)
{
    const json_t *json = json_object_get(property->json, "x-class");
    const char *name = json_string_value(json);
    struct spot at = spot_below(c, property, "x-class", json);
    unsigned bit;
    if (!json)
        return true;
    if (!name || !msg_class_by_name(slice_of(name), &bit))
        return refuse(c, &at, "must be the name of a class, a row of common/msg/roles.def");
    if (is_for_all(resource, field->name))
        return refuse(c, &at, "whoever sees the entity sees its `%s`", field->name);
    field->classes = (uint8_t)(1U << bit);
    return check_required(c, &at, resource, field);
}

static bool read_classes(struct compiler *c, const struct spot *root, struct msg_resource *resource)
{
    struct spot properties = spot_below(c, root, "properties", json_object_get(root->json, "properties"));
    for (size_t i = 0; i < resource->object->field_count; i++) {
        struct msg_field *field = (struct msg_field *)(uintptr_t)&resource->object->fields[i];
        struct spot at =
            spot_below(c, &properties, field->name, json_object_get(properties.json, field->name));
        if (!read_class(c, &at, resource, field))
            return false;
        resource->classes |= field->classes;
    }
    return true;
}

bool read_all_rights(struct compiler *c, struct schema_set *set)
{
    for (size_t i = 0; i < set->message_count; i++) {
        struct schema_message *message = &set->messages[i];
        struct document *document = document_named(c, message->file);
        struct spot root = {.document = document, .pointer = "", .json = document->json};
        if (message->is_request)
            continue;
        if (!read_rights(c, &root, set, message) || !read_classes(c, &root, &message->resource))
            return false;
    }
    return true;
}
