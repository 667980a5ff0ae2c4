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

bool msg_is_ordered(const struct msg_field *field)
{
    const struct msg_shape *shape = &field->shape;
    return shape->type == MSG_INTEGER || shape->type == MSG_NUMBER || shape->format == MSG_FORMAT_DATE ||
           shape->format == MSG_FORMAT_DATE_TIME;
}
