/* Exports: the commands, and the steps of the long job that writes the file.
 *
 * A step goes on from the cursor over a number of rows in the order of (created_at, id), and stores the lines
 * of those that are wanted as one piece. Rows that are not wanted count too, so that a filter which lets
 * nothing through does not make the step long. Each row is in the file once, as it was when its step came by.
 * There is no snapshot over all steps: a row that is created while the job runs is in the file when its step
 * has not passed yet.
 */

#include <assert.h>
#include <stdio.h>

#include "common/msg/resource_sql.h"
#include "workers/engine/long_jobs/kind.h"
#include "workers/engine/resource/handlers.h"

#define EXPORTS_OPEN_MAX 10 /* of one company */

enum { SQL_MAX = 32 << 10 };

/* What a kind of export reads, and how it writes it. */
struct export_shape {
    const struct msg_resource *resource;
    bool is_csv;
};

/* Members of the request, each of which selects rows by a column, of resources that have it as a filter. */
static const struct {
    const char *member, *column;
} filters[] = {
    {"filter_status", "status"},         {"filter_priority", "priority"},
    {"filter_manager_id", "manager_id"}, {"filter_assignee_id", "assignee_id"},
    {"filter_archived", "archived"},     {"project_id", "project_id"},
};

static const char *const formats[] = {"csv", "ndjson"};

/* The field by which the member selects; NULL: the resource has none. A project is none of itself. */
static const struct msg_field *filtered(const struct msg_resource *resource, size_t filter)
{
    const struct msg_object *object = resource->object;
    bool is_of_parent = strcmp(filters[filter].column, "project_id") == 0;
    for (size_t i = 0; i < object->field_count; i++)
        if (strcmp(object->fields[i].column, filters[filter].column) == 0)
            return object->fields[i].filter || is_of_parent ? &object->fields[i] : NULL;
    return NULL;
}

static bool has_text(const struct msg_resource *resource)
{
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (resource->object->fields[i].search)
            return true;
    return false;
}

/* ---- the commands ---- */

/* What follows from the resources, whichever there are; written once, and kept as long as the process lives. */
enum {
    NO_RESOURCE,
    NO_FILTER,
    NO_VALUE = NO_FILTER + ARRAY_LEN(filters),
    NO_TEXT = NO_VALUE + ARRAY_LEN(filters),
    MADE_RULES
};

static char *taken(struct buf *sql)
{
    buf_append_char(sql, '\0');
    assert(!sql->truncated);
    char *text = xstrdup(buf_data(sql));
    buf_done(sql);
    return text;
}

/* Writes the names of the exported resources that are right, for IN; '' is none. */
static void append_names(struct buf *sql,
                         bool (*is_right)(const struct msg_resource *resource, size_t filter), size_t filter)
{
    buf_append_text(sql, "(''");
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        if (msg_resource_is_exported(*at) && is_right(*at, filter))
            buf_printf(sql, ", '%s'", (*at)->name);
    buf_append_char(sql, ')');
}

static bool is_any(const struct msg_resource *resource, size_t filter)
{
    (void)resource, (void)filter;
    return true;
}

static bool is_filtered(const struct msg_resource *resource, size_t filter)
{
    return filtered(resource, filter) != NULL;
}

static bool is_searched(const struct msg_resource *resource, size_t filter)
{
    (void)filter;
    return has_text(resource);
}

static char *no_resource(void)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, "new.resource NOT IN ");
    append_names(&sql, is_any, 0);
    return taken(&sql);
}

static char *no_filter(const char *member, bool (*is_right)(const struct msg_resource *, size_t),
                       size_t filter)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_printf(&sql, "new.%s IS NOT NULL AND new.resource NOT IN ", member);
    append_names(&sql, is_right, filter);
    return taken(&sql);
}

/* The value is none of the field's. */
static char *no_value(size_t filter)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, "CASE new.resource");
    for (const struct msg_resource *const *at = msg_resources; *at; at++) {
        const struct msg_field *field = msg_resource_is_exported(*at) ? filtered(*at, filter) : NULL;
        if (!field || !field->shape.allowed)
            continue;
        buf_printf(&sql, " WHEN '%s' THEN new.%s NOT IN (''", (*at)->name, filters[filter].member);
        for (const char *const *value = field->shape.allowed; *value; value++)
            buf_printf(&sql, ", '%s'", *value);
        buf_append_char(&sql, ')');
    }
    buf_append_text(&sql, " ELSE false END");
    return taken(&sql);
}

static bool has_values(size_t filter)
{
    for (const struct msg_resource *const *at = msg_resources; *at; at++) {
        const struct msg_field *field = msg_resource_is_exported(*at) ? filtered(*at, filter) : NULL;
        if (field && field->shape.allowed)
            return true;
    }
    return false;
}

static const struct resource_rule written_rules[] = {
    {ERR_FORBIDDEN, "/resource", "is nothing of which your role reads every entity and every field",
     "new.resource <> ALL (:reads)"},
    {ERR_VALIDATION, "/project_id", "must be a project of the company",
     "new.project_id IS NOT NULL AND NOT EXISTS (SELECT FROM project AS p"
     " WHERE p.company_id = :company AND p.id = new.project_id)"},
    {ERR_VALIDATION, "/bom", "is for csv", "new.format = 'ndjson' AND new.bom"},
    {ERR_CONFLICT, NULL, "The company has " TEXT_OF(EXPORTS_OPEN_MAX) " exports that have not ended.",
     "(SELECT count(*) FROM long_job AS j"
     " WHERE j.company_id = :company AND j.pool = :pool AND j.due_at IS NOT NULL AND j.ended_at IS NULL)"
     " >= " TEXT_OF(EXPORTS_OPEN_MAX)},
    {ERR_CONFLICT, NULL,
     "The exports of the company hold too many bytes, those included that others may still write. Delete "
     "some, or"
     " wait until they have ended or expired.",
     "NOT export_has_room(:company)"},
};

static const struct resource_rule *create_rules(void)
{
    static struct resource_rule rules[MADE_RULES + ARRAY_LEN(written_rules) + 1];
    static char pointers[ARRAY_LEN(filters)][32];
    struct resource_rule *next = rules;
    if (rules[0].broken_when)
        return rules;
    *next++ = (struct resource_rule){ERR_VALIDATION, "/resource", "must be a resource that has a list",
                                     no_resource()};
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        snprintf(pointers[i], sizeof(pointers[i]), "/%s", filters[i].member);
        *next++ = (struct resource_rule){ERR_VALIDATION, pointers[i], "is no filter of this resource",
                                         no_filter(filters[i].member, is_filtered, i)};
        if (has_values(i))
            *next++ = (struct resource_rule){ERR_VALIDATION, pointers[i],
                                             "is none of the values that this resource has", no_value(i)};
    }
    *next++ = (struct resource_rule){ERR_VALIDATION, "/filter_text", "is no filter of this resource",
                                     no_filter("filter_text", is_searched, 0)};
    memcpy(next, written_rules, sizeof(written_rules));
    return rules;
}

static const struct resource_column create_computed[] = {
    {"creator_id", ":actor"},
    {"pool", ":pool"},
    {0},
};

/* An export has not ended before its last event is published. */
static const struct resource_rule delete_rules[] = {
    {ERR_CONFLICT, NULL, "The export has not ended. Cancel it, or wait.",
     "EXISTS (SELECT FROM long_job AS j"
     " WHERE j.company_id = :company AND j.id = :id AND j.due_at IS NOT NULL)"},
    {0},
};

const struct resource_plan export_create = {
    .verb = RESOURCE_CREATE,
    .make_rules = create_rules,
    .computed = create_computed,
    .begins_long_job = true,
};

const struct resource_plan export_delete = {
    .verb = RESOURCE_DELETE,
    .rules = delete_rules,
};

/* ---- lines ---- */

static bool is_free_text(const struct msg_shape *shape)
{
    return shape->type == MSG_STRING && shape->format == MSG_FORMAT_NONE && !shape->allowed;
}

/* An array or an object stands in the file as JSON. */
static void append_csv_value(struct buf *sql, const struct msg_field *field)
{
    bool is_time = field->shape.format == MSG_FORMAT_DATE_TIME;
    bool is_json = field->shape.type == MSG_ARRAY || field->shape.type == MSG_OBJECT;
    bool is_text = is_json || is_free_text(&field->shape);
    buf_append_text(sql, is_text ? "csv_text(" : is_time ? "time_text(" : "(");
    resource_sql_column("t", field->column, sql);
    buf_append_text(sql, is_json ? "::text)" : is_text || is_time ? ")" : ")::text");
}

static void append_csv_line(struct buf *sql, const struct msg_object *object)
{
    const char *separator = "";
    buf_append_text(sql, "concat(");
    for (size_t i = 0; i < object->field_count; i++) {
        if (!msg_is_shown(&object->fields[i]))
            continue;
        buf_append_text(sql, separator);
        append_csv_value(sql, &object->fields[i]);
        separator = ", ',', ";
    }
    buf_append_text(sql, ", E'\\r\\n')");
}

static void append_csv_header(struct buf *sql, const struct msg_object *object)
{
    const char *separator = "";
    buf_append_text(sql, "E'");
    for (size_t i = 0; i < object->field_count; i++) {
        if (!msg_is_shown(&object->fields[i]))
            continue;
        buf_printf(sql, "%s%s", separator, object->fields[i].name);
        separator = ",";
    }
    buf_append_text(sql, "\\r\\n'");
}

static void append_ndjson_line(struct buf *sql, const struct msg_resource *resource)
{
    resource_sql_json(resource, "t", sql);
    buf_append_text(sql, " || E'\\n'");
}

/* ---- which rows ---- */

/* One filter of the export's row x. A filter that is NULL lets everything through. */
static void append_filter(struct buf *sql, const char *filter, const char *column)
{
    buf_printf(sql, " AND (x.%s IS NULL OR t.%s = x.%s)", filter, column, filter);
}

static void append_search(struct buf *sql, const struct msg_object *object)
{
    buf_append_text(
        sql,
        " AND (x.filter_text IS NULL OR position(text_fold(x.filter_text) IN text_fold(concat_ws(E'\\x1f'");
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].search) {
            buf_append_text(sql, ", ");
            resource_sql_column("t", object->fields[i].column, sql);
        }
    buf_append_text(sql, "))) > 0)");
}

static void append_filters(struct buf *sql, const struct msg_resource *resource)
{
    buf_append_text(sql, "true");
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        if (filtered(resource, i))
            append_filter(sql, filters[i].member, filters[i].column);
    if (has_text(resource))
        append_search(sql, resource->object);
}

/* ---- the statements ---- */

/* Writes the piece, the cursor and the progress in one statement. It locks the row of the job only at its
 * end, and only for the holder of the lease. Rows that do not fit into the piece are left for the next step,
 * except for the first one, so that every step gets on. */
static void append_step(struct buf *sql, const struct export_shape *shape)
{
    const struct msg_resource *resource = shape->resource;
    buf_append_text(sql, "WITH j AS MATERIALIZED (SELECT j.after_at, j.after_id, j.pieces FROM long_job AS j"
                         " WHERE j.company_id = $1::uuid AND j.id = $2::uuid"
                         " AND j.lease = $3::bigint AND j.status = 'running'),"
                         " walk AS MATERIALIZED (SELECT t.created_at, t.id, CASE WHEN ");
    append_filters(sql, resource);
    buf_append_text(sql, " THEN ");
    if (shape->is_csv)
        append_csv_line(sql, resource->object);
    else
        append_ndjson_line(sql, resource);
    buf_printf(sql,
               " END AS line FROM j"
               " JOIN export AS x ON x.company_id = $1::uuid AND x.id = $2::uuid"
               " CROSS JOIN LATERAL (SELECT t.* FROM \"%s\" AS t"
               " WHERE t.company_id = $1::uuid AND (t.created_at, t.id) > (j.after_at, j.after_id)"
               " ORDER BY t.created_at, t.id"
               " LIMIT $5::bigint) AS t),",
               resource->table);
    buf_append_text(
        sql, " summed AS (SELECT w.*, row_number() OVER o AS n, sum(octet_length(line)) OVER o AS bytes"
             " FROM walk AS w"
             " WINDOW o AS (ORDER BY created_at, id)),"
             " kept AS MATERIALIZED (SELECT * FROM summed"
             " WHERE n = 1 OR bytes IS NULL OR bytes <= $6::bigint),"
             " lines AS (SELECT ");
    if (shape->is_csv) {
        buf_append_text(sql, "CASE WHEN (SELECT pieces FROM j) = 0 THEN"
                             " (SELECT CASE WHEN x.bom THEN U&'\\FEFF' ELSE '' END FROM export AS x"
                             " WHERE x.company_id = $1::uuid AND x.id = $2::uuid) || ");
        append_csv_header(sql, resource->object);
        buf_append_text(sql, " ELSE '' END || ");
    }
    buf_append_text(sql, "coalesce(string_agg(line, '' ORDER BY n), '') AS content,"
                         " count(*) AS seen, count(line) AS rows,"
                         " (SELECT count(*) FROM walk) AS walked"
                         " FROM kept),"
                         " moved AS (UPDATE long_job AS j SET"
                         " done = j.done + l.seen,"
                         " rows = j.rows + l.rows,"
                         " bytes = j.bytes + octet_length(l.content),"
                         " pieces = j.pieces + (l.content <> '')::integer,"
                         " after_at = coalesce(last.created_at, j.after_at),"
                         " after_id = coalesce(last.id, j.after_id),"
                         " total = greatest(j.total, j.done + l.seen),"
                         " attempts = 0,"
                         " error = NULL,"
                         " due_at = clock_timestamp() + make_interval(secs => $4::double precision)"
                         " FROM lines AS l"
                         " LEFT JOIN LATERAL (SELECT created_at, id FROM kept"
                         " ORDER BY n DESC"
                         " LIMIT 1) AS last ON true"
                         " WHERE j.company_id = $1::uuid AND j.id = $2::uuid"
                         " AND j.lease = $3::bigint AND j.status = 'running'"
                         " RETURNING j.cancel_asked, j.done, j.total, j.pieces, j.bytes, l.content,"
                         " l.walked < $5::bigint AND l.seen = l.walked AS is_through),"
                         " stored AS (INSERT INTO export_piece (company_id, export_id, n, content)"
                         " SELECT $1::uuid, $2::uuid, m.pieces - 1, m.content"
                         " FROM moved AS m"
                         " WHERE m.content <> '')"
                         " SELECT m.cancel_asked, m.done, m.total, m.is_through, m.bytes > $7::bigint"
                         " FROM moved AS m");
}

static void append_count(struct buf *sql, const struct export_shape *shape)
{
    buf_printf(sql,
               "SELECT count(*) FROM export AS x CROSS JOIN LATERAL (SELECT FROM \"%s\" AS t"
               " WHERE t.company_id = $1::uuid LIMIT 1000000) AS t"
               " WHERE x.company_id = $1::uuid AND x.id = $2::uuid",
               shape->resource->table);
}

static char *text_of(void (*append)(struct buf *sql, const struct export_shape *shape),
                     const struct export_shape *shape)
{
    CLEANUP(buf_done) struct buf sql;
    buf_init(&sql, SQL_MAX);
    append(&sql, shape);
    buf_append_char(&sql, '\0');
    assert(!sql.truncated);
    return xstrdup(buf_data(&sql));
}

static void add_kind(struct long_job_kind *kind, const struct export_shape *shape, const char *format)
{
    *kind = (struct long_job_kind){
        .resource = "export",
        .outcome = "rows = j.rows, bytes = j.bytes, pieces = j.pieces, expires_at = j.ended_at +"
                   " make_interval(hours => $9::integer)",
        .count_sql = text_of(append_count, shape),
        .step_sql = text_of(append_step, shape),
        .sweep_sql = "SELECT export_sweep($1::integer)",
    };
    snprintf(kind->name, sizeof(kind->name), "export.%s.%s", shape->resource->name, format);
}

size_t export_kinds(struct long_job_kind *kinds)
{
    size_t count = 0;
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        for (size_t i = 0; i < ARRAY_LEN(formats) && msg_resource_is_exported(*at); i++, count++) {
            const struct export_shape shape = {*at, strcmp(formats[i], "csv") == 0};
            if (kinds)
                add_kind(&kinds[count], &shape, formats[i]);
        }
    return count;
}
