#pragma once
/* The types of events, such as "task.created": what the commands of each resource become, and the turns of long jobs. */

#include "common/msg/msg.h"

struct msg_event_type {
    const struct msg_resource *resource; /* "task" */
    const char *past;                    /* "created" */
    const char *says;                    /* after the words of the resource: "was created" */
};

/* In an order that stays within one process. */
void msg_event_types_each(void (*on_type)(void *arg, const struct msg_event_type *type), void *arg);

/* Whether it is a type, "<resource>.*" for all types of a resource that has some, or "*". */
bool msg_event_pattern_is_known(struct slice pattern);
