#pragma once
/* Rights: what a role may do with the entities of a resource, and which fields it sees. They are data: the roles and
 * classes stand in roles.def, what each role may do in the schema of each resource:
 *
 *   "x-rights": {"supervisor": {"read": "member", "update": ["member", "assignee"]}, …}
 *
 * schemac turns that into a table of bits, found by role and right; a bit for each condition, one of which must be
 * satisfied. What is absent nobody may do. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

#define ROLE(NAME, name, classes) MSG_ROLE_##NAME,
enum msg_role {
    MSG_ROLE_UNKNOWN, /* no right at all: its row of each table is empty */
#include "common/msg/roles.def"
    MSG_ROLES,
};
#undef ROLE

#define CLASS(NAME, name) MSG_CLASS_BIT_##NAME,
enum msg_class_bit {
#include "common/msg/roles.def"
    MSG_CLASSES,
};
#undef CLASS

enum msg_right { MSG_RIGHT_CREATE, MSG_RIGHT_READ, MSG_RIGHT_UPDATE, MSG_RIGHT_DELETE };
enum { MSG_RIGHTS = MSG_RIGHT_DELETE + 1 };

/* The conditions of a right, as bits. */
enum msg_condition {
    MSG_MAY_ANY = 1,      /* every entity of the company */
    MSG_MAY_MEMBER = 2,   /* those of projects of which the user is a member */
    MSG_MAY_MANAGER = 4,  /* those of projects that the user manages */
    MSG_MAY_ASSIGNEE = 8, /* those that are assigned to the user */
    MSG_MAY_CREATOR = 16, /* those that the user has made */
    MSG_MAY_SELF = 32,    /* those that are about the user */
};
enum { MSG_CONDITIONS = 6 };

/* Which users a condition is about is said by fields (x-tie): a task's `assignee_id` names its assignee, a project's
 * `manager_id` the manager of it and of what belongs to it, the `user_id` of a project's members a member of it. The
 * last day of such a membership stands in a field with MSG_TIE_UNTIL. */
enum { MSG_TIE_UNTIL = 1 << MSG_CONDITIONS };

/* MSG_ROLE_UNKNOWN: there is no such role. */
enum msg_role msg_role_by_name(struct slice name);
const char *msg_role_name(enum msg_role role); /* of a role that there is */
/* All roles, separated by commas, for people. */
const char *msg_role_list(void);

/* The class bits that the role does not see: 1 << MSG_CLASS_BIT_…. */
unsigned msg_role_hidden(enum msg_role role);

bool msg_class_by_name(struct slice name, unsigned *ret_bit);
const char *msg_class_name(unsigned bit);

bool msg_right_by_name(struct slice name, enum msg_right *ret_right);
const char *msg_right_name(enum msg_right right); /* "read" */
bool msg_condition_by_name(struct slice name, enum msg_condition *ret_condition);
const char *msg_condition_name(unsigned n); /* of 1 << n */
