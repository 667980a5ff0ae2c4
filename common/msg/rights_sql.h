#pragma once
/* The conditions of rights (rights.h) as SQL. The gateway writes them into the statements of reads, the worker into
 * those of commands, so that both decide alike. */

#include "common/base/buf.h"
#include "common/msg/msg.h"

/* What SQL calls the things that a condition is about. */
struct rights_names {
    const char *company, *user; /* "$1::uuid" */
    const char *row;            /* alias of the entity's row */
    const char *project;        /* the id of the entity's project; NULL: that of the row, or none */
    /* The row stands for many: the user's projects are read once, not for each row. */
    bool is_of_many;
};

/* Appends the project's id as an expression: a column of the row. False: the entity has no project. */
bool rights_sql_project(const struct msg_resource *resource, const char *row, struct buf *out);

/* Appends a SELECT of the ids of the projects of which the user is a member, or which the user manages. */
void rights_sql_projects(enum msg_condition condition, const struct rights_names *names, struct buf *out);

/* Appends one condition, which must not be `any`, as a boolean expression that may be NULL. */
void rights_sql_condition(const struct msg_resource *resource, enum msg_condition condition,
                          const struct rights_names *names, struct buf *out);

/* Appends an expression that is true for entities of which one of the conditions holds, and else false or NULL.
 * `conditions` must not have `any`; without any condition it is false. */
void rights_sql(const struct msg_resource *resource, unsigned conditions, const struct rights_names *names,
                struct buf *out);

/* The column that names the user of the condition (x-tie); NULL: the resource has none. */
const char *rights_column(const struct msg_object *object, enum msg_condition condition);
/* The resource that says who is a member, or who is the manager; NULL: there is none. */
const struct msg_resource *rights_resource_with(enum msg_condition condition);
