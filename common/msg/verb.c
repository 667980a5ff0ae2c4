#include "common/msg/msg.h"

const char *msg_verb_name(enum msg_verb verb)
{
    static const char *const names[] = {
        [MSG_VERB_CREATE] = "create", [MSG_VERB_GET] = "get",       [MSG_VERB_LIST] = "list",
        [MSG_VERB_UPDATE] = "update", [MSG_VERB_DELETE] = "delete",
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
