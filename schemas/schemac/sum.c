/* x-sum: columns of a resource that are sums over the entities of others, and those that follow from them. What a row
 * adds must depend on that row alone, or what was added could not be taken back when the row changes: each name in the
 * SQL is looked up here, and words that reach further are refused. */

#include <stdio.h>
#include <strings.h>

#include "common/msg/sum_sql.h"
#include "schemas/schemac/compiler.h"

enum { SUMS_MAX = 32, WAYS_MAX = 32 };

/* Of one resource. */
struct reader {
    struct compiler *c;
    const struct schema_set *set;
    struct schema_message *message;
    struct msg_sum *sums;
    size_t count;
};

/* ---- looking up ---- */

static struct msg_resource *resource_named(const struct schema_set *set, const char *name)
{
    for (size_t i = 0; name && i < set->message_count; i++)
        if (!set->messages[i].is_request && strcmp(set->messages[i].resource.name, name) == 0)
            return &set->messages[i].resource;
    return NULL;
}

static const struct msg_field *field_of(const struct msg_resource *resource, struct slice column)
{
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (slice_is(column, resource->object->fields[i].column))
            return &resource->object->fields[i];
    return NULL;
}

static json_t *sums_in(const struct reader *r, const struct msg_resource *resource)
{
    for (size_t i = 0; i < r->set->message_count; i++)
        if (&r->set->messages[i].resource == resource)
            return json_object_get(document_named(r->c, r->set->messages[i].file)->json, "x-sum");
    return NULL;
}

/* A field of the resource, or a column that its x-sum makes. */
static bool has_column(const struct reader *r, const struct msg_resource *resource, struct slice column)
{
    const char *name;
    json_t *value;
    json_object_foreach(sums_in(r, resource), name, value)
    {
        if (slice_is(column, name))
            return true;
    }
    return field_of(resource, column) != NULL;
}

static bool is_computed(const struct msg_resource *resource, struct slice column)
{
    for (const struct msg_compute *computed = resource->computed; computed->column; computed++)
        if (slice_is(column, computed->column))
            return true;
    return false;
}

/* ---- SQL ---- */

static bool check_word(const struct reader *r, const struct spot *at, const char *word, size_t len)
{
    static const char *const reaching[] = {"select",         "with",         "now",
                                           "current_date",   "current_time", "current_timestamp",
                                           "localtimestamp", "random",       "current_setting",
                                           "nextval",        "current_user", "clock_timestamp"};
    for (size_t i = 0; i < ARRAY_LEN(reaching); i++)
        if (strlen(reaching[i]) == len && strncasecmp(reaching[i], word, len) == 0)
            return refuse(r->c, at, "`%.*s`: a value must follow from the row alone", (int)len, word);
    return true;
}

static bool check_column(const struct reader *r, const struct spot *at, const char *alias,
                         const struct msg_resource *resource, struct slice found, struct slice column)
{
    if (!slice_is(found, alias))
        return refuse(r->c, at, "`%.*s` is not known here, only `%s`", (int)found.len, found.data, alias);
    if (!has_column(r, resource, column))
        return refuse(r->c, at, "`%s.%.*s`: there is no such column", alias, (int)column.len, column.data);
    return resource != &r->message->resource || !is_computed(resource, column) ||
           refuse(r->c, at, "`%s.%.*s` is computed by x-compute", alias, (int)column.len, column.data);
}

/* `alias` is the one name of a row that the text may use. */
static bool check_sql(const struct reader *r, const struct spot *at, const char *alias,
                      const struct msg_resource *resource, const char *sql)
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
        } else if (strcmp(alias, "new") == 0 && strncmp(s, ":at", 3) == 0 && sql_word_length(s + 1) == 2) {
            s += 3; /* when the row changed */
        } else if (len && s[len] == '.' && (*s < '0' || *s > '9')) {
            const char *column = s + len + 1 + (s[len + 1] == '"');
            struct slice name = {column, sql_word_length(column)};
            if (!check_column(r, at, alias, resource, (struct slice){s, len}, name))
                return false;
            s = column + name.len;
        } else if (len) {
            if (!check_word(r, at, s, len))
                return false;
            s += len;
        } else if (strchr(":;$\\", *s) || strncmp(s, "--", 2) == 0 || strncmp(s, "/*", 2) == 0) {
            return refuse(r->c, at, "a parameter, a comment, `;`, `$` and `\\` have no place in it");
        } else {
            s++;
        }
    }
    return true;
}

/* Reads the member, whose SQL may name columns of `alias`. */
static bool read_sql(const struct reader *r, const struct spot *spot, const char *member, const char *alias,
                     const struct msg_resource *resource, const char **ret_sql)
{
    const json_t *json = json_object_get(spot->json, member);
    struct spot at = spot_below(r->c, spot, member, json);
    *ret_sql = sql_text(r->c, json);
    if (!*ret_sql || !**ret_sql)
        return refuse(r->c, json ? &at : spot, "`%s` must be SQL: a text, or its lines", member);
    return check_sql(r, &at, alias, resource, *ret_sql);
}

/* ---- a sum over others ---- */

/* All sums over one resource go by the same column. */
static bool read_by(const struct reader *r, const struct spot *spot, const struct msg_resource *child,
                    struct msg_sum *sum)
{
    const json_t *json = json_object_get(spot->json, "by");
    struct spot at = spot_below(r->c, spot, "by", json);
    sum->by = json ? json_string_value(json) : compiler_format(r->c, "%s_id", r->message->resource.name);
    const struct msg_field *field = sum->by ? field_of(child, slice_of(sum->by)) : NULL;
    if (!field || field->shape.format != MSG_FORMAT_UUID)
        return refuse(r->c, json ? &at : spot, "`by` must be a column of %s that has the id of the %s",
                      child->name, r->message->resource.name);
    sum->by = field->column;
    for (size_t i = 0; i < r->count; i++)
        if (r->sums[i].of && strcmp(r->sums[i].of, child->name) == 0 && strcmp(r->sums[i].by, sum->by) != 0)
            return refuse(r->c, &at, "the other sums over %s go by `%s`", child->name, r->sums[i].by);
    return true;
}

static bool is_number(const struct msg_field *field)
{
    return field->shape.type == MSG_NUMBER || field->shape.type == MSG_INTEGER;
}

static bool read_over(const struct reader *r, const struct spot *spot, const struct msg_field *field,
                      struct msg_sum *sum)
{
    static const char *const members[] = {"of", "by", "when", "value", "$comment", NULL};
    const json_t *of = json_object_get(spot->json, "of");
    struct spot at = spot_below(r->c, spot, "of", of);
    struct msg_resource *child = resource_named(r->set, json_string_value(of));
    if (!check_members(r->c, spot, members))
        return false;
    if (!child)
        return refuse(r->c, &at, "must be the name of a resource");
    if (field && (!is_number(field) || !field->read_only || field->shape.nullable || !field->fallback))
        return refuse(r->c, spot,
                      "a field that is a sum is a number, read-only, never null and 0 by default");
    sum->of = child->name;
    if (!read_by(r, spot, child, sum) || !read_sql(r, spot, "value", "child", child, &sum->sql))
        return false;
    child->is_alone = true; /* what follows from one create is the next one's beginning */
    return !json_object_get(spot->json, "when") || read_sql(r, spot, "when", "child", child, &sum->when);
}

/* ---- all sums of a resource ---- */

static bool mentions(const char *sql, const char *column)
{
    char name[80];
    snprintf(name, sizeof(name), "new.%s", column);
    for (const char *at = strstr(sql, name); at; at = strstr(at + 1, name))
        if (sql_word_length(at + 4) == strlen(column))
            return true;
    return false;
}

static bool read_following(const struct reader *r, const struct spot *spot, const struct msg_field *field,
                           struct msg_sum *sum)
{
    static const char *const members[] = {"is", "$comment", NULL};
    if (!check_members(r->c, spot, members) ||
        !read_sql(r, spot, "is", "new", &r->message->resource, &sum->sql))
        return false;
    if (!field)
        return refuse(r->c, spot, "there is no such field, and nobody would see what it is");
    return field->read_only || mentions(sum->sql, sum->column) ||
           refuse(r->c, spot, "a client gives this field: what it is must follow from what was given, too");
}

static bool read_sum(struct reader *r, const struct spot *spot, const char *column)
{
    static const char *const usual[] = {"id", "company_id", "version", "created_at", "updated_at"};
    const struct msg_field *field = field_of(&r->message->resource, slice_of(column));
    struct msg_sum sum = {.column = compiler_format(r->c, "%s", column)};
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (strcmp(usual[i], column) == 0)
            return refuse(r->c, spot, "`%s` is set by the server", column);
    if (!is_identifier(column))
        return refuse(r->c, spot, "`%s` is no name of a column", column);
    if (is_computed(&r->message->resource, slice_of(column)))
        return refuse(r->c, spot, "`%s` is computed by x-compute", column);
    if (r->count == SUMS_MAX)
        return refuse(r->c, spot, "a resource can have %d sums at most", SUMS_MAX);
    if (!json_is_object(spot->json))
        return refuse(r->c, spot, "must be an object");
    bool ok = json_object_get(spot->json, "of") ? read_over(r, spot, field, &sum)
                                                : read_following(r, spot, field, &sum);
    r->sums[r->count++] = sum;
    return ok;
}

/* Rounding asks for the company, which creates of several companies would not share. */
static void note_amounts(struct msg_resource *resource)
{
    for (const struct msg_sum *sum = resource->sums; sum->column; sum++)
        resource->is_alone |= sum_is_amount(resource, sum) && sum_has_own(resource);
}

static bool read_sums(struct compiler *c, struct schema_set *set, struct schema_message *message)
{
    struct document *document = document_named(c, message->file);
    struct spot root = {.document = document, .pointer = "", .json = document->json};
    json_t *columns = json_object_get(document->json, "x-sum"), *value;
    struct spot at = spot_below(c, &root, "x-sum", columns);
    const char *column;
    struct reader r = {.c = c, .set = set, .message = message};
    if (!columns)
        return true;
    if (!json_is_object(columns) || json_object_size(columns) == 0)
        return refuse(c, &at, "must be an object: of a column, what it is a sum of, or what it is");
    if (!(message->wishes.verbs & 1u << MSG_VERB_UPDATE))
        return refuse(c, &at, "the resource has no verb `update`, and a sum that changes is one");
    r.sums = compiler_alloc(c, SUMS_MAX + 1, sizeof(*r.sums));
    json_object_foreach(columns, column, value)
    {
        struct spot spot = spot_below(c, &at, column, value);
        if (!read_sum(&r, &spot, column))
            return false;
    }
    message->resource.sums = r.sums;
    note_amounts(&message->resource);
    return true;
}

/* ---- how far a change reaches ---- */

static bool is_fed_by(const struct msg_resource *resource, const char *child)
{
    for (const struct msg_sum *sum = resource->sums; sum && sum->column; sum++)
        if (sum->of && strcmp(sum->of, child) == 0)
            return true;
    return false;
}

/* One statement changes a row once. So what a change reaches, it reaches on one way. */
static bool follow(struct compiler *c, const struct schema_set *set, const struct spot *spot,
                   const char *name, const char **reached, size_t *count)
{
    for (size_t i = 0; i < set->message_count; i++) {
        const struct msg_resource *resource = &set->messages[i].resource;
        if (set->messages[i].is_request || !is_fed_by(resource, name))
            continue;
        for (size_t k = 0; k < *count; k++)
            if (strcmp(reached[k], resource->name) == 0)
                return refuse(c, spot, "a change of %s reaches %s on two ways, or in a circle", reached[0],
                              resource->name);
        if (*count == WAYS_MAX)
            return refuse(c, spot, "a change of %s reaches more than %d resources", reached[0], WAYS_MAX);
        reached[(*count)++] = resource->name;
        if (!follow(c, set, spot, resource->name, reached, count))
            return false;
    }
    return true;
}

static bool check_ways(struct compiler *c, const struct schema_set *set, const struct schema_message *message)
{
    struct document *document = document_named(c, message->file);
    struct spot spot = {.document = document, .pointer = "/x-resource", .json = document->json};
    const char *reached[WAYS_MAX] = {message->resource.name};
    size_t count = 1;
    return follow(c, set, &spot, message->resource.name, reached, &count);
}

bool read_all_sums(struct compiler *c, struct schema_set *set)
{
    for (size_t i = 0; i < set->message_count; i++)
        if (!set->messages[i].is_request && !read_sums(c, set, &set->messages[i]))
            return false;
    for (size_t i = 0; i < set->message_count; i++)
        if (!set->messages[i].is_request && !check_ways(c, set, &set->messages[i]))
            return false;
    return true;
}
