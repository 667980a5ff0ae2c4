#include "common/msg/rights_sql.h"

#include <stdio.h>

#include "common/msg/resource_sql.h"

static const struct msg_field *field_with(const struct msg_object *object, unsigned tie)
{
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].tie == tie)
            return &object->fields[i];
    return NULL;
}

const char *rights_column(const struct msg_object *object, enum msg_condition condition)
{
    const struct msg_field *field = field_with(object, condition);
    return field ? field->column : NULL;
}

const struct msg_resource *rights_resource_with(enum msg_condition condition)
{
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        if (field_with((*at)->object, condition))
            return *at;
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

/* Appends "<row>.<column> = <value>". */
static void append_equal(const char *row, const char *column, const char *value, struct buf *out)
{
    resource_sql_column(row, column, out);
    buf_printf(out, " = %s", value);
}

/* The column of the project in the rows that tie users to projects: members stand below their project, the manager
 * in the project itself. */
static void append_tied_project(const struct msg_resource *tying, struct buf *out)
{
    if (!rights_sql_project(tying, "tie", out))
        buf_append_text(out, "NULL::uuid");
}

/* " FROM … AS tie WHERE …": the rows that tie the user to projects. A member who has left is one until the end of the
 * day, in UTC. */
static void append_ties(const struct msg_resource *tying, enum msg_condition condition,
                        const struct rights_names *names, struct buf *out)
{
    const struct msg_field *until = field_with(tying->object, MSG_TIE_UNTIL);
    buf_printf(out, " FROM %s AS tie WHERE ", tying->table);
    append_equal("tie", "company_id", names->company, out);
    buf_append_text(out, " AND ");
    append_equal("tie", rights_column(tying->object, condition), names->user, out);
    if (!until || condition != MSG_MAY_MEMBER)
        return;
    buf_append_text(out, " AND (");
    resource_sql_column("tie", until->column, out);
    buf_append_text(out, " IS NULL OR ");
    resource_sql_column("tie", until->column, out);
    buf_append_text(out, " >= (now() AT TIME ZONE 'UTC')::date)");
}

void rights_sql_projects(enum msg_condition condition, const struct rights_names *names, struct buf *out)
{
    const struct msg_resource *tying = rights_resource_with(condition);
    buf_append_text(out, "SELECT ");
    if (!tying) {
        buf_append_text(out, "NULL::uuid WHERE false");
        return;
    }
    append_tied_project(tying, out);
    append_ties(tying, condition, names, out);
}

static void append_of_project(const struct msg_resource *resource, enum msg_condition condition,
                              const struct rights_names *names, struct buf *out)
{
    const struct msg_resource *tying = rights_resource_with(condition);
    if (!tying) {
        buf_append_text(out, "false");
    } else if (tying == resource && condition == MSG_MAY_MANAGER && names->row) {
        append_equal(names->row, rights_column(resource->object, condition), names->user, out);
    } else if (names->is_of_many && condition == MSG_MAY_MEMBER) {
        /* IS TRUE keeps the sub-select from becoming a join: it is hashed once */
        buf_append_char(out, '(');
        append_project(resource, names, out);
        buf_append_text(out, " IN (");
        rights_sql_projects(condition, names, out);
        buf_append_text(out, ")) IS TRUE");
    } else {
        buf_append_text(out, "EXISTS (SELECT");
        append_ties(tying, condition, names, out);
        buf_append_text(out, " AND ");
        append_tied_project(tying, out);
        buf_append_text(out, " = ");
        append_project(resource, names, out);
        buf_append_char(out, ')');
    }
}

void rights_sql_condition(const struct msg_resource *resource, enum msg_condition condition,
                          const struct rights_names *names, struct buf *out)
{
    if (condition == MSG_MAY_MEMBER || condition == MSG_MAY_MANAGER)
        append_of_project(resource, condition, names, out);
    else
        append_equal(names->row, rights_column(resource->object, condition), names->user, out);
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
