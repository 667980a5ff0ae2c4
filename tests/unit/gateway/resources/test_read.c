#include "tests/unit/common/db/db_fixture.h"

#include "gateway/http/etag.h"
#include "gateway/resources/cursor.h"
#include "gateway/resources/page.h"
#include "gateway/resources/plan.h"
#include "gateway/resources/position.h"
#include "gateway/resources/selection.h"

#define COMPANY "0000000c-0000-7000-8000-000000000001"
#define PROJECT "0000000d-0000-7000-8000-000000000001"

/* ---- entity tags ---- */

static void test_etag_when_named_in_any_form_matches(void **state)
{
    (void)state;
    char text[ETAG_SIZE];
    struct slice etag = etag_format(42, text);
    assert_true(slice_is(etag, "\"42\""));
    static const char *const naming[] = {
        "*", "\"42\"", "W/\"42\"", "\"1\", \"42\"", " ,\"a,b\" , W/\"42\",", "W/\"1\",\"42\""};
    for (size_t i = 0; i < ARRAY_LEN(naming); i++)
        assert_true(etag_is_named(slice_of(naming[i]), etag));
    static const char *const others[] = {"",          "42", "\"4\"", "\"42",  "'42'",
                                         "\"1\" \"4", "W/", "W/*",   "\"*\"", "x, \"42\""};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(etag_is_named(slice_of(others[i]), etag));
    assert_false(etag_is_named(SLICE_NONE, etag));
}

static void test_etag_when_the_field_is_cut_anywhere_is_not_read_past_its_end(void **state)
{
    (void)state;
    char text[ETAG_SIZE];
    struct slice etag = etag_format(7, text);
    static const char whole[] = "W/\"1\" , W/\"a,b\",\"8\"";
    for (size_t len = 0; len < sizeof(whole); len++) {
        char *copy = malloc(len + 1); /* so that the sanitizer sees each octet too many */
        memcpy(copy, whole, len);
        assert_false(etag_is_named((struct slice){copy, len}, etag));
        free(copy);
    }
}

/* ---- cursors ---- */

static void test_cursor_when_formatted_and_parsed_is_the_same(void **state)
{
    (void)state;
    static const int64_t times[] = {0, 1, INT64_C(1790000000123456), INT64_C(253402300799999999)};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct cursor before = {.created_us = times[i], .id = uuid_v7()}, after;
        char text[CURSOR_SIZE], octets[CURSOR_OCTETS_MAX];
        cursor_format(&before, text);
        assert_int_equal(strlen(text), CURSOR_LEN);
        assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                         CURSOR_LEN);
        assert_int_equal(cursor_parse(slice_of(text), octets, &after), ERR_OK);
        assert_true(after.created_us == before.created_us);
        assert_true(uuid_equal(&after.id, &before.id));
    }
}

static void test_cursor_when_it_is_not_ours_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "x",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        "________________________________", /* a time beyond the year 9999 */
        "gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* a negative one */
    };
    char octets[CURSOR_OCTETS_MAX];
    struct cursor cursor;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(cursor_parse(slice_of(wrong[i]), octets, &cursor), ERR_BAD_REQUEST);
}

static void test_cursor_when_of_any_list_is_the_same_and_cut_anywhere_is_not_ours(void **state)
{
    (void)state;
    char longest[CURSOR_VALUE_MAX];
    memset(longest, 'x', sizeof(longest));
    const struct cursor cursors[] = {
        {.kind = CURSOR_TIME, .created_us = INT64_C(1790000000123456)},
        {.kind = CURSOR_NULL},
        {.kind = CURSOR_TEXT, .text = SLICE("")},
        {.kind = CURSOR_TEXT, .text = SLICE("2026-02-01")},
        {.kind = CURSOR_TEXT, .text = SLICE("Caf\u00e9")},
        {.kind = CURSOR_TEXT, .text = {longest, sizeof(longest)}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cursors); i++) {
        struct cursor before = cursors[i], after;
        char text[CURSOR_SIZE], octets[CURSOR_OCTETS_MAX];
        before.id = uuid_v7();
        before.has_digest = true;
        before.digest = UINT64_C(0x8123456789abcdef);
        cursor_format(&before, text);
        assert_true(strlen(text) < CURSOR_SIZE);
        assert_int_equal(cursor_parse(slice_of(text), octets, &after), ERR_OK);
        assert_true(after.kind == before.kind && after.has_digest && after.digest == before.digest);
        assert_true(after.created_us == before.created_us && slice_equal(after.text, before.text));
        assert_true(uuid_equal(&after.id, &before.id));
        for (size_t len = 0; len < 34; len++) { /* those of a text may be shorter */
            char *copy = malloc(len + 1);       /* so that the sanitizer sees each octet too many */
            memcpy(copy, text, len);
            if (len != CURSOR_LEN)
                assert_int_equal(cursor_parse((struct slice){copy, len}, octets, &after), ERR_BAD_REQUEST);
            free(copy);
        }
    }
    static const char *const wrong[] = {
        "AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",            /* no such kind */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",            /* no time */
        "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",           /* null, with a value */
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD_",          /* not UTF-8 */
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",          /* NUL */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAP_________8", /* a time beyond the year 9999 */
    };
    char octets[CURSOR_OCTETS_MAX];
    struct cursor cursor;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(cursor_parse(slice_of(wrong[i]), octets, &cursor), ERR_BAD_REQUEST);
}

/* ---- the query of a list ---- */

struct fixture {
    struct config config;
    struct gateway gateway;
    struct call call;
    struct plan *projects, *tasks;
    struct msg_problems problems;
    struct selection selection;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->config = (struct config){.page_default = 50, .page_max = 200};
    f->gateway = (struct gateway){.config = &f->config, .plans = plans_new()};
    f->call.gateway = &f->gateway;
    f->call.identity.role_row = MSG_ROLE_COMPANY_ADMIN;
    arena_init(&f->call.arena, 4096, 0);
    f->call.params[0] = SLICE(PROJECT);
    f->projects = plans_of(f->gateway.plans, msg_resource_by_name(SLICE("project")), MSG_ROLE_COMPANY_ADMIN);
    f->tasks = plans_of(f->gateway.plans, msg_resource_by_name(SLICE("task")), MSG_ROLE_COMPANY_ADMIN);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_done(&f->call.arena);
    plans_free(f->gateway.plans);
    free(f);
    return 0;
}

static enum err select_from(struct fixture *f, const struct plan *plan, const char *query)
{
    f->call.query = slice_of(query);
    f->problems = (struct msg_problems){.arena = &f->call.arena};
    return selection_parse(&f->call, plan, &f->selection, &f->problems);
}

static void assert_params(struct fixture *f, const struct plan *plan, const char *const *expected)
{
    struct slice params[SELECTION_PARAMS_MAX];
    size_t count = selection_params(&f->call, &f->selection, plan, f->selection.limit + 1, params), i = 0;
    for (; expected[i]; i++) {
        assert_true(i < count);
        if (!slice_is(params[i], expected[i]))
            fail_msg("parameter %zu is %.*s, not %s", i, (int)params[i].len, params[i].data, expected[i]);
    }
    assert_int_equal(count, i);
}
#define ASSERT_PARAMS(f, plan, ...) assert_params(f, plan, (const char *const[]){__VA_ARGS__, NULL})

static void test_selection_when_nothing_is_asked_has_the_defaults(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(select_from(f, f->projects, NULL), ERR_OK);
    assert_int_equal(f->selection.limit, 50);
    ASSERT_PARAMS(f, f->projects, "51", "false"); /* archived ones are left out */
    assert_int_equal(select_from(f, f->tasks, ""), ERR_OK);
    ASSERT_PARAMS(f, f->tasks, "51", PROJECT);
}

static void test_selection_when_archived_is_asked_for_shows_them(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(select_from(f, f->projects, "archived=true"), ERR_OK);
    ASSERT_PARAMS(f, f->projects, "51", "true");
    assert_int_equal(select_from(f, f->projects, "archived=any&limit=7"), ERR_OK);
    ASSERT_PARAMS(f, f->projects, "8");
}

static void test_selection_when_everything_is_asked_has_the_parameters_in_order(void **state)
{
    struct fixture *f = *state;
    struct cursor cursor = {.created_us = INT64_C(1767225600000001)};
    char after[CURSOR_SIZE], query[CURSOR_SIZE + 256];
    cursor_format(&cursor, after);
    snprintf(query, sizeof(query),
             "after=%s&text=50%%25_o%%5Cf+all&priority=high&&status=on-hold&limit=200&manager_id=" PROJECT,
             after);
    assert_int_equal(select_from(f, f->projects, query), ERR_OK);
    ASSERT_PARAMS(f, f->projects, "201", "on-hold", "high", PROJECT, "false", "%50\\%\\_o\\\\f all%",
                  "2026-01-01T00:00:00.000001Z", "00000000-0000-0000-0000-000000000000");
}

static void test_selection_when_it_makes_no_sense_names_every_parameter(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query, *pointer;
    } wrong[] = {
        {"limit=0", "?limit"},
        {"limit=201", "?limit"},
        {"limit=-1", "?limit"},
        {"limit=1x", "?limit"},
        {"limit=", "?limit"},
        {"limit", "?limit"},
        {"limit=99999999999999999999999", "?limit"},
        {"after=zzz", "?after"},
        {"status=dreaming", "?status"},
        {"status=", "?status"},
        {"status=active%00", "?status"},
        {"manager_id=me", "?manager_id"},
        {"archived=maybe", "?archived"},
        {"text=", "?text"},
        {"text=%00", "?text"},
        {"text=%ff", "?text"},
        {"colour=red", "?colour"},
        {"status=active&status=active", "?status"},
        {"archived=any&archived=any", "?archived"},
        {"number=1", "?number"}, /* a field, but no filter */
        {"status=active,dreaming", "?status"},
        {"status=null", "?status"}, /* it always has a value */
        {"status=active,", "?status"},
        {"status[gte]=active", "?status[gte]"}, /* it has no order */
        {"status[like]=active", "?status[like]"},
        {"status[]=active", "?status[]"},
        {"status[ne=active", "?status[ne"},
        {"status=active&status[ne]=active", "?status[ne]"},
        {"colour[ne]=red", "?colour[ne]"},
        {"archived=any&archived=true", "?archived"},
        {"start_date[gte]=soon", "?start_date[gte]"},
        {"start_date[gte]=null", "?start_date[gte]"},
        {"start_date[gte]=2026-01-01,2026-02-01", "?start_date[gte]"},
        {"start_date[gte]=2026-01-01&start_date[gt]=2026-01-01", "?start_date[gt]"},
        {"start_date%5Blt%5D=2026-01-01&start_date[lt]=2026-01-01", "?start_date[lt]"},
        {"budget[lt]=much", "?budget[lt]"},
        {"sort=", "?sort"},
        {"sort=-", "?sort"},
        {"sort=--name", "?sort"},
        {"sort=status", "?sort"},
        {"sort=name,created_at", "?sort"},
        {"sort=name&sort=name", "?sort"},
        {"=", "?"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (select_from(f, f->projects, wrong[i].query) != ERR_BAD_REQUEST)
            fail_msg("%s is taken", wrong[i].query);
        assert_int_equal(f->problems.count, 1);
        if (!slice_is(f->problems.first->pointer, wrong[i].pointer))
            fail_msg("%s: %.*s", wrong[i].query, (int)f->problems.first->pointer.len,
                     f->problems.first->pointer.data);
        assert_true(f->problems.first->detail.len > 0);
    }
    assert_int_equal(select_from(f, f->projects, "colour=red"), ERR_BAD_REQUEST);
    assert_true(slice_is(
        f->problems.first->detail,
        "is not a parameter of this list, which has limit, after, sort, fields, include, text, "
        "status, priority, start_date, end_date, budget, manager_id, archived, created_at, updated_at, "
        "client_id"));
    assert_int_equal(select_from(f, f->tasks, "sort=title"), ERR_BAD_REQUEST);
    assert_true(slice_is(f->problems.first->detail, "must be one of these, with - before it for the contrary "
                                                    "order: created_at, due_date"));
    assert_int_equal(select_from(f, f->projects, "a=1&limit=0&status=x&b"), ERR_BAD_REQUEST);
    assert_int_equal(f->problems.count, 4);
}

static void test_selection_when_the_text_is_at_its_bound_is_taken(void **state)
{
    struct fixture *f = *state;
    char query[8 + 3 * (SELECTION_TEXT_MAX + 1)] = "text=";
    for (int i = 0; i < SELECTION_TEXT_MAX; i++)
        strcat(query, "%25");
    assert_int_equal(select_from(f, f->projects, query), ERR_OK);
    struct slice params[SELECTION_PARAMS_MAX];
    assert_int_equal(selection_params(&f->call, &f->selection, f->projects, 51, params), 3);
    assert_int_equal(params[2].len, 2 * SELECTION_TEXT_MAX + 2);
    strcat(query, "x");
    assert_int_equal(select_from(f, f->projects, query), ERR_BAD_REQUEST);
}

/* ---- the statements, on the real tables ---- */

struct reader {
    struct ev_loop *loop;
    struct journal journal;
    struct db_pool *pool;
};

static void open_reader_with(struct reader *r, int64_t statement_timeout_ms)
{
    r->loop = ev_loop_new(EVFLAG_AUTO);
    journal_init(&r->journal, r->loop);
    const struct db_pool_options options = {.db = {.url = test_url(),
                                                   .role = "cortex_gateway",
                                                   .read_only = true,
                                                   .statement_timeout_ms = statement_timeout_ms},
                                            .connections = 1,
                                            .queue_max = 10000,
                                            .deadline_ms = 20000};
    assert_int_equal(db_pool_new(r->loop, &options, &r->pool), ERR_OK);
}

static void open_reader(struct reader *r)
{
    open_reader_with(r, 0);
}

static void close_reader(struct reader *r)
{
    db_pool_free(r->pool);
    ev_loop_destroy(r->loop);
}

static struct db_result *try_rows(struct reader *r, struct slice company,
                                  const struct db_statement *statement, const struct slice *params,
                                  size_t count)
{
    struct slice all[SELECTION_PARAMS_MAX + 1] = {company};
    struct kept kept = {.journal = &r->journal};
    for (size_t i = 0; i < count; i++)
        all[i + 1] = params[i];
    journal_clear(&r->journal);
    const struct db_query query = {.company = all[0],
                                   .statement = statement,
                                   .params = all,
                                   .param_count = count + 1,
                                   .on_result = keep_result,
                                   .arg = &kept};
    assert_int_equal(db_pool_query(r->pool, &query, NULL), ERR_OK);
    journal_await(&r->journal, 1);
    return kept.result;
}

static struct db_result *read_rows(struct reader *r, const struct db_statement *statement,
                                   const struct slice *params, size_t count)
{
    struct db_result *result = try_rows(r, SLICE(COMPANY), statement, params, count);
    if (db_result_error(result))
        fail_msg("%s: %s", statement->sql, db_result_message(result));
    return result;
}

static struct db_result *search(struct fixture *f, struct reader *r, struct plan *plan,
                                const struct selection *selection)
{
    struct slice params[SELECTION_PARAMS_MAX];
    size_t count = selection_params(&f->call, selection, plan, selection->limit + 1, params);
    return read_rows(r, plan_search(plan, &selection->shape), params, count);
}

static struct db_result *step(struct fixture *f, struct reader *r, struct plan *plan,
                              const struct selection *selection, int64_t look_at)
{
    struct slice params[SELECTION_PARAMS_MAX];
    size_t count =
        selection_step_params(&f->call, selection, plan, selection->limit + 1, look_at, true, params);
    return read_rows(r, plan_step(plan, &selection->shape), params, count);
}

static struct uuid id_of(const struct db_result *result, int row)
{
    struct uuid id;
    assert_true(uuid_parse(db_text(result, row, 2), &id));
    return id;
}

static void test_entity_when_read_is_json_with_every_field_of_the_schema(void **state)
{
    struct fixture *f = *state;
    struct reader reader;
    open_reader(&reader);
    struct db_result *result = read_rows(&reader, f->projects->entity, &SLICE(PROJECT), 1);
    assert_int_equal(db_rows(result), 1);
    assert_int_equal(db_int(result, 0, 1), 3);
    assert_true(slice_is(
        db_text(result, 0, 0),
        "{\"id\":\"" PROJECT
        "\",\"number\":\"PRJ-1\",\"name\":\"Quay \\\"7\\\"\",\"description\":null,\"status\":\"active\","
        "\"priority\":\"medium\",\"start_date\":\"2026-02-01\",\"end_date\":null,\"budget\":1000.50,\"actual_"
        "cost\":0.00,"
        "\"address\":null,\"manager_id\":null,\"progress\":0,\"archived\":false,\"version\":3,"
        "\"created_at\":\"2026-01-31T09:15:00.123456Z\",\"updated_at\":\"2026-01-31T09:15:00.000000Z\","
        "\"client_id\":null}"));
    db_result_release(result);
    const struct slice of_task[] = {SLICE("0000000e-0000-7000-8000-000000000001"), SLICE(PROJECT)};
    result = read_rows(&reader, f->tasks->entity, of_task, 2);
    assert_int_equal(db_rows(result), 1);
    db_result_release(result);
    const struct slice of_another_project[] = {of_task[0], of_task[0]};
    result = read_rows(&reader, f->tasks->entity, of_another_project, 2);
    assert_int_equal(db_rows(result), 0);
    db_result_release(result);
    close_reader(&reader);
}

/* Each shape of a list that its filters can have is a statement that PostgreSQL takes, with the parameters
 * that are built for it. */
static void test_lists_when_asked_in_every_shape_are_statements_that_run(void **state)
{
    struct fixture *f = *state;
    struct reader reader;
    open_reader(&reader);
    struct plan *const plans[] = {f->projects, f->tasks};
    static const char *const values[] = {
        [MSG_STRING] = "active", [MSG_BOOLEAN] = "false", [MSG_NUMBER] = "1"};
    for (size_t p = 0; p < ARRAY_LEN(plans); p++)
        for (unsigned filters = 0; filters < 1U << plans[p]->filter_count; filters += 5) {
            struct selection s = {.limit = 10, .text = SLICE("q")};
            for (size_t i = 0; i < plans[p]->filter_count; i++) {
                const struct msg_shape *shape = &plans[p]->filters[i]->shape;
                if (!(filters & 1U << i))
                    continue;
                s.shape.filters[i] = PLAN_ONE;
                s.filters[i].values = shape->format == MSG_FORMAT_UUID        ? SLICE(PROJECT)
                                      : shape->format == MSG_FORMAT_DATE      ? SLICE("2026-01-01")
                                      : shape->format == MSG_FORMAT_DATE_TIME ? SLICE("2026-01-01T00:00:00Z")
                                                                              : slice_of(values[shape->type]);
            }
            for (unsigned other = 0; other < 4; other++) {
                s.shape.text = other & 1;
                s.shape.place = other & 2 ? PLAN_AFTER : PLAN_BEGIN;
                db_result_release(step(f, &reader, plans[p], &s, 100));
                if (s.shape.text)
                    db_result_release(search(f, &reader, plans[p], &s));
            }
        }
    close_reader(&reader);
}

/* All that the selection finds: by the index of text search or, where that does not help, in steps. */
static size_t count_selected(struct fixture *f, struct reader *reader, struct plan *plan,
                             struct selection *selection, int64_t look_at)
{
    size_t found = 0;
    if (selection->shape.text) {
        struct db_result *result = search(f, reader, plan, selection);
        found = (size_t)page_entries(result);
        bool helps = page_entries(result) == db_rows(result);
        db_result_release(result);
        if (helps)
            return found;
    }
    for (bool goes_on = true; goes_on;) {
        struct db_result *result = step(f, reader, plan, selection, look_at);
        int entries = page_entries(result);
        goes_on = entries < db_rows(result);
        found += (size_t)entries;
        struct cursor last;
        if (goes_on && page_position(result, entries, selection->shape.sort == 0, NULL, &last)) {
            assert_true(position_go_on(&f->call, selection, &last));
        } else if (selection->shape.place < PLAN_NULLS && plan_has_nulls(plan, &selection->shape)) {
            position_go_on_with_nulls(selection);
            goes_on = true;
        }
        db_result_release(result);
    }
    return found;
}

static size_t count_rows(struct fixture *f, struct reader *reader, struct plan *plan, const char *query)
{
    assert_int_equal(select_from(f, plan, query), ERR_OK);
    return count_selected(f, reader, plan, &f->selection, 1000);
}

static void test_text_when_it_holds_wildcards_or_other_case_finds_what_is_written(void **state)
{
    struct fixture *f = *state;
    struct reader reader;
    open_reader(&reader);
    static const struct {
        const char *query;
        size_t rows;
    } searches[] = {
        {"text=quay", 1},    {"text=QUAY", 1},     {"text=%C3%89TAGE", 1}, {"text=prj-", 2},
        {"text=100%25", 1},  {"text=10%25%25", 0}, {"text=_", 0},          {"text=%5C", 0},
        {"text=nothing", 0}, {"text=1%0A", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(searches); i++)
        if (count_rows(f, &reader, f->projects, searches[i].query) != searches[i].rows)
            fail_msg("%s", searches[i].query);
    close_reader(&reader);
}

#define NEIGHBOUR "0000000c-0000-7000-8000-0000000000ff"

static int64_t count_of(const char *sql, const char *param)
{
    struct db_result *result = run_sql(sql, param);
    int64_t count = db_int(result, 0, 0);
    db_result_release(result);
    return count;
}

static void compare_with_walk(struct fixture *f, struct reader *reader, const char *when)
{
    static const char *const texts[] = {"hall 77",
                                        "HALL",
                                        "all 1234",
                                        "l 7",
                                        "7",
                                        "b-250",
                                        "caf\u00e9 99",
                                        "\u00e9 1",
                                        "9 - h",
                                        "no such hall",
                                        "b-24",
                                        "a%0",
                                        "tower 7",
                                        "- barn",
                                        "rn\x1e"
                                        "b"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct selection selection = {.limit = 4000, .text = slice_of(texts[i]), .shape.text = true};
        int64_t found = (int64_t)count_selected(f, reader, f->projects, &selection, 700),
                there = count_of("SELECT count(*) FROM project WHERE company_id = '" COMPANY
                                 "' AND position(lower($1) IN"
                                 " lower(concat_ws(E'\\x1f', number, name, description, address))) > 0",
                                 texts[i]);
        if (found != there)
            fail_msg("%s, '%s': %lld rows, not %lld", when, texts[i], (long long)found, (long long)there);
    }
}

static bool fill_blocks(const char *rows)
{
    return count_of("SELECT project_text_fill($1::integer)::integer", rows) > 0;
}

/* 2,500 projects, and as many of the same names in another company. Some texts are found by the index, some are in
 * too many rows for it, some are too short, and all are found as by a look at every row: before a worker has put
 * the rows into blocks, when it has put some, and after they have changed since. */
static void test_text_when_the_index_finds_it_is_what_a_walk_would_find(void **state)
{
    struct fixture *f = *state;
    struct reader reader;
    do_sql("DELETE FROM company WHERE id = '" NEIGHBOUR "'");
    do_sql("INSERT INTO company (id, name) VALUES ('" NEIGHBOUR "', 'N')");
    while (fill_blocks("1000"))
        ;
    do_sql(
        "INSERT INTO project (company_id, id, number, name, description) SELECT c::uuid, gen_random_uuid(),"
        " 'B-' || i, 'Hall ' || i, 'Caf\u00e9 ' || i || ' - hall' FROM generate_series(1, 2500) AS i,"
        " unnest(ARRAY['" COMPANY "', '" NEIGHBOUR "']) AS c");
    open_reader(&reader);
    compare_with_walk(f, &reader, "in no block");
    assert_true(fill_blocks("1000"));
    compare_with_walk(f, &reader, "some in blocks");
    while (fill_blocks("1000"))
        ;
    compare_with_walk(f, &reader, "in blocks");
    do_sql("UPDATE project SET name = 'Tower ' || right(number, 2), description = E'a \x1e barn - barn\x1e"
           "b'"
           " WHERE number ~ '^B-.*7'");
    do_sql("UPDATE project SET progress = 50 WHERE number ~ '^B-.*3'");
    do_sql("DELETE FROM project WHERE number ~ '^B-.*9'");
    compare_with_walk(f, &reader, "changed since");
    assert_true(fill_blocks("200"));
    compare_with_walk(f, &reader, "some in new blocks");
    while (fill_blocks("200"))
        ;
    compare_with_walk(f, &reader, "in new blocks");
    close_reader(&reader);
    do_sql("DELETE FROM project WHERE company_id = '" COMPANY "' AND number LIKE 'B-%'");
    do_sql("DELETE FROM company WHERE id = '" NEIGHBOUR "'");
    while (fill_blocks("1000"))
        ;
    assert_int_equal(
        count_of("SELECT count(*) FROM project_text_block WHERE company_id = $1::uuid", NEIGHBOUR), 0);
}

/* Short texts are walked for, the others go by the blocks once the rows are in some. */
static void expect_folded(struct fixture *f, struct reader *reader, const char *when)
{
    static const struct {
        const char *text;
        size_t rows;
    } searches[] = {
        {"caf\u00e9", 2},
        {"cafe\u0301", 2},
        {"CAFE\u0301", 2},
        {"cafe", 0},
        {"f\u00e9", 2},
        {"fe\u0301", 2},
        {"strasse", 2},
        {"STRA\u00dfE", 2},
        {"stra\u1e9ee", 2},
        {"\u00df", 2},
        {"sse", 2},
        {"\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3", 2},
        {"\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3", 2},
        {"\u03c6\u03bf\u03c2", 2},
        {"\u03c2", 2},
        {"i\u0307stanbul", 1},
        {"\u0130STANBUL", 1},
        {"istanbul", 0},
        {"\u0131s\u0131", 1},
        {"isi", 0},
        {"\ud55c\uad6d", 2},
        {"\u1112\u1161\u11ab\u1100\u116e\u11a8", 2},
        {"\u212bngstr\u00f6m", 1},
        {"a\u030angstro\u0308m", 1},
        {"waffle", 1},
        {"wa\ufb04e", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(searches); i++) {
        struct selection selection = {.limit = 4000, .text = slice_of(searches[i].text), .shape.text = true};
        size_t rows = count_selected(f, reader, f->projects, &selection, 5000);
        if (rows != searches[i].rows)
            fail_msg("%s: '%s' is found in %zu rows", when, searches[i].text, rows);
    }
}

static void test_text_when_case_or_encoding_differs_then_it_is_found_as_unicode_folds(void **state)
{
    struct fixture *f = *state;
    struct reader reader;
    do_sql(
        "INSERT INTO project (company_id, id, number, name) SELECT '" COMPANY
        "', gen_random_uuid(), 'F-' || n, name"
        " FROM unnest(ARRAY['Caf\u00e9', 'CAFE\u0301', 'Hauptstra\u00dfe', 'HAUPTSTRASSE',"
        " '\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2', '\u03a3\u0399\u0301\u03a3\u03a5\u03a6\u039f\u03a3',"
        " '\u0130stanbul', '\u0131s\u0131', '\ud55c\uad6d', '\u1112\u1161\u11ab\u1100\u116e\u11a8',"
        " '\u00c5ngstr\u00f6m', 'Wa\ufb04e'])"
        " WITH ORDINALITY AS t (name, n)");
    open_reader(&reader);
    expect_folded(f, &reader, "in no block");
    while (fill_blocks("1000"))
        ;
    expect_folded(f, &reader, "in blocks");
    close_reader(&reader);
    do_sql("DELETE FROM project WHERE company_id = '" COMPANY "' AND number LIKE 'F-%'");
}

/* Somebody walks the rows of the company, and does not come to an end. */
static void test_walk_when_the_company_has_another_one_waits_and_nobody_else_does(void **state)
{
    struct fixture *f = *state;
    struct reader walker, reader;
    static const struct db_statement walk = {
        "walk", "SELECT pg_advisory_lock(hashtext('cortex.walk'), hashtext($1))"};
    static const struct {
        struct slice company;
        bool in_turn;
        enum err err;
    } steps[] = {
        {SLICE(COMPANY), true, ERR_TIMEOUT},
        {SLICE(COMPANY), false, ERR_OK}, /* the first step of a list, which is short */
        {SLICE("0000000c-0000-7000-8000-0000000000fe"), true, ERR_OK},
    };
    open_reader(&walker);
    db_result_release(read_rows(&walker, &walk, NULL, 0));
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct selection selection = {.limit = 10, .text = SLICE("7"), .shape.text = true};
        struct slice params[SELECTION_PARAMS_MAX];
        size_t count =
            selection_step_params(&f->call, &selection, f->projects, 11, 100, steps[i].in_turn, params);
        open_reader_with(&reader, steps[i].err ? 500 : 0);
        struct db_result *result =
            try_rows(&reader, steps[i].company, plan_step(f->projects, &selection.shape), params, count);
        if (db_result_error(result) != steps[i].err)
            fail_msg("step %zu: %s", i, db_result_message(result));
        db_result_release(result);
        close_reader(&reader);
    }
    close_reader(&walker); /* and its lock is gone */
    open_reader(&reader);
    assert_int_equal(count_rows(f, &reader, f->projects, "text=7"), 1);
    close_reader(&reader);
}

/* The function has no parameter for the company, and says nothing of any without the setting. */
static void test_text_when_the_index_is_asked_directly_it_knows_one_company(void **state)
{
    (void)state;
    struct reader reader;
    static const struct db_statement search = {"search", "SELECT cardinality(project_search('%étage%'))"};
    static const char *const companies[] = {COMPANY, "0000000c-0000-7000-8000-0000000000fe"};
    open_reader(&reader);
    for (int i = 0; i < 2; i++) {
        struct kept kept = {.journal = &reader.journal};
        const struct db_query query = {
            .company = slice_of(companies[i]), .statement = &search, .on_result = keep_result, .arg = &kept};
        journal_clear(&reader.journal);
        assert_int_equal(db_pool_query(reader.pool, &query, NULL), ERR_OK);
        journal_await(&reader.journal, 1);
        assert_int_equal(db_result_error(kept.result), ERR_OK);
        assert_int_equal(db_int(kept.result, 0, 0), i == 0);
        db_result_release(kept.result);
    }
    close_reader(&reader);
    assert_int_equal(
        count_of("SELECT count(*) FROM (SELECT project_search($1)) AS s (ids) WHERE ids IS NOT NULL",
                 "%tage%"),
        0);
}

/* A step reads nothing that does not match when it has no filter beside the one along whose index it walks. */
static void test_shape_when_an_index_knows_its_filter_compares_no_rows(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query;
        bool compares;
    } shapes[] = {
        {"archived=any", false},
        {"archived=any&manager_id=" PROJECT, false},
        {"archived=any&status=active", false},
        {"archived=any&priority=low", true},
        {"archived=any&created_at[gte]=2026-01-01T00:00:00Z&created_at[lt]=2026-02-01T00:00:00Z", false},
        {"archived=any&status=active&sort=-created_at", false},
        {"archived=any&sort=-name", false},
        {"archived=any&status=active&sort=name", true},
        {"archived=any&status=active,planning", true},
        {"limit=7", true}, /* those that are not archived */
        {"archived=true", true},
        {"archived=any&status=active&priority=low", true},
        {"archived=any&text=quay", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        assert_int_equal(select_from(f, f->projects, shapes[i].query), ERR_OK);
        if (plan_compares(f->projects, &f->selection.shape) != shapes[i].compares)
            fail_msg("%s", shapes[i].query);
    }
}

/* What a client asks for does not decide how many statements a connection keeps. One that has no name finds the same. */
static void test_statements_when_thousands_of_shapes_are_asked_for_are_kept_up_to_a_bound(void **state)
{
    struct fixture *f = *state;
    struct reader reader;
    static const char *const filters[] = {"", "=active", "=active,planning", "[ne]=active",
                                          "[ne]=active,planning"};
    static const char *const dates[] = {
        "", "=null", "[ne]=null", "=2026-02-01", "[gte]=2026-02-01", "[lt]=2026-02-02"};
    size_t named = 0, nameless = 0;
    char query[512];
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        for (size_t k = 0; k < ARRAY_LEN(dates); k++)
            for (size_t m = 0; m < ARRAY_LEN(dates); m++)
                for (int sort = 0; sort < 4; sort++) {
                    snprintf(query, sizeof(query), "%s%s&%s%s&%s%s&sort=%s%s", *filters[i] ? "status" : "",
                             filters[i], *dates[k] ? "start_date" : "", dates[k], *dates[m] ? "end_date" : "",
                             dates[m], sort & 1 ? "-" : "", sort & 2 ? "name" : "created_at");
                    assert_int_equal(select_from(f, f->projects, query), ERR_OK);
                    if (plan_step(f->projects, &f->selection.shape)->name)
                        named++;
                    else
                        nameless++;
                    arena_reset(&f->call.arena);
                }
    assert_true(named >= PLAN_OTHERS_MAX && named <= PLAN_OTHERS_MAX + 16);
    assert_true(nameless > 0);
    open_reader(&reader);
    /* The last one, which came too late. */
    assert_int_equal(select_from(f, f->projects, query), ERR_OK);
    assert_null(plan_step(f->projects, &f->selection.shape)->name);
    assert_int_equal(count_rows(f, &reader, f->projects, query), 0);
    assert_int_equal(count_rows(f, &reader, f->projects,
                                "status=active&start_date=2026-02-01&end_date=null&sort=-name&text=quay"),
                     1);
    assert_null(plan_step(f->projects, &f->selection.shape)->name);
    /* The usual ones are kept all the same. */
    assert_int_equal(count_rows(f, &reader, f->projects, "status=active"), 1);
    assert_non_null(plan_step(f->projects, &f->selection.shape)->name);
    close_reader(&reader);
}

static void test_pages_when_times_are_equal_go_on_by_id(void **state)
{
    struct fixture *f = *state;
    struct reader reader;
    open_reader(&reader);
    char query[CURSOR_SIZE + 32] = "limit=1", seen[3][UUID_TEXT_LEN + 1];
    for (int page = 0; page < 3; page++) {
        assert_int_equal(select_from(f, f->tasks, query), ERR_OK);
        struct db_result *result = step(f, &reader, f->tasks, &f->selection, 100);
        assert_int_equal(db_rows(result),
                         page < 2 ? 2 : 1); /* one more than the limit says that there is a next page */
        struct cursor cursor = {.created_us = db_int(result, 0, 1), .id = id_of(result, 0)};
        snprintf(seen[page], sizeof(seen[page]), "%s", db_text(result, 0, 2).data);
        db_result_release(result);
        char after[CURSOR_SIZE];
        cursor_format(&cursor, after);
        snprintf(query, sizeof(query), "limit=1&after=%s", after);
    }
    assert_true(strcmp(seen[0], seen[1]) < 0 && strcmp(seen[1], seen[2]) < 0);
    assert_int_equal(count_rows(f, &reader, f->tasks, query), 0);
    close_reader(&reader);
}

static int load(void **state)
{
    (void)state;
    log_threshold = LOG_ERROR;
    if (apply_migrations() != 0)
        return -1;
    do_sql("DELETE FROM company WHERE id = '" COMPANY "'");
    do_sql("INSERT INTO company (id, name) VALUES ('" COMPANY "', 'C')");
    do_sql("INSERT INTO project (company_id, id, number, name, status, start_date, budget, version, "
           "created_at, updated_at) VALUES"
           " ('" COMPANY "', '" PROJECT "', 'PRJ-1', 'Quay \"7\"', 'active', '2026-02-01', 1000.5, 3,"
           "  '2026-01-31T09:15:00.123456Z', '2026-01-31T09:15:00Z'),"
           " ('" COMPANY
           "', gen_random_uuid(), 'PRJ-2', '100% étage', 'planning', NULL, NULL, 1, now(), now())");
    do_sql("INSERT INTO task (company_id, id, project_id, title, creator_id, created_at)"
           " SELECT '" COMPANY "', ('0000000e-0000-7000-8000-00000000000' || i)::uuid, '" PROJECT
           "', 'Dig', gen_random_uuid(),"
           " '2026-03-01' FROM generate_series(1, 3) AS i");
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_etag_when_named_in_any_form_matches),
        cmocka_unit_test(test_etag_when_the_field_is_cut_anywhere_is_not_read_past_its_end),
        cmocka_unit_test(test_cursor_when_formatted_and_parsed_is_the_same),
        cmocka_unit_test(test_cursor_when_it_is_not_ours_is_refused),
        cmocka_unit_test(test_cursor_when_of_any_list_is_the_same_and_cut_anywhere_is_not_ours),
        TEST(test_selection_when_nothing_is_asked_has_the_defaults),
        TEST(test_selection_when_archived_is_asked_for_shows_them),
        TEST(test_selection_when_everything_is_asked_has_the_parameters_in_order),
        TEST(test_selection_when_it_makes_no_sense_names_every_parameter),
        TEST(test_selection_when_the_text_is_at_its_bound_is_taken),
        TEST(test_entity_when_read_is_json_with_every_field_of_the_schema),
        TEST(test_lists_when_asked_in_every_shape_are_statements_that_run),
        TEST(test_text_when_it_holds_wildcards_or_other_case_finds_what_is_written),
        TEST(test_text_when_the_index_finds_it_is_what_a_walk_would_find),
        TEST(test_text_when_case_or_encoding_differs_then_it_is_found_as_unicode_folds),
        TEST(test_walk_when_the_company_has_another_one_waits_and_nobody_else_does),
        TEST(test_text_when_the_index_is_asked_directly_it_knows_one_company),
        TEST(test_shape_when_an_index_knows_its_filter_compares_no_rows),
        TEST(test_statements_when_thousands_of_shapes_are_asked_for_are_kept_up_to_a_bound),
        TEST(test_pages_when_times_are_equal_go_on_by_id),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
