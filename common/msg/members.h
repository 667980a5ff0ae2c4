#pragma once
/* Looks into JSON text that PostgreSQL or a worker has written, without parsing it as a whole: an entity, and an event
 * whose `data` is one. */

#include "common/base/buf.h"
#include "common/msg/msg.h"

/* The value of the member, as a part of the text; SLICE_NONE: the object has none of that name, or is no object. */
struct slice members_value(struct slice object, const char *name);

/* Takes the next element off `rest`, which is an array without its brackets; false: there is none. */
bool members_next_element(struct slice *rest, struct slice *ret_element);

/* Whether the entity of the resource has fields of these classes (1 << MSG_CLASS_BIT_…). */
static inline bool members_have_hidden(const struct msg_resource *resource, unsigned hidden)
{
    return resource && resource->classes & hidden;
}

/* Appends the entity without the fields of these classes. What is no entity of the resource, such as the `data` of a
 * delete, comes out as it is. */
void members_append_seen(const struct msg_resource *resource, unsigned hidden, struct slice entity,
                         struct buf *out);
