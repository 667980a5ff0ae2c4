#include "workers/engine/resource/rights.h"

#include <assert.h>
#include <stdio.h>

#include "common/msg/rights_sql.h"

enum { READ_SHIFT = 8 }; /* in :rights */

static enum msg_right right_of(const struct resource_statement *s)
{
    static const enum msg_right rights[] = {[RESOURCE_CREATE] = MSG_RIGHT_CREATE,
                                            [RESOURCE_UPDATE] = MSG_RIGHT_UPDATE,
                                            [RESOURCE_DELETE] = MSG_RIGHT_DELETE};
    return rights[s->plan->verb];
}

/* What the sender must see: the entity, or of a create that which it will belong to. NULL: nothing. */
static const struct msg_resource *seen_of(const struct resource_statement *s)
{
    if (s->plan->verb != RESOURCE_CREATE)
        return s->resource;
    return s->resource->parent ? msg_resource_by_name(slice_of(s->resource->parent)) : NULL;
}

static unsigned own_bits(const struct resource_statement *s, size_t role)
{
    return s->resource->rights[role][right_of(s)];
}

static unsigned read_bits(const struct resource_statement *s, size_t role)
{
    const struct msg_resource *seen = seen_of(s);
    return seen ? seen->rights[role][MSG_RIGHT_READ] : MSG_MAY_ANY;
}

int64_t rights_of(const struct resource_statement *statement, struct slice role)
{
    enum msg_role row = msg_role_by_name(role);
    unsigned own = own_bits(statement, row);
    return own ? (int64_t)(own | read_bits(statement, row) << READ_SHIFT) : 0;
}

bool rights_allow(const struct resource_statement *statement, struct slice role)
{
    return own_bits(statement, msg_role_by_name(role)) != 0;
}

bool rights_bind(const struct msg_resource *resource, struct slice role)
{
    return !(resource->rights[msg_role_by_name(role)][MSG_RIGHT_UPDATE] & MSG_MAY_ANY);
}

const struct msg_field *rights_hidden_field(const struct resource_statement *statement, struct slice role,
                                            const struct msg_value *values)
{
    const struct msg_object *object = statement->resource->object;
    unsigned hidden = statement->resource->classes & msg_role_hidden(msg_role_by_name(role));
    for (size_t i = 0; hidden && values && i < object->field_count; i++)
        if (object->fields[i].classes & hidden && values[i].state != MSG_ABSENT)
            return &object->fields[i];
    return NULL;
}

/* Whether a role that may do it at all may do it only under a condition, and all these conditions. */
static bool is_conditional(const struct resource_statement *s,
                           unsigned (*bits)(const struct resource_statement *s, size_t role),
                           unsigned *ret_conditions)
{
    bool is = false;
    *ret_conditions = 0;
    for (size_t role = 0; role < MSG_ROLES; role++) {
        unsigned of_role = own_bits(s, role) ? bits(s, role) : MSG_MAY_ANY;
        if (of_role & MSG_MAY_ANY)
            continue;
        is = true;
        *ret_conditions |= of_role;
    }
    return is;
}

/* What the user of a new entity is: a client that leaves it out means itself. */
static void append_self_of_new(const struct msg_resource *resource, struct buf *out)
{
    const char *column = rights_column(resource->object, MSG_MAY_SELF);
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const struct msg_field *field = &resource->object->fields[i];
        if (strcmp(field->column, column) != 0)
            continue;
        if (field->read_only)
            buf_append_text(out, "true");
        else
            buf_printf(out, "coalesce(new.\"%s\", :actor) = :actor", column);
    }
}

static void append_condition(const struct msg_resource *resource, enum msg_condition condition,
                             const struct rights_names *names, bool is_new, struct buf *out)
{
    if (is_new && condition == MSG_MAY_SELF)
        append_self_of_new(resource, out);
    else
        rights_sql_condition(resource, condition, names, out);
}

/* Appends: none of the sender's conditions, the bits from `shift` on, holds. */
static void append_broken(const struct msg_resource *resource, unsigned conditions, unsigned shift,
                          const struct rights_names *names, bool is_new, struct buf *out)
{
    buf_printf(out, ":rights & %u = 0 AND (false", (unsigned)MSG_MAY_ANY << shift);
    for (unsigned n = 1; n < MSG_CONDITIONS; n++) {
        if (!(conditions & 1U << n))
            continue;
        buf_printf(out, " OR (:rights & %u <> 0 AND ", 1U << n << shift);
        append_condition(resource, (enum msg_condition)(1U << n), names, is_new, out);
        buf_append_char(out, ')');
    }
    buf_append_text(out, ") IS NOT TRUE");
}

bool rights_write_hidden(const struct resource_statement *statement, struct buf *out)
{
    bool is_create = statement->plan->verb == RESOURCE_CREATE;
    const struct rights_names names = {
        .company = ":company", .user = ":actor", .row = is_create ? "parent" : "old"};
    unsigned conditions;
    if (!is_conditional(statement, read_bits, &conditions))
        return false;
    append_broken(seen_of(statement), conditions, READ_SHIFT, &names, false, out);
    return true;
}

bool rights_write_forbidden(const struct resource_statement *statement, struct buf *out)
{
    const struct msg_resource *resource = statement->resource;
    bool is_create = statement->plan->verb == RESOURCE_CREATE;
    CLEANUP(buf_done) struct buf project;
    buf_init(&project, 256);
    struct rights_names names = {.company = ":company", .user = ":actor", .row = is_create ? "new" : "old"};
    unsigned conditions;
    if (!is_conditional(statement, own_bits, &conditions))
        return false;
    assert(!statement->plan->many);
    if (is_create && resource->channel == MSG_CHANNEL_PARENT)
        names.project = ":parent";
    else if (is_create && resource->channel == MSG_CHANNEL_COLUMN && resource->parent &&
             rights_sql_project(resource, "parent", &project)) {
        buf_append_char(&project, '\0');
        names.project = buf_data(&project);
    }
    append_broken(resource, conditions, 0, &names, is_create, out);
    return true;
}

void rights_detail_of_field(const struct resource_statement *statement, const struct msg_field *field,
                            char why[160])
{
    snprintf(why, 160, "You do not have the right %s.%s with \"%s\", a field that your role does not see.",
             statement->resource->name, msg_right_name(right_of(statement)), field->name);
}

char *rights_detail(const struct resource_statement *statement)
{
    char text[160];
    snprintf(text, sizeof(text), "You do not have the right %s.%s here.", statement->resource->name,
             msg_right_name(right_of(statement)));
    return xstrdup(text);
}
