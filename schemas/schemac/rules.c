/* What a resource demands beyond the shape of each field, as SQL: x-rules, x-compute and x-reference here, and the
 * words of transitions.c, number.c, unique.c and money.c. They are read once all resources are known, because SQL may name a column of the parent. The SQL itself is tried when
 * workers prepare their statements; here each name in it is looked up, so that a slip is refused at build. */

#include "schemas/schemac/compiler.h"

enum { RULES_MAX = 32, COMPUTED_MAX = 24 };

enum place { IN_RULE, IN_COMPUTE };

/* ---- SQL ---- */

const char *sql_text(struct compiler *c, const json_t *json)
{
    if (!json_is_array(json))
        return json_is_string(json) ? compiler_format(c, "%s", json_string_value(json)) : NULL;
    const char *text = json_array_size(json) ? "" : NULL;
    for (size_t i = 0; text && i < json_array_size(json); i++) {
        const char *line = json_string_value(json_array_get(json, i));
        text = line ? compiler_format(c, "%s%s%s", text, i > 0 ? " " : "", line) : NULL;
    }
    return text;
}

static const struct msg_field *field_of_column(const struct msg_object *object, struct slice column)
{
    for (size_t i = 0; i < object->field_count; i++)
        if (slice_is(column, object->fields[i].column))
            return &object->fields[i];
    return NULL;
}

static bool is_of(unsigned verbs, enum msg_verb verb)
{
    return verbs & 1u << verb;
}

static bool check_parameter(const struct rule_reader *r, const struct spot *at, struct slice name)
{
    static const char *const known[] = {"company", "id", "actor", "bound", "at", "year", "parent"};
    for (size_t i = 0; i < ARRAY_LEN(known) - (r->parent ? 0 : 1); i++)
        if (slice_is(name, known[i]))
            return true;
    return refuse(r->c, at, "`:%.*s` is no name that rules may use", (int)name.len, name.data);
}

/* new.<column>, old.<column>, t.<column> and parent.<column>; other words before a dot are those of sub-selects. */
static bool check_column(const struct rule_reader *r, const struct spot *at, enum place place, unsigned verbs,
                         struct slice alias, struct slice column)
{
    const struct msg_object *object = r->message->resource.object;
    const struct msg_field *field = field_of_column(object, column);
    if (slice_is(alias, "new")) {
        bool is_given = field && !field->read_only && !is_of(verbs, MSG_VERB_DELETE) &&
                        !(field->create_only && is_of(verbs, MSG_VERB_UPDATE));
        return is_given || refuse(r->c, at, "`new.%.*s`: a client gives no such field here", (int)column.len,
                                  column.data);
    }
    if (slice_is(alias, "old") || slice_is(alias, "t")) {
        bool is_right = slice_is(alias, "old") ? place == IN_RULE : place == IN_COMPUTE;
        if (!is_right || is_of(verbs, MSG_VERB_CREATE))
            return refuse(r->c, at, "`%.*s` is not known here", (int)alias.len, alias.data);
        return field || refuse(r->c, at, "`%.*s.%.*s`: there is no such column", (int)alias.len, alias.data,
                               (int)column.len, column.data);
    }
    if (slice_is(alias, "parent")) {
        if (!r->parent || verbs != 1u << MSG_VERB_CREATE || place != IN_RULE)
            return refuse(r->c, at, "`parent` is known in rules of a create below a parent");
        return field_of_column(r->parent->object, column) ||
               refuse(r->c, at, "`parent.%.*s`: there is no such column", (int)column.len, column.data);
    }
    return true;
}

size_t sql_word_length(const char *at)
{
    return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

/* Looks up each name. A literal is skipped. */
static bool check_sql(const struct rule_reader *r, const struct spot *at, enum place place, unsigned verbs,
                      const char *sql)
{
    for (const char *s = sql; *s;) {
        size_t len = sql_word_length(s);
        if (*s == '\'') {
            const char *end = strchr(s + 1, '\'');
            if (!end)
                return refuse(r->c, at, "a text in it has no end");
            s = end + 1;
        } else if (s[0] == ':' && s[1] == ':') {
            s += 2 + sql_word_length(s + 2);
        } else if (*s == ':') {
            struct slice name = {s + 1, sql_word_length(s + 1)};
            if (!check_parameter(r, at, name))
                return false;
            s += 1 + name.len;
        } else if (len && s[len] == '.') {
            const char *column = s + len + 1 + (s[len + 1] == '"');
            struct slice name = {column, sql_word_length(column)};
            if (!check_column(r, at, place, verbs, (struct slice){s, len}, name))
                return false;
            s = column + name.len;
        } else if (strchr(";$\\", *s) || strncmp(s, "--", 2) == 0 || strncmp(s, "/*", 2) == 0) {
            return refuse(r->c, at, "a comment, `;`, `$` and `\\` have no place in it");
        } else {
            s += len ? len : 1;
        }
    }
    return true;
}

/* ---- x-rules ---- */

static bool verb_of(const char *name, enum msg_verb *ret_verb)
{
    static const enum msg_verb verbs[] = {MSG_VERB_CREATE, MSG_VERB_UPDATE, MSG_VERB_DELETE};
    for (size_t i = 0; name && i < ARRAY_LEN(verbs); i++)
        if (strcmp(msg_verb_name(verbs[i]), name) == 0) {
            *ret_verb = verbs[i];
            return true;
        }
    return false;
}

bool reader_add_rule(struct rule_reader *r, const struct spot *at, const struct msg_rule *rule)
{
    if (r->rule_count == RULES_MAX)
        return refuse(r->c, at, "a resource can have %d rules at most, with those of its fields", RULES_MAX);
    r->rules[r->rule_count++] = *rule;
    return true;
}

bool reader_has_verb(const struct rule_reader *r, enum msg_verb verb)
{
    return is_of(r->message->wishes.verbs, verb);
}

static bool read_rule_verbs(struct rule_reader *r, const struct spot *rule, unsigned *ret_verbs)
{
    const json_t *list = json_object_get(rule->json, "verbs");
    struct spot at = spot_below(r->c, rule, "verbs", list);
    if (json_array_size(list) == 0)
        return refuse(r->c, list ? &at : rule, "`verbs` must be an array of verbs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct spot entry = spot_at(r->c, &at, i, json_array_get(list, i));
        enum msg_verb verb;
        if (!verb_of(json_string_value(entry.json), &verb))
            return refuse(r->c, &entry, "must be create, update or delete");
        if (!is_of(r->message->wishes.verbs, verb))
            return refuse(r->c, &entry, "the resource has no verb `%s`", msg_verb_name(verb));
        *ret_verbs |= 1u << verb;
    }
    return true;
}

/* A rule about a field is one of the body: 422. One about the whole is a conflict with the present state: 409. */
static bool read_error(struct rule_reader *r, const struct spot *rule, struct msg_rule *ret)
{
    const json_t *json = json_object_get(rule->json, "error");
    const char *name = json ? json_string_value(json) : ret->pointer ? "validation" : "conflict";
    struct spot at = spot_below(r->c, rule, "error", json);
    if (!name || (strcmp(name, "validation") != 0 && strcmp(name, "conflict") != 0))
        return refuse(r->c, &at, "must be \"validation\" or \"conflict\"");
    ret->err = *name == 'v' ? ERR_VALIDATION : ERR_CONFLICT;
    return true;
}

static bool read_pointer(struct rule_reader *r, const struct spot *rule, struct msg_rule *ret)
{
    const json_t *json = json_object_get(rule->json, "pointer");
    const char *pointer = json_string_value(json);
    struct spot at = spot_below(r->c, rule, "pointer", json);
    if (!json)
        return true;
    if (!pointer || *pointer != '/' || !field_named(r->message->resource.object, pointer + 1))
        return refuse(r->c, &at, "must be \"/\" and the name of a field");
    ret->pointer = compiler_format(r->c, "%s", pointer);
    return true;
}

static bool read_rule(struct rule_reader *r, const struct spot *spot)
{
    static const char *const members[] = {"verbs",       "error",    "pointer", "detail",
                                          "broken_when", "$comment", NULL};
    const json_t *sql = json_object_get(spot->json, "broken_when");
    const char *detail = json_string_value(json_object_get(spot->json, "detail"));
    struct spot at = spot_below(r->c, spot, "broken_when", sql);
    struct msg_rule rule = {0};
    if (!check_members(r->c, spot, members) || !read_rule_verbs(r, spot, &rule.verbs) ||
        !read_pointer(r, spot, &rule) || !read_error(r, spot, &rule))
        return false;
    if (!detail || !*detail)
        return refuse(r->c, spot, "`detail` must say what is wrong");
    rule.detail = compiler_format(r->c, "%s", detail);
    rule.broken_when = sql_text(r->c, sql);
    if (!rule.broken_when || !*rule.broken_when)
        return refuse(r->c, sql ? &at : spot,
                      "`broken_when` must be a condition in SQL: a text, or its lines");
    return check_sql(r, &at, IN_RULE, rule.verbs, rule.broken_when) && reader_add_rule(r, spot, &rule);
}

static bool read_rules(struct rule_reader *r, const struct spot *root)
{
    const json_t *list = json_object_get(root->json, "x-rules");
    struct spot at = spot_below(r->c, root, "x-rules", list);
    if (list && !json_is_array(list))
        return refuse(r->c, &at, "must be an array of rules");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct spot entry = spot_at(r->c, &at, i, json_array_get(list, i));
        if (!read_rule(r, &entry))
            return false;
    }
    return true;
}

/* ---- x-compute ---- */

bool reader_add_computed(struct rule_reader *r, const struct spot *at, const struct msg_compute *computed)
{
    for (size_t i = 0; i < r->computed_count; i++)
        if (r->computed[i].verbs & computed->verbs && strcmp(r->computed[i].column, computed->column) == 0)
            return refuse(r->c, at, "`%s` is computed twice", computed->column);
    if (r->computed_count == COMPUTED_MAX)
        return refuse(r->c, at, "a resource can compute %d columns at most", COMPUTED_MAX);
    r->computed[r->computed_count++] = *computed;
    return true;
}

static bool read_computed_column(struct rule_reader *r, const struct spot *spot, enum msg_verb verb,
                                 const char *column)
{
    static const char *const usual[] = {"id", "company_id", "version", "created_at", "updated_at"};
    const char *sql = sql_text(r->c, spot->json);
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (strcmp(usual[i], column) == 0)
            return refuse(r->c, spot, "`%s` is set by the server", column);
    if (!is_identifier(column))
        return refuse(r->c, spot, "`%s` is no name of a column", column);
    if (!sql || !*sql)
        return refuse(r->c, spot, "must be a value in SQL: a text, or its lines");
    const struct msg_compute computed = {
        .verbs = 1u << verb, .column = compiler_format(r->c, "%s", column), .sql = sql};
    return check_sql(r, spot, IN_COMPUTE, 1u << verb, sql) && reader_add_computed(r, spot, &computed);
}

static bool read_computed(struct rule_reader *r, const struct spot *root)
{
    const json_t *verbs = json_object_get(root->json, "x-compute");
    struct spot at = spot_below(r->c, root, "x-compute", verbs);
    const char *name, *column;
    json_t *columns, *sql;
    if (verbs && !json_is_object(verbs))
        return refuse(r->c, &at, "must be an object: of a verb, its columns");
    json_object_foreach((json_t *)verbs, name, columns)
    {
        struct spot of_verb = spot_below(r->c, &at, name, columns);
        enum msg_verb verb;
        if (!verb_of(name, &verb) || verb == MSG_VERB_DELETE || !is_of(r->message->wishes.verbs, verb))
            return refuse(r->c, &of_verb, "must be create or update, and a verb of the resource");
        if (!json_is_object(columns))
            return refuse(r->c, &of_verb, "must be an object: of a column, its value in SQL");
        json_object_foreach(columns, column, sql)
        {
            struct spot of_column = spot_below(r->c, &of_verb, column, sql);
            if (!read_computed_column(r, &of_column, verb, column))
                return false;
        }
    }
    return true;
}

/* ---- x-reference ---- */

/* What `to` names: a resource, or the users of the company, which are none. */
static const char *table_of(const struct rule_reader *r, const char *to)
{
    if (to && strcmp(to, "user") == 0)
        return "app_user";
    for (size_t i = 0; to && i < r->set->message_count; i++)
        if (!r->set->messages[i].is_request && strcmp(r->set->messages[i].resource.name, to) == 0)
            return r->set->messages[i].resource.table;
    return NULL;
}

/* An entity that was referred to may have gone since, so an update looks at it only when it names another. */
static bool add_reference_rules(struct rule_reader *r, const struct spot *at, const struct msg_field *field,
                                const char *missing, const char *detail)
{
    const char *pointer = compiler_format(r->c, "/%s", field->name), *column = field->column;
    const struct msg_rule create = {
        .verbs = 1u << MSG_VERB_CREATE,
        .err = ERR_VALIDATION,
        .pointer = pointer,
        .detail = detail,
        .broken_when = compiler_format(r->c, "new.\"%s\" IS NOT NULL AND %s", column, missing),
    };
    struct msg_rule update = create;
    update.verbs = 1u << MSG_VERB_UPDATE;
    update.broken_when = compiler_format(r->c, "new.\"%s\" IS DISTINCT FROM old.\"%s\" AND %s", column,
                                         column, create.broken_when);
    unsigned verbs = r->message->wishes.verbs;
    return (!is_of(verbs, MSG_VERB_CREATE) || reader_add_rule(r, at, &create)) &&
           (!is_of(verbs, MSG_VERB_UPDATE) || field->create_only || reader_add_rule(r, at, &update));
}

/* What a nullable reference is to becomes null when the other entity goes, unless it holds that entity. */
static bool read_holds(struct rule_reader *r, const struct spot *reference, const char *to,
                       struct msg_field *field)
{
    const json_t *json = json_object_get(reference->json, "holds");
    struct spot at = spot_below(r->c, reference, "holds", json);
    bool is_user = strcmp(to, "user") == 0;
    if (json && !json_is_boolean(json))
        return refuse(r->c, &at, "must be true or false");
    if (json && is_user)
        return refuse(r->c, &at, "users are not deleted");
    if (json_is_false(json) && !field->shape.nullable)
        return refuse(r->c, &at, "a reference that is never null holds the other entity");
    field->holds = !is_user && (json_is_true(json) || !field->shape.nullable);
    return true;
}

static bool read_reference(struct rule_reader *r, const struct spot *property, struct msg_field *field)
{
    static const char *const members[] = {"to", "within", "holds", NULL};
    const json_t *json = json_object_get(property->json, "x-reference");
    struct spot at = spot_below(r->c, property, "x-reference", json);
    if (!json)
        return true;
    if (!check_members(r->c, &at, members))
        return false;
    const char *to = json_string_value(json_object_get(json, "to"));
    const json_t *within = json_object_get(json, "within");
    const char *table = table_of(r, to), *same = json_string_value(within);
    struct spot of_within = spot_below(r->c, &at, "within", within);
    if (!table)
        return refuse(r->c, &at, "`to` must be the name of a resource, or user");
    if (field->shape.format != MSG_FORMAT_UUID || field->read_only)
        return refuse(r->c, &at, "a reference is a uuid that a client gives");
    if (!read_holds(r, &at, to, field))
        return false;
    const char *parent = r->parent ? compiler_format(r->c, "%s_id", r->parent->name) : "";
    if (within && (!same || !r->parent || strcmp(same, parent) != 0 || strcmp(to, "user") == 0))
        return refuse(r->c, &of_within, "must be the id of the parent, which both have");
    const char *missing = compiler_format(
        r->c,
        "NOT EXISTS (SELECT FROM \"%s\" AS other WHERE other.company_id = :company AND other.id = "
        "new.\"%s\"%s)",
        table, field->column, within ? compiler_format(r->c, " AND other.\"%s\" = :parent", same) : "");
    const char *words = words_of(r->c, to);
    const char *article = strchr("aeio", *words) ? "an" : "a";
    const char *detail = within ? compiler_format(r->c, "must be %s %s of the same %s", article, words,
                                                  words_of(r->c, r->parent->name))
                                : compiler_format(r->c, "must be %s %s of the company", article, words);
    field->reference = table;
    return add_reference_rules(r, &at, field, missing, detail);
}

/* ---- all ---- */

static bool read_fields(struct rule_reader *r, const struct spot *root)
{
    struct msg_object *object = (struct msg_object *)(uintptr_t)r->message->resource.object;
    struct spot properties = spot_below(r->c, root, "properties", json_object_get(root->json, "properties"));
    for (size_t i = 0; i < object->field_count; i++) {
        struct msg_field *field = (struct msg_field *)(uintptr_t)&object->fields[i];
        struct spot at =
            spot_below(r->c, &properties, field->name, json_object_get(properties.json, field->name));
        if (!read_reference(r, &at, field) || !read_number(r, &at, field) || !read_unique(r, &at, field) ||
            !read_transition_rules(r, &at, field) || !read_money(r, &at, field) ||
            !read_kept_secret(r, &at, field))
            return false;
    }
    return true;
}

/* Creates share a statement unless one may depend on what another of them made: what a rule's own sub-select reads
 * is not known, a reference to the same resource may be to one of them, and so may be who has a value already. */
static bool is_alone(const struct rule_reader *r, const struct spot *root)
{
    const struct msg_resource *resource = &r->message->resource;
    bool is = false;
    for (size_t role = 0; role < MSG_ROLES; role++) {
        unsigned create = resource->rights[role][MSG_RIGHT_CREATE];
        unsigned above = r->parent ? r->parent->rights[role][MSG_RIGHT_READ] : MSG_MAY_ANY;
        is = is || (create && !(create & above & MSG_MAY_ANY)); /* a right that depends on the sender */
    }
    size_t written = json_array_size(json_object_get(root->json, "x-rules"));
    for (size_t i = 0; i < r->rule_count; i++)
        if (is_of(r->rules[i].verbs, MSG_VERB_CREATE))
            is = is || (i < written && strstr(r->rules[i].broken_when, "SELECT"));
    for (size_t i = 0; i < r->computed_count; i++)
        if (is_of(r->computed[i].verbs, MSG_VERB_CREATE))
            is = is || strstr(r->computed[i].sql, "SELECT");
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const char *table = resource->object->fields[i].reference;
        is = is || (table && strcmp(table, resource->table) == 0) || resource->object->fields[i].unique;
    }
    return is;
}

static const struct msg_resource *parent_of_message(const struct schema_set *set,
                                                    const struct msg_resource *resource)
{
    for (size_t i = 0; resource->parent && i < set->message_count; i++)
        if (!set->messages[i].is_request && strcmp(set->messages[i].resource.name, resource->parent) == 0)
            return &set->messages[i].resource;
    return NULL;
}

bool read_all_rules(struct compiler *c, struct schema_set *set)
{
    for (size_t i = 0; i < set->message_count; i++) {
        struct schema_message *message = &set->messages[i];
        struct document *document = document_named(c, message->file);
        struct spot root = {.document = document, .pointer = "", .json = document->json};
        if (message->is_request)
            continue;
        struct rule_reader r = {
            .c = c,
            .set = set,
            .message = message,
            .parent = parent_of_message(set, &message->resource),
            .rules = compiler_alloc(c, RULES_MAX + 1, sizeof(*r.rules)),
            .computed = compiler_alloc(c, COMPUTED_MAX + 1, sizeof(*r.computed)),
        };
        if (!read_rules(&r, &root) || !read_computed(&r, &root) || !read_fields(&r, &root))
            return false;
        message->resource.rules = r.rules;
        message->resource.computed = r.computed;
        message->resource.is_alone = is_alone(&r, &root);
    }
    return true;
}
