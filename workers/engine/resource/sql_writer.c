#include "workers/engine/resource/sql_writer.h"

#include <assert.h>
#include <ctype.h>

#include "common/msg/resource_sql.h"
#include "workers/engine/resource/resource_text.h"

static const struct {
    const char *name;
    enum resource_param param;
    const char *type;
} names[] = {
    {"company", PARAM_COMPANY, "uuid"},     {"id", PARAM_ID, "uuid"},
    {"at", PARAM_AT, "timestamptz"},        {"actor", PARAM_ACTOR, "uuid"},
    {"parent", PARAM_PARENT, "uuid"},       {"year", PARAM_YEAR, "text"},
    {"if_match", PARAM_IF_MATCH, "bigint"}, {"has", PARAM_HAS, "bigint"},
    {"may", PARAM_MAY, "text[]"},           {"reads", PARAM_READS, "text[]"},
    {"rights", PARAM_RIGHTS, "bigint"},     {"bound", PARAM_BOUND, "uuid"},
};

void sql_write_param(struct sql_writer *w, unsigned param, const char *type)
{
    struct resource_statement *s = w->statement;
    size_t at = 0;
    while (at < s->param_count && s->params[at] != param)
        at++;
    if (at == s->param_count) {
        assert(s->param_count < DB_PARAMS_MAX);
        s->params[s->param_count++] = (uint8_t)param;
    }
    buf_printf(&w->text, "$%zu::%s", at + 1, type);
}

/* true when each of many commands has its own value, as a column of `new`. */
static bool is_column_of_new(const struct sql_writer *w, unsigned param)
{
    return w->plan->many && resource_param_is_own(param);
}

static void write_name(struct sql_writer *w, struct slice name)
{
    if (slice_is(name, "pool")) {
        buf_printf(&w->text, "'%s'", w->resource->pool);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_is(name, names[i].name)) {
            if (is_column_of_new(w, names[i].param))
                buf_printf(&w->text, "new._%s", names[i].name);
            else
                sql_write_param(w, names[i].param, names[i].type);
            return;
        }
    assert(false && "a plan uses a name that does not exist");
}

void sql_write(struct sql_writer *w, const char *sql)
{
    for (const char *at = sql; *at;) {
        if (at[0] == ':' && at[1] == ':') {
            buf_append(&w->text, at, 2);
            at += 2;
        } else if (at[0] == ':' && islower((unsigned char)at[1])) {
            const char *end = at + 1;
            while (islower((unsigned char)*end) || *end == '_')
                end++;
            write_name(w, (struct slice){at + 1, (size_t)(end - at - 1)});
            at = end;
        } else {
            buf_append_char(&w->text, *at++);
        }
    }
}

void sql_write_column(struct sql_writer *w, const char *alias, const char *column)
{
    resource_sql_column(alias, column, &w->text);
}

void sql_write_quoted(struct sql_writer *w, const char *identifier)
{
    buf_printf(&w->text, "\"%s\"", identifier);
}

const char *sql_type_of(const struct msg_field *field)
{
    static const char *const by_format[] = {
        [MSG_FORMAT_UUID] = "uuid",
        [MSG_FORMAT_DATE] = "date",
        [MSG_FORMAT_DATE_TIME] = "timestamptz",
        [MSG_FORMAT_OCTETS] = "bytea",
    };
    switch (field->shape.type) {
    case MSG_INTEGER:
        return "bigint";
    case MSG_NUMBER:
        return "numeric";
    case MSG_BOOLEAN:
        return "boolean";
    case MSG_ARRAY:
    case MSG_OBJECT:
        return "jsonb";
    default:
        return field->shape.format < ARRAY_LEN(by_format) && by_format[field->shape.format]
                   ? by_format[field->shape.format]
                   : "text";
    }
}
