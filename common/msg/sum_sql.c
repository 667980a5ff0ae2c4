#include "common/msg/sum_sql.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>

#include "common/msg/resource_sql.h"

enum { COLUMNS_MAX = 96, TEXT_MAX = 1 << 20 };

/* Workers say so in each statement that adds to sums itself. */
#define LINE         "\n        "
#define OTHERS_WRITE "current_setting('cortex.sums', true) IS DISTINCT FROM 'own'"

/* ---- looking up ---- */

static const struct msg_sum none[] = {{0}};

static const struct msg_sum *sums_of(const struct msg_resource *resource)
{
    return resource->sums ? resource->sums : none;
}

bool sum_keeps(const struct msg_resource *resource, const struct msg_resource *child)
{
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++)
        if (sum_is_over(sum, child))
            return true;
    return false;
}

bool sum_is_fed(const struct msg_resource *const *resources, const struct msg_resource *child)
{
    for (; *resources; resources++)
        if (sum_keeps(*resources, child))
            return true;
    return false;
}

const struct msg_sum *sum_of_column(const struct msg_resource *resource, const char *column)
{
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++)
        if (strcmp(sum->column, column) == 0)
            return sum;
    return NULL;
}

static const struct msg_field *field_of(const struct msg_resource *resource, const char *column)
{
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (strcmp(resource->object->fields[i].column, column) == 0)
            return &resource->object->fields[i];
    return NULL;
}

static const struct msg_sum *first_over(const struct msg_resource *resource, const struct msg_resource *child)
{
    const struct msg_sum *sum = sums_of(resource);
    while (!sum_is_over(sum, child))
        sum++;
    return sum;
}

bool sum_may_move(const struct msg_resource *resource, const struct msg_resource *child)
{
    const struct msg_field *by = field_of(child, first_over(resource, child)->by);
    return !by->read_only && !by->create_only;
}

/* ---- words ---- */

static void write_quoted(const char *name, struct buf *out)
{
    buf_printf(out, "\"%s\"", name);
}

/* The decimals of a field; -1: it is no number of a fixed scale. */
static int scale_of(const struct msg_field *field)
{
    if (!field || (field->shape.type != MSG_NUMBER && field->shape.type != MSG_INTEGER))
        return -1;
    double multiple = field->shape.type == MSG_INTEGER ? 1 : field->shape.multiple_of;
    int scale = 0;
    for (; scale < 15 && fabs(multiple - round(multiple)) > 1e-9; scale++)
        multiple *= 10;
    return multiple > 0 ? scale : -1;
}

bool sum_is_amount(const struct msg_resource *resource, const struct msg_sum *sum)
{
    const struct msg_field *field = field_of(resource, sum->column);
    return field && field->money && !sum->of && strpbrk(sum->sql, "*/");
}

/* `is_check`: what has been computed may be from before the company had another currency. */
static void write_amount(const struct msg_sum *sum, bool is_check, struct buf *out)
{
    if (is_check)
        buf_printf(
            out,
            "CASE WHEN t.\"%s\" = round((%s)::numeric, 0) THEN t.\"%s\" ELSE round((%s)::numeric, 2) END",
            sum->column, sum->sql, sum->column, sum->sql);
    else
        buf_printf(out, "money_round(:company, (%s)::numeric)", sum->sql);
}

static void write_rounded(const struct msg_resource *resource, const struct msg_sum *sum, struct buf *out)
{
    int scale = scale_of(field_of(resource, sum->column));
    if (scale >= 0)
        buf_printf(out, "round((%s)::numeric, %d)", sum->sql, scale);
    else
        buf_printf(out, sum->of ? "(%s)::numeric" : "(%s)", sum->sql);
}

/* What one row `child` adds to the sum. */
static void write_item(const struct msg_resource *resource, const struct msg_sum *sum, struct buf *out)
{
    if (sum->when)
        buf_printf(out, "CASE WHEN %s THEN ", sum->when);
    buf_append_text(out, "coalesce(");
    write_rounded(resource, sum, out);
    buf_append_text(out, sum->when ? ", 0) ELSE 0 END" : ", 0)");
}

/* ---- the columns that follow from others ---- */

/* Names of columns, each once. */
struct columns {
    const char *names[COLUMNS_MAX];
    size_t count;
};

static bool has_column(const struct columns *columns, const char *name, size_t len)
{
    for (size_t i = 0; i < columns->count; i++)
        if (strlen(columns->names[i]) == len && memcmp(columns->names[i], name, len) == 0)
            return true;
    return false;
}

static void add_column(struct columns *columns, const char *name)
{
    if (has_column(columns, name, strlen(name)))
        return;
    assert(columns->count < COLUMNS_MAX);
    columns->names[columns->count++] = name;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Finds the next `new.<column>` of the text, which schemac has checked; NULL: there is none. */
static const char *next_of_new(const char *sql, size_t *ret_len)
{
    char before = ' ';
    for (const char *at = sql; *at; before = *at++) {
        if (*at == '\'')
            at = strchr(at + 1, '\'');
        else if (!is_word(before) && strncmp(at, "new.", 4) == 0) {
            at += at[4] == '"' ? 5 : 4;
            for (*ret_len = 0; is_word(at[*ret_len]);)
                ++*ret_len;
            return at;
        }
    }
    return NULL;
}

/* The name as the resource has it. */
static const char *named(const struct msg_resource *resource, const char *name, size_t len)
{
    const struct slice text = {name, len};
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++)
        if (slice_is(text, sum->column))
            return sum->column;
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (slice_is(text, resource->object->fields[i].column))
            return resource->object->fields[i].column;
    return NULL;
}

/* The columns that are there before the first one follows. */
static void find_base(const struct msg_resource *resource, struct columns *base)
{
    struct columns known = {.count = 0};
    size_t len = 0;
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++)
        if (sum->of) {
            add_column(base, sum->column);
            add_column(&known, sum->column);
        }
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++) {
        if (sum->of)
            continue;
        for (const char *at = next_of_new(sum->sql, &len); at; at = next_of_new(at + len, &len)) {
            const char *name = named(resource, at, len);
            assert(name);
            if (!has_column(&known, name, len))
                add_column(base, name);
        }
        add_column(&known, sum->column);
    }
}

bool sum_has_own(const struct msg_resource *resource)
{
    struct columns base = {.count = 0};
    find_base(resource, &base);
    for (size_t i = 0; i < base.count; i++) {
        const struct msg_sum *sum = sum_of_column(resource, base.names[i]);
        if (!sum || !sum->of)
            return true;
    }
    return false;
}

struct values {
    const struct msg_resource *resource;
    sum_write_base *write;
    void *ctx;
    bool is_check;
    struct columns base;
};

static void write_base_values(const struct values *v, struct buf *out)
{
    for (size_t i = 0; i < v->base.count; i++) {
        const struct msg_sum *sum = sum_of_column(v->resource, v->base.names[i]);
        buf_append_text(out, i > 0 ? "," LINE : "(SELECT ");
        v->write(v->ctx, sum && sum->of ? sum : NULL, v->base.names[i], out);
        buf_append_text(out, " AS ");
        write_quoted(v->base.names[i], out);
    }
    buf_append_text(out, ")");
}

/* Each column that follows is one level further out, so that the next one sees it. */
static void write_level(const struct values *v, size_t count, struct columns *ret_columns, struct buf *out)
{
    const struct msg_sum *sums = sums_of(v->resource);
    while (count > 0 && sums[count - 1].of)
        count--;
    if (count == 0) {
        *ret_columns = v->base;
        write_base_values(v, out);
        return;
    }
    CLEANUP(buf_done) struct buf inner;
    const struct msg_sum *last = &sums[count - 1];
    buf_init(&inner, TEXT_MAX);
    write_level(v, count - 1, ret_columns, &inner);
    buf_append_text(out, "(SELECT ");
    for (size_t i = 0; i < ret_columns->count; i++)
        if (strcmp(ret_columns->names[i], last->column) != 0)
            buf_printf(out, "new.\"%s\", ", ret_columns->names[i]);
    if (sum_is_amount(v->resource, last))
        write_amount(last, v->is_check, out);
    else
        write_rounded(v->resource, last, out);
    buf_append_text(out, " AS ");
    write_quoted(last->column, out);
    buf_append_text(out, " FROM ");
    buf_append_slice(out, buf_slice(&inner));
    buf_append_text(out, " AS new)");
    add_column(ret_columns, last->column);
}

static void write_values(const struct msg_resource *resource, sum_write_base *write, void *ctx, bool is_check,
                         struct buf *out)
{
    struct values v = {.resource = resource, .write = write, .ctx = ctx, .is_check = is_check};
    struct columns columns;
    size_t count = 0;
    find_base(resource, &v.base);
    while (sums_of(resource)[count].column)
        count++;
    write_level(&v, count, &columns, out);
}

void sum_sql_values(const struct msg_resource *resource, sum_write_base *write, void *ctx, struct buf *out)
{
    write_values(resource, write, ctx, false, out);
}

/* ---- what is added ---- */

void sum_sql_differences(const struct msg_resource *resource, const struct msg_resource *child,
                         const char *before, const char *after, struct buf *out)
{
    const char *const sources[] = {before, after};
    const char *separator = "", *by = first_over(resource, child)->by;
    buf_append_text(out, "(SELECT k.company_id, k.id");
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++)
        if (sum_is_over(sum, child))
            buf_printf(out, "," LINE "sum(k.\"%s\") AS \"%s\"", sum->column, sum->column);
    buf_append_text(out, LINE "FROM (");
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        if (!sources[i])
            continue;
        buf_printf(out, "%sSELECT child.company_id, child.\"%s\" AS id", separator, by);
        for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++) {
            if (!sum_is_over(sum, child))
                continue;
            buf_append_text(out, i == 0 ? "," LINE "-(" : "," LINE "(");
            write_item(resource, sum, out);
            buf_printf(out, ") AS \"%s\"", sum->column);
        }
        buf_printf(out, LINE "FROM %s", sources[i]);
        separator = LINE "UNION ALL ";
    }
    buf_append_text(out, ") AS k WHERE k.id IS NOT NULL GROUP BY 1, 2" LINE "HAVING ");
    separator = "";
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++)
        if (sum_is_over(sum, child)) {
            buf_printf(out, "%ssum(k.\"%s\") <> 0", separator, sum->column);
            separator = LINE "OR ";
        }
    buf_append_text(out, ")");
}

struct follow {
    const struct msg_resource *resource, *child;
    bool is_trigger;
};

/* A sum that is not counted yet (see the migration) is NULL, and stays so; what follows from it stays as it is. */
static void write_followed(void *ctx, const struct msg_sum *sum, const char *column, struct buf *out)
{
    const struct follow *f = ctx;
    resource_sql_column("t", column, out);
    if (sum && sum_is_over(sum, f->child))
        buf_printf(out, " + d.\"%s\"", column);
}

/* true when a client sees the column. */
static bool is_seen(const struct follow *f, const struct msg_sum *sum)
{
    return field_of(f->resource, sum->column) != NULL;
}

static void write_followed_value(const struct follow *f, const struct msg_sum *sum, struct buf *out)
{
    const char *separator = "CASE WHEN ";
    for (const struct msg_sum *other = sums_of(f->resource); !sum->of && other->column; other++)
        if (other->of && !is_seen(f, other)) {
            buf_printf(out, "%sf.\"%s\"", separator, other->column);
            separator = " + ";
        }
    if (*separator == ' ')
        buf_printf(out, " IS NULL THEN t.\"%s\" ELSE f.\"%s\" END", sum->column, sum->column);
    else
        buf_printf(out, "f.\"%s\"", sum->column);
}

static void write_change(const struct follow *f, struct buf *out)
{
    const char *separator = "CASE WHEN ";
    for (const struct msg_sum *sum = sums_of(f->resource); sum->column; sum++)
        if (is_seen(f, sum)) {
            buf_append_text(out, separator);
            write_followed_value(f, sum, out);
            buf_printf(out, " IS DISTINCT FROM t.\"%s\"", sum->column);
            separator = " OR ";
        }
    buf_append_text(out, *separator == 'C' ? "CASE WHEN false" : "");
}

/* Appends UPDATE … SET (columns) = (SELECT values) FROM. */
static void write_update(const struct follow *f, struct buf *out)
{
    buf_printf(out, "UPDATE \"%s\" AS t SET (", f->resource->table);
    for (const struct msg_sum *sum = sums_of(f->resource); sum->column; sum++)
        buf_printf(out, "%s\"%s\"", sum == sums_of(f->resource) ? "" : ", ", sum->column);
    buf_append_text(out, f->is_trigger ? ")" LINE "= (SELECT " : ", version, updated_at)" LINE "= (SELECT ");
    for (const struct msg_sum *sum = sums_of(f->resource); sum->column; sum++) {
        buf_append_text(out, sum == sums_of(f->resource) ? "" : ", ");
        write_followed_value(f, sum, out);
    }
    if (!f->is_trigger) {
        buf_append_text(out, ", t.version + ");
        write_change(f, out);
        buf_append_text(out, " THEN 1 ELSE 0 END, ");
        write_change(f, out);
        buf_append_text(out, " THEN :at ELSE t.updated_at END");
    }
    buf_append_text(out, " FROM ");
    sum_sql_values(f->resource, write_followed, (void *)(uintptr_t)f, out);
    buf_append_text(out, " AS f)" LINE "FROM ");
}

void sum_sql_follow(const struct msg_resource *resource, const struct msg_resource *child,
                    const char *differences, const char *id, struct buf *out)
{
    const struct follow f = {resource, child, .is_trigger = false};
    write_update(&f, out);
    buf_printf(out, "%s AS d WHERE t.company_id = :company AND t.id = %s AND d.id = t.id", differences, id);
}

/* The rows that a statement has written, by what it does. */
static const struct {
    const char *verb, *before, *after, *referencing;
} writes[] = {
    {"INSERT", NULL, "new_rows AS child", "NEW TABLE AS new_rows"},
    {"UPDATE", "old_rows AS child", "new_rows AS child", "OLD TABLE AS old_rows NEW TABLE AS new_rows"},
    {"DELETE", "old_rows AS child", NULL, "OLD TABLE AS old_rows"},
};

/* Copies the text for a statement without parameters, about the rows `t`. */
static void copy_with_now(struct buf *text, struct buf *out)
{
    buf_append_char(text, '\0');
    char before = ' ';
    for (const char *at = buf_data(text); *at; before = *at++) {
        if (before != ':' && strncmp(at, ":at", 3) == 0 && !is_word(at[3])) {
            buf_append_text(out, "now()");
            at += 2;
        } else if (before != ':' && strncmp(at, ":company", 8) == 0 && !is_word(at[8])) {
            buf_append_text(out, "t.company_id");
            at += 7;
        } else {
            buf_append_char(out, *at);
        }
    }
    out->truncated = out->truncated || text->truncated;
}

void sum_sql_trigger(const struct msg_resource *const *resources, const struct msg_resource *child,
                     struct buf *out)
{
    const char *table = child->table;
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, TEXT_MAX);
    buf_printf(
        out,
        "CREATE OR REPLACE FUNCTION %s_sums() RETURNS trigger\n"
        "    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$\n"
        "#variable_conflict use_column\n"
        "BEGIN\n",
        table);
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        buf_printf(out, "    %s TG_OP = '%s' THEN\n", i == 0 ? "IF" : "ELSIF", writes[i].verb);
        for (const struct msg_resource *const *at = resources; *at; at++) {
            const struct follow f = {*at, child, .is_trigger = true};
            if (!sum_keeps(*at, child))
                continue;
            buf_clear(&text);
            write_update(&f, &text);
            sum_sql_differences(*at, child, writes[i].before, writes[i].after, &text);
            buf_append_text(out, "        ");
            copy_with_now(&text, out);
            buf_append_text(out, " AS d" LINE "WHERE t.company_id = d.company_id AND t.id = d.id;\n");
        }
    }
    buf_printf(out,
               "    END IF;\n"
               "    RETURN NULL;\n"
               "END\n"
               "$sums$;\n"
               "REVOKE ALL ON FUNCTION %s_sums() FROM PUBLIC;\n",
               table);
    for (size_t i = 0; i < ARRAY_LEN(writes); i++)
        buf_printf(out,
                   "CREATE OR REPLACE TRIGGER sums_of_%s AFTER %s ON %s REFERENCING %s\n"
                   "    FOR EACH STATEMENT WHEN (" OTHERS_WRITE ") EXECUTE FUNCTION %s_sums();\n",
                   (const char *[]){"insert", "update", "delete"}[i], writes[i].verb, table,
                   writes[i].referencing, table);
}

/* ---- from scratch ---- */

static void write_counted(void *ctx, const struct msg_sum *sum, const char *column, struct buf *out)
{
    (void)ctx;
    if (sum)
        buf_printf(out, "coalesce(\"of_%s\".\"%s\", 0)", sum->of, column);
    else
        resource_sql_column("t", column, out);
}

static void write_joined(const struct msg_resource *resource, const struct msg_resource *child,
                         const char *which, struct buf *out)
{
    const char *by = first_over(resource, child)->by;
    buf_printf(out, LINE "LEFT JOIN (SELECT child.company_id, child.\"%s\" AS id", by);
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++) {
        if (!sum_is_over(sum, child))
            continue;
        buf_append_text(out, "," LINE "sum(");
        write_item(resource, sum, out);
        buf_printf(out, ") AS \"%s\"", sum->column);
    }
    buf_printf(out,
               LINE "FROM \"%s\" AS child%s GROUP BY 1, 2) AS \"of_%s\""
                    " ON \"of_%s\".company_id = t.company_id AND \"of_%s\".id = t.id",
               child->table, which, child->name, child->name, child->name);
}

static bool is_hidden(const struct msg_resource *resource, const struct msg_sum *sum)
{
    return !field_of(resource, sum->column);
}

/* The columns that are no fields, or (`counted`) their values. */
static void write_hidden(const struct msg_resource *resource, bool counted, struct buf *out)
{
    const char *separator = "";
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++)
        if (is_hidden(resource, sum)) {
            buf_append_text(out, separator);
            if (counted)
                buf_printf(out, "coalesce(\"of_%s\".\"%s\", 0)", sum->of, sum->column);
            else
                buf_printf(out, "\"%s\"", sum->column);
            separator = "," LINE;
        }
}

void sum_sql_columns(const struct msg_resource *resource, struct buf *out)
{
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++)
        if (is_hidden(resource, sum))
            buf_printf(out, "ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s numeric;\n", resource->table,
                       sum->column);
}

void sum_sql_count(const struct msg_resource *const *resources, const struct msg_resource *resource,
                   struct buf *out)
{
    const struct msg_sum *first = sums_of(resource);
    const char *table = resource->table;
    while (first->column && !is_hidden(resource, first))
        first++;
    if (!first->column)
        return;
    for (const struct msg_sum *sum = first; sum->column; sum++)
        if (is_hidden(resource, sum))
            buf_printf(out, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT 0;\n", table, sum->column);
    buf_printf(out,
               "DO $count$\n"
               "DECLARE\n"
               "    company uuid;\n"
               "BEGIN\n"
               "    FOR company IN SELECT DISTINCT company_id FROM %s WHERE %s IS NULL LOOP\n"
               "        PERFORM FROM company_sequence WHERE company_id = company FOR UPDATE;\n"
               "        PERFORM FROM %s WHERE company_id = company AND %s IS NULL FOR NO KEY UPDATE;\n"
               "        UPDATE %s AS r SET (",
               table, first->column, table, first->column, table);
    write_hidden(resource, false, out);
    buf_append_text(out, ")" LINE "= ROW(");
    write_hidden(resource, true, out);
    buf_printf(out, ")" LINE "FROM %s AS t", table);
    for (const struct msg_resource *const *at = resources; *at; at++)
        if (sum_keeps(resource, *at))
            write_joined(resource, *at, " WHERE child.company_id = company", out);
    buf_printf(out,
               "\n        WHERE t.company_id = company AND r.company_id = company AND r.id = t.id AND r.%s "
               "IS NULL;\n"
               "        COMMIT;\n"
               "    END LOOP;\n"
               "END\n"
               "$count$;\n",
               first->column);
}

void sum_sql_check(const struct msg_resource *const *resources, const struct msg_resource *resource,
                   struct buf *out)
{
    buf_printf(out, "SELECT t.company_id, t.id, w.name, w.value::text, w.expected::text FROM \"%s\" AS t",
               resource->table);
    for (const struct msg_resource *const *at = resources; *at; at++)
        if (sum_keeps(resource, *at))
            write_joined(resource, *at, "", out);
    CLEANUP(buf_done) struct buf values;
    buf_init(&values, TEXT_MAX);
    write_values(resource, write_counted, NULL, true, &values);
    buf_append_text(out, " CROSS JOIN LATERAL ");
    copy_with_now(&values, out);
    buf_append_text(out, " AS f CROSS JOIN LATERAL (");
    for (const struct msg_sum *sum = sums_of(resource); sum->column; sum++) {
        buf_printf(out,
                   "%sSELECT '%s'::text, t.\"%s\"::text, f.\"%s\"::text"
                   " WHERE t.\"%s\" IS DISTINCT FROM f.\"%s\"",
                   sum == sums_of(resource) ? "" : " UNION ALL ", sum->column, sum->column, sum->column,
                   sum->column, sum->column);
    }
    buf_append_text(out, ") AS w (name, value, expected)");
}
