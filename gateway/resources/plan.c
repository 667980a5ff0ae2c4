#include "gateway/resources/plan.h"

#include <assert.h>
#include <stdio.h>

#include "common/msg/resource_sql.h"
#include "gateway/resources/list_sql.h"

enum { SQL_MAX = 64 * 1024, FIRST_LISTS = 32 };

struct plans {
    size_t others; /* shapes that are not usual, and have names */
    size_t count;
    struct plan plans[];
};

/* Makes a statement and its texts in one allocation, and frees `sql`. name NULL: it has none. */
static struct db_statement *statement_of(const char *name, struct buf *sql)
{
    size_t name_size = name ? strlen(name) + 1 : 0, sql_len = buf_len(sql);
    struct db_statement *statement = xmalloc(sizeof(*statement) + name_size + sql_len + 1);
    char *texts = (char *)(statement + 1);
    if (name)
        memcpy(texts, name, name_size);
    memcpy(texts + name_size, buf_data(sql), sql_len);
    texts[name_size + sql_len] = '\0';
    *statement = (struct db_statement){.name = name ? texts : NULL, .sql = texts + name_size};
    buf_done(sql);
    return statement;
}

enum { NAME_SIZE = 256 };

/* number 0: none. */
static const char *name_of(char name[NAME_SIZE], const char *resource, const char *what, size_t number)
{
    int len = snprintf(name, NAME_SIZE, number > 0 ? "read.%s.%s.%zu" : "read.%s.%s", resource, what, number);
    assert(len > 0 && len < NAME_SIZE); /* a resource is named by a word */
    (void)len;
    return name;
}

static struct db_statement *entity_statement(const struct msg_resource *resource)
{
    struct buf sql;
    char name[NAME_SIZE];
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, "SELECT ");
    resource_sql_json(resource, "t", &sql);
    buf_append_text(&sql, ", t.version");
    list_sql_from(&sql, resource->table);
    buf_append_text(&sql, " AND t.id = $2");
    if (resource->parent) {
        buf_append_text(&sql, " AND ");
        list_sql_parent_column(&sql, resource);
        buf_append_text(&sql, " = $3");
    }
    return statement_of(name_of(name, resource->name, "entity", 0), &sql);
}

static struct db_statement *parent_statement(const struct msg_resource *resource)
{
    if (!resource->parent)
        return NULL;
    struct buf sql;
    char name[NAME_SIZE];
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, "SELECT 1");
    list_sql_from(&sql, msg_resource_by_name(slice_of(resource->parent))->table);
    buf_append_text(&sql, " AND t.id = $2");
    return statement_of(name_of(name, resource->name, "parent", 0), &sql);
}

/* ---- lists, by shape ---- */

static size_t slot_of(const struct plan_shape *shape, size_t capacity)
{
    uint64_t words[sizeof(*shape) / sizeof(uint64_t)], hash = 0;
    memcpy(words, shape, sizeof(*shape));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        hash = (hash ^ words[i] ^ hash >> 29) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(hash >> 32) & (capacity - 1);
}

static struct plan_list **find(struct plan_list **lists, size_t capacity, const struct plan_shape *shape)
{
    size_t at = slot_of(shape, capacity);
    while (lists[at] && memcmp(&lists[at]->shape, shape, sizeof(*shape)) != 0)
        at = (at + 1) & (capacity - 1);
    return &lists[at];
}

static void grow(struct plan *plan)
{
    size_t capacity = plan->list_capacity ? 2 * plan->list_capacity : FIRST_LISTS;
    struct plan_list **lists = xcalloc(capacity, sizeof(struct plan_list *));
    for (size_t i = 0; i < plan->list_capacity; i++)
        if (plan->lists[i])
            *find(lists, capacity, &plan->lists[i]->shape) = plan->lists[i];
    free(plan->lists);
    plan->lists = lists;
    plan->list_capacity = capacity;
}

static bool is_usual(const struct plan *plan, const struct plan_shape *shape)
{
    unsigned filters = 0;
    for (int i = 0; i < (int)plan->filter_count; i++) {
        if (shape->filters[i] & ~(unsigned)PLAN_ONE)
            return false;
        filters += shape->filters[i] && i != plan->archived;
    }
    return filters <= 1 && shape->fields == 0 && shape->includes == 0 && shape->sort == 0 &&
           !shape->descending;
}

/* NULL: the shape gets no named statements any more. */
static struct plan_list *list_of(struct plan *plan, const struct plan_shape *shape)
{
    if (2 * (plan->list_count + 1) > plan->list_capacity)
        grow(plan);
    struct plan_list **slot = find(plan->lists, plan->list_capacity, shape);
    if (*slot)
        return *slot;
    bool usual = is_usual(plan, shape);
    if (!usual && plan->plans->others == PLAN_OTHERS_MAX)
        return NULL;
    plan->plans->others += !usual;
    *slot = xcalloc(1, sizeof(**slot));
    (*slot)->shape = *shape;
    (*slot)->number = ++plan->list_count;
    return *slot;
}

typedef void write_sql(struct buf *sql, const struct plan *plan, const struct plan_shape *shape);

/* number 0: without a name. */
static struct db_statement *make(const struct plan *plan, const struct plan_shape *shape, write_sql *write,
                                 const char *what, size_t number)
{
    struct buf sql;
    char name[NAME_SIZE];
    buf_init(&sql, SQL_MAX);
    write(&sql, plan, shape);
    return statement_of(number ? name_of(name, plan->resource->name, what, number) : NULL, &sql);
}

static const struct db_statement *make_nameless(struct plan *plan, const struct plan_shape *shape,
                                                write_sql *write)
{
    free(plan->nameless);
    plan->nameless = make(plan, shape, write, NULL, 0);
    return plan->nameless;
}

const struct db_statement *plan_step(struct plan *plan, const struct plan_shape *shape)
{
    struct plan_list *list = list_of(plan, shape);
    if (!list)
        return make_nameless(plan, shape, list_sql_step);
    if (!list->step)
        list->step = make(plan, shape, list_sql_step, "list", list->number);
    return list->step;
}

const struct db_statement *plan_search(struct plan *plan, const struct plan_shape *shape)
{
    struct plan_list *list = list_of(plan, shape);
    if (!list)
        return make_nameless(plan, shape, list_sql_search);
    if (!list->search)
        list->search = make(plan, shape, list_sql_search, "search", list->number);
    return list->search;
}

/* What does not change how many entries there are is left out of the shape. A range of the sort's column is read along its
 * index. */
static struct plan_shape counted(const struct plan *plan, const struct plan_shape *shape)
{
    struct plan_shape counted = *shape;
    counted.fields = 0;
    counted.includes = 0;
    counted.descending = false;
    counted.place = PLAN_BEGIN;
    if (plan_has_nulls(plan, shape))
        counted.sort = 0;
    return counted;
}

const struct db_statement *plan_count(struct plan *plan, const struct plan_shape *asked)
{
    const struct plan_shape shape = counted(plan, asked);
    struct plan_list *list = list_of(plan, &shape);
    if (!list)
        return make_nameless(plan, &shape, list_sql_count);
    if (!list->count)
        list->count = make(plan, &shape, list_sql_count, "count", list->number);
    return list->count;
}

const struct db_statement *plan_count_found(struct plan *plan, const struct plan_shape *asked)
{
    const struct plan_shape shape = counted(plan, asked);
    struct plan_list *list = list_of(plan, &shape);
    if (!list)
        return make_nameless(plan, &shape, list_sql_count_found);
    if (!list->count_found)
        list->count_found = make(plan, &shape, list_sql_count_found, "count_found", list->number);
    return list->count_found;
}

/* ---- the plans ---- */

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

static void find_sorts(struct plan *plan)
{
    const struct msg_object *object = plan->resource->object;
    plan->sort_count = 1;
    for (size_t i = 0; i < object->field_count; i++) {
        const struct msg_field *field = &object->fields[i];
        if (strcmp(field->name, "created_at") == 0)
            plan->sorts[0] = field;
        else if (field->sort)
            plan->sorts[plan->sort_count++] = field;
    }
}

static const struct msg_resource *resource_of_table(const char *table)
{
    for (const struct msg_resource *const *resource = msg_resources; table && *resource; resource++)
        if (strcmp((*resource)->table, table) == 0)
            return *resource;
    return NULL;
}

/* A user is no resource, so there is nothing to include. */
static void add_include(struct plan *plan, const struct msg_field *field, const struct msg_resource *resource)
{
    struct slice name = slice_of(field->name);
    bool is_id = name.len > 3 && strcmp(field->name + name.len - 3, "_id") == 0;
    if (resource && is_id && plan->include_count < PLAN_INCLUDES_MAX)
        plan->includes[plan->include_count++] =
            (struct plan_include){{name.data, name.len - 3}, resource, field};
}

static void find_includes(struct plan *plan)
{
    const struct msg_object *object = plan->resource->object;
    struct slice parent = slice_of(plan->resource->parent);
    for (size_t i = 0; i < object->field_count; i++) {
        const struct msg_field *field = &object->fields[i];
        bool is_parent = parent.data && strncmp(field->name, parent.data, parent.len) == 0 &&
                         strcmp(field->name + parent.len, "_id") == 0;
        add_include(plan, field,
                    is_parent ? msg_resource_by_name(parent) : resource_of_table(field->reference));
        plan->has_transitions |= field->transitions != NULL;
    }
}

static void plan_init(struct plan *plan, struct plans *plans, const struct msg_resource *resource)
{
    *plan = (struct plan){
        .resource = resource,
        .entity = entity_statement(resource),
        .parent = parent_statement(resource),
        .plans = plans,
    };
    find_filters(plan);
    find_sorts(plan);
    find_includes(plan);
}

static void plan_done(struct plan *plan)
{
    free(plan->entity);
    free(plan->parent);
    for (size_t i = 0; i < plan->list_capacity; i++)
        if (plan->lists[i]) {
            free(plan->lists[i]->step);
            free(plan->lists[i]->search);
            free(plan->lists[i]->count);
            free(plan->lists[i]->count_found);
            free(plan->lists[i]);
        }
    free(plan->lists);
    free(plan->nameless);
}

struct plans *plans_new(void)
{
    size_t count = 0;
    while (msg_resources[count])
        count++;
    struct plans *plans = xcalloc(1, sizeof(*plans) + count * sizeof(plans->plans[0]));
    for (; plans->count < count; plans->count++)
        plan_init(&plans->plans[plans->count], plans, msg_resources[plans->count]);
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
