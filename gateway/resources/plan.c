#include "gateway/resources/plan.h"

#include <assert.h>
#include <stdio.h>

#include "common/msg/resource_sql.h"

enum { SQL_MAX = 64 * 1024 };

struct plans {
    size_t count;
    struct plan plans[];
};

/* Makes a statement and its texts in one allocation, and frees `sql`. */
static struct db_statement *statement_of(const char *resource, const char *what, unsigned shape,
                                         struct buf *sql)
{
    char name[256];
    int len = snprintf(name, sizeof(name), shape > 0 ? "read.%s.%s.%x" : "read.%s.%s", resource, what, shape);
    assert(len > 0 && (size_t)len < sizeof(name)); /* a resource is named by a word */
    size_t name_size = (size_t)len + 1, sql_len = buf_len(sql);
    struct db_statement *statement = xmalloc(sizeof(*statement) + name_size + sql_len + 1);
    char *texts = (char *)(statement + 1);
    memcpy(texts, name, name_size);
    memcpy(texts + name_size, buf_data(sql), sql_len);
    texts[name_size + sql_len] = '\0';
    *statement = (struct db_statement){.name = texts, .sql = texts + name_size};
    buf_done(sql);
    return statement;
}

static void append_parent_column(struct buf *sql, const struct msg_resource *resource)
{
    char column[128];
    size_t len = strlen(resource->parent);
    memcpy(column, resource->parent, len);
    memcpy(column + len, "_id", 4);
    resource_sql_column("t", column, sql);
}

static void append_from(struct buf *sql, const char *table)
{
    buf_printf(sql, " FROM \"%s\" AS t WHERE t.company_id = $1", table);
}

static struct db_statement *entity_statement(const struct msg_resource *resource)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, "SELECT ");
    resource_sql_json(resource, "t", &sql);
    buf_append_text(&sql, ", t.version");
    append_from(&sql, resource->table);
    buf_append_text(&sql, " AND t.id = $2");
    if (resource->parent) {
        buf_append_text(&sql, " AND ");
        append_parent_column(&sql, resource);
        buf_append_text(&sql, " = $3");
    }
    return statement_of(resource->name, "entity", 0, &sql);
}

static struct db_statement *parent_statement(const struct msg_resource *resource)
{
    if (!resource->parent)
        return NULL;
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, "SELECT 1");
    append_from(&sql, msg_resource_by_name(slice_of(resource->parent))->table);
    buf_append_text(&sql, " AND t.id = $2");
    return statement_of(resource->name, "parent", 0, &sql);
}

/* One text_fold (0030_text_fold.sql) over all fields costs a row less than an ILIKE on each, and finds whatever case and
 * encoding. The unit separator keeps a pattern from matching across two fields. */
static void append_search(struct buf *sql, const struct msg_resource *resource, unsigned parameter)
{
    buf_append_text(sql, " AND text_fold(concat_ws(E'\\x1f'");
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (resource->object->fields[i].search) {
            buf_append_text(sql, ", ");
            resource_sql_column("t", resource->object->fields[i].column, sql);
        }
    /* The sub-select is computed once, not for each row. */
    buf_printf(sql, ")) LIKE (SELECT text_fold($%u::text))", parameter);
}

/* The filter along whose index a step walks: an id before anything else, since the fewest rows have one. -1: none. */
static int walked_filter(const struct plan *plan, unsigned shape)
{
    int walked = -1;
    for (size_t i = 0; i < plan->filter_count; i++) {
        const struct msg_field *field = plan->filters[i];
        if (!(shape & 1U << i) || !field->indexed)
            continue;
        if (field->shape.format == MSG_FORMAT_UUID)
            return (int)i;
        if (walked < 0)
            walked = (int)i;
    }
    return walked;
}

bool plan_compares(const struct plan *plan, unsigned shape)
{
    int walked = walked_filter(plan, shape);
    unsigned compared = shape & ~(unsigned)PLAN_AFTER;
    return walked < 0 ? compared != 0 : (compared & ~(1U << walked)) != 0;
}

/* The numbers of the parameters that a shape has; 0: it has not. */
struct numbers {
    unsigned parent, filters[PLAN_FILTERS_MAX], text, after, look_at, in_turn;
};

static struct numbers numbers_of(const struct plan *plan, unsigned shape)
{
    struct numbers n = {0};
    unsigned last = 2;
    if (plan->resource->parent)
        n.parent = ++last;
    for (size_t i = 0; i < plan->filter_count; i++)
        if (shape & 1U << i)
            n.filters[i] = ++last;
    if (shape & PLAN_TEXT)
        n.text = ++last;
    if (shape & PLAN_AFTER) {
        n.after = ++last;
        last++;
    }
    n.look_at = ++last;
    n.in_turn = ++last;
    return n;
}

static void append_entries(struct buf *sql, const struct msg_resource *resource)
{
    buf_append_text(sql, "SELECT ");
    resource_sql_json(resource, "t", sql);
    buf_append_text(sql, ", (extract(epoch FROM t.created_at) * 1000000)::bigint, t.id");
}

static void append_parent(struct buf *sql, const struct plan *plan, const struct numbers *n)
{
    if (!n->parent)
        return;
    buf_append_text(sql, " AND ");
    append_parent_column(sql, plan->resource);
    buf_printf(sql, " = $%u", n->parent);
}

/* Every filter but `walked`. */
static void append_filters(struct buf *sql, const struct plan *plan, const struct numbers *n, int walked)
{
    for (int i = 0; i < (int)plan->filter_count; i++)
        if (n->filters[i] && i != walked) {
            buf_append_text(sql, " AND ");
            resource_sql_column("t", plan->filters[i]->column, sql);
            buf_printf(sql, " = $%u", n->filters[i]);
        }
}

static void append_after(struct buf *sql, const struct numbers *n)
{
    if (n->after)
        buf_printf(sql, " AND (t.created_at, t.id) > ($%u, $%u)", n->after, n->after + 1);
}

static void append_order(struct buf *sql)
{
    buf_append_text(sql, " ORDER BY t.created_at, t.id");
}

/* ---- a step ---- */

/* A step that waits for its turn: a walk may take a processor for as long as somebody asks for its pages. The walks of one
 * company wait for each other, whichever process they come from: every process has a connection for them. */
static void append_turn(struct buf *sql, const struct numbers *n)
{
    buf_printf(sql,
               " AND (SELECT CASE WHEN $%u::boolean"
               " THEN pg_advisory_xact_lock(hashtext('cortex.walk'), hashtext($1::text)) IS NOT NULL"
               " ELSE true END)",
               n->in_turn);
}

/* The rows along an index, in its order. The value of the filter is given as a range, and is part of the order: so no other
 * index has this order, and the plan does not depend on what the statistics say of the value. */
static void append_walk(struct buf *sql, const struct plan *plan, const struct numbers *n, int walked)
{
    append_from(sql, plan->resource->table);
    append_parent(sql, plan, n);
    if (walked < 0) {
        append_after(sql, n);
        append_order(sql);
        return;
    }
    CLEANUP(buf_done) struct buf column;
    buf_init(&column, 256);
    resource_sql_column("t", plan->filters[walked]->column, &column);
    buf_append_char(&column, '\0');
    const char *name = buf_data(&column);
    unsigned value = n->filters[walked];
    buf_printf(sql, " AND %s <= $%u AND ", name, value);
    if (n->after)
        buf_printf(sql, "(%s, t.created_at, t.id) > ($%u, $%u, $%u)", name, value, n->after, n->after + 1);
    else
        buf_printf(sql, "%s >= $%u", name, value);
    buf_printf(sql, " ORDER BY %s, t.created_at, t.id", name);
}

/* The last row that a step looks at, where there is one. It is looked for when fewer rows were found than wanted, in the
 * index alone. */
static void append_last(struct buf *sql, const struct plan *plan, const struct numbers *n, int walked)
{
    buf_append_text(sql,
                    ") UNION ALL (SELECT NULL, (extract(epoch FROM t.created_at) * 1000000)::bigint, t.id");
    append_walk(sql, plan, n, walked);
    buf_printf(sql, " OFFSET $%u::bigint - 1 LIMIT 1) LIMIT $2", n->look_at);
}

/* The inner LIMIT bounds what is looked at, the outer one what is returned: rows come one by one, so a walk ends
 * as soon as enough are found. */
static struct db_statement *step_statement(const struct plan *plan, unsigned shape)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    const struct numbers n = numbers_of(plan, shape);
    int walked = walked_filter(plan, shape);
    if (!plan_compares(plan, shape)) {
        append_entries(&sql, plan->resource);
        append_walk(&sql, plan, &n, walked);
        buf_append_text(&sql, " LIMIT $2");
        return statement_of(plan->resource->name, "list", shape, &sql);
    }
    buf_append_char(&sql, '(');
    append_entries(&sql, plan->resource);
    buf_append_text(&sql, " FROM (SELECT t.*");
    append_walk(&sql, plan, &n, walked);
    buf_printf(&sql, " LIMIT $%u) AS t WHERE true", n.look_at);
    append_turn(&sql, &n);
    append_filters(&sql, plan, &n, walked);
    if (n.text)
        append_search(&sql, plan->resource, n.text);
    buf_append_text(&sql, " LIMIT $2");
    append_last(&sql, plan, &n, walked);
    return statement_of(plan->resource->name, "list", shape, &sql);
}

/* ---- text search ---- */

/* The function (schemas/sql/0025_text_blocks.sql) returns all ids that match; NULL: too many of them, or the text is too
 * short for the index. OFFSET 0 keeps the planner from beginning with the table. */
static struct db_statement *search_statement(const struct plan *plan, unsigned shape)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    const struct numbers n = numbers_of(plan, shape);
    const char *table = plan->resource->table;
    buf_printf(&sql, "WITH found AS MATERIALIZED (SELECT \"%s_search\"($%u::text) AS ids) (", table, n.text);
    append_entries(&sql, plan->resource);
    buf_append_text(&sql, " FROM found CROSS JOIN LATERAL unnest(found.ids) AS hit (id)"
                          " CROSS JOIN LATERAL (SELECT t.*");
    append_from(&sql, table);
    buf_append_text(&sql, " AND t.id = hit.id OFFSET 0) AS t WHERE true");
    append_parent(&sql, plan, &n);
    append_filters(&sql, plan, &n, -1);
    append_after(&sql, &n);
    append_order(&sql);
    buf_append_text(&sql, " LIMIT $2) UNION ALL (SELECT NULL, NULL, NULL FROM found WHERE ids IS NULL)");
    return statement_of(plan->resource->name, "search", shape, &sql);
}

const struct db_statement *plan_step(struct plan *plan, unsigned shape)
{
    struct plan_list *list = &plan->lists[shape];
    if (!list->step)
        list->step = step_statement(plan, shape);
    return list->step;
}

const struct db_statement *plan_search(struct plan *plan, unsigned shape)
{
    struct plan_list *list = &plan->lists[shape];
    if (!list->search)
        list->search = search_statement(plan, shape);
    return list->search;
}

static void find_filters(struct plan *plan)
{
    const struct msg_object *object = plan->resource->object;
    plan->archived = -1;
    for (size_t i = 0; i < object->field_count; i++) {
        const struct msg_field *field = &object->fields[i];
        plan->has_search |= field->search;
        if (!field->filter)
            continue;
        if (field->shape.type == MSG_BOOLEAN && strcmp(field->name, "archived") == 0)
            plan->archived = (int)plan->filter_count;
        plan->filters[plan->filter_count++] = field;
    }
}

static void plan_init(struct plan *plan, const struct msg_resource *resource)
{
    *plan = (struct plan){
        .resource = resource,
        .entity = entity_statement(resource),
        .parent = parent_statement(resource),
        .lists = xcalloc(PLAN_SHAPES, sizeof(struct plan_list)),
    };
    find_filters(plan);
}

static void plan_done(struct plan *plan)
{
    free(plan->entity);
    free(plan->parent);
    for (size_t shape = 0; shape < PLAN_SHAPES; shape++) {
        free(plan->lists[shape].step);
        free(plan->lists[shape].search);
    }
    free(plan->lists);
}

struct plans *plans_new(void)
{
    size_t count = 0;
    while (msg_resources[count])
        count++;
    struct plans *plans = xcalloc(1, sizeof(*plans) + count * sizeof(plans->plans[0]));
    for (; plans->count < count; plans->count++)
        plan_init(&plans->plans[plans->count], msg_resources[plans->count]);
    return plans;
}

void plans_free(struct plans *plans)
{
    if (!plans)
        return;
    for (size_t i = 0; i < plans->count; i++)
        plan_done(&plans->plans[i]);
    free(plans);
}

struct plan *plans_of(struct plans *plans, const struct msg_resource *resource)
{
    for (size_t i = 0; i < plans->count; i++)
        if (plans->plans[i].resource == resource)
            return &plans->plans[i];
    return NULL;
}
