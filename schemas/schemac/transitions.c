/* The conditions of x-transitions: what must be filled before a value is reached, what is set when it is, and what a
 * create may begin with.
 *
 *   "x-transitions": {"": ["draft"], "draft": {"sent": {"filled": ["due_date"], "set": {"sent_at": "now"}}}, …}
 */

#include "schemas/schemac/compiler.h"

enum { SET_MAX = 16 };

/* A column that transitions set, and the branches of its value in SQL. */
struct set_column {
    const struct msg_field *field;
    const char *branches;
};

struct transitions {
    struct rule_reader *r;
    const struct msg_field *field;
    struct set_column set[SET_MAX];
    size_t set_count;
};

static const struct msg_object *object_of(const struct rule_reader *r)
{
    return r->message->resource.object;
}

/* ---- what a create may begin with ---- */

static bool check_default(const struct rule_reader *r, const struct spot *at, const struct msg_field *field)
{
    const char *fallback = field->fallback;
    bool is_found = !fallback;
    for (size_t i = 0; i < json_array_size(at->json); i++)
        is_found = is_found || strcmp(json_string_value(json_array_get(at->json, i)), fallback) == 0;
    return is_found || refuse(r->c, at, "the default `%s` is not among them", fallback);
}

static bool read_begin(struct rule_reader *r, const struct spot *rows, const struct msg_field *field)
{
    const json_t *list = json_object_get(rows->json, "");
    struct spot at = spot_below(r->c, rows, "", list);
    const char *values = "", *words = "must be";
    size_t count = json_array_size(list);
    if (!list)
        return true;
    if (count == 0 || field->read_only || !reader_has_verb(r, MSG_VERB_CREATE))
        return refuse(r->c, &at, "is for values with which a create may begin");
    for (size_t i = 0; i < count; i++) {
        const char *value = json_string_value(json_array_get(list, i));
        values = compiler_format(r->c, "%s%s'%s'", values, i > 0 ? ", " : "", value);
        words = compiler_format(r->c, "%s%s%s", words, i == 0 ? " " : i + 1 < count ? ", " : " or ", value);
    }
    const struct msg_rule rule = {
        .verbs = 1u << MSG_VERB_CREATE,
        .err = ERR_VALIDATION,
        .pointer = compiler_format(r->c, "/%s", field->name),
        .detail = compiler_format(r->c, "%s in the beginning", words),
        .broken_when = compiler_format(r->c, "new.\"%s\" NOT IN (%s)", field->column, values),
    };
    return check_default(r, &at, field) && reader_add_rule(r, &at, &rule);
}

/* ---- one transition ---- */

static bool add_filled(struct transitions *t, const struct spot *at, const char *reached, const char *to)
{
    struct rule_reader *r = t->r;
    const char *name = json_string_value(at->json);
    const struct msg_field *field = name ? field_named(object_of(r), name) : NULL;
    if (!field || !field->shape.nullable)
        return refuse(r->c, at, "must be the name of a field that may be null");
    const char *row = field->read_only || field->create_only ? "old" : "new";
    const struct msg_rule rule = {
        .verbs = 1u << MSG_VERB_UPDATE,
        .err = ERR_VALIDATION,
        .pointer = compiler_format(r->c, "/%s", name),
        .detail =
            compiler_format(r->c, "must be given before the %s is %s", words_of(r->c, t->field->name), to),
        .broken_when = compiler_format(r->c, "%s AND %s.\"%s\" IS NULL", reached, row, field->column),
    };
    return reader_add_rule(r, at, &rule);
}

/* Returns the value in SQL; NULL: the field cannot have it. */
static const char *value_of(const json_t *json, const struct msg_field *field)
{
    const char *word = json_string_value(json);
    if (json_is_null(json))
        return field->shape.nullable ? "NULL" : NULL;
    if (word && strcmp(word, "now") == 0)
        return field->shape.format == MSG_FORMAT_DATE_TIME ? ":at" : NULL;
    if (word && strcmp(word, "actor") == 0)
        return field->shape.format == MSG_FORMAT_UUID ? ":actor" : NULL;
    return NULL;
}

static struct set_column *column_of(struct transitions *t, const struct msg_field *field)
{
    for (size_t i = 0; i < t->set_count; i++)
        if (t->set[i].field == field)
            return &t->set[i];
    if (t->set_count == SET_MAX)
        return NULL;
    t->set[t->set_count] = (struct set_column){field, ""};
    return &t->set[t->set_count++];
}

static bool add_set(struct transitions *t, const struct spot *at, const char *name, const char *reached)
{
    struct rule_reader *r = t->r;
    const struct msg_field *field = field_named(object_of(r), name);
    if (!field || !field->read_only)
        return refuse(r->c, at, "`%s` is no read-only field", name);
    const char *value = value_of(at->json, field);
    if (!value)
        return refuse(r->c, at, "must be \"now\" (of a time), \"actor\" (of a uuid) or null");
    struct set_column *column = column_of(t, field);
    if (!column)
        return refuse(r->c, at, "x-transitions can set %d fields at most", SET_MAX);
    column->branches = compiler_format(r->c, "%s WHEN %s THEN %s", column->branches, reached, value);
    return true;
}

static const char *reached_sql(struct transitions *t, const char *old, const char *from, const char *to)
{
    const char *column = t->field->column;
    return compiler_format(t->r->c, "%s.\"%s\" = '%s' AND new.\"%s\" = '%s'", old, column, from, column, to);
}

static bool read_one(struct transitions *t, const struct spot *spot, const char *from, const char *to)
{
    static const char *const members[] = {"filled", "set", NULL};
    struct compiler *c = t->r->c;
    const json_t *filled = json_object_get(spot->json, "filled"), *set = json_object_get(spot->json, "set");
    struct spot of_filled = spot_below(c, spot, "filled", filled), of_set = spot_below(c, spot, "set", set);
    const char *name;
    json_t *value;
    if (!check_members(c, spot, members))
        return false;
    if (strcmp(from, to) == 0)
        return refuse(c, spot, "a value may always stay");
    if (filled && !json_is_array(filled))
        return refuse(c, &of_filled, "must be an array of names of fields");
    if (set && !json_is_object(set))
        return refuse(c, &of_set, "must be an object: of a field, what it becomes");
    for (size_t i = 0; i < json_array_size(filled); i++) {
        struct spot entry = spot_at(c, &of_filled, i, json_array_get(filled, i));
        if (!add_filled(t, &entry, reached_sql(t, "old", from, to), to))
            return false;
    }
    json_object_foreach((json_t *)set, name, value)
    {
        struct spot entry = spot_below(c, &of_set, name, value);
        if (!add_set(t, &entry, name, reached_sql(t, "t", from, to)))
            return false;
    }
    return true;
}

/* ---- all ---- */

static bool add_all_set(struct transitions *t, const struct spot *at)
{
    for (size_t i = 0; i < t->set_count; i++) {
        const struct msg_compute computed = {
            .verbs = 1u << MSG_VERB_UPDATE,
            .column = t->set[i].field->column,
            .sql = compiler_format(t->r->c, "CASE%s ELSE t.\"%s\" END", t->set[i].branches,
                                   t->set[i].field->column),
        };
        if (!reader_add_computed(t->r, at, &computed))
            return false;
    }
    return true;
}

bool read_transition_rules(struct rule_reader *r, const struct spot *property, const struct msg_field *field)
{
    const json_t *rows = json_object_get(property->json, "x-transitions");
    struct spot at = spot_below(r->c, property, "x-transitions", rows);
    struct transitions t = {.r = r, .field = field};
    const char *from, *to;
    json_t *row, *conditions;
    if (!read_begin(r, &at, field))
        return false;
    json_object_foreach((json_t *)rows, from, row)
    {
        struct spot of_row = spot_below(r->c, &at, from, row);
        if (!json_is_object(row))
            continue;
        if (field->read_only || field->create_only || !reader_has_verb(r, MSG_VERB_UPDATE))
            return refuse(r->c, &of_row, "conditions are for what an update may change");
        json_object_foreach(row, to, conditions)
        {
            struct spot spot = spot_below(r->c, &of_row, to, conditions);
            if (!read_one(&t, &spot, from, to))
                return false;
        }
    }
    return add_all_set(&t, &at);
}
