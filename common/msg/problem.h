#pragma once
/* Complaints with the place that they are about. */

#include "common/msg/msg.h"

/* A place in a document, from the inside out: lives on the stack of whoever walks. */
struct msg_place {
    const struct msg_place *above; /* NULL: the whole document */
    const char *name;              /* of a member; NULL: an element */
    size_t index;
};

/* Keeps a copy of both in the arena of `problems`; beyond MSG_PROBLEMS_MAX or its limit they are only
 * counted. */
void msg_problem_add(struct msg_problems *problems, const struct msg_place *place, const char *detail);
