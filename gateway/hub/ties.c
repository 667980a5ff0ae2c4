#include "gateway/hub/ties.h"

#include <stdio.h>

#include "common/msg/members.h"
#include "common/msg/rights_sql.h"
#include "gateway/hub/event_text.h"

static struct db_statement *make_statement(void)
{
    static const enum msg_condition conditions[] = {MSG_MAY_MEMBER, MSG_MAY_MANAGER};
    const struct rights_names names = {.company = "$1::uuid", .user = "$2::uuid"};
    struct buf sql;
    buf_init(&sql, 16384);
    buf_append_text(&sql, "SELECT project, bit_or(what) FROM (");
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        buf_printf(&sql, "%sSELECT project, %u AS what FROM (", i > 0 ? " UNION ALL " : "",
                   (unsigned)conditions[i]);
        rights_sql_projects(conditions[i], &names, &sql);
        buf_printf(&sql, ") AS t%zu (project)", i);
    }
    buf_printf(&sql, ") AS ties WHERE project IS NOT NULL GROUP BY project ORDER BY project LIMIT %d%c",
               TIES_MAX + 1, '\0');
    struct db_statement *statement = xmalloc(sizeof(*statement));
    *statement = (struct db_statement){.name = "hub.ties", .sql = xstrdup(buf_data(&sql))};
    buf_done(&sql);
    return statement;
}

const struct db_statement *ties_statement(void)
{
    static struct db_statement *statement; /* constant once built */
    if (!statement)
        statement = make_statement();
    return statement;
}

bool ties_read(struct ties *ties, const struct db_result *result)
{
    int rows = db_rows(result);
    *ties = (struct ties){0};
    if (rows > TIES_MAX)
        return false;
    ties->items = xcalloc((size_t)rows + 1, sizeof(*ties->items));
    for (int row = 0; row < rows; row++) {
        struct tie *tie = &ties->items[ties->count];
        if (!uuid_parse(db_text(result, row, 0), &tie->project))
            continue;
        tie->conditions = (uint8_t)db_int(result, row, 1);
        ties->count++;
    }
    return true;
}

void ties_done(struct ties *ties)
{
    free(ties->items);
    *ties = (struct ties){0};
}

unsigned ties_to(const struct ties *ties, const struct uuid *project)
{
    const struct tie *tie = ties->count > 0 ? bsearch(project, ties->items, ties->count, sizeof(*ties->items),
                                                      uuid_compare) /* the project is the first member */
                                            : NULL;
    return tie ? tie->conditions : 0;
}

/* ---- what changes them ---- */

enum {
    ENDING = MSG_MAY_MEMBER | MSG_MAY_MANAGER,
    CHANGING = ENDING | MSG_MAY_ASSIGNEE, /* an assignee becomes a member */
};

static bool has_field_with(struct slice text, unsigned ties)
{
    const struct msg_resource *resource = event_text_resource(text);
    for (size_t i = 0; resource && i < resource->object->field_count; i++)
        if (resource->object->fields[i].tie & ties)
            return true;
    return false;
}

bool ties_may_change(struct slice text)
{
    return has_field_with(text, CHANGING);
}

bool ties_may_end(struct slice text)
{
    return has_field_with(text, ENDING);
}

/* `now`: the user's ties. `has_name`: the event says whom the field names, if anybody; that of a delete does not. */
static bool field_changes(unsigned tie, unsigned now, bool has_name, bool names_user)
{
    switch (tie) {
    case MSG_MAY_MEMBER:
        return has_name ? names_user : now & MSG_MAY_MEMBER;
    case MSG_MAY_MANAGER:
        return names_user ? (now & ENDING) != ENDING : now & MSG_MAY_MANAGER;
    default:
        return names_user && !(now & MSG_MAY_MEMBER);
    }
}

static bool names(struct slice value, const struct uuid *user)
{
    struct uuid named;
    return value.len > 2 && uuid_parse((struct slice){value.data + 1, value.len - 2}, &named) &&
           uuid_equal(&named, user);
}

bool ties_change(const struct ties *ties, const struct uuid *user, struct slice text,
                 const struct uuid *project)
{
    const struct msg_resource *resource = event_text_resource(text);
    struct slice data = members_value(text, "data");
    for (size_t i = 0; project && resource && i < resource->object->field_count; i++) {
        const struct msg_field *field = &resource->object->fields[i];
        if (!(field->tie & CHANGING))
            continue;
        struct slice value = members_value(data, field->name);
        bool has_name = value.data != NULL, names_user = names(value, user);
        if (ties ? field_changes(field->tie, ties_to(ties, project), has_name, names_user)
                 : field_changes(field->tie, 0, has_name, names_user) ||
                       field_changes(field->tie, ~0U, has_name, names_user))
            return true;
    }
    return false;
}
