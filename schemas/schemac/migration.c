#include "schemas/schemac/migration.h"

#include <inttypes.h>
#include <math.h>

#include "common/base/base64.h"

/* A secret at rest (common/crypto/secret.h): what is in clear is no such text. */
#define SECRET_PATTERN "^[A-Za-z0-9._-]{1,32}:[A-Za-z0-9_-]{40,}$"

enum { TYPE_SIZE = 32, NAME_SIZE = 80, INTEGER_MAX = 2147483647 };

struct printer {
    FILE *out;
    const struct msg_resource *resource;
    const struct msg_resource *parent; /* NULL: none */
    int name_width, type_width;        /* so that the columns stand in columns */
};

/* Words that PostgreSQL takes for names only in quotes (appendix C of its manual). */
static const char *const reserved[] = {
    "all",      "analyse",    "analyze",   "and",      "any",          "array",   "as",         "asc",
    "both",     "case",       "cast",      "check",    "collate",      "column",  "constraint", "create",
    "default",  "deferrable", "desc",      "distinct", "do",           "else",    "end",        "except",
    "false",    "fetch",      "for",       "foreign",  "from",         "grant",   "group",      "having",
    "in",       "initially",  "intersect", "into",     "lateral",      "leading", "limit",      "localtime",
    "not",      "null",       "offset",    "on",       "only",         "or",      "order",      "placing",
    "primary",  "references", "returning", "select",   "session_user", "some",    "symmetric",  "table",
    "then",     "to",         "trailing",  "true",     "union",        "unique",  "user",       "using",
    "variadic", "when",       "where",     "window",   "with",
};

static const char *column_text(const char *column, char text[NAME_SIZE])
{
    const char *quote = "";
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (strcmp(reserved[i], column) == 0)
            quote = "\"";
    snprintf(text, NAME_SIZE, "%s%s%s", quote, column, quote);
    return text;
}

/* ---- columns ---- */

/* Two decimals for 0.01. */
static int decimals_of(double multiple)
{
    int decimals = 0;
    for (; decimals < 15 && fabs(multiple - round(multiple)) > 1e-9; decimals++)
        multiple *= 10;
    return decimals;
}

static int digits_of(double bound)
{
    int digits = 1;
    for (bound = fabs(bound); bound >= 10; bound /= 10)
        digits++;
    return digits;
}

static void numeric_type(const struct msg_shape *shape, char type[TYPE_SIZE])
{
    int scale = shape->multiple_of > 0 ? decimals_of(shape->multiple_of) : 0;
    int low = digits_of(shape->minimum), high = digits_of(shape->maximum);
    if (shape->multiple_of > 0)
        snprintf(type, TYPE_SIZE, "numeric(%d, %d)", (low > high ? low : high) + scale, scale);
    else
        snprintf(type, TYPE_SIZE, "numeric");
}

static const char *type_of(const struct msg_shape *shape, char type[TYPE_SIZE])
{
    static const char *const by_format[] = {
        [MSG_FORMAT_NONE] = "text",    [MSG_FORMAT_UUID] = "uuid",
        [MSG_FORMAT_DATE] = "date",    [MSG_FORMAT_DATE_TIME] = "timestamptz",
        [MSG_FORMAT_EMAIL] = "text",   [MSG_FORMAT_URI] = "text",
        [MSG_FORMAT_OCTETS] = "bytea",
    };
    bool is_small = fabs(shape->minimum) <= INTEGER_MAX && fabs(shape->maximum) <= INTEGER_MAX;
    switch (shape->type) {
    case MSG_INTEGER:
        snprintf(type, TYPE_SIZE, "%s", is_small ? "integer" : "bigint");
        break;
    case MSG_NUMBER:
        numeric_type(shape, type);
        break;
    case MSG_BOOLEAN:
        snprintf(type, TYPE_SIZE, "boolean");
        break;
    case MSG_ARRAY:
    case MSG_OBJECT:
        snprintf(type, TYPE_SIZE, "jsonb");
        break;
    default:
        snprintf(type, TYPE_SIZE, "%s", by_format[shape->format]);
    }
    return type;
}

static void print_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        fputs(*text == '\'' ? "''" : (char[]){*text, '\0'}, out);
    fputc('\'', out);
}

static void print_default(FILE *out, const struct msg_field *field)
{
    if (!field->fallback)
        return;
    fputs(" DEFAULT ", out);
    if (field->shape.type == MSG_STRING || field->shape.type == MSG_ARRAY || field->shape.type == MSG_OBJECT)
        print_quoted(out, field->fallback);
    else
        fputs(field->fallback, out);
}

static void print_lengths(FILE *out, const struct msg_field *field)
{
    const struct msg_shape *shape = &field->shape;
    if (shape->max_length < 0)
        return;
    char name[NAME_SIZE];
    fprintf(out, " CHECK (char_length(%s) ", column_text(field->column, name));
    if (shape->min_length > 0)
        fprintf(out, "BETWEEN %" PRId64 " AND %" PRId64 ")", shape->min_length, shape->max_length);
    else
        fprintf(out, "<= %" PRId64 ")", shape->max_length);
}

static void print_octets(FILE *out, const struct msg_field *field)
{
    char name[NAME_SIZE];
    fprintf(out, " CHECK (octet_length(%s) <= %zu)", column_text(field->column, name),
            base64_room((size_t)field->shape.max_length));
}

static void print_enum(FILE *out, const struct msg_field *field)
{
    char name[NAME_SIZE];
    fprintf(out, " CHECK (%s IN (", column_text(field->column, name));
    for (const char *const *value = field->shape.allowed; *value; value++) {
        fputs(value == field->shape.allowed ? "" : ", ", out);
        print_quoted(out, *value);
    }
    fputs("))", out);
}

/* As written in the schema, and not as 999999999999.98999. */
static const char *bound_text(double bound, char text[TYPE_SIZE])
{
    snprintf(text, TYPE_SIZE, fabs(bound - trunc(bound)) > 0 ? "%.15g" : "%.0f", bound);
    return text;
}

static void print_bounds(FILE *out, const struct msg_field *field)
{
    char low[TYPE_SIZE], high[TYPE_SIZE], name[NAME_SIZE];
    const struct msg_shape *shape = &field->shape;
    const char *column = column_text(field->column, name);
    bound_text(shape->minimum, low);
    bound_text(shape->maximum, high);
    if (!shape->minimum_exclusive && !shape->maximum_exclusive)
        fprintf(out, " CHECK (%s BETWEEN %s AND %s)", column, low, high);
    else
        fprintf(out, " CHECK (%s %s %s AND %s %s %s)", column, shape->minimum_exclusive ? ">" : ">=", low,
                column, shape->maximum_exclusive ? "<" : "<=", high);
}

/* What is inside is checked twice before: by the gateway and by the worker. */
static void print_json_type(FILE *out, const struct msg_field *field)
{
    char name[NAME_SIZE];
    const char *column = column_text(field->column, name);
    bool is_array = field->shape.type == MSG_ARRAY;
    fprintf(out, " CHECK (jsonb_typeof(%s) = '%s'", column, is_array ? "array" : "object");
    if (is_array)
        fprintf(out, " AND jsonb_array_length(%s) BETWEEN %" PRId64 " AND %" PRId64, column,
                field->shape.min_items, field->shape.max_items);
    fputc(')', out);
}

static void print_checks(FILE *out, const struct msg_field *field)
{
    const struct msg_shape *shape = &field->shape;
    if (field->secret) {
        char name[NAME_SIZE];
        fprintf(out, " CHECK (%s ~ '" SECRET_PATTERN "')", column_text(field->column, name));
        return;
    }
    bool is_text =
        shape->type == MSG_STRING && (shape->format == MSG_FORMAT_NONE || shape->format == MSG_FORMAT_EMAIL ||
                                      shape->format == MSG_FORMAT_URI);
    if (shape->type == MSG_ARRAY || shape->type == MSG_OBJECT)
        print_json_type(out, field);
    else if (shape->allowed)
        print_enum(out, field);
    else if (shape->format == MSG_FORMAT_OCTETS)
        print_octets(out, field);
    else if (is_text)
        print_lengths(out, field);
    else if (shape->type == MSG_INTEGER || shape->type == MSG_NUMBER)
        print_bounds(out, field);
}

static void print_column(const struct printer *p, const char *name, const char *type, const char *rest)
{
    fprintf(p->out, "    %-*s %-*s%s", p->name_width, name, *rest ? p->type_width : 0, type, rest);
}

/* The columns that every table has are written apart. */
static bool is_usual(const struct msg_field *field)
{
    static const char *const usual[] = {"id", "version", "created_at", "updated_at"};
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (strcmp(usual[i], field->name) == 0)
            return true;
    return false;
}

static void measure(struct printer *p)
{
    char type[TYPE_SIZE];
    p->name_width = (int)sizeof("company_id") - 1;
    p->type_width = (int)sizeof("timestamptz") - 1;
    for (size_t i = 0; i < p->resource->object->field_count; i++) {
        const struct msg_field *field = &p->resource->object->fields[i];
        int name = (int)strlen(field->column), len = (int)strlen(type_of(&field->shape, type));
        p->name_width = name > p->name_width ? name : p->name_width;
        p->type_width = len > p->type_width ? len : p->type_width;
    }
}

/* A user who has left is still named by what he did, so users have no foreign key. */
static void print_references(const struct printer *p)
{
    char name[NAME_SIZE];
    for (size_t i = 0; i < p->resource->object->field_count; i++) {
        const struct msg_field *field = &p->resource->object->fields[i];
        if (!field->reference || strcmp(field->reference, "app_user") == 0)
            continue;
        const char *column = column_text(field->column, name);
        fprintf(p->out, ",\n    FOREIGN KEY (company_id, %s) REFERENCES %s", column, field->reference);
        if (!field->holds)
            fprintf(p->out, " ON DELETE SET NULL (%s)", column);
    }
}

/* The secret before, and until when it counts. */
static void print_kept(const struct printer *p, const struct msg_field *field)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "%s_before", field->column);
    print_column(p, name, "text", "");
    fprintf(p->out, " CHECK (%s ~ '" SECRET_PATTERN "'),\n", name);
    snprintf(name, sizeof(name), "%s_before_until", field->column);
    print_column(p, name, "timestamptz", ",\n");
}

/* By which lists are sorted: no index knows an order of numeric that row-level security lets through. */
static void print_cents(const struct printer *p, const struct msg_field *field)
{
    char name[NAME_SIZE], text[NAME_SIZE];
    snprintf(name, sizeof(name), "%s_cents", field->column);
    print_column(p, name, "bigint", "");
    fprintf(p->out, " GENERATED ALWAYS AS ((%s * 100)::bigint) STORED,\n", column_text(field->column, text));
}

static void print_columns(const struct printer *p)
{
    char type[TYPE_SIZE], name[NAME_SIZE];
    print_column(p, "company_id", "uuid",
                 p->parent ? " NOT NULL,\n" : " NOT NULL REFERENCES company ON DELETE CASCADE,\n");
    print_column(p, "id", "uuid", " NOT NULL,\n");
    print_column(p, "legacy_id", "text", "");
    fputs(", -- its id in the platform that it was imported from\n", p->out);
    for (size_t i = 0; i < p->resource->object->field_count; i++) {
        const struct msg_field *field = &p->resource->object->fields[i];
        if (is_usual(field))
            continue;
        char text[4096] = "";
        FILE *rest = fmemopen(text, sizeof(text), "w");
        if (!rest)
            abort(); /* cannot happen: the memory is there */
        fputs(field->shape.nullable ? "" : " NOT NULL", rest);
        print_default(rest, field);
        print_checks(rest, field);
        fclose(rest);
        print_column(p, column_text(field->column, name), type_of(&field->shape, type), text);
        fputs(",\n", p->out);
        if (field->secret && field->secret->keep_hours)
            print_kept(p, field);
        if (field->sort && field->shape.type == MSG_NUMBER)
            print_cents(p, field);
    }
    print_column(p, "version", "bigint", " NOT NULL DEFAULT 1 CHECK (version >= 1),\n");
    print_column(p, "created_at", "timestamptz", " NOT NULL DEFAULT now(),\n");
    print_column(p, "updated_at", "timestamptz", " NOT NULL DEFAULT now(),\n");
    fputs("    PRIMARY KEY (company_id, id)", p->out);
    if (p->parent)
        fprintf(p->out, ",\n    FOREIGN KEY (company_id, %s_id) REFERENCES %s ON DELETE CASCADE",
                p->parent->name, p->parent->table);
    print_references(p);
}

/* ---- indexes ---- */

/* When the other entity is deleted, PostgreSQL looks for the rows that refer to it: by equality, and that is all that a
 * hash index answers. The index of a filter does as well where it begins with the column. */
static void print_key_indexes(const struct printer *p)
{
    const char *table = p->resource->table;
    char name[NAME_SIZE];
    for (size_t i = 0; i < p->resource->object->field_count; i++) {
        const struct msg_field *field = &p->resource->object->fields[i];
        if (!field->reference || strcmp(field->reference, "app_user") == 0 || (field->indexed && !p->parent))
            continue;
        const char *column = column_text(field->column, name);
        fprintf(p->out, "CREATE INDEX %s_key_%s ON %s USING hash (%s)", table, field->column, table, column);
        if (field->shape.nullable)
            fprintf(p->out, " WHERE %s IS NOT NULL", column);
        fputs(";\n", p->out);
    }
}

static void print_unique(const struct printer *p, const char *column, bool is_of_parent)
{
    const char *table = p->resource->table;
    char name[NAME_SIZE];
    fprintf(p->out, "CREATE UNIQUE INDEX %s_%s ON %s (company_id, %s%s%s);\n", table, column, table,
            is_of_parent ? p->parent->name : "", is_of_parent ? "_id, " : "", column_text(column, name));
}

/* The rules refuse what comes twice; these are the wall behind them. */
static void print_unique_indexes(const struct printer *p)
{
    const struct msg_number *number = p->resource->number;
    if (number)
        print_unique(p, number->column, strstr(number->scope, ":parent") != NULL);
    for (size_t i = 0; i < p->resource->object->field_count; i++) {
        const struct msg_field *field = &p->resource->object->fields[i];
        if (field->unique)
            print_unique(p, field->column, field->unique == MSG_UNIQUE_PARENT);
    }
}

static void print_sorts(const struct printer *p)
{
    const char *table = p->resource->table;
    char name[NAME_SIZE];
    for (size_t i = 0; i < p->resource->object->field_count; i++) {
        const struct msg_field *field = &p->resource->object->fields[i];
        if (!field->sort)
            continue;
        fprintf(p->out, "CREATE INDEX %s_sort_%s ON %s (company_id, %s%s%s%s, id);\n", table, field->column,
                table, p->parent ? p->parent->name : "", p->parent ? "_id, " : "",
                column_text(field->column, name), field->shape.type == MSG_NUMBER ? "_cents" : "");
    }
}

static void print_indexes(const struct printer *p)
{
    const char *table = p->resource->table;
    char name[NAME_SIZE];
    fprintf(p->out,
            "CREATE UNIQUE INDEX %s_legacy ON %s (company_id, legacy_id) WHERE legacy_id IS NOT NULL;\n",
            table, table);
    fprintf(p->out, "CREATE INDEX %s_list ON %s (company_id, %s%screated_at, id);\n", table, table,
            p->parent ? p->parent->name : "", p->parent ? "_id, " : "");
    if (p->parent && msg_resource_is_exported(p->resource)) /* an export walks over all of the company's */
        fprintf(p->out, "CREATE INDEX %s_walk ON %s (company_id, created_at, id);\n", table, table);
    for (size_t i = 0; i < p->resource->object->field_count; i++) {
        const struct msg_field *field = &p->resource->object->fields[i];
        if (!field->indexed)
            continue;
        const char *column = column_text(field->column, name);
        fprintf(p->out, "CREATE INDEX %s_list_%s ON %s (company_id, %s%s%s, created_at, id)", table,
                field->column, table, p->parent ? p->parent->name : "", p->parent ? "_id, " : "", column);
        if (field->shape.nullable)
            fprintf(p->out, " WHERE %s IS NOT NULL", column);
        fputs(";\n", p->out);
    }
    print_key_indexes(p);
    print_unique_indexes(p);
}

/* ---- the rest ---- */

/* Text search wants a column first that is never NULL. */
static void print_search(const struct printer *p)
{
    const struct msg_object *object = p->resource->object;
    char columns[4096] = "";
    for (int nullable = 0; nullable <= 1; nullable++)
        for (size_t i = 0; i < object->field_count; i++)
            if (object->fields[i].search && object->fields[i].shape.nullable == nullable)
                snprintf(columns + strlen(columns), sizeof(columns) - strlen(columns), "%s%s",
                         *columns ? "," : "", object->fields[i].column);
    if (!*columns)
        return;
    fprintf(p->out, "\nSELECT text_search_prepare('%s', '{%s}');\n", p->resource->table, columns);
    fprintf(p->out, "SELECT text_search_begin('%s', '{%s}');\n", p->resource->table, columns);
}

static void print_rights(const struct printer *p)
{
    static const enum msg_verb verbs[] = {MSG_VERB_CREATE, MSG_VERB_UPDATE, MSG_VERB_DELETE};
    const char *separator = "";
    fprintf(p->out, "\nSELECT resource_rights('%s', '{", p->resource->table);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (msg_resource_has(p->resource, verbs[i])) {
            fprintf(p->out, "%s%s", separator, msg_verb_name(verbs[i]));
            separator = ",";
        }
    fprintf(p->out, "}', '%s');\n", p->resource->pool);
}

static void print_reader(const struct printer *p, const char *table, const char *pool, const char *why)
{
    fprintf(p->out, "GRANT SELECT ON %s TO cortex_%s; -- %s\n", table, pool, why);
}

/* The role of a pool has its own tables only. What is read of another pool's is granted by itself: by exports, and by the
 * commands of this resource. */
static void print_readers(const struct printer *p, const struct schema_set *set)
{
    const struct msg_resource *resource = p->resource;
    for (size_t i = 0; i < set->message_count; i++) {
        const struct msg_resource *other = &set->messages[i].resource;
        if (set->messages[i].is_request || strcmp(other->pool, resource->pool) == 0)
            continue;
        if (strcmp(other->name, "export") == 0 && msg_resource_is_exported(resource))
            print_reader(p, resource->table, other->pool, "exports");
        if (msg_resource_reads(resource, other))
            print_reader(p, other->table, resource->pool, "what it refers to");
    }
}

void migration_print(FILE *out, const struct schema_set *set, const struct schema_message *message)
{
    struct printer p = {.out = out, .resource = &message->resource};
    for (size_t i = 0; p.resource->parent && i < set->message_count; i++)
        if (!set->messages[i].is_request && strcmp(set->messages[i].resource.name, p.resource->parent) == 0)
            p.parent = &set->messages[i].resource;
    measure(&p);
    fprintf(out, "-- The entities of schemas/messages/%s.\n\nCREATE TABLE %s (\n", message->file,
            p.resource->table);
    print_columns(&p);
    fputs("\n) WITH (fillfactor = 90); -- room for in-page updates\n", out);
    print_indexes(&p);
    print_sorts(&p);
    print_search(&p);
    print_rights(&p);
    print_readers(&p, set);
}
