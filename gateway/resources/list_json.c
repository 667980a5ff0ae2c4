/* The JSON of a list's entries: whole entities as GET shows them, or what the query asks of them and for besides. */

#include "common/msg/resource_sql.h"
#include "gateway/resources/list_sql.h"

enum { SQL_WORDS_MAX = 16 * 1024 };

/* Another entity as a member, whole; null where there is none. */
static void append_include(struct buf *sql, const struct plan *plan, const struct plan_include *include)
{
    buf_append_text(sql, ", (SELECT r FROM (SELECT ");
    resource_sql_members(include->resource, "i", resource_sql_seen(include->resource, plan->hidden), sql);
    buf_printf(sql,
               " FROM \"%s\" AS i WHERE i.company_id = t.company_id AND i.id = ", include->resource->table);
    resource_sql_column("t", include->field->column, sql);
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

static void append_transitions(struct buf *sql, const struct msg_field *field, bool may_change)
{
    static const char *const nothing[] = {NULL};
    if (!may_change) {
        append_words(sql, nothing);
    } else {
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
        buf_append_text(sql, " END");
    }
    buf_printf(sql, " AS \"%s\"", field->name);
}

static void append_allowed(struct buf *sql, const struct msg_object *object, bool may_change)
{
    const char *separator = "";
    buf_append_text(sql, ", (SELECT r FROM (SELECT ");
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].transitions) {
            buf_append_text(sql, separator);
            append_transitions(sql, &object->fields[i], may_change);
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
        append_allowed(sql, plan->resource->object, shape->includes & PLAN_ALLOWED);
    buf_append_text(sql, ") AS r))::text");
}
