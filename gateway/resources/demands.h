#pragma once
/* What a body may not ask for although it fits its schema: URLs to which we send nothing (x-outbound), and types of events
 * that there are not (x-event-types). */

#include "common/msg/msg.h"

struct address_guard;

/* Adds to `problems` what is wrong with values that have the right form. body: NULL is nothing. */
void demands_check(const struct address_guard *outbound, const struct msg_object *object, const json_t *body,
                   struct msg_problems *problems);
