#pragma once
/* Complaints, each with the place that it is about. */

#include "common/msg/msg.h"

/* A place in a document, from the inside out. It lives on the stack of the function that walks. */
struct msg_place {
    const struct msg_place *above; /* NULL: the whole document */
    const char *name;              /* of a member; NULL: an element */
    size_t index;
};

/* Copies both into the arena of `problems`. Beyond MSG_PROBLEMS_MAX, or the limit of the arena, the complaint
 * is only counted. */
void msg_problem_add(struct msg_problems *problems, const struct msg_place *place, const char *detail);
