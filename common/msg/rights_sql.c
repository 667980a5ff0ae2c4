#include "common/msg/rights_sql.h"

#include <stdio.h>

#include "common/msg/resource_sql.h"

/* Of each condition that is about a user of the entity, the fields that may name that user. */
static const struct {
    enum msg_condition condition;
    const char *fields[3];
} of_users[] = {
    {MSG_MAY_ASSIGNEE, {"assignee_id"}},
    {MSG_MAY_CREATOR, {"creator_id", "submitter_id", "uploader_id"}},
    {MSG_MAY_SELF, {"user_id"}},
};

/* The membership of the user, in general. A member who has left is one until the end of the day, in UTC. */
#define MEMBER                                                                            \
    " FROM project_member AS member WHERE member.company_id = %s AND member.user_id = %s" \
    " AND (member.left_on IS NULL OR member.left_on >= (now() AT TIME ZONE 'UTC')::date)"

static const struct msg_field *field_named(const struct msg_object *object, const char *name)
{
    for (size_t i = 0; i < object->field_count; i++)
        if (strcmp(object->fields[i].name, name) == 0)
            return &object->fields[i];
    return NULL;
}

const char *rights_column(const struct msg_object *object, enum msg_condition condition)
{
    for (size_t i = 0; i < ARRAY_LEN(of_users); i++)
        for (size_t k = 0; of_users[i].condition == condition && k < ARRAY_LEN(of_users[i].fields); k++) {
            const char *name = of_users[i].fields[k];
            const struct msg_field *field = name ? field_named(object, name) : NULL;
            if (field && field->shape.format == MSG_FORMAT_UUID)
                return field->column;
        }
    return NULL;
}

bool rights_sql_project(const struct msg_resource *resource, const char *row, struct buf *out)
{
    char column[128];
    switch (resource->channel) {
    case MSG_CHANNEL_OWN:
        resource_sql_column(row, "id", out);
        return true;
    case MSG_CHANNEL_PARENT:
        snprintf(column, sizeof(column), "%s_id", resource->parent);
        resource_sql_column(row, column, out);
        return true;
    case MSG_CHANNEL_COLUMN:
        resource_sql_column(row, resource->channel_column, out);
        return true;
    case MSG_CHANNEL_NONE:
        break;
    }
    return false;
}

static void append_project(const struct msg_resource *resource, const struct rights_names *names,
                           struct buf *out)
{
    if (names->project)
        buf_append_text(out, names->project);
    else if (!rights_sql_project(resource, names->row, out))
        buf_append_text(out, "NULL::uuid");
}

static void append_member(const struct msg_resource *resource, const struct rights_names *names,
                          struct buf *out)
{
    if (names->is_of_many) { /* IS TRUE keeps the sub-select from becoming a join: it is hashed once */
        buf_append_char(out, '(');
        append_project(resource, names, out);
        buf_printf(out, " IN (SELECT member.project_id" MEMBER ")) IS TRUE", names->company, names->user);
        return;
    }
    buf_printf(out, "EXISTS (SELECT" MEMBER " AND member.project_id = ", names->company, names->user);
    append_project(resource, names, out);
    buf_append_char(out, ')');
}

static void append_manager(const struct msg_resource *resource, const struct rights_names *names,
                           struct buf *out)
{
    if (resource->channel == MSG_CHANNEL_OWN && names->row) {
        resource_sql_column(names->row, "manager_id", out);
        buf_printf(out, " = %s", names->user);
        return;
    }
    buf_printf(
        out,
        "EXISTS (SELECT FROM project AS managed WHERE managed.company_id = %s AND managed.manager_id = %s"
        " AND managed.id = ",
        names->company, names->user);
    append_project(resource, names, out);
    buf_append_char(out, ')');
}

void rights_sql_condition(const struct msg_resource *resource, enum msg_condition condition,
                          const struct rights_names *names, struct buf *out)
{
    if (condition == MSG_MAY_MEMBER) {
        append_member(resource, names, out);
    } else if (condition == MSG_MAY_MANAGER) {
        append_manager(resource, names, out);
    } else {
        resource_sql_column(names->row, rights_column(resource->object, condition), out);
        buf_printf(out, " = %s", names->user);
    }
}

void rights_sql(const struct msg_resource *resource, unsigned conditions, const struct rights_names *names,
                struct buf *out)
{
    const char *separator = "";
    buf_append_char(out, '(');
    for (unsigned n = 1; n < MSG_CONDITIONS; n++) {
        if (!(conditions & 1U << n))
            continue;
        buf_append_text(out, separator);
        rights_sql_condition(resource, (enum msg_condition)(1U << n), names, out);
        separator = " OR ";
    }
    buf_append_text(out, *separator ? ")" : "false)");
}
