#include <string.h>

#include "common/msg/msg.h"

const char *msg_verb_name(enum msg_verb verb)
{
    static const char *const names[] = {
        [MSG_VERB_CREATE] = "create", [MSG_VERB_GET] = "get",       [MSG_VERB_LIST] = "list",
        [MSG_VERB_UPDATE] = "update", [MSG_VERB_DELETE] = "delete", [MSG_VERB_SECRET] = "secret",
        [MSG_VERB_ROTATE] = "rotate",
    };
    return names[verb];
}

bool msg_resource_is_exported(const struct msg_resource *resource)
{
    return msg_resource_has(resource, MSG_VERB_LIST) && !resource->is_not_exported;
}

bool msg_resource_has(const struct msg_resource *resource, enum msg_verb verb)
{
    for (size_t i = 0; i < resource->endpoint_count; i++)
        if (resource->endpoints[i].verb == verb)
            return true;
    return false;
}

/* Who is a member of the project, or manages it, is asked for rights (rights_sql.c). */
static bool is_of_rights(const struct msg_resource *resource, const char *other)
{
    return resource->channel != MSG_CHANNEL_NONE &&
           (strcmp(other, "project") == 0 || strcmp(other, "project_member") == 0);
}

bool msg_resource_reads(const struct msg_resource *resource, const struct msg_resource *other)
{
    bool reads = is_of_rights(resource, other->name) ||
                 (resource->parent && strcmp(resource->parent, other->name) == 0);
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const char *table = resource->object->fields[i].reference;
        reads |= table && strcmp(table, other->table) == 0;
    }
    return reads;
}

const struct msg_field *msg_rotating_secret(const struct msg_resource *resource)
{
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const struct msg_secret *secret = resource->object->fields[i].secret;
        if (secret && secret->keep_hours)
            return &resource->object->fields[i];
    }
    return NULL;
}
