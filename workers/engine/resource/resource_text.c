/* Writes the text of a resource's statement (see resource.h) from its schema and its plan. */

#include "workers/engine/resource/resource_text.h"

#include <assert.h>
#include <stdio.h>

#include "common/msg/resource_sql.h"
#include "workers/engine/resource/plan.h"
#include "workers/engine/resource/rights.h"
#include "workers/engine/resource/sql_writer.h"

/* ---- fields ---- */

bool resource_is_given(const struct sql_writer *w, const struct msg_field *field)
{
    return !field->read_only && !(field->create_only && w->plan->verb != RESOURCE_CREATE);
}

static bool is_computed(const struct sql_writer *w, const char *column)
{
    for (const struct resource_column *c = w->plan->computed; c && c->column; c++)
        if (strcmp(c->column, column) == 0)
            return true;
    return false;
}

/* true when the value of the client is written as it is. */
static bool is_taken_over(const struct sql_writer *w, const struct msg_field *field)
{
    return resource_is_given(w, field) && !is_computed(w, field->column) &&
           !resource_is_following(w->resource, field->column);
}

/* Writes the value of the client. Of an object it is a merge patch, to what is there (RFC 7396). */
static void write_given(struct sql_writer *w, size_t index)
{
    const struct msg_field *field = &w->resource->object->fields[index];
    bool is_object = field->shape.type == MSG_OBJECT;
    if (is_object) {
        buf_append_text(&w->text, "json_merge_patch(");
        if (w->plan->verb == RESOURCE_UPDATE)
            sql_write_column(w, "old", field->column);
        else
            buf_append_text(&w->text, "NULL");
        buf_append_text(&w->text, ", ");
    }
    sql_write_param(w, PARAM_FIELD + (unsigned)index, sql_type_of(field));
    buf_append_text(&w->text, is_object ? ")" : "");
}

/* Writes a field of the entity as it would be: the value of the client, or (update) the present one. */
static void write_new_field(struct sql_writer *w, size_t index)
{
    const struct msg_field *field = &w->resource->object->fields[index];
    bool is_update = w->plan->verb == RESOURCE_UPDATE;
    if (is_update) {
        buf_append_text(&w->text, "CASE WHEN ");
        sql_write(w, ":has");
        buf_printf(&w->text, " & %llu <> 0 THEN ", 1ULL << index);
    }
    write_given(w, index);
    if (is_update) {
        buf_append_text(&w->text, " ELSE ");
        sql_write_column(w, "old", field->column);
        buf_append_text(&w->text, " END");
    }
    buf_append_text(&w->text, " AS ");
    sql_write_quoted(w, field->column);
}

static void write_new_fields(struct sql_writer *w)
{
    const char *separator = "";
    buf_append_text(&w->text, "(SELECT ");
    for (size_t i = 0; i < w->resource->object->field_count; i++) {
        if (!resource_is_given(w, &w->resource->object->fields[i]))
            continue;
        buf_append_text(&w->text, separator);
        write_new_field(w, i);
        separator = ", ";
    }
    if (w->plan->verb == RESOURCE_CREATE) /* there may be no field that a client gives */
        buf_printf(&w->text, "%s1 AS _i", separator);
    buf_append_text(&w->text, ") AS new");
}

static void write_array_param(struct sql_writer *w, unsigned param, const char *type)
{
    sql_write_param(w, param, type);
    buf_append_text(&w->text, "[]");
}

/* Calls `write` for each field that the client may give. */
static void each_given(struct sql_writer *w, void (*write)(struct sql_writer *w, size_t index))
{
    for (size_t i = 0; i < w->resource->object->field_count; i++)
        if (resource_is_given(w, &w->resource->object->fields[i]))
            write(w, i);
}

static void write_array_of_field(struct sql_writer *w, size_t index)
{
    buf_append_text(&w->text, ", ");
    write_array_param(w, PARAM_FIELD + (unsigned)index, "text");
}

static void write_name_of_field(struct sql_writer *w, size_t index)
{
    buf_printf(&w->text, ", \"%s\"", w->resource->object->fields[index].column);
}

/* The value as its own type: resource.c writes every field as text. */
static void write_cast_of_field(struct sql_writer *w, size_t index)
{
    const struct msg_field *field = &w->resource->object->fields[index];
    bool is_object = field->shape.type == MSG_OBJECT;
    buf_append_text(&w->text, is_object ? ", json_merge_patch(NULL, " : ", ");
    sql_write_column(w, "r", field->column);
    buf_printf(&w->text, "::%s%s AS \"%s\"", sql_type_of(field), is_object ? ")" : "", field->column);
}

static bool uses_bound(const struct sql_writer *w)
{
    for (const struct resource_column *c = w->plan->computed; c && c->column; c++)
        if (strstr(c->sql, ":bound"))
            return true;
    return false;
}

/* Writes (SELECT r._company, …, r."end_date"::date AS "end_date" … FROM unnest($1::uuid[], …) …) AS new. */
static void write_new_rows(struct sql_writer *w)
{
    static const struct {
        unsigned param;
        const char *name, *type;
        bool is_rare;
    } own[] = {
        {PARAM_COMPANY, "_company", "uuid", false},
        {PARAM_ID, "_id", "uuid", false},
        {PARAM_ACTOR, "_actor", "uuid", false},
        {PARAM_SEQ, "_seq", "bigint", false},
        {PARAM_FINGERPRINT, "_fingerprint", "bigint", false},
        {PARAM_BOUND, "_bound", "uuid", true},
        {PARAM_PARENT, "_parent", "uuid", false},
    };
    size_t count = w->resource->parent ? ARRAY_LEN(own) : ARRAY_LEN(own) - 1;
    bool has_bound = uses_bound(w);
    buf_append_text(&w->text, "(SELECT r._i");
    for (size_t i = 0; i < count; i++)
        if (!own[i].is_rare || has_bound)
            buf_printf(&w->text, ", r.%s", own[i].name);
    each_given(w, write_cast_of_field);
    for (size_t i = 0; i < count; i++) {
        if (own[i].is_rare && !has_bound)
            continue;
        buf_append_text(&w->text, i == 0 ? " FROM unnest(" : ", ");
        write_array_param(w, own[i].param, own[i].type);
    }
    each_given(w, write_array_of_field);
    for (size_t i = 0; i < count; i++)
        if (!own[i].is_rare || has_bound)
            buf_printf(&w->text, i == 0 ? ") WITH ORDINALITY AS r (%s" : ", %s", own[i].name);
    each_given(w, write_name_of_field);
    buf_append_text(&w->text, ", _i)) AS new");
}

/* ---- rules ---- */

static void begin_rule(struct sql_writer *w)
{
    buf_append_text(&w->text, w->statement->rule_count ? " | CASE WHEN " : "CASE WHEN ");
}

/* The bit of the rule is its place in the statement's list. */
static void end_rule(struct sql_writer *w, const struct resource_rule *rule)
{
    struct resource_statement *s = w->statement;
    assert(s->rule_count < RESOURCE_RULES_MAX);
    buf_printf(&w->text, " THEN %llu ELSE 0 END", 1ULL << s->rule_count);
    s->rules[s->rule_count++] = rule;
}

static void write_rule(struct sql_writer *w, const struct resource_rule *rule)
{
    begin_rule(w);
    sql_write(w, rule->broken_when);
    end_rule(w, rule);
}

/* "may become active, on-hold or cancelled": the caller frees the text. */
static char *transition_detail(const struct msg_transition *row)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 1024);
    buf_printf(&text, row->to[0] ? "is %s and may become " : "is %s and stays so", row->from);
    for (const char *const *to = row->to; *to; to++)
        buf_printf(&text, "%s%s", to == row->to ? "" : to[1] ? ", " : " or ", *to);
    buf_append_char(&text, '\0');
    return xstrdup(buf_data(&text));
}

/* One rule for each value that the field has now, so that a refusal can name what the value may become. */
static void write_transition(struct sql_writer *w, const struct msg_field *field,
                             const struct msg_transition *row)
{
    struct resource_statement *s = w->statement;
    CLEANUP(buf_done) struct buf pointer;
    buf_init(&pointer, 128);
    buf_printf(&pointer, "/%s%c", field->name, '\0');
    struct resource_rule *rule = &s->made_rules[s->made_count++];
    *rule = (struct resource_rule){
        .err = ERR_ILLEGAL_TRANSITION,
        .pointer = xstrdup(buf_data(&pointer)),
        .detail = transition_detail(row),
    };
    begin_rule(w);
    sql_write_column(w, "old", field->column);
    buf_printf(&w->text, " = '%s' AND ", row->from);
    sql_write_column(w, "new", field->column);
    buf_printf(&w->text, " NOT IN ('%s'", row->from);
    for (const char *const *to = row->to; *to; to++)
        buf_printf(&w->text, ", '%s'", *to);
    buf_append_char(&w->text, ')');
    end_rule(w, rule);
}

static void write_transitions(struct sql_writer *w)
{
    for (size_t i = 0; i < w->resource->object->field_count; i++) {
        const struct msg_field *field = &w->resource->object->fields[i];
        for (const struct msg_transition *row = field->transitions; row && row->from && *row->from; row++)
            write_transition(w, field, row);
    }
}

static void append_words(struct buf *text, const char *name)
{
    for (const char *at = name; *at; at++)
        buf_append_char(text, *at == '_' || *at == '-' ? ' ' : *at);
}

/* "The project has punch items. Delete them first.": the caller frees the text. */
static char *children_detail(const struct msg_resource *resource, const struct msg_resource *child)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 1024);
    buf_append_text(&text, "The ");
    append_words(&text, resource->name);
    buf_append_text(&text, " has ");
    append_words(&text, child->collection);
    buf_append_text(&text, msg_resource_has(child, MSG_VERB_DELETE) ? ". Delete them first."
                                                                    : ", which are never deleted.");
    buf_append_char(&text, '\0');
    return xstrdup(buf_data(&text));
}

/* Refuses the delete while entities of the other resource have this one's id in the column. */
static void write_held(struct sql_writer *w, const struct msg_resource *other, const char *column)
{
    struct resource_statement *s = w->statement;
    struct resource_rule *rule = &s->made_rules[s->made_count++];
    *rule = (struct resource_rule){.err = ERR_CONFLICT, .detail = children_detail(w->resource, other)};
    begin_rule(w);
    buf_append_text(&w->text, "EXISTS (SELECT FROM ");
    sql_write_quoted(w, other->table);
    sql_write(w, " AS child WHERE child.company_id = :company AND ");
    sql_write_column(w, "child", column);
    sql_write(w, " = :id)");
    end_rule(w, rule);
}

/* One rule for each resource that belongs to this one and does not go with it, and for each reference that holds it. */
static void write_children(struct sql_writer *w)
{
    char parent[128];
    snprintf(parent, sizeof(parent), "%s_id", w->resource->name);
    for (const struct msg_resource *const *at = msg_resources; *at; at++) {
        bool is_child = (*at)->parent && strcmp((*at)->parent, w->resource->name) == 0;
        if (is_child && (*at)->endpoint_count > 0 && !(*at)->goes_with_parent)
            write_held(w, *at, parent);
        for (size_t i = 0; i < (*at)->object->field_count; i++) {
            const struct msg_field *field = &(*at)->object->fields[i];
            if (field->holds && strcmp(field->reference, w->resource->table) == 0)
                write_held(w, *at, field->column);
        }
    }
}

static struct resource_rule *made_rule(struct sql_writer *w, enum err err, char *detail)
{
    struct resource_rule *rule = &w->statement->made_rules[w->statement->made_count++];
    *rule = (struct resource_rule){.err = err, .detail = detail};
    return rule;
}

/* What the sender does not see is not there, whatever else is wrong with the command. */
static void write_rights(struct sql_writer *w)
{
    CLEANUP(buf_done) struct buf sql;
    buf_init(&sql, 8192);
    if (rights_write_hidden(w->statement, &sql)) {
        buf_append_char(&sql, '\0');
        begin_rule(w);
        sql_write(w, buf_data(&sql));
        end_rule(w, made_rule(w, ERR_NOT_FOUND, NULL));
    }
    buf_clear(&sql);
    if (rights_write_forbidden(w->statement, &sql)) {
        buf_append_char(&sql, '\0');
        begin_rule(w);
        sql_write(w, buf_data(&sql));
        end_rule(w, made_rule(w, ERR_FORBIDDEN, rights_detail(w->statement)));
    }
    assert(!sql.truncated);
}

static void write_broken(struct sql_writer *w)
{
    static const struct resource_rule stale = {
        ERR_VERSION_CONFLICT,
        NULL,
        NULL,
        ":if_match <> 0 AND old.version <> :if_match",
    };
    buf_append_char(&w->text, '(');
    write_rights(w);
    if (w->plan->verb != RESOURCE_CREATE)
        write_rule(w, &stale);
    if (w->plan->verb == RESOURCE_UPDATE)
        write_transitions(w);
    for (const struct resource_rule *rule = w->plan->rules; rule && rule->broken_when; rule++)
        write_rule(w, rule);
    if (w->plan->verb == RESOURCE_DELETE)
        write_children(w);
    buf_append_text(&w->text, w->statement->rule_count ? ") AS broken" : "0) AS broken");
}

/* ---- the statement's parts ---- */

/* true when the create sets "<parent>_id" to the parent of the path. */
static bool is_set_to_parent(const struct sql_writer *w)
{
    char column[128];
    if (!w->resource->parent)
        return false;
    snprintf(column, sizeof(column), "%s_id", w->resource->parent);
    return !is_computed(w, column);
}

/* true when the create takes the id of the channel's entity over from the parent. */
static bool is_set_from_above(const struct sql_writer *w)
{
    const char *column = w->resource->channel_column;
    return w->plan->verb == RESOURCE_CREATE && w->resource->parent && column && !is_computed(w, column);
}

static void write_new_of_create(struct sql_writer *w)
{
    buf_append_text(&w->text, "WITH new AS (SELECT new.*, ");
    resource_write_own_sums(w);
    write_broken(w);
    if (w->plan->number) {
        buf_append_text(&w->text, ", ");
        sql_write(w, w->plan->number->scope);
        buf_append_text(&w->text, " AS _scope");
    }
    if (is_set_from_above(w)) {
        buf_append_text(&w->text, ", ");
        sql_write_column(w, "parent", w->resource->channel_column);
        buf_append_text(&w->text, " AS _channel");
    }
    buf_append_text(&w->text, " FROM ");
    if (w->plan->many)
        write_new_rows(w);
    else
        write_new_fields(w);
    if (w->resource->parent) {
        const struct msg_resource *parent = msg_resource_by_name(slice_of(w->resource->parent));
        assert(parent);
        buf_append_text(&w->text, ", ");
        sql_write_quoted(w, parent->table);
        sql_write(w, " AS parent WHERE parent.company_id = :company AND parent.id = :parent");
    }
    buf_append_text(&w->text, ")");
}

static void write_old(struct sql_writer *w)
{
    sql_write_quoted(w, w->resource->table);
    buf_append_text(&w->text, " AS old");
}

static void write_which_old(struct sql_writer *w)
{
    sql_write(w, " WHERE old.company_id = :company AND old.id = :id");
    if (w->resource->parent) {
        buf_printf(&w->text, " AND old.\"%s_id\" = ", w->resource->parent);
        sql_write(w, ":parent");
    }
    buf_append_char(&w->text, ')');
}

/* Whether the update gives the number, which stays for good. */
static void write_is_numbered(struct sql_writer *w)
{
    const struct resource_number *number = w->plan->number;
    buf_append_text(&w->text, ", (");
    sql_write_column(w, "new", number->when_column);
    buf_printf(&w->text, " = '%s' AND ", number->when_value);
    sql_write_column(w, "old", number->column);
    buf_append_text(&w->text, " IS NULL) AS _is_numbered, ");
    sql_write(w, number->scope);
    buf_append_text(&w->text, " AS _scope");
}

static void write_new_of_update(struct sql_writer *w)
{
    buf_append_text(&w->text, "WITH new AS (SELECT new.*, old.version AS _old_version, ");
    resource_write_own_sums(w);
    write_broken(w);
    if (w->plan->number)
        write_is_numbered(w);
    buf_append_text(&w->text, " FROM ");
    write_old(w);
    buf_append_text(&w->text, " CROSS JOIN LATERAL ");
    write_new_fields(w);
    write_which_old(w);
}

static void write_new_of_delete(struct sql_writer *w)
{
    buf_append_text(&w->text,
                    "WITH new AS (SELECT old.version + 1 AS version, old.version AS _old_version, ");
    resource_write_own_sums(w);
    write_broken(w);
    buf_append_text(&w->text, " FROM ");
    write_old(w);
    write_which_old(w);
}

static void write_returning_channel(struct sql_writer *w)
{
    if (!w->resource->channel_column)
        return;
    buf_append_text(&w->text, ", ");
    sql_write_column(w, "t", w->resource->channel_column);
    buf_append_text(&w->text, " AS _channel");
}

static void write_returning_entity(struct sql_writer *w)
{
    buf_append_text(&w->text, " RETURNING ");
    if (w->plan->many)
        buf_append_text(&w->text, "t.company_id, ");
    buf_append_text(&w->text, w->statement->has_follow ? "t.*, " : "t.id, t.version, ");
    resource_sql_json(w->resource, "t", &w->text);
    buf_append_text(&w->text, " AS json");
    write_returning_channel(w);
    buf_append_char(&w->text, ')');
}

static void write_counter(struct sql_writer *w)
{
    sql_write(w, "number AS (INSERT INTO counter AS c (company_id, scope, value)"
                 " SELECT :company, new._scope, count(*) FROM fit AS new GROUP BY 1, 2 ORDER BY 1, 2"
                 " ON CONFLICT (company_id, scope) DO UPDATE SET value = c.value + excluded.value"
                 " RETURNING c.company_id, c.scope, c.value), ");
}

/* Writes the rows that are inserted, in order. Their numbers are counted backwards from the counter's value. The
 * values are found by the rank of (company, scope), since a join would look at each of them for each row. */
static void write_accepted(struct sql_writer *w)
{
    if (w->plan->number) {
        sql_write(w,
                  "(SELECT new.*, ((SELECT array_agg(number.value ORDER BY number.company_id, number.scope)"
                  " FROM number))[(dense_rank() OVER (ORDER BY :company, new._scope))::integer]"
                  " - count(*) OVER one + row_number() OVER (one ORDER BY new._i) AS _number"
                  " FROM fit AS new WINDOW one AS (PARTITION BY :company, new._scope)) AS new");
    } else {
        buf_append_text(&w->text, "fit AS new");
    }
    buf_append_text(&w->text, " ORDER BY new._i");
}

/* Writes the prefix and at least four digits of the value. */
static void write_number(struct sql_writer *w, const char *value)
{
    sql_write(w, w->plan->number->prefix);
    buf_printf(&w->text, " || lpad(%s::text, greatest(4, length(%s::text)), '0')", value, value);
}

/* The update counts on when it gives a number, and is not refused. */
static void write_counter_of_update(struct sql_writer *w)
{
    sql_write(w, "number AS (INSERT INTO counter AS c (company_id, scope, value)"
                 " SELECT :company, new._scope, 1 FROM new WHERE new.broken = 0 AND new._is_numbered"
                 " ON CONFLICT (company_id, scope) DO UPDATE SET value = c.value + excluded.value"
                 " RETURNING c.value), ");
}

static void write_insert(struct sql_writer *w)
{
    const struct msg_object *object = w->resource->object;
    if (w->plan->number)
        write_counter(w);
    buf_append_text(&w->text, "made AS (INSERT INTO ");
    sql_write_quoted(w, w->resource->table);
    buf_append_text(&w->text, " AS t (company_id, id");
    if (is_set_to_parent(w))
        buf_printf(&w->text, ", \"%s_id\"", w->resource->parent);
    if (is_set_from_above(w))
        buf_printf(&w->text, ", \"%s\"", w->resource->channel_column);
    if (w->plan->number)
        buf_printf(&w->text, ", \"%s\"", w->plan->number->column);
    for (const struct resource_column *c = w->plan->computed; c && c->column; c++)
        buf_printf(&w->text, ", \"%s\"", c->column);
    for (size_t i = 0; i < object->field_count; i++)
        if (is_taken_over(w, &object->fields[i]))
            buf_printf(&w->text, ", \"%s\"", object->fields[i].column);
    resource_write_following_names(w);
    sql_write(w, ", version, created_at, updated_at) SELECT :company, :id");
    if (is_set_to_parent(w))
        sql_write(w, ", :parent");
    if (is_set_from_above(w))
        buf_append_text(&w->text, ", new._channel");
    if (w->plan->number) {
        buf_append_text(&w->text, ", ");
        write_number(w, "new._number");
    }
    for (const struct resource_column *c = w->plan->computed; c && c->column; c++) {
        buf_append_text(&w->text, ", ");
        sql_write(w, c->sql);
    }
    for (size_t i = 0; i < object->field_count; i++)
        if (is_taken_over(w, &object->fields[i])) {
            buf_append_text(&w->text, ", ");
            sql_write_column(w, "new", object->fields[i].column);
        }
    resource_write_following_values(w);
    sql_write(w, ", 1, :at, :at FROM ");
    write_accepted(w);
    write_returning_entity(w);
}

static void write_update(struct sql_writer *w)
{
    const struct msg_object *object = w->resource->object;
    if (w->plan->number)
        write_counter_of_update(w);
    buf_append_text(&w->text, "made AS (UPDATE ");
    sql_write_quoted(w, w->resource->table);
    sql_write(w, " AS t SET version = t.version + 1, updated_at = :at");
    if (w->plan->number) {
        buf_printf(&w->text, ", \"%s\" = CASE WHEN new._is_numbered THEN ", w->plan->number->column);
        write_number(w, "(SELECT number.value FROM number)");
        buf_append_text(&w->text, " ELSE ");
        sql_write_column(w, "t", w->plan->number->column);
        buf_append_text(&w->text, " END");
    }
    for (const struct resource_column *c = w->plan->computed; c && c->column; c++) {
        buf_printf(&w->text, ", \"%s\" = ", c->column);
        sql_write(w, c->sql);
    }
    for (size_t i = 0; i < object->field_count; i++) {
        if (!is_taken_over(w, &object->fields[i]))
            continue;
        buf_printf(&w->text, ", \"%s\" = ", object->fields[i].column);
        sql_write_column(w, "new", object->fields[i].column);
    }
    resource_write_following(w);
    sql_write(w, " FROM new WHERE new.broken = 0 AND t.company_id = :company AND t.id = :id");
    write_returning_entity(w);
}

/* The event of a delete has the id of the entity and a version after its last one; resource.c writes that. */
static void write_delete(struct sql_writer *w)
{
    buf_append_text(&w->text, "made AS (DELETE FROM ");
    sql_write_quoted(w, w->resource->table);
    sql_write(w, " AS t USING new WHERE new.broken = 0 AND t.company_id = :company AND t.id = :id"
                 " RETURNING t.id, new.version, NULL::text AS json");
    write_returning_channel(w);
    buf_append_char(&w->text, ')');
}

static void write_answer(struct sql_writer *w)
{
    bool has_channel = w->resource->channel_column != NULL;
    if (w->plan->many) {
        buf_printf(&w->text,
                   " SELECT id, 0, version, json, company_id%s FROM made"
                   " UNION ALL SELECT _id, broken, NULL, NULL, _company%s FROM new WHERE broken <> 0",
                   has_channel ? ", _channel" : "", has_channel ? ", NULL" : "");
        return;
    }
    bool is_create = w->plan->verb == RESOURCE_CREATE;
    buf_printf(&w->text, " SELECT made.id, new.broken, %s, made.json",
               is_create ? "made.version"
                         : "CASE WHEN new.broken = 0 THEN made.version ELSE new._old_version END");
    if (w->statement->has_follow)
        buf_append_text(&w->text, ", follow.id, follow.version, follow.json, follow.event, follow._channel");
    if (has_channel)
        buf_append_text(&w->text, ", made._channel");
    buf_append_text(&w->text, " FROM new LEFT JOIN made ON true");
    if (!w->statement->has_follow)
        return;
    buf_append_text(&w->text, " LEFT JOIN ");
    resource_write_followers(w);
    buf_append_text(&w->text, " AS follow ON true");
}

static void write_fit_and_insert(struct sql_writer *w)
{
    buf_append_text(&w->text, "fit AS (SELECT new.* FROM new WHERE new.broken = 0), ");
    write_insert(w);
}

static const struct {
    void (*write_new)(struct sql_writer *w);
    void (*write_made)(struct sql_writer *w);
} by_verb[] = {
    [RESOURCE_CREATE] = {write_new_of_create, write_fit_and_insert},
    [RESOURCE_UPDATE] = {write_new_of_update, write_update},
    [RESOURCE_DELETE] = {write_new_of_delete, write_delete},
};

static char *end_text(struct sql_writer *w)
{
    buf_append_char(&w->text, '\0');
    assert(!w->text.truncated);
    return xstrdup(buf_data(&w->text));
}

/* The statements of a plan begin in the same way, and have the same parameters, except that `at_once` has further
 * ones behind them. */
static void write_recorded(struct sql_writer *w, const struct buf *beginning, const char *name,
                           const char *event, bool is_at_once)
{
    CLEANUP(buf_done) struct buf names;
    buf_init(&names, 128);
    buf_printf(&names, "%s.%s%c", name, is_at_once ? "at_once" : "recorded", '\0');
    buf_clear(&w->text);
    buf_append_slice(&w->text, buf_slice(beginning));
    resource_write_fit_or_nothing(w, is_at_once);
    write_insert(w);
    resource_write_records(w, event);
    *(is_at_once ? &w->statement->at_once : &w->statement->recorded) =
        (struct db_statement){.name = xstrdup(buf_data(&names)), .sql = end_text(w)};
}

void resource_statement_init(struct resource_statement *statement, const char *name, const char *event,
                             const struct msg_resource *resource, const struct resource_plan *written)
{
    struct resource_plan *plan = resource_plan_whole(resource, written);
    assert(resource->object->field_count <= MSG_COLUMNS_MAX); /* bits of :has */
    assert(!plan->many || (plan->verb == RESOURCE_CREATE && !resource_has_follow(resource)));
    assert(!msg_is_for_nobody(resource, name) || (!plan->many && !resource_has_follow(resource)));
    *statement = (struct resource_statement){
        .resource = resource,
        .plan = plan,
        .made_rules = xcalloc(RESOURCE_RULES_MAX, sizeof(*statement->made_rules)),
        .has_follow = resource_has_follow(resource),
        .is_for_nobody = msg_is_for_nobody(resource, name),
    };
    struct sql_writer w = {.statement = statement, .resource = resource, .plan = plan};
    CLEANUP(buf_done) struct buf beginning;
    buf_init(&w.text, RESOURCE_STATEMENT_MAX);
    buf_init(&beginning, RESOURCE_STATEMENT_MAX);
    by_verb[plan->verb].write_new(&w);
    buf_append_text(&w.text, ", ");
    buf_append_slice(&beginning, buf_slice(&w.text));
    by_verb[plan->verb].write_made(&w);
    if (statement->has_follow)
        resource_write_follow(&w);
    write_answer(&w);
    statement->statement = (struct db_statement){.name = name, .sql = end_text(&w)};
    if (plan->many) {
        write_recorded(&w, &beginning, name, event, false);
        size_t count = statement->param_count;
        write_recorded(&w, &beginning, name, event, true);
        assert(statement->param_count == count + 2);
        statement->param_count = count;
    }
    buf_done(&w.text);
}

void resource_statement_done(struct resource_statement *statement)
{
    resource_plan_free((struct resource_plan *)(uintptr_t)statement->plan);
    free((char *)(uintptr_t)statement->statement.sql);
    free((char *)(uintptr_t)statement->recorded.name);
    free((char *)(uintptr_t)statement->recorded.sql);
    free((char *)(uintptr_t)statement->at_once.name);
    free((char *)(uintptr_t)statement->at_once.sql);
    for (size_t i = 0; i < statement->made_count; i++) {
        free((char *)(uintptr_t)statement->made_rules[i].pointer);
        free((char *)(uintptr_t)statement->made_rules[i].detail);
    }
    free(statement->made_rules);
}
