/* Look-ups in the generated tables of resources and requests. Built together with them, in the target
 * cortex_schemas. */

#include "common/msg/msg.h"

const struct msg_resource *msg_resource_by_name(struct slice name)
{
    for (const struct msg_resource *const *r = msg_resources; *r; r++)
        if (slice_is(name, (*r)->name))
            return *r;
    return NULL;
}

const struct msg_request *msg_request_by_name(struct slice name)
{
    for (const struct msg_request *const *r = msg_requests; *r; r++)
        if (slice_is(name, (*r)->name))
            return *r;
    return NULL;
}

bool msg_is_for_nobody(const struct msg_resource *resource, const char *command)
{
    const char *dot = strchr(command, '.');
    const struct msg_audience *audience = resource->audiences;
    for (; audience && audience->command; audience++)
        if (strcmp(audience->command, dot ? dot + 1 : command) == 0)
            return !audience->users;
    return false;
}

const char *const *msg_users_of_event(const struct msg_resource *resource, struct slice type)
{
    const struct msg_audience *audience = resource->audiences;
    const char *dot = audience ? memchr(type.data, '.', type.len) : NULL;
    if (!dot)
        return NULL;
    struct slice past = {dot + 1, (size_t)(type.data + type.len - dot) - 1};
    for (; audience->command; audience++)
        if (audience->past && slice_is(past, audience->past))
            return audience->users;
    return NULL;
}

bool msg_is_ordered(const struct msg_field *field)
{
    const struct msg_shape *shape = &field->shape;
    return shape->type == MSG_INTEGER || shape->type == MSG_NUMBER || shape->format == MSG_FORMAT_DATE ||
           shape->format == MSG_FORMAT_DATE_TIME;
}
