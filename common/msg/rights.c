#include "common/msg/rights.h"

#include "common/base/macros.h"

#define SEES(NAME)                (1U << MSG_CLASS_BIT_##NAME)
#define ROLE(NAME, name, classes) [MSG_ROLE_##NAME] = {name, classes},
static const struct {
    const char *name;
    unsigned seen;
} roles[MSG_ROLES] = {
#include "common/msg/roles.def"
};
#undef ROLE

#define ROLE(NAME, name, classes) ", " name
static const char list[] =
#include "common/msg/roles.def"
    ;
#undef ROLE

#define CLASS(NAME, name) [MSG_CLASS_BIT_##NAME] = (name),
static const char *const classes[] = {
#include "common/msg/roles.def"
};
#undef CLASS

static const char *const rights[] = {
    [MSG_RIGHT_CREATE] = "create",
    [MSG_RIGHT_READ] = "read",
    [MSG_RIGHT_UPDATE] = "update",
    [MSG_RIGHT_DELETE] = "delete",
};

static const char *const conditions[MSG_CONDITIONS] = {"any",      "member",  "manager",
                                                       "assignee", "creator", "self"};

enum msg_role msg_role_by_name(struct slice name)
{
    for (unsigned i = MSG_ROLE_UNKNOWN + 1; i < MSG_ROLES; i++)
        if (slice_is(name, roles[i].name))
            return (enum msg_role)i;
    return MSG_ROLE_UNKNOWN;
}

const char *msg_role_name(enum msg_role role)
{
    return roles[role].name;
}

const char *msg_role_list(void)
{
    return list + sizeof(", ") - 1;
}

unsigned msg_role_hidden(enum msg_role role)
{
    const unsigned all = (1U << MSG_CLASSES) - 1;
    return all & ~roles[role].seen;
}

/* Returns the place of the name; -1: it is none of them. */
static int find(const char *const *names, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_is(name, names[i]))
            return (int)i;
    return -1;
}

bool msg_class_by_name(struct slice name, unsigned *ret_bit)
{
    int at = find(classes, ARRAY_LEN(classes), name);
    *ret_bit = at < 0 ? 0 : (unsigned)at;
    return at >= 0;
}

const char *msg_class_name(unsigned bit)
{
    return classes[bit];
}

bool msg_right_by_name(struct slice name, enum msg_right *ret_right)
{
    int at = find(rights, ARRAY_LEN(rights), name);
    *ret_right = at < 0 ? MSG_RIGHT_CREATE : (enum msg_right)at;
    return at >= 0;
}

const char *msg_right_name(enum msg_right right)
{
    return rights[right];
}

bool msg_condition_by_name(struct slice name, enum msg_condition *ret_condition)
{
    int at = find(conditions, MSG_CONDITIONS, name);
    *ret_condition = at < 0 ? MSG_MAY_ANY : (enum msg_condition)(1U << at);
    return at >= 0;
}

const char *msg_condition_name(unsigned n)
{
    return conditions[n];
}
