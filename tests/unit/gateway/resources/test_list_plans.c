#include "tests/unit/common/db/db_fixture.h"

#include <jansson.h>
#include <math.h>

#include "gateway/resources/list.h"
#include "gateway/resources/page.h"
#include "gateway/resources/plan.h"
#include "gateway/resources/selection.h"
#include "gateway/routes.h"

/* Every list of the API is filled with many rows of one company that are all alike, as far as its schema goes, so that what the
 * statistics say of a value is worth nothing. Then each shape of the list is asked for, for values that every row has and
 * for values that none has, and PostgreSQL says what it looked at. */

#define COMPANY   "0000000c-0000-7000-8000-000000000011"
#define NEIGHBOUR "0000000c-0000-7000-8000-000000000012"
#define PARENT    "0000000d-0000-7000-8000-000000000011"
#define NOBODY    "0000000e-0000-7000-8000-000000000011"

enum { LIMIT = 10, LOOK_AT = 300 };
enum { EQUAL = 4 }; /* rows that are passed over, since their value is a bound that is not among the values */
enum { WAYS = 4 };  /* with plans for any value and for this one, of values that are there and of others */
enum { PIECE = 10000 }; /* rows that one statement makes or deletes, so that none takes long */

/* CORTEX_TEST_SIZE: the share of a million rows. */
static long row_count(void)
{
    const char *share = getenv("CORTEX_TEST_SIZE");
    return share && *share ? lround(1e6 * atof(share)) : 20000;
}

static bool is_list(const struct route *route)
{
    return route->handler == read_list;
}

/* ---- rows, whatever the table ---- */

static const struct msg_field *field_of(const struct msg_resource *resource, const char *column)
{
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (strcmp(resource->object->fields[i].column, column) == 0)
            return &resource->object->fields[i];
    return NULL;
}

static bool is_parent_column(const struct msg_resource *resource, const char *column)
{
    size_t len = resource->parent ? strlen(resource->parent) : 0;
    return len > 0 && strncmp(column, resource->parent, len) == 0 && strcmp(column + len, "_id") == 0;
}

/* What a column gets that has no default and must not be NULL. */
static void append_value(struct buf *sql, const struct msg_resource *resource, const char *column,
                         const char *type)
{
    const struct msg_field *field = field_of(resource, column);
    if (strcmp(column, "company_id") == 0)
        buf_append_text(sql, "$1::uuid");
    else if (is_parent_column(resource, column))
        buf_append_text(sql, "'" PARENT "'");
    else if (field && field->secret)
        buf_append_text(sql, "'k1:' || repeat('A', 80)");
    else if (field && field->shape.allowed)
        buf_printf(sql, "'%s'", field->shape.allowed[0]);
    else if (strcmp(type, "uuid") == 0)
        buf_append_text(sql, "gen_random_uuid()");
    else if (strcmp(type, "text") == 0)
        buf_append_text(sql, "'Row ' || i");
    else if (strcmp(type, "jsonb") == 0)
        buf_append_text(sql, "'[]'");
    else if (strcmp(type, "bytea") == 0)
        buf_append_text(sql, "''");
    else if (strncmp(type, "timestamp", 9) == 0 || strcmp(type, "date") == 0)
        buf_append_text(sql, "now()");
    else
        buf_append_text(sql, "1");
}

/* What the rows refer to is not there. */
static void forget_references(const struct msg_resource *resource)
{
    char sql[512];
    snprintf(
        sql, sizeof(sql),
        "DO $do$ DECLARE name text; BEGIN FOR name IN SELECT conname FROM pg_constraint"
        " WHERE conrelid = '\"%s\"'::regclass AND contype = 'f' AND confrelid <> 'company'::regclass LOOP"
        " EXECUTE format('ALTER TABLE %%I DROP CONSTRAINT %%I', '%s', name); END LOOP; END $do$",
        resource->table, resource->table);
    do_sql(sql);
}

/* A column that may be null and that lists are sorted by has values in half of the rows, each twice. */
static void append_sorted(struct buf *columns, struct buf *values, const struct msg_resource *resource)
{
    for (size_t i = 0; i < resource->object->field_count; i++) {
        const struct msg_field *field = &resource->object->fields[i];
        if (!field->sort || !field->shape.nullable)
            continue;
        buf_printf(columns, "\"%s\", ", field->column);
        buf_printf(values, "CASE WHEN i %% 2 = 0 THEN %s + (i / 4)::integer END, ",
                   field->shape.format == MSG_FORMAT_DATE ? "date '2026-01-01'" : "0");
    }
}

/* The rows have pairs of equal times. */
static void fill(const struct msg_resource *resource, const char *company, const char *from)
{
    struct buf columns, values, sql;
    forget_references(resource);
    buf_init(&columns, 65536);
    buf_init(&values, 65536);
    buf_init(&sql, 65536);
    struct db_result *needed =
        run_sql("SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = $1::regclass"
                " AND attnum > 0 AND NOT attisdropped AND attnotnull AND (NOT atthasdef OR attname = 'id')"
                " AND attidentity = '' AND attgenerated = ''",
                resource->table);
    for (int row = 0; row < db_rows(needed); row++) {
        const char *column = db_text(needed, row, 0).data;
        buf_printf(&columns, "\"%s\", ", column);
        append_value(&values, resource, column, db_text(needed, row, 1).data);
        buf_append_text(&values, ", ");
    }
    db_result_release(needed);
    append_sorted(&columns, &values, resource);
    buf_printf(&sql, "ALTER TABLE \"%s\" DISABLE TRIGGER USER", resource->table);
    buf_append_char(&sql, '\0');
    do_sql(buf_data(&sql));
    buf_clear(&sql);
    buf_printf(&sql,
               "INSERT INTO \"%s\" (%.*s created_at) SELECT %.*s"
               " timestamptz '2026-01-01' + i / 2 * interval '1 second' FROM %s AS i",
               resource->table, (int)buf_len(&columns), buf_data(&columns), (int)buf_len(&values),
               buf_data(&values), from);
    buf_append_char(&sql, '\0');
    db_result_release(run_sql(buf_data(&sql), company));
    buf_done(&columns);
    buf_done(&values);
    buf_done(&sql);
}

static void done_with(const struct msg_resource *resource)
{
    char sql[320];
    int64_t deleted = 1;
    snprintf(sql, sizeof(sql),
             "WITH gone AS (DELETE FROM \"%s\" WHERE ctid = ANY (ARRAY(SELECT ctid FROM \"%s\""
             " WHERE company_id IN ('" COMPANY "', '" NEIGHBOUR "') LIMIT %d)) RETURNING 1)"
             " SELECT count(*) FROM gone",
             resource->table, resource->table, PIECE);
    while (deleted > 0) {
        struct db_result *result = run_sql(sql, NULL);
        deleted = db_int(result, 0, 0);
        db_result_release(result);
    }
    snprintf(sql, sizeof(sql), "ALTER TABLE \"%s\" ENABLE TRIGGER USER", resource->table);
    do_sql(sql);
}

static void make_parent(const struct msg_resource *resource)
{
    char sql[256];
    const struct msg_resource *parent = msg_resource_by_name(slice_of(resource->parent));
    fill(parent, COMPANY, "generate_series(1, 1)");
    fill(parent, NEIGHBOUR, "generate_series(1, 1)");
    snprintf(sql, sizeof(sql),
             "UPDATE \"%s\" SET id = '" PARENT "' WHERE company_id IN ('" COMPANY "', '" NEIGHBOUR "')",
             parent->table);
    do_sql(sql);
}

static void fill_list(const struct msg_resource *resource)
{
    char many[64], sql[128];
    if (resource->parent)
        make_parent(resource);
    for (long first = 1, rows = row_count(); first <= rows; first += PIECE) {
        snprintf(many, sizeof(many), "generate_series(%ld, %ld)", first, first + PIECE - 1);
        fill(resource, COMPANY, many);
    }
    fill(resource, NEIGHBOUR, "generate_series(1, 100)");
    snprintf(sql, sizeof(sql), "ANALYZE \"%s\"", resource->table);
    do_sql(sql);
}

/* ---- what PostgreSQL looked at ---- */

struct asker {
    struct ev_loop *loop;
    struct journal journal;
    struct db *db;
};

static void open_asker(struct asker *a)
{
    a->loop = ev_loop_new(EVFLAG_AUTO);
    journal_init(&a->journal, a->loop);
    const struct db_options options = {.url = test_url(), .role = "cortex_gateway", .read_only = true};
    assert_int_equal(db_new(a->loop, &options, &noting, &a->journal, &a->db), ERR_OK);
    journal_await(&a->journal, 1);
}

static void close_asker(struct asker *a)
{
    db_free(a->db);
    ev_loop_destroy(a->loop);
}

static struct db_result *ask(struct asker *a, const char *sql)
{
    struct kept kept = {.journal = &a->journal};
    const struct db_statement statement = {.sql = sql};
    journal_clear(&a->journal);
    db_send(a->db, &statement, NULL, 0, keep_result, &kept);
    db_sync(a->db, NULL, NULL);
    journal_await(&a->journal, 1);
    if (db_result_error(kept.result))
        fail_msg("%s: %s", db_result_message(kept.result), sql);
    return kept.result;
}

static void tell(struct asker *a, const char *sql)
{
    db_result_release(ask(a, sql));
}

struct looked {
    double rows, blocks;
    const char *wrong; /* a node that a list must not have */
};

static double number_of(const json_t *node, const char *name)
{
    return json_number_value(json_object_get(node, name));
}

static void look_at_node(const json_t *node, struct looked *looked)
{
    static const char *const wrong[] = {"Seq Scan", "Sort", "Incremental Sort", "Bitmap Heap Scan"};
    const char *type = json_string_value(json_object_get(node, "Node Type"));
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (strcmp(type, wrong[i]) == 0)
            looked->wrong = wrong[i];
    if (json_object_get(node, "Relation Name"))
        looked->rows += number_of(node, "Actual Loops") *
                        (number_of(node, "Actual Rows") + number_of(node, "Rows Removed by Filter") +
                         number_of(node, "Rows Removed by Index Recheck"));
    size_t i;
    const json_t *child;
    json_array_foreach(json_object_get(node, "Plans"), i, child)
    {
        look_at_node(child, looked);
    }
}

static json_t *explain(struct asker *a, const struct db_statement *statement, const struct slice *params,
                       size_t count)
{
    struct buf sql;
    buf_init(&sql, 256 * 1024);
    buf_printf(&sql, "PREPARE asked AS %s", statement->sql);
    buf_append_char(&sql, '\0');
    tell(a, buf_data(&sql));
    buf_clear(&sql);
    buf_append_text(&sql, "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE asked('" COMPANY "'");
    for (size_t i = 0; i < count; i++)
        buf_printf(&sql, ", '%.*s'", (int)params[i].len, params[i].data);
    buf_append_text(&sql, ")");
    buf_append_char(&sql, '\0');
    struct db_result *result = ask(a, buf_data(&sql));
    json_t *plan = json_loads(db_text(result, 0, 0).data, 0, NULL);
    assert_non_null(plan);
    db_result_release(result);
    buf_done(&sql);
    tell(a, "DEALLOCATE asked");
    return plan;
}

/* ---- every shape ---- */

struct fixture {
    struct call call;
    struct asker asker;
    struct plan *plan;
    bool is_there; /* the values that every row has are asked for; else values that none has */
    unsigned way;  /* of WAYS */
    size_t shapes; /* that have been asked for */
};

static const struct msg_field *filter_of(const struct fixture *f, int filter)
{
    return f->plan->filters[filter];
}

/* A value that all rows have, or that none has: NULL, when there is none such. */
static const char *value_of(const struct msg_field *field, bool is_there)
{
    const struct msg_shape *shape = &field->shape;
    if (shape->format == MSG_FORMAT_UUID)
        return is_there && !field->required ? NULL : NOBODY;
    if (shape->format == MSG_FORMAT_DATE)
        return is_there ? "2026-01-02" : "2025-01-01";
    if (shape->format == MSG_FORMAT_DATE_TIME)
        return is_there ? "2026-01-01T00:00:50Z" : "2025-01-01T00:00:00Z";
    if (shape->type == MSG_INTEGER || shape->type == MSG_NUMBER)
        return !is_there ? "999" : field->fallback ? field->fallback : "1";
    if (shape->type == MSG_BOOLEAN)
        return is_there ? "false" : "true";
    if (!shape->allowed)
        return is_there ? field->fallback : shape->type == MSG_STRING ? "Nothing" : "3";
    const char *there = field->fallback ? field->fallback : shape->allowed[0];
    for (const char *const *value = shape->allowed; *value; value++)
        if ((strcmp(*value, there) == 0) == is_there)
            return *value;
    return NULL;
}

/* Everything that one filter can demand. */
static const uint8_t demands[] = {PLAN_ONE,
                                  PLAN_SEVERAL,
                                  PLAN_NULL,
                                  PLAN_ONE | PLAN_NULL,
                                  PLAN_ONE | PLAN_NOT,
                                  PLAN_SEVERAL | PLAN_NULL | PLAN_NOT,
                                  PLAN_NULL | PLAN_NOT,
                                  PLAN_FROM,
                                  PLAN_ABOVE,
                                  PLAN_TO,
                                  PLAN_BELOW,
                                  PLAN_FROM | PLAN_BELOW};

/* False: there is no such filter. */
static bool demand(struct fixture *f, struct selection *selection, int filter, uint8_t demand)
{
    static char arrays[PLAN_FILTERS_MAX][128];
    const struct msg_field *field = filter_of(f, filter);
    /* An entry that a page begins after is within the bounds of its list. */
    bool is_within = field == f->plan->sorts[selection->shape.sort] && selection->shape.place == PLAN_AFTER;
    const char *value = value_of(field, f->is_there || is_within);
    struct filter *asked = &selection->filters[filter];
    if ((demand & PLAN_NULL && !field->shape.nullable) ||
        (demand & (PLAN_LOW | PLAN_HIGH) && !msg_is_ordered(field)) ||
        (demand & ~(PLAN_NULL | PLAN_NOT) && !value))
        return false;
    selection->shape.filters[filter] = demand;
    if (demand & PLAN_SEVERAL) {
        snprintf(arrays[filter], sizeof(arrays[filter]), "{%s,%s}", value, value);
        asked->values = slice_of(arrays[filter]);
    } else if (demand & PLAN_ONE) {
        asked->values = slice_of(value);
    }
    if (demand & PLAN_LOW)
        asked->low = slice_of(value);
    if (demand & PLAN_HIGH)
        asked->high = slice_of(value);
    return true;
}

static bool is_whole(void)
{
    return getenv("CORTEX_TEST_SIZE") != NULL;
}

/* In CI each shape is asked for once, in one of the ways by turns; at the whole size in each of them. */
static bool has_turn(const struct fixture *f)
{
    static unsigned long turn;
    return is_whole() || ++turn % WAYS == f->way;
}

static void look_at_statement(struct fixture *f, const struct db_statement *statement,
                              const struct slice *params, size_t count, double most)
{
    struct looked looked = {0};
    json_t *explained = explain(&f->asker, statement, params, count);
    const json_t *root = json_object_get(json_array_get(explained, 0), "Plan");
    look_at_node(root, &looked);
    looked.blocks = number_of(root, "Shared Hit Blocks") + number_of(root, "Shared Read Blocks");
    if (looked.wrong || looked.rows > most + EQUAL || looked.blocks > 4 * most + 50) {
        char *text = json_dumps(explained, JSON_INDENT(1));
        fail_msg("looked at %g rows in %g blocks; %s\n%s\n%s", looked.rows, looked.blocks,
                 looked.wrong ? looked.wrong : "", statement->sql, text);
    }
    json_decref(explained);
    arena_reset(&f->call.arena);
    f->shapes++;
}

static void look_at_selection(struct fixture *f, const struct selection *selection)
{
    struct slice params[SELECTION_PARAMS_MAX];
    const struct plan_shape *shape = &selection->shape;
    bool is_of_nulls = shape->place >= PLAN_NULLS;
    bool is_there = is_of_nulls ? plan_has_nulls(f->plan, shape) : plan_has_values(f->plan, shape);
    if (!is_there || !has_turn(f))
        return;
    /* A step looks at its rows, and at their keys for the last one; at no more than it returns when the index knows all. */
    size_t count = selection_step_params(&f->call, selection, f->plan, LIMIT + 1, LOOK_AT, false, params);
    look_at_statement(f, plan_step(f->plan, shape), params, count,
                      plan_compares(f->plan, shape) ? 2 * LOOK_AT : LIMIT + 1);
    if (shape->place != PLAN_BEGIN || shape->descending)
        return;
    count = selection_params(&f->call, selection, f->plan, LOOK_AT, params);
    params[count++] = SLICE("false");
    look_at_statement(f, plan_count(f->plan, shape), params, count, LOOK_AT);
}

/* In the middle of the rows, as every list has them. */
static void put_cursor(struct fixture *f, struct selection *selection)
{
    const struct msg_field *sort = f->plan->sorts[selection->shape.sort];
    if (selection->shape.place == PLAN_AFTER_NULL)
        selection->after.kind = CURSOR_NULL;
    else if (selection->shape.sort > 0)
        selection->after = (struct cursor){.kind = CURSOR_TEXT,
                                           .text = sort->shape.type == MSG_STRING && !sort->shape.format
                                                       ? SLICE("Row 50")
                                                       : slice_of(value_of(sort, true))};
    else
        selection->after = (struct cursor){.created_us = INT64_C(1767225600000000) + 50 * 1000000};
}

/* The sort, the direction and the place; then no filter, and each filter with each demand, alone and beside others (in CI
 * fewer pairs, and fewer demands beside a text). */
static void look_at_filters(struct fixture *f, const struct selection *plain)
{
    struct selection one, two;
    int count = (int)f->plan->filter_count;
    look_at_selection(f, plain);
    for (int i = 0; i < count; i++)
        for (size_t d = 0; d < ARRAY_LEN(demands); d++) {
            bool is_simple = demands[d] == PLAN_ONE || demands[d] == PLAN_FROM;
            one = *plain;
            if (!(is_whole() || is_simple || !plain->shape.text) || !demand(f, &one, i, demands[d]))
                continue;
            look_at_selection(f, &one);
            for (int k = 0; k < count; k++) {
                two = one;
                bool is_asked = is_whole() || (is_simple && (k == f->plan->archived || k == (i + 1) % count));
                if (k != i && is_asked && demand(f, &two, k, PLAN_ONE))
                    look_at_selection(f, &two);
            }
        }
}

static void look_at_every_shape(struct fixture *f)
{
    for (size_t sort = 0; sort < f->plan->sort_count; sort++)
        for (unsigned bits = 0; bits < 4; bits++)
            for (unsigned place = PLAN_BEGIN; place <= PLAN_AFTER_NULL; place++) {
                struct selection selection = {.limit = LIMIT, .text = SLICE("w 9")};
                selection.shape.sort = (uint8_t)sort;
                selection.shape.descending = bits & 1;
                selection.shape.text = (uint8_t)(bits >> 1);
                selection.shape.place = (uint8_t)place;
                put_cursor(f, &selection);
                if (f->plan->has_search || !selection.shape.text)
                    look_at_filters(f, &selection);
            }
}

static void look_at_list(struct fixture *f, struct plans *plans, const struct msg_resource *resource)
{
    static const char *const modes[] = {"SET plan_cache_mode = force_generic_plan",
                                        "SET plan_cache_mode = force_custom_plan"};
    static const enum msg_role readers[] = {MSG_ROLE_COMPANY_ADMIN, MSG_ROLE_OPERATIVE};
    fill_list(resource);
    open_asker(&f->asker);
    tell(&f->asker, "SET cortex.company = '" COMPANY "'");
    for (size_t mode = 0; mode < ARRAY_LEN(modes); mode++)
        for (int is_there = 0; is_there < 2; is_there++) {
            tell(&f->asker, modes[mode]);
            f->is_there = is_there;
            f->way = (unsigned)(2 * mode) + (unsigned)is_there;
            for (size_t reader = 0; reader < (f->way == 0 ? ARRAY_LEN(readers) : 1); reader++) {
                if (!resource->rights[readers[reader]][MSG_RIGHT_READ])
                    continue;
                f->plan = plans_of(plans, resource, readers[reader]);
                look_at_every_shape(f);
            }
        }
    close_asker(&f->asker);
    done_with(resource);
    if (resource->parent)
        done_with(msg_resource_by_name(slice_of(resource->parent)));
}

static void test_list_when_nothing_or_everything_matches_looks_at_a_bounded_number_of_rows(void **state)
{
    (void)state;
    struct fixture f = {.call.params = {SLICE(PARENT)}};
    struct plans *plans = plans_new();
    struct route_table *routes = routes_new();
    size_t lists = 0;
    arena_init(&f.call.arena, 4096, 0);
    for (size_t i = 0; i < routes->count; i++)
        if (is_list(&routes->rows[i])) {
            look_at_list(&f, plans, msg_resource_by_name(slice_of(routes->rows[i].resource)));
            lists++;
        }
    assert_true(lists >= 4);
    print_message("%zu shapes\n", f.shapes);
    arena_done(&f.call.arena);
    routes_free(routes);
    plans_free(plans);
}

static int load(void **state)
{
    (void)state;
    log_threshold = LOG_ERROR;
    if (apply_migrations() != 0)
        return -1;
    do_sql("DELETE FROM company WHERE id IN ('" COMPANY "', '" NEIGHBOUR "')");
    do_sql("INSERT INTO company (id, name) VALUES ('" COMPANY "', 'C'), ('" NEIGHBOUR "', 'N')");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_when_nothing_or_everything_matches_looks_at_a_bounded_number_of_rows),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
