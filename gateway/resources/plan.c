#include "gateway/resources/plan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/msg/resource_sql.h"
#include "gateway/resources/list_sql.h"

enum { SQL_MAX = 64 * 1024, FIRST_LISTS = 32 };

struct plans {
    size_t others; /* shapes that are not usual, and have names */
    size_t count;
    struct {
        const struct msg_resource *resource;
        struct plan *of_role[MSG_ROLES]; /* NULL: nobody of the role has asked yet; roles may share one */
    } rows[];
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

/* What entries include depends on the rights to others, and to update. So there is another plan, whose statements have
 * names of their own, even where their text is the same. */
static void append_other_rights(char name[NAME_SIZE], size_t len, const struct plan *plan)
{
    uint64_t bits = plan->conditions_of_update;
    for (size_t i = 0; i < plan->include_count; i++)
        bits = bits << (MSG_CONDITIONS + 1) | plan->includes[i].conditions;
    if (bits)
        snprintf(name + len, NAME_SIZE - len, ".%" PRIx64, bits);
}

/* number 0: none. A reader who does not see all has statements of its own. */
static const char *name_of(char name[NAME_SIZE], const struct plan *plan, const char *what, size_t number)
{
    int len = snprintf(name, NAME_SIZE, number > 0 ? "read.%s.%s.%zu" : "read.%s.%s", plan->resource->name,
                       what, number);
    assert(len > 0 && len < NAME_SIZE / 2); /* a resource is named by a word */
    if (plan->conditions || plan->conditions_of_parent || plan->hidden)
        len += snprintf(name + len, NAME_SIZE - (size_t)len, ".as.%x.%x.%x", plan->conditions,
                        plan->conditions_of_parent, plan->hidden);
    append_other_rights(name, (size_t)len, plan);
    return name;
}

static struct db_statement *entity_statement(const struct plan *plan)
{
    const struct msg_resource *resource = plan->resource;
    struct buf sql;
    char name[NAME_SIZE];
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, "SELECT ");
    resource_sql_json_without(resource, "t", plan->hidden, &sql);
    buf_append_text(&sql, ", t.version");
    list_sql_from(&sql, resource->table);
    buf_append_text(&sql, " AND t.id = $2");
    if (resource->parent) {
        buf_append_text(&sql, " AND ");
        list_sql_parent_column(&sql, resource);
        buf_append_text(&sql, " = $3");
    }
    list_sql_rights(&sql, resource, plan->conditions, resource->parent ? 4 : 3, 0, false);
    return statement_of(name_of(name, plan, "entity", 0), &sql);
}

static struct db_statement *parent_statement(const struct plan *plan)
{
    if (!plan->resource->parent)
        return NULL;
    const struct msg_resource *parent = msg_resource_by_name(slice_of(plan->resource->parent));
    struct buf sql;
    char name[NAME_SIZE];
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, "SELECT 1");
    list_sql_from(&sql, parent->table);
    buf_append_text(&sql, " AND t.id = $2");
    list_sql_rights(&sql, parent, plan->conditions_of_parent, 3, 0, false);
    return statement_of(name_of(name, plan, "parent", 0), &sql);
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
    return statement_of(number ? name_of(name, plan, what, number) : NULL, &sql);
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

bool plan_shape_asks_user(const struct plan *plan, const struct plan_shape *shape)
{
    bool asks = plan_asks_user(plan) || (shape->includes & PLAN_ALLOWED && plan->conditions_of_update);
    for (size_t i = 0; i < plan->include_count; i++)
        asks = asks || (shape->includes & 1U << i && plan->includes[i].conditions);
    return asks;
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
        plan->hides_searched |= field->search && field->classes & plan->hidden;
        if (!field->filter || field->classes & plan->hidden)
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
        else if (field->sort && !(field->classes & plan->hidden))
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

enum { NEVER = 1 << MSG_CONDITIONS }; /* a condition that never holds: the role has no right */

/* The conditions under which the role has the right; 0: it has it to everything. */
static unsigned conditions_of(const struct msg_resource *resource, enum msg_role role, enum msg_right right)
{
    unsigned conditions = resource->rights[role][right];
    return conditions & MSG_MAY_ANY ? 0 : conditions ? conditions : NEVER;
}

/* A user is no resource, so there is nothing to include. */
static void add_include(struct plan *plan, const struct msg_field *field, const struct msg_resource *resource,
                        enum msg_role role)
{
    struct slice name = slice_of(field->name);
    bool is_id = name.len > 3 && strcmp(field->name + name.len - 3, "_id") == 0;
    if (resource && is_id && plan->include_count < PLAN_INCLUDES_MAX)
        plan->includes[plan->include_count++] = (struct plan_include){
            {name.data, name.len - 3}, resource, field, conditions_of(resource, role, MSG_RIGHT_READ)};
}

static void find_includes(struct plan *plan, enum msg_role role)
{
    const struct msg_object *object = plan->resource->object;
    struct slice parent = slice_of(plan->resource->parent);
    for (size_t i = 0; i < object->field_count; i++) {
        const struct msg_field *field = &object->fields[i];
        bool is_parent = parent.data && strncmp(field->name, parent.data, parent.len) == 0 &&
                         strcmp(field->name + parent.len, "_id") == 0;
        add_include(plan, field,
                    is_parent ? msg_resource_by_name(parent) : resource_of_table(field->reference), role);
        plan->has_transitions |= field->transitions != NULL;
    }
}

static struct plan *plan_new(const struct plan *reader)
{
    struct plan *plan = xcalloc(1, sizeof(*plan));
    *plan = *reader;
    plan->entity = entity_statement(plan);
    plan->parent = parent_statement(plan);
    find_filters(plan);
    find_sorts(plan);
    return plan;
}

static void plan_free(struct plan *plan)
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
    free(plan);
}

struct plans *plans_new(void)
{
    size_t count = 0;
    while (msg_resources[count])
        count++;
    struct plans *plans = xcalloc(1, sizeof(*plans) + count * sizeof(plans->rows[0]));
    for (; plans->count < count; plans->count++)
        plans->rows[plans->count].resource = msg_resources[plans->count];
    return plans;
}

void plans_free(struct plans *plans)
{
    if (!plans)
        return;
    for (size_t i = 0; i < plans->count; i++)
        for (size_t role = 0; role < MSG_ROLES; role++) {
            struct plan *plan = plans->rows[i].of_role[role];
            for (size_t other = role; plan && other < MSG_ROLES; other++)
                if (plans->rows[i].of_role[other] == plan)
                    plans->rows[i].of_role[other] = NULL;
            if (plan)
                plan_free(plan);
        }
    free(plans);
}

static bool include_alike(const struct plan *a, const struct plan *b)
{
    for (size_t i = 0; i < a->include_count; i++)
        if (a->includes[i].conditions != b->includes[i].conditions)
            return false;
    return true;
}

static bool is_of_same_reader(const struct plan *a, const struct plan *b)
{
    return a->conditions == b->conditions && a->conditions_of_parent == b->conditions_of_parent &&
           a->hidden == b->hidden && a->conditions_of_update == b->conditions_of_update &&
           include_alike(a, b);
}

static struct plan *obtain(struct plan *of_role[MSG_ROLES], const struct plan *reader)
{
    for (size_t role = 0; role < MSG_ROLES; role++)
        if (of_role[role] && is_of_same_reader(of_role[role], reader))
            return of_role[role];
    return plan_new(reader);
}

struct plan *plans_of(struct plans *plans, const struct msg_resource *resource, enum msg_role role)
{
    size_t i = 0;
    while (plans->rows[i].resource != resource)
        i++;
    struct plan **of_role = plans->rows[i].of_role;
    if (of_role[role])
        return of_role[role];
    struct plan reader = {
        .resource = resource,
        .plans = plans,
        .conditions = conditions_of(resource, role, MSG_RIGHT_READ),
        .conditions_of_update = conditions_of(resource, role, MSG_RIGHT_UPDATE),
        .conditions_of_parent =
            resource->parent
                ? conditions_of(msg_resource_by_name(slice_of(resource->parent)), role, MSG_RIGHT_READ)
                : 0,
        .hidden = msg_role_hidden(role), /* of what is included, too */
    };
    find_includes(&reader, role);
    return of_role[role] = obtain(of_role, &reader);
}
