/* Writes what follows from a change (x-sum, common/msg/sum_sql.h). A change of a row changes sums of other rows by a
 * difference, in the same statement; what changes there can change others in turn. Two rows change when the row moves
 * from one to the other. All of it is seen by the trigger of the tables, too, which leaves it alone: the statement
 * says that it adds to sums itself. */

#include <assert.h>
#include <stdio.h>

#include "common/msg/resource_sql.h"
#include "common/msg/sum_sql.h"
#include "workers/engine/resource/resource_text.h"

enum { NAME_SIZE = 24, SOURCE_SIZE = 512 };

bool resource_has_follow(const struct msg_resource *resource)
{
    return sum_is_fed(msg_resources, resource);
}

void resource_write_own_sums(struct sql_writer *w)
{
    if (w->statement->has_follow)
        buf_append_text(&w->text, "set_config('cortex.sums', 'own', true) AS _own, ");
}

/* ---- other entities ---- */

/* The entity whose channel hears of a change of the resource. */
static void write_channel(struct sql_writer *w, const struct msg_resource *resource)
{
    switch (resource->channel) {
    case MSG_CHANNEL_OWN:
        buf_append_text(&w->text, "t.id");
        break;
    case MSG_CHANNEL_PARENT:
        buf_printf(&w->text, "t.\"%s_id\"", resource->parent);
        break;
    case MSG_CHANNEL_COLUMN:
        sql_write_column(w, "t", resource->channel_column);
        break;
    case MSG_CHANNEL_NONE:
        buf_append_text(&w->text, "NULL::uuid");
    }
}

static void write_returning(struct sql_writer *w, const struct msg_resource *resource)
{
    buf_append_text(&w->text, " RETURNING t.*, ");
    buf_append_text(&w->text, "CASE WHEN t.version <> (SELECT was.version FROM ");
    sql_write_quoted(w, resource->table);
    sql_write(w, " AS was WHERE was.company_id = :company AND was.id = t.id) THEN ");
    resource_sql_json(resource, "t", &w->text);
    buf_append_text(&w->text, " END AS json, ");
    write_channel(w, resource);
    buf_append_text(&w->text, " AS _channel)");
}

/* The rows of a resource that have changed. A row is looked up by its key alone, whatever the planner thinks of the
 * tables when it makes the plan (connect.c): so each row has a statement of its own. */
struct change {
    const struct msg_resource *resource;
    const char *source; /* of the rows as they are */
    size_t rows;        /* at most */
    bool had_row, has_row;
};

static void write_text(struct sql_writer *w, struct buf *text)
{
    buf_append_char(text, '\0');
    assert(!text->truncated);
    sql_write(w, buf_data(text));
    buf_clear(text);
}

/* What a sub-select reads from a table are the rows as they were. */
static void write_differences(struct sql_writer *w, const struct change *change,
                              const struct msg_resource *resource, const char *name, struct buf *text)
{
    char before[SOURCE_SIZE], after[SOURCE_SIZE];
    snprintf(before, sizeof(before),
             "%s AS m CROSS JOIN LATERAL (SELECT c.* FROM \"%s\" AS c"
             " WHERE c.company_id = :company AND c.id = m.id OFFSET 0) AS child",
             change->source, change->resource->table);
    snprintf(after, sizeof(after), "%s AS child", change->source);
    sum_sql_differences(resource, change->resource, change->had_row ? before : NULL,
                        change->has_row ? after : NULL, text);
    buf_printf(&w->text, ", %s AS ", name);
    write_text(w, text);
}

static void write_row(struct sql_writer *w, const struct change *change, const struct msg_resource *resource,
                      const char *differences, size_t n, struct buf *text)
{
    char id[SOURCE_SIZE];
    snprintf(id, sizeof(id), "(SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %zu)", differences, n);
    sum_sql_follow(resource, change->resource, differences, id, text);
    assert(w->follower_count < ARRAY_LEN(w->followers));
    w->followers[w->follower_count++] = resource;
    buf_printf(&w->text, ", sum_%zu AS (", w->follower_count);
    write_text(w, text);
    write_returning(w, resource);
}

/* Writes the changes that follow, then those that follow from these. */
static void write_changes(struct sql_writer *w, const struct change *change)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, RESOURCE_STATEMENT_MAX);
    for (const struct msg_resource *const *at = msg_resources; *at; at++) {
        if (!sum_keeps(*at, change->resource))
            continue;
        char differences[NAME_SIZE], source[SOURCE_SIZE] = "";
        bool moves = change->had_row && change->has_row && sum_may_move(*at, change->resource);
        struct change next = {*at, source, change->rows * (moves ? 2 : 1), .had_row = true, .has_row = true};
        snprintf(differences, sizeof(differences), "differences_%zu", w->follower_count + 1);
        write_differences(w, change, *at, differences, &text);
        for (size_t n = 0; n < next.rows; n++) {
            write_row(w, change, *at, differences, n, &text);
            size_t len = strlen(source);
            snprintf(source + len, sizeof(source) - len, "%sSELECT * FROM sum_%zu",
                     n == 0 ? "(" : " UNION ALL ", w->follower_count);
        }
        snprintf(source + strlen(source), sizeof(source) - strlen(source), ")");
        write_changes(w, &next);
    }
}

void resource_write_follow(struct sql_writer *w)
{
    const struct change change = {w->resource, "made", 1, .had_row = w->plan->verb != RESOURCE_CREATE,
                                  .has_row = w->plan->verb != RESOURCE_DELETE};
    write_changes(w, &change);
}

void resource_write_followers(struct sql_writer *w)
{
    for (size_t i = 0; i < w->follower_count; i++)
        buf_printf(&w->text,
                   "%sSELECT id, version, json, '%s.updated' AS event, _channel FROM sum_%zu"
                   " WHERE json IS NOT NULL",
                   i == 0 ? "(" : " UNION ALL ", w->followers[i]->name, i + 1);
    buf_append_char(&w->text, ')');
}

/* ---- the entity itself ---- */

bool resource_is_following(const struct msg_resource *resource, const char *column)
{
    const struct msg_sum *sum = sum_of_column(resource, column);
    return sum && !sum->of && sum_has_own(resource);
}

static const struct msg_field *field_of(const struct msg_resource *resource, const char *column)
{
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (strcmp(resource->object->fields[i].column, column) == 0)
            return &resource->object->fields[i];
    return NULL;
}

/* A sum over others begins at zero, and what no client gives with the schema's default. */
static void write_beginning(void *ctx, const struct msg_sum *sum, const char *column, struct buf *out)
{
    const struct sql_writer *w = ctx;
    const struct msg_field *field = field_of(w->resource, column);
    if (sum)
        buf_append_text(out, "0::numeric");
    else if (field && resource_is_given(w, field))
        resource_sql_column("new", column, out);
    else if (field && field->fallback)
        buf_printf(out, "'%s'::%s", field->fallback, sql_type_of(field));
    else
        buf_printf(out, "NULL::%s", field ? sql_type_of(field) : "numeric");
}

static void write_present(void *ctx, const struct msg_sum *sum, const char *column, struct buf *out)
{
    const struct sql_writer *w = ctx;
    const struct msg_field *field = field_of(w->resource, column);
    bool is_given = !sum && field && resource_is_given(w, field);
    resource_sql_column(is_given ? "new" : "t", column, out);
}

static void write_values(struct sql_writer *w, sum_write_base *write)
{
    CLEANUP(buf_done) struct buf values;
    buf_init(&values, RESOURCE_STATEMENT_MAX);
    sum_sql_values(w->resource, write, w, &values);
    buf_append_char(&values, '\0');
    assert(!values.truncated);
    sql_write(w, buf_data(&values));
}

/* Calls `write` for each column of the entity that follows. */
static void each_following(struct sql_writer *w, void (*write)(struct sql_writer *w, const char *column))
{
    for (const struct msg_sum *sum = w->resource->sums; sum && sum->column; sum++)
        if (resource_is_following(w->resource, sum->column))
            write(w, sum->column);
}

static void write_name(struct sql_writer *w, const char *column)
{
    buf_printf(&w->text, ", \"%s\"", column);
}

static void write_first_value(struct sql_writer *w, const char *column)
{
    buf_printf(&w->text, ", (SELECT f.\"%s\" FROM ", column);
    write_values(w, write_beginning);
    buf_append_text(&w->text, " AS f)");
}

static void write_value(struct sql_writer *w, const char *column)
{
    buf_printf(&w->text, ", \"%s\" = (SELECT f.\"%s\" FROM ", column, column);
    write_values(w, write_present);
    buf_append_text(&w->text, " AS f)");
}

void resource_write_following_names(struct sql_writer *w)
{
    each_following(w, write_name);
}

void resource_write_following_values(struct sql_writer *w)
{
    each_following(w, write_first_value);
}

void resource_write_following(struct sql_writer *w)
{
    each_following(w, write_value);
}
