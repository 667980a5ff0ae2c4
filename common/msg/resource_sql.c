#include "common/msg/resource_sql.h"

static void append_quoted(struct buf *out, const char *identifier)
{
    buf_append_char(out, '"');
    for (const char *c = identifier; *c; c++) {
        if (*c == '"')
            buf_append_char(out, '"');
        buf_append_char(out, *c);
    }
    buf_append_char(out, '"');
}

void resource_sql_column(const char *alias, const char *column, struct buf *out)
{
    buf_append_text(out, alias);
    buf_append_char(out, '.');
    append_quoted(out, column);
}

void resource_sql_sort(const char *alias, const struct msg_field *field, struct buf *out)
{
    char column[128];
    snprintf(column, sizeof(column), "%s%s", field->column, field->shape.type == MSG_NUMBER ? "_cents" : "");
    resource_sql_column(alias, column, out);
}

/* Times have the one form of time_text (schemas/sql/0015_event_text.sql). */
static void append_value(const char *alias, const struct msg_field *field, struct buf *out)
{
    bool is_time = field->shape.format == MSG_FORMAT_DATE_TIME;
    buf_append_text(out, is_time ? "time_text(" : "");
    resource_sql_column(alias, field->column, out);
    buf_append_text(out, is_time ? ")" : "");
}

void resource_sql_members(const struct msg_resource *resource, const char *alias, uint64_t fields,
                          struct buf *out)
{
    const char *separator = "";
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const struct msg_field *field = &resource->object->fields[i];
        if (!(fields >> i & 1))
            continue;
        buf_append_text(out, separator);
        append_value(alias, field, out);
        buf_append_text(out, " AS ");
        append_quoted(out, field->name);
        separator = ", ";
    }
}

uint64_t resource_sql_seen(const struct msg_resource *resource, unsigned hidden)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (!(resource->object->fields[i].classes & hidden) && msg_is_shown(&resource->object->fields[i]))
            seen |= UINT64_C(1) << i;
    return seen;
}

void resource_sql_json(const struct msg_resource *resource, const char *alias, struct buf *out)
{
    resource_sql_json_without(resource, alias, 0, out);
}

void resource_sql_json_without(const struct msg_resource *resource, const char *alias, unsigned hidden,
                               struct buf *out)
{
    buf_append_text(out, "row_to_json((SELECT r FROM (SELECT ");
    resource_sql_members(resource, alias, resource_sql_seen(resource, hidden), out);
    buf_append_text(out, ") AS r))::text");
}
