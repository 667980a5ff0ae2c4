#include "gateway/resources/list_sql.h"

#include <stdio.h>

#include "common/msg/resource_sql.h"
#include "common/msg/rights_sql.h"

void list_sql_parent_column(struct buf *sql, const struct msg_resource *resource)
{
    char column[128];
    size_t len = strlen(resource->parent);
    memcpy(column, resource->parent, len);
    memcpy(column + len, "_id", 4);
    resource_sql_column("t", column, sql);
}

void list_sql_from(struct buf *sql, const char *table)
{
    buf_printf(sql, " FROM \"%s\" AS t WHERE t.company_id = $1", table);
}

/* ---- rights ---- */

void list_sql_rights(struct buf *sql, const struct msg_resource *resource, unsigned conditions, unsigned user,
                     unsigned project, bool is_of_many)
{
    char user_name[24], project_name[24];
    snprintf(user_name, sizeof(user_name), "$%u::uuid", user);
    snprintf(project_name, sizeof(project_name), "$%u", project);
    const struct rights_names names = {.company = "$1",
                                       .user = user_name,
                                       .row = "t",
                                       .project = project ? project_name : NULL,
                                       .is_of_many = is_of_many};
    if (!conditions)
        return;
    if (conditions & ((1U << MSG_CONDITIONS) - 1)) {
        buf_append_text(sql, " AND ");
        rights_sql(resource, conditions, &names, sql);
    } else {
        buf_printf(sql, " AND %s IS NULL", user_name); /* never */
    }
}

/* The reader's conditions are about the project that the list's path names, and not about each row: they let the whole
 * list through, or nothing. */
static bool is_let_through_whole(const struct plan *plan)
{
    return plan->resource->channel == MSG_CHANNEL_PARENT &&
           !(plan->conditions & ~(unsigned)(MSG_MAY_MEMBER | MSG_MAY_MANAGER));
}

/* ---- the walk ---- */

/* Along which index a step walks, and which filter says where the walk begins and ends. */
struct walk {
    int filter; /* walks along its index, and has one value; -1: along that of the sort */
    int bounds; /* the filter on the sort's column; -1: none that an index knows */
};

static const struct walk no_walk = {.filter = -1, .bounds = -1};

/* The filter along whose index a step walks: an id before anything else, since the fewest rows have one. -1: none. */
static int walked_filter(const struct plan *plan, const struct plan_shape *shape)
{
    int walked = -1;
    for (size_t i = 0; i < plan->filter_count; i++) {
        const struct msg_field *field = plan->filters[i];
        if (shape->filters[i] != PLAN_ONE || !field->indexed)
            continue;
        if (field->shape.format == MSG_FORMAT_UUID)
            return (int)i;
        if (walked < 0)
            walked = (int)i;
    }
    return walked;
}

/* The filter on the column of the sort. -1: there is none. */
static int sorted_filter(const struct plan *plan, const struct plan_shape *shape)
{
    for (size_t i = 0; i < plan->filter_count; i++)
        if (shape->filters[i] && plan->filters[i] == plan->sorts[shape->sort])
            return (int)i;
    return -1;
}

static bool is_bound(uint8_t demand)
{
    return demand == PLAN_ONE || (demand & (PLAN_LOW | PLAN_HIGH)) != 0;
}

static struct walk walk_of(const struct plan *plan, const struct plan_shape *shape)
{
    int sorted = sorted_filter(plan, shape);
    bool is_amount =
        plan->sorts[shape->sort]->shape.type == MSG_NUMBER; /* its index has cents, no filter has */
    if (sorted >= 0 && is_bound(shape->filters[sorted]) && !is_amount)
        return (struct walk){.filter = -1, .bounds = sorted};
    return (struct walk){.filter = shape->sort == 0 ? walked_filter(plan, shape) : -1, .bounds = -1};
}

/* What the walk does not see to. */
static uint8_t compared(const struct walk *walk, const struct plan_shape *shape, int filter)
{
    uint8_t demand = shape->filters[filter];
    if (filter == walk->filter || (filter == walk->bounds && demand == PLAN_ONE))
        return 0;
    return filter == walk->bounds ? demand & PLAN_SET : demand;
}

bool plan_compares(const struct plan *plan, const struct plan_shape *shape)
{
    const struct walk walk = walk_of(plan, shape);
    bool compares = shape->text || (plan->conditions && !is_let_through_whole(plan));
    for (int i = 0; i < (int)plan->filter_count; i++)
        compares |= compared(&walk, shape, i) != 0;
    return compares;
}

bool plan_has_values(const struct plan *plan, const struct plan_shape *shape)
{
    int sorted = sorted_filter(plan, shape);
    return sorted < 0 || (shape->filters[sorted] & PLAN_SET) != PLAN_NULL;
}

bool plan_has_nulls(const struct plan *plan, const struct plan_shape *shape)
{
    int sorted = sorted_filter(plan, shape);
    uint8_t demand = sorted < 0 ? 0 : shape->filters[sorted];
    if (!plan->sorts[shape->sort]->shape.nullable || demand & (PLAN_LOW | PLAN_HIGH))
        return false;
    return !(demand & PLAN_SET) || ((demand & PLAN_NULL) != 0) != ((demand & PLAN_NOT) != 0);
}

/* ---- parameters ---- */

/* The numbers of the parameters that a shape has; 0: it has not. */
struct numbers {
    unsigned parent, user, values[PLAN_FILTERS_MAX], low[PLAN_FILTERS_MAX], high[PLAN_FILTERS_MAX], text,
        after_value, after_id, look_at, in_turn;
};

static struct numbers numbers_of(const struct plan *plan, const struct plan_shape *shape)
{
    struct numbers n = {0};
    unsigned last = 2;
    if (plan->resource->parent)
        n.parent = ++last;
    if (plan_shape_asks_user(plan, shape))
        n.user = ++last;
    for (size_t i = 0; i < plan->filter_count; i++) {
        uint8_t demand = shape->filters[i];
        n.values[i] = demand & (PLAN_ONE | PLAN_SEVERAL) ? ++last : 0;
        n.low[i] = demand & PLAN_LOW ? ++last : 0;
        n.high[i] = demand & PLAN_HIGH ? ++last : 0;
    }
    if (shape->text)
        n.text = ++last;
    if (shape->place == PLAN_AFTER)
        n.after_value = ++last;
    if (shape->place == PLAN_AFTER || shape->place == PLAN_AFTER_NULL)
        n.after_id = ++last;
    n.look_at = ++last;
    n.in_turn = ++last;
    return n;
}

/* One list that is being written. */
struct writer {
    struct buf *sql;
    const struct plan *plan;
    const struct plan_shape *shape;
    struct numbers n;
    struct walk walk;
    const struct msg_field *sort;
    const char *forward; /* ">" or "<" */
    const char *order;   /* "" or " DESC" */
};

static struct writer writer_of(struct buf *sql, const struct plan *plan, const struct plan_shape *shape)
{
    return (struct writer){.sql = sql,
                           .plan = plan,
                           .shape = shape,
                           .n = numbers_of(plan, shape),
                           .walk = walk_of(plan, shape),
                           .sort = plan->sorts[shape->sort],
                           .forward = shape->descending ? "<" : ">",
                           .order = shape->descending ? " DESC" : ""};
}

static void append_column(const struct writer *w, const struct msg_field *field)
{
    resource_sql_column("t", field->column, w->sql);
}

static void append_sort(const struct writer *w)
{
    resource_sql_sort("t", w->sort, w->sql);
}

/* " AND <column> <operator> $<number>" */
static void append_comparison(const struct writer *w, const struct msg_field *field, const char *operator,
                              unsigned number)
{
    buf_append_text(w->sql, " AND ");
    append_column(w, field);
    buf_printf(w->sql, " %s $%u", operator, number);
}

static void append_parent(const struct writer *w)
{
    if (!w->n.parent)
        return;
    buf_append_text(w->sql, " AND ");
    list_sql_parent_column(w->sql, w->plan->resource);
    buf_printf(w->sql, " = $%u", w->n.parent);
}

/* ---- what is compared ---- */

static void append_low(const struct writer *w, int filter)
{
    if (w->n.low[filter])
        append_comparison(w, w->plan->filters[filter], w->shape->filters[filter] & PLAN_FROM ? ">=" : ">",
                          w->n.low[filter]);
}

static void append_high(const struct writer *w, int filter)
{
    if (w->n.high[filter])
        append_comparison(w, w->plan->filters[filter], w->shape->filters[filter] & PLAN_TO ? "<=" : "<",
                          w->n.high[filter]);
}

/* Null is among the others, unless it is named: "not a" finds null, "not a or null" does not. */
static void append_set(const struct writer *w, int filter, uint8_t demand)
{
    const struct msg_field *field = w->plan->filters[filter];
    bool is_not = demand & PLAN_NOT, names_null = demand & PLAN_NULL;
    bool lets_null = field->shape.nullable && is_not != names_null;
    const char *negation = is_not ? " NOT" : "";
    if (!(demand & (PLAN_ONE | PLAN_SEVERAL))) {
        buf_append_text(w->sql, " AND ");
        append_column(w, field);
        buf_printf(w->sql, " IS%s NULL", negation);
        return;
    }
    buf_append_text(w->sql, lets_null ? " AND (" : " AND ");
    append_column(w, field);
    if (demand & PLAN_ONE)
        buf_printf(w->sql, " %s $%u", is_not ? "<>" : "=", w->n.values[filter]);
    else
        buf_printf(w->sql, is_not ? " <> ALL ($%u)" : " = ANY ($%u)", w->n.values[filter]);
    if (lets_null) {
        buf_append_text(w->sql, " OR ");
        append_column(w, field);
        buf_append_text(w->sql, " IS NULL)");
    }
}

/* One text_fold (0030_text_fold.sql) over all fields costs a row less than an ILIKE on each, and finds whatever case and
 * encoding. The unit separator keeps a pattern from matching across two fields. */
static void append_text(const struct writer *w)
{
    const struct msg_object *object = w->plan->resource->object;
    if (!w->n.text)
        return;
    buf_append_text(w->sql, " AND text_fold(concat_ws(E'\\x1f'");
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].search && !(object->fields[i].classes & w->plan->hidden)) {
            buf_append_text(w->sql, ", ");
            append_column(w, &object->fields[i]);
        }
    /* The sub-select is computed once, not for each row. */
    buf_printf(w->sql, ")) LIKE (SELECT text_fold($%u::text))", w->n.text);
}

/* Conditions on the whole list are asked once, before anything is walked. */
static void append_right_to_list(const struct writer *w)
{
    if (is_let_through_whole(w->plan))
        list_sql_rights(w->sql, w->plan->resource, w->plan->conditions, w->n.user, w->n.parent, false);
}

/* What the walk does not know of a row, the reader's right to it included. */
static void append_conditions(const struct writer *w, const struct walk *walk)
{
    if (!is_let_through_whole(w->plan))
        list_sql_rights(w->sql, w->plan->resource, w->plan->conditions, w->n.user, 0, true);
    for (int i = 0; i < (int)w->plan->filter_count; i++) {
        uint8_t demand = compared(walk, w->shape, i);
        if (demand & PLAN_SET)
            append_set(w, i, demand);
        if (demand & (PLAN_LOW | PLAN_HIGH)) {
            append_low(w, i);
            append_high(w, i);
        }
    }
}

/* ---- rows ---- */

/* The value by which the next page finds its beginning. */
static void append_position(const struct writer *w)
{
    buf_append_text(w->sql, ", ");
    if (w->shape->sort == 0) {
        buf_append_text(w->sql, "(extract(epoch FROM t.created_at) * 1000000)::bigint, t.id");
        return;
    }
    append_sort(w);
    buf_append_text(w->sql, "::text, t.id");
}

static void append_entries(const struct writer *w)
{
    buf_append_text(w->sql, "SELECT ");
    list_sql_json(w->sql, w->plan, w->shape);
    append_position(w);
}

/* ---- a step ---- */

/* A step that waits for its turn: a walk may take a processor for as long as somebody asks for its pages. The walks of one
 * company wait for each other, whichever process they come from: every process has a connection for them. */
static void append_turn(const struct writer *w)
{
    buf_printf(w->sql,
               " AND (SELECT CASE WHEN $%u::boolean"
               " THEN walk_begin($1::text)"
               " ELSE true END)",
               w->n.in_turn);
}

/* The rows of one value. The value is given as a range, and is part of the order: so no other index has this order, and
 * the plan does not depend on what the statistics say of the value. */
static void append_walk_of_value(const struct writer *w)
{
    const struct msg_field *field = w->plan->filters[w->walk.filter];
    unsigned value = w->n.values[w->walk.filter];
    bool descending = w->shape->descending;
    append_comparison(w, field, descending ? ">=" : "<=", value);
    if (w->n.after_id) {
        buf_append_text(w->sql, " AND (");
        append_column(w, field);
        buf_printf(w->sql, ", t.created_at, t.id) %s ($%u, $%u, $%u)", w->forward, value, w->n.after_value,
                   w->n.after_id);
    } else {
        append_comparison(w, field, descending ? "<=" : ">=", value);
    }
    buf_append_text(w->sql, " ORDER BY ");
    append_column(w, field);
    buf_printf(w->sql, "%s, t.created_at%s, t.id%s", w->order, w->order, w->order);
}

/* One of the two bounds of a walk along the sort's index: that of low values or of high ones. */
static void append_bound(const struct writer *w, bool is_low)
{
    int filter = w->walk.bounds;
    if (filter < 0)
        return;
    if (w->shape->filters[filter] == PLAN_ONE)
        append_comparison(w, w->sort, is_low ? ">=" : "<=", w->n.values[filter]);
    else if (is_low)
        append_low(w, filter);
    else
        append_high(w, filter);
}

/* An index has one place to begin at, and that is behind an entry. So the bound before that entry is given in a form that
 * no index knows. */
static void append_bound_before(const struct writer *w, bool is_low)
{
    int filter = w->walk.bounds;
    bool is_bounded =
        filter >= 0 && (w->shape->filters[filter] == PLAN_ONE || (is_low ? w->n.low : w->n.high)[filter]);
    if (!is_bounded)
        return;
    buf_append_text(w->sql, " AND (true");
    append_bound(w, is_low);
    buf_append_text(w->sql, ") IS TRUE");
}

static void append_walk_of_sort(const struct writer *w)
{
    bool descending = w->shape->descending;
    if (w->shape->place == PLAN_NULLS || w->shape->place == PLAN_AFTER_NULL) {
        buf_append_text(w->sql, " AND ");
        append_sort(w);
        buf_append_text(w->sql, " IS NULL");
        if (w->n.after_id)
            buf_printf(w->sql, " AND t.id %s $%u", w->forward, w->n.after_id);
    } else if (w->n.after_id) {
        buf_append_text(w->sql, " AND (");
        append_sort(w);
        buf_printf(w->sql, ", t.id) %s ($%u, $%u)", w->forward, w->n.after_value, w->n.after_id);
        append_bound(w, descending);
        append_bound_before(w, !descending);
    } else {
        append_bound(w, descending);
        append_bound(w, !descending);
        if (w->sort->shape.nullable && w->walk.bounds < 0) {
            buf_append_text(w->sql, " AND ");
            append_sort(w);
            buf_append_text(w->sql, " IS NOT NULL");
        }
    }
    buf_append_text(w->sql, " ORDER BY ");
    append_sort(w);
    buf_printf(w->sql, "%s, t.id%s", w->order, w->order);
}

/* The rows along an index, in its order. */
static void append_walk(const struct writer *w)
{
    list_sql_from(w->sql, w->plan->resource->table);
    append_parent(w);
    append_right_to_list(w);
    if (w->walk.filter >= 0)
        append_walk_of_value(w);
    else
        append_walk_of_sort(w);
}

/* The last row that a step looks at, where there is one. It is looked for when fewer rows were found than wanted, in the
 * index alone. */
static void append_last(const struct writer *w)
{
    buf_append_text(w->sql, ") UNION ALL (SELECT NULL");
    append_position(w);
    append_walk(w);
    buf_printf(w->sql, " OFFSET $%u::bigint - 1 LIMIT 1) LIMIT $2", w->n.look_at);
}

/* The inner LIMIT bounds what is looked at, the outer one what is returned: rows come one by one, so a walk ends
 * as soon as enough are found. */
void list_sql_step(struct buf *sql, const struct plan *plan, const struct plan_shape *shape)
{
    const struct writer w = writer_of(sql, plan, shape);
    if (!plan_compares(plan, shape)) {
        append_entries(&w);
        append_walk(&w);
        buf_append_text(sql, " LIMIT $2");
        return;
    }
    buf_append_char(sql, '(');
    append_entries(&w);
    buf_append_text(sql, " FROM (SELECT t.*");
    append_walk(&w);
    buf_printf(sql, " LIMIT $%u) AS t WHERE true", w.n.look_at);
    append_turn(&w);
    append_conditions(&w, &w.walk);
    append_text(&w);
    buf_append_text(sql, " LIMIT $2");
    append_last(&w);
}

/* ---- text search ---- */

static void append_after(const struct writer *w)
{
    bool nullable = w->sort->shape.nullable;
    if (w->shape->place == PLAN_AFTER) {
        buf_append_text(w->sql, nullable ? " AND ((" : " AND (");
        append_sort(w);
        buf_printf(w->sql, ", t.id) %s ($%u, $%u)", w->forward, w->n.after_value, w->n.after_id);
        if (nullable) {
            buf_append_text(w->sql, " OR ");
            append_sort(w);
            buf_append_text(w->sql, " IS NULL)");
        }
    } else if (w->shape->place == PLAN_AFTER_NULL) {
        buf_append_text(w->sql, " AND ");
        append_sort(w);
        buf_printf(w->sql, " IS NULL AND t.id %s $%u", w->forward, w->n.after_id);
    }
}

/* The function (schemas/sql/0025_text_blocks.sql) returns all ids that match; NULL: too many of them, or the text is too
 * short for the index. OFFSET 0 keeps the planner from beginning with the table. */
void list_sql_search(struct buf *sql, const struct plan *plan, const struct plan_shape *shape)
{
    const struct writer w = writer_of(sql, plan, shape);
    const char *table = plan->resource->table;
    buf_printf(sql, "WITH found AS MATERIALIZED (SELECT \"%s_search\"($%u::text) AS ids) (", table, w.n.text);
    append_entries(&w);
    buf_append_text(sql, " FROM found CROSS JOIN LATERAL unnest(found.ids) AS hit (id)"
                         " CROSS JOIN LATERAL (SELECT t.*");
    list_sql_from(sql, table);
    buf_append_text(sql, " AND t.id = hit.id OFFSET 0) AS t WHERE true");
    append_parent(&w);
    append_right_to_list(&w);
    append_conditions(&w, &no_walk);
    append_after(&w);
    buf_append_text(sql, " ORDER BY ");
    append_sort(&w);
    buf_printf(sql, "%s NULLS LAST, t.id%s", w.order, w.order);
    buf_append_text(sql, " LIMIT $2) UNION ALL (SELECT NULL, NULL, NULL FROM found WHERE ids IS NULL)");
}

/* ---- how many ---- */

void list_sql_count(struct buf *sql, const struct plan *plan, const struct plan_shape *shape)
{
    struct writer w = writer_of(sql, plan, shape);
    w.n.in_turn = w.n.look_at; /* that is $2 */
    buf_append_text(sql, "SELECT count(*) FILTER (WHERE true");
    append_conditions(&w, &w.walk);
    append_text(&w);
    buf_append_text(sql, "), count(*) FROM (SELECT t.*");
    append_walk(&w);
    buf_append_text(sql, " LIMIT $2::bigint) AS t WHERE true");
    append_turn(&w);
}

void list_sql_count_found(struct buf *sql, const struct plan *plan, const struct plan_shape *shape)
{
    const struct writer w = writer_of(sql, plan, shape);
    const char *table = plan->resource->table;
    buf_printf(sql,
               "WITH found AS MATERIALIZED (SELECT \"%s_search\"($%u::text) AS ids) SELECT CASE WHEN"
               " (SELECT ids IS NULL FROM found) THEN NULL ELSE (SELECT count(*) FROM (SELECT FROM found"
               " CROSS JOIN LATERAL unnest(found.ids) AS hit (id) CROSS JOIN LATERAL (SELECT t.*",
               table, w.n.text);
    list_sql_from(sql, table);
    buf_append_text(sql, " AND t.id = hit.id OFFSET 0) AS t WHERE true");
    append_parent(&w);
    append_right_to_list(&w);
    append_conditions(&w, &no_walk);
    buf_append_text(sql, " LIMIT $2) AS counted) END");
}
