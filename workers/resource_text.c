/* Writes the text of a resource's statement (see resource.h) from its schema and its plan. */

#include "workers/resource_text.h"

#include <assert.h>
#include <ctype.h>

#include "common/resource_sql.h"
#include "workers/resource.h"

struct writer {
    struct resource_statement *statement;
    const struct msg_resource *resource;
    const struct resource_plan *plan;
    struct buf text;
};

static const struct {
    const char *name;
    enum resource_param param;
    const char *type;
} names[] = {
    {"company", PARAM_COMPANY, "uuid"},     {"id", PARAM_ID, "uuid"},         {"at", PARAM_AT, "timestamptz"},
    {"actor", PARAM_ACTOR, "uuid"},         {"parent", PARAM_PARENT, "uuid"}, {"year", PARAM_YEAR, "text"},
    {"if_match", PARAM_IF_MATCH, "bigint"}, {"has", PARAM_HAS, "bigint"},
};

/* ---- parameters ---- */

/* Numbered in the order of first use: PostgreSQL does not take a parameter that the text does not mention. */
static void write_param(struct writer *w, unsigned param, const char *type)
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

static void write_name(struct writer *w, struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_is(name, names[i].name)) {
            write_param(w, names[i].param, names[i].type);
            return;
        }
    assert(!"a plan uses a name that does not exist");
}

/* SQL with names in it: ":company" becomes "$1::uuid"; "x::text" stays as it is. */
static void write_sql(struct writer *w, const char *sql)
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

static void write_column(struct writer *w, const char *alias, const char *column)
{
    resource_sql_column(alias, column, &w->text);
}

static void write_quoted(struct writer *w, const char *identifier)
{
    buf_printf(&w->text, "\"%s\"", identifier);
}

/* ---- fields ---- */

static const char *field_type(const struct msg_field *field)
{
    static const char *const by_format[] = {
        [MSG_FORMAT_UUID] = "uuid",
        [MSG_FORMAT_DATE] = "date",
        [MSG_FORMAT_DATE_TIME] = "timestamptz",
    };
    switch (field->shape.type) {
    case MSG_INTEGER:
        return "bigint";
    case MSG_NUMBER:
        return "numeric";
    case MSG_BOOLEAN:
        return "boolean";
    default:
        return field->shape.format < ARRAY_LEN(by_format) && by_format[field->shape.format]
                   ? by_format[field->shape.format]
                   : "text";
    }
}

/* What the client may say in this command. */
static bool is_given(const struct writer *w, const struct msg_field *field)
{
    return !field->read_only && !(field->create_only && w->plan->verb != RESOURCE_CREATE);
}

static bool is_computed(const struct writer *w, const char *column)
{
    for (const struct resource_column *c = w->plan->computed; c && c->column; c++)
        if (strcmp(c->column, column) == 0)
            return true;
    return false;
}

/* Written as the client said it. */
static bool is_taken_over(const struct writer *w, const struct msg_field *field)
{
    return is_given(w, field) && !is_computed(w, field->column);
}

/* A field of the entity as it would be: what was said, or (update) what it is now. */
static void write_new_field(struct writer *w, size_t index)
{
    const struct msg_field *field = &w->resource->object->fields[index];
    bool is_update = w->plan->verb == RESOURCE_UPDATE;
    if (is_update) {
        buf_append_text(&w->text, "CASE WHEN ");
        write_sql(w, ":has");
        buf_printf(&w->text, " & %llu <> 0 THEN ", 1ULL << index);
    }
    write_param(w, PARAM_FIELD + (unsigned)index, field_type(field));
    if (is_update) {
        buf_append_text(&w->text, " ELSE ");
        write_column(w, "old", field->column);
        buf_append_text(&w->text, " END");
    }
    buf_append_text(&w->text, " AS ");
    write_quoted(w, field->column);
}

static void write_new_fields(struct writer *w)
{
    const char *separator = "(SELECT ";
    for (size_t i = 0; i < w->resource->object->field_count; i++) {
        if (!is_given(w, &w->resource->object->fields[i]))
            continue;
        buf_append_text(&w->text, separator);
        write_new_field(w, i);
        separator = ", ";
    }
    buf_append_text(&w->text, ") AS new");
}

/* ---- rules ---- */

static void begin_rule(struct writer *w)
{
    buf_append_text(&w->text, w->statement->rule_count ? " | CASE WHEN " : "CASE WHEN ");
}

/* Its bit is its place in the statement's list. */
static void end_rule(struct writer *w, const struct resource_rule *rule)
{
    struct resource_statement *s = w->statement;
    assert(s->rule_count < RESOURCE_RULES_MAX);
    buf_printf(&w->text, " THEN %u ELSE 0 END", 1U << s->rule_count);
    s->rules[s->rule_count++] = rule;
}

static void write_rule(struct writer *w, const struct resource_rule *rule)
{
    begin_rule(w);
    write_sql(w, rule->broken_when);
    end_rule(w, rule);
}

static void write_transitions(struct writer *w)
{
    static const struct resource_rule rule = {
        .err = ERR_ILLEGAL_TRANSITION,
        .pointer = "/status",
        .detail = "does not follow from the present status",
    };
    if (!w->plan->transitions)
        return;
    begin_rule(w);
    buf_append_text(&w->text, "new.status <> old.status AND (old.status, new.status) NOT IN (");
    const char *separator = "";
    for (const struct resource_transition *t = w->plan->transitions; t->from; t++)
        for (size_t i = 0; i < RESOURCE_TRANSITIONS_MAX && t->to[i]; i++, separator = ", ")
            buf_printf(&w->text, "%s('%s', '%s')", separator, t->from, t->to[i]);
    buf_append_char(&w->text, ')');
    end_rule(w, &rule);
}

static void write_broken(struct writer *w)
{
    static const struct resource_rule stale = {
        ERR_VERSION_CONFLICT,
        NULL,
        NULL,
        ":if_match <> 0 AND old.version <> :if_match",
    };
    buf_append_char(&w->text, '(');
    if (w->plan->verb != RESOURCE_CREATE)
        write_rule(w, &stale);
    write_transitions(w);
    for (const struct resource_rule *rule = w->plan->rules; rule && rule->broken_when; rule++)
        write_rule(w, rule);
    buf_append_text(&w->text, w->statement->rule_count ? ") AS broken" : "0) AS broken");
}

/* ---- the statement's parts ---- */

static void write_new_of_create(struct writer *w)
{
    buf_append_text(&w->text, "WITH new AS (SELECT new.*, ");
    write_broken(w);
    buf_append_text(&w->text, " FROM ");
    write_new_fields(w);
    if (w->resource->parent) {
        const struct msg_resource *parent = msg_resource_by_name(slice_of(w->resource->parent));
        assert(parent);
        buf_append_text(&w->text, ", ");
        write_quoted(w, parent->table);
        write_sql(w, " AS parent WHERE parent.company_id = :company AND parent.id = :parent");
    }
    buf_append_text(&w->text, ")");
}

static void write_old(struct writer *w)
{
    write_quoted(w, w->resource->table);
    buf_append_text(&w->text, " AS old");
}

static void write_which_old(struct writer *w)
{
    write_sql(w, " WHERE old.company_id = :company AND old.id = :id");
    if (w->resource->parent) {
        buf_printf(&w->text, " AND old.\"%s_id\" = ", w->resource->parent);
        write_sql(w, ":parent");
    }
    buf_append_char(&w->text, ')');
}

static void write_new_of_update(struct writer *w)
{
    buf_append_text(&w->text, "WITH new AS (SELECT new.*, ");
    write_broken(w);
    buf_append_text(&w->text, " FROM ");
    write_old(w);
    buf_append_text(&w->text, " CROSS JOIN LATERAL ");
    write_new_fields(w);
    write_which_old(w);
}

static void write_new_of_delete(struct writer *w)
{
    buf_append_text(&w->text, "WITH new AS (SELECT old.version + 1 AS version, ");
    write_broken(w);
    buf_append_text(&w->text, " FROM ");
    write_old(w);
    write_which_old(w);
}

static void write_returning_entity(struct writer *w)
{
    buf_append_text(&w->text, w->plan->follow ? " RETURNING t.*, " : " RETURNING t.id, t.version, ");
    resource_sql_json(w->resource, "t", &w->text);
    buf_append_text(&w->text, " AS json)");
}

static void write_insert(struct writer *w)
{
    const struct msg_object *object = w->resource->object;
    buf_append_text(&w->text, "made AS (INSERT INTO ");
    write_quoted(w, w->resource->table);
    buf_append_text(&w->text, " AS t (company_id, id");
    for (const struct resource_column *c = w->plan->computed; c && c->column; c++)
        buf_printf(&w->text, ", \"%s\"", c->column);
    for (size_t i = 0; i < object->field_count; i++)
        if (is_taken_over(w, &object->fields[i]))
            buf_printf(&w->text, ", \"%s\"", object->fields[i].column);
    write_sql(w, ", version, created_at, updated_at) SELECT :company, :id");
    for (const struct resource_column *c = w->plan->computed; c && c->column; c++) {
        buf_append_text(&w->text, ", ");
        write_sql(w, c->sql);
    }
    for (size_t i = 0; i < object->field_count; i++)
        if (is_taken_over(w, &object->fields[i])) {
            buf_append_text(&w->text, ", ");
            write_column(w, "new", object->fields[i].column);
        }
    write_sql(w, ", 1, :at, :at FROM new");
    if (w->plan->with_name)
        buf_printf(&w->text, ", %s", w->plan->with_name);
    buf_append_text(&w->text, " WHERE new.broken = 0");
    write_returning_entity(w);
}

static void write_update(struct writer *w)
{
    const struct msg_object *object = w->resource->object;
    buf_append_text(&w->text, "made AS (UPDATE ");
    write_quoted(w, w->resource->table);
    write_sql(w, " AS t SET version = t.version + 1, updated_at = :at");
    for (const struct resource_column *c = w->plan->computed; c && c->column; c++) {
        buf_printf(&w->text, ", \"%s\" = ", c->column);
        write_sql(w, c->sql);
    }
    for (size_t i = 0; i < object->field_count; i++) {
        if (!is_taken_over(w, &object->fields[i]))
            continue;
        buf_printf(&w->text, ", \"%s\" = ", object->fields[i].column);
        write_column(w, "new", object->fields[i].column);
    }
    buf_append_text(&w->text, " FROM new");
    if (w->plan->with_name)
        buf_printf(&w->text, ", %s", w->plan->with_name);
    write_sql(w, " WHERE new.broken = 0 AND t.company_id = :company AND t.id = :id");
    write_returning_entity(w);
}

/* A deleted entity is told as its id and a version after its last; resource.c writes that. */
static void write_delete(struct writer *w)
{
    buf_append_text(&w->text, "made AS (DELETE FROM ");
    write_quoted(w, w->resource->table);
    write_sql(w, " AS t USING new WHERE new.broken = 0 AND t.company_id = :company AND t.id = :id"
                 " RETURNING t.id, new.version, NULL::text AS json)");
}

static void write_follow(struct writer *w)
{
    const struct resource_follow *follow = w->plan->follow;
    const struct msg_resource *other = msg_resource_by_name(slice_of(follow->resource));
    assert(other);
    buf_append_text(&w->text, ", follow AS (UPDATE ");
    write_quoted(w, other->table);
    buf_printf(&w->text, " AS t SET %s", follow->set);
    write_sql(w, ", version = t.version + 1, updated_at = :at FROM ");
    write_sql(w, follow->from);
    write_sql(w, " WHERE t.company_id = :company AND EXISTS (SELECT FROM made) AND ");
    write_sql(w, follow->where);
    buf_append_text(&w->text, " RETURNING t.id, t.version, ");
    resource_sql_json(other, "t", &w->text);
    buf_append_text(&w->text, " AS json)");
}

static void write_answer(struct writer *w)
{
    buf_append_text(&w->text, " SELECT new.broken, made.version, made.json");
    if (w->plan->follow)
        buf_append_text(&w->text, ", follow.id, follow.version, follow.json");
    buf_append_text(&w->text, " FROM new LEFT JOIN made ON true");
    if (w->plan->follow)
        buf_append_text(&w->text, " LEFT JOIN follow ON true");
}

static const struct {
    void (*write_new)(struct writer *w);
    void (*write_made)(struct writer *w);
} by_verb[] = {
    [RESOURCE_CREATE] = {write_new_of_create, write_insert},
    [RESOURCE_UPDATE] = {write_new_of_update, write_update},
    [RESOURCE_DELETE] = {write_new_of_delete, write_delete},
};

void resource_statement_init(struct resource_statement *statement, const char *name,
                             const struct msg_resource *resource, const struct resource_plan *plan)
{
    assert(resource->object->field_count <= 62); /* bits of :has */
    *statement = (struct resource_statement){.resource = resource, .plan = plan};
    struct writer w = {.statement = statement, .resource = resource, .plan = plan};
    buf_init(&w.text, RESOURCE_STATEMENT_MAX);
    by_verb[plan->verb].write_new(&w);
    buf_append_text(&w.text, ", ");
    if (plan->with)
        write_sql(&w, plan->with);
    by_verb[plan->verb].write_made(&w);
    if (plan->follow)
        write_follow(&w);
    write_answer(&w);
    buf_append_char(&w.text, '\0');
    assert(!w.text.truncated);
    statement->statement = (struct db_statement){.name = name, .sql = xstrdup(buf_data(&w.text))};
    buf_done(&w.text);
}

void resource_statement_done(struct resource_statement *statement)
{
    free((char *)(uintptr_t)statement->statement.sql);
}
