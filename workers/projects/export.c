/* Exports: the commands, and the steps of the long job that writes the file.
 *
 * A step goes on from the cursor over a number of rows in the order of (created_at, id), and stores the lines
 * of those that are wanted as one piece. Rows that are not wanted count too, so that a filter which lets
 * nothing through does not make the step long. Each row is in the file once, as it was when its step came by.
 * There is no snapshot over all steps: a row that is created while the job runs is in the file when its step
 * has not passed yet.
 */

#include <assert.h>

#include "common/msg/resource_sql.h"
#include "workers/engine/long_jobs/kind.h"
#include "workers/engine/resource/handlers.h"

#define EXPORTS_OPEN_MAX 10 /* of one company */

enum { SQL_MAX = 32 << 10 };

/* A member of the request that selects rows by a column. */
struct export_filter {
    const char *member, *column;
};

/* What a kind of export reads, and how it writes it. */
struct export_shape {
    const char *kind;
    const char *resource;
    bool is_csv;
    const struct export_filter *filters; /* end with an empty one */
};

/* ---- the commands ---- */

#define MUST_BE_A_STATUS_OF_PROJECTS                                                          \
    "new.resource = 'project' AND new.filter_status NOT IN ('planning', 'active', 'on-hold'," \
    " 'completed', 'cancelled')"
#define MUST_BE_A_STATUS_OF_TASKS                                                          \
    "new.resource = 'task' AND new.filter_status NOT IN ('todo', 'in-progress', 'review'," \
    " 'completed', 'blocked')"

static const struct resource_rule create_rules[] = {
    {ERR_VALIDATION, "/filter_status", "is not a status of projects", MUST_BE_A_STATUS_OF_PROJECTS},
    {ERR_VALIDATION, "/filter_status", "is not a status of tasks", MUST_BE_A_STATUS_OF_TASKS},
    {ERR_VALIDATION, "/filter_priority", "must be low, medium, high or critical",
     "new.filter_priority NOT IN ('low', 'medium', 'high', 'critical')"},
    {ERR_VALIDATION, "/project_id", "is for tasks",
     "new.resource = 'project' AND new.project_id IS NOT NULL"},
    {ERR_VALIDATION, "/filter_assignee_id", "is for tasks",
     "new.resource = 'project' AND new.filter_assignee_id IS NOT NULL"},
    {ERR_VALIDATION, "/filter_manager_id", "is for projects",
     "new.resource = 'task' AND new.filter_manager_id IS NOT NULL"},
    {ERR_VALIDATION, "/filter_archived", "is for projects",
     "new.resource = 'task' AND new.filter_archived IS NOT NULL"},
    {ERR_VALIDATION, "/project_id", "must be a project of the company",
     "new.project_id IS NOT NULL AND NOT EXISTS (SELECT FROM project AS p"
     " WHERE p.company_id = :company AND p.id = new.project_id)"},
    {ERR_VALIDATION, "/bom", "is for csv", "new.format = 'ndjson' AND new.bom"},
    {ERR_CONFLICT, NULL, "The company has " TEXT_OF(EXPORTS_OPEN_MAX) " exports that have not ended.",
     "(SELECT count(*) FROM long_job AS j"
     " WHERE j.company_id = :company AND j.pool = 'projects' AND j.due_at IS NOT NULL AND j.ended_at IS NULL)"
     " >= " TEXT_OF(EXPORTS_OPEN_MAX)},
    {ERR_CONFLICT, NULL,
     "The exports of the company hold too many bytes, those included that others may still write. Delete "
     "some, or"
     " wait until they have ended or expired.",
     "NOT export_has_room(:company)"},
    {0},
};

static const struct resource_column create_computed[] = {
    {"creator_id", ":actor"},
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
    .rules = create_rules,
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

static void append_csv_value(struct buf *sql, const struct msg_field *field)
{
    bool is_time = field->shape.format == MSG_FORMAT_DATE_TIME;
    bool is_text = is_free_text(&field->shape);
    buf_append_text(sql, is_text ? "csv_text(" : is_time ? "time_text(" : "(");
    resource_sql_column("t", field->column, sql);
    buf_append_text(sql, is_text || is_time ? ")" : ")::text");
}

static void append_csv_line(struct buf *sql, const struct msg_object *object)
{
    buf_append_text(sql, "concat(");
    for (size_t i = 0; i < object->field_count; i++) {
        if (i > 0)
            buf_append_text(sql, ", ',', ");
        append_csv_value(sql, &object->fields[i]);
    }
    buf_append_text(sql, ", E'\\r\\n')");
}

static void append_csv_header(struct buf *sql, const struct msg_object *object)
{
    buf_append_text(sql, "E'");
    for (size_t i = 0; i < object->field_count; i++)
        buf_printf(sql, "%s%s", i > 0 ? "," : "", object->fields[i].name);
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

static void append_filters(struct buf *sql, const struct export_shape *shape, const struct msg_object *object)
{
    buf_append_text(sql, "true");
    for (size_t i = 0; shape->filters[i].member; i++)
        append_filter(sql, shape->filters[i].member, shape->filters[i].column);
    append_search(sql, object);
}

/* ---- the statements ---- */

/* Writes the piece, the cursor and the progress in one statement. It locks the row of the job only at its
 * end, and only for the holder of the lease. Rows that do not fit into the piece are left for the next step,
 * except for the first one, so that every step gets on. */
static void append_step(struct buf *sql, const struct export_shape *shape)
{
    const struct msg_resource *resource = msg_resource_by_name(slice_of(shape->resource));
    assert(resource);
    buf_append_text(sql, "WITH j AS MATERIALIZED (SELECT j.after_at, j.after_id, j.pieces FROM long_job AS j"
                         " WHERE j.company_id = $1::uuid AND j.id = $2::uuid"
                         " AND j.lease = $3::bigint AND j.status = 'running'),"
                         " walk AS MATERIALIZED (SELECT t.created_at, t.id, CASE WHEN ");
    append_filters(sql, shape, resource->object);
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
    const struct msg_resource *resource = msg_resource_by_name(slice_of(shape->resource));
    buf_printf(sql,
               "SELECT count(*) FROM export AS x CROSS JOIN LATERAL (SELECT FROM \"%s\" AS t"
               " WHERE t.company_id = $1::uuid LIMIT 1000000) AS t"
               " WHERE x.company_id = $1::uuid AND x.id = $2::uuid",
               resource->table);
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

static const struct export_filter of_projects[] = {
    {"filter_status", "status"},
    {"filter_priority", "priority"},
    {"filter_manager_id", "manager_id"},
    {"filter_archived", "archived"},
    {0},
};

static const struct export_filter of_tasks[] = {
    {"filter_status", "status"},
    {"filter_priority", "priority"},
    {"filter_assignee_id", "assignee_id"},
    {"project_id", "project_id"},
    {0},
};

static const struct export_shape shapes[] = {
    {"export.project.csv", "project", true, of_projects},
    {"export.project.ndjson", "project", false, of_projects},
    {"export.task.csv", "task", true, of_tasks},
    {"export.task.ndjson", "task", false, of_tasks},
};

size_t export_kinds(struct long_job_kind *kinds)
{
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        kinds[i] = (struct long_job_kind){
            .name = shapes[i].kind,
            .resource = "export",
            .outcome = "rows = j.rows, bytes = j.bytes, pieces = j.pieces, expires_at = j.ended_at +"
                       " make_interval(hours => $9::integer)",
            .count_sql = text_of(append_count, &shapes[i]),
            .step_sql = text_of(append_step, &shapes[i]),
        };
    return ARRAY_LEN(shapes);
}
