/* The JSON of a list's entries: whole entities as GET shows them, or what the query asks of them and for besides. */

#include <stdio.h>

#include "common/msg/resource_sql.h"
#include "common/msg/rights_sql.h"
#include "gateway/resources/list_sql.h"

enum { SQL_WORDS_MAX = 16 * 1024 };

/* " AND …": the reader's conditions, on a row of what is read for one entry. */
static void append_right(struct buf *sql, const struct plan *plan, const struct msg_resource *resource,
                         unsigned conditions, const char *row)
{
    char user[24];
    snprintf(user, sizeof(user), "$%u::uuid", plan->resource->parent ? 4U : 3U); /* as plan_step has it */
    const struct rights_names names = {.company = "$1", .user = user, .row = row};
    rights_sql(resource, conditions, &names, sql);
}

/* Another entity as a member, as the reader sees it; null where there is none, and where the reader does not see it. */
static void append_include(struct buf *sql, const struct plan *plan, const struct plan_include *include)
{
    buf_append_text(sql, ", (SELECT r FROM (SELECT ");
    resource_sql_members(include->resource, "i", resource_sql_seen(include->resource, plan->hidden), sql);
    buf_printf(sql,
               " FROM \"%s\" AS i WHERE i.company_id = t.company_id AND i.id = ", include->resource->table);
    resource_sql_column("t", include->field->column, sql);
    if (include->conditions) {
        buf_append_text(sql, " AND ");
        append_right(sql, plan, include->resource, include->conditions, "i");
    }
    buf_printf(sql, ") AS r) AS \"%.*s\"", (int)include->name.len, include->name.data);
}

static void append_literal(struct buf *sql, const char *text)
{
    buf_append_char(sql, '\'');
    for (; *text; text++)
        buf_append_text(sql, *text == '\'' ? "''" : (char[]){*text, '\0'});
    buf_append_char(sql, '\'');
}

/* '["review","blocked"]'::json */
static void append_words(struct buf *sql, const char *const *words)
{
    CLEANUP(buf_done) struct buf json;
    buf_init(&json, SQL_WORDS_MAX);
    buf_append_char(&json, '[');
    for (const char *const *word = words; *word; word++) {
        buf_append_text(&json, word == words ? "" : ",");
        buf_append_json_string(&json, slice_of(*word));
    }
    buf_append(&json, "]", sizeof("]"));
    append_literal(sql, buf_data(&json));
    buf_append_text(sql, "::json");
}

static void append_transitions(struct buf *sql, const struct plan *plan, const struct msg_field *field,
                               bool may_change)
{
    static const char *const nothing[] = {NULL};
    if (!may_change) {
        append_words(sql, nothing);
    } else {
        if (plan->conditions_of_update) {
            buf_append_text(sql, "CASE WHEN ");
            append_right(sql, plan, plan->resource, plan->conditions_of_update, "t");
            buf_append_text(sql, " IS NOT TRUE THEN ");
            append_words(sql, nothing);
            buf_append_text(sql, " ELSE ");
        }
        buf_append_text(sql, "CASE ");
        resource_sql_column("t", field->column, sql);
        for (const struct msg_transition *row = field->transitions; row->from; row++) {
            if (!*row->from) /* what a create may begin with */
                continue;
            buf_append_text(sql, " WHEN ");
            append_literal(sql, row->from);
            buf_append_text(sql, " THEN ");
            append_words(sql, row->to);
        }
        buf_append_text(sql, plan->conditions_of_update ? " END END" : " END");
    }
    buf_printf(sql, " AS \"%s\"", field->name);
}

static void append_allowed(struct buf *sql, const struct plan *plan, bool may_change)
{
    const struct msg_object *object = plan->resource->object;
    const char *separator = "";
    buf_append_text(sql, ", (SELECT r FROM (SELECT ");
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].transitions) {
            buf_append_text(sql, separator);
            append_transitions(sql, plan, &object->fields[i], may_change);
            separator = ", ";
        }
    buf_append_text(sql, ") AS r) AS \"allowed\"");
}

void list_sql_json(struct buf *sql, const struct plan *plan, const struct plan_shape *shape)
{
    if (shape->fields == 0 && shape->includes == 0) {
        resource_sql_json_without(plan->resource, "t", plan->hidden, sql);
        return;
    }
    buf_append_text(sql, "row_to_json((SELECT r FROM (SELECT ");
    resource_sql_members(plan->resource, "t",
                         (shape->fields ? shape->fields : RESOURCE_SQL_ALL) &
                             resource_sql_seen(plan->resource, plan->hidden),
                         sql);
    for (size_t i = 0; i < plan->include_count; i++)
        if (shape->includes & 1U << i)
            append_include(sql, plan, &plan->includes[i]);
    if (shape->includes & (PLAN_ALLOWED | PLAN_ALLOWED_NO))
        append_allowed(sql, plan, shape->includes & PLAN_ALLOWED);
    buf_append_text(sql, ") AS r))::text");
}
