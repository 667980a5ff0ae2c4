/* What text search goes by: a worker puts what has changed into blocks, and each row is in one, with its present
 * text. (What a search finds meanwhile: test_read.c.) */

#include "tests/unit/workers/engine/worker_fixture.h"

#include "workers/engine/housekeeping/text_blocks.h"

enum { PROJECTS = 300, MANY = 20000 };

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void run_for(struct ev_loop *loop, double seconds)
{
    ev_timer timer;
    ev_now_update(loop);
    ev_timer_init(&timer, on_time, seconds, 0);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
    ev_timer_stop(loop, &timer);
}

static struct db *connect_filler(struct engine *e)
{
    static const struct db_callbacks silent = {0};
    struct db *db;
    const struct db_options options = {.url = test_url(), .role = "cortex_webhooks"};
    assert_int_equal(db_new(e->loop, &options, &silent, NULL, &db), ERR_OK);
    return db;
}

static bool is_filled(void)
{
    return strcmp(ask_sqlf("SELECT (SELECT count(*) FROM project_text_changed) + (SELECT count(*) FROM "
                           "task_text_changed)"),
                  "0") == 0;
}

static void fill(struct engine *e)
{
    struct db *db = connect_filler(e);
    struct text_blocks *blocks = text_blocks_new(e->loop, db, 5);
    for (int turn = 0; turn < 3000 && !is_filled(); turn++)
        run_for(e->loop, 0.01);
    assert_true(is_filled());
    text_blocks_drain(blocks);
    while (!text_blocks_is_idle(blocks))
        run_for(e->loop, 0.01);
    db_free(db);
    text_blocks_free(blocks);
}

static void add_projects(const struct engine *e, const char *name)
{
    run_sqlf("INSERT INTO project (company_id, id, number, name) SELECT '%s', gen_random_uuid(),"
             " '%s-' || n, '%s ' || n FROM generate_series(1, %d) AS n",
             uuid_text(&e->company), name, name, PROJECTS);
}

/* Every project of the company is in exactly one block, in its place there, and nothing else is. */
static void expect_blocks(const struct engine *e)
{
    const char *wrong = ask_sqlf(
        "WITH part AS (SELECT part.id, part.body FROM project_text_block AS b,"
        " LATERAL unnest(b.ids, string_to_array(b.body, E'\\x1e')) AS part (id, body) WHERE company_id = "
        "'%s')"
        " SELECT count(*) FROM part FULL JOIN (SELECT * FROM project WHERE company_id = '%s') AS p USING (id)"
        " WHERE part.body IS DISTINCT FROM text_fold(concat_ws(E'\\x1f', number, name, description, "
        "address))",
        uuid_text(&e->company), uuid_text(&e->company));
    assert_string_equal(wrong, "0");
    const char *rows = ask_sqlf(
        "SELECT coalesce(sum(cardinality(ids)), 0) = (SELECT count(*) FROM project WHERE company_id = '%s')"
        " FROM project_text_block WHERE company_id = '%s'",
        uuid_text(&e->company), uuid_text(&e->company));
    assert_string_equal(rows, "t");
}

static void test_text_when_rows_come_change_and_go_each_is_in_one_block_with_its_present_text(void **state)
{
    struct engine *e = *state;
    add_projects(e, "Quay");
    fill(e);
    expect_blocks(e);
    add_projects(e, "Mole");
    run_sqlf("UPDATE project SET address = 'Pier ' || number WHERE name ~ '7'");
    run_sqlf("UPDATE project SET address = NULL, description = 'Dry' WHERE name ~ '77'");
    run_sqlf("DELETE FROM project WHERE name ~ '5'");
    fill(e);
    expect_blocks(e);
    run_sqlf("DELETE FROM project WHERE company_id = '%s'", uuid_text(&e->company));
    fill(e);
    expect_blocks(e);
}

static void test_text_when_a_row_changes_in_something_else_it_stays_where_it_is(void **state)
{
    struct engine *e = *state;
    add_projects(e, "Quay");
    fill(e);
    run_sqlf("UPDATE project SET progress = 3, version = version + 1");
    assert_true(is_filled());
}

static void test_text_when_a_change_is_rolled_back_nothing_is_left_to_fill(void **state)
{
    struct engine *e = *state;
    add_projects(e, "Quay");
    fill(e);
    run_sqlf("DO $$ BEGIN UPDATE project SET name = 'Mole'; RAISE EXCEPTION 'no'; EXCEPTION WHEN "
             "raise_exception THEN NULL; END $$");
    assert_true(is_filled());
    expect_blocks(e);
}

/* A step of another process is under way, or one that was broken off: its locks are gone with it. */
static void test_text_when_another_process_fills_this_one_leaves_it_alone_and_goes_on_later(void **state)
{
    struct engine *e = *state;
    add_projects(e, "Quay");
    run_sqlf("DO $$ BEGIN PERFORM pg_advisory_lock(hashtextextended('cortex.project_text_fill', 0)); END $$");
    struct db *db = connect_filler(e);
    struct text_blocks *blocks = text_blocks_new(e->loop, db, 5);
    run_for(e->loop, 2.5);
    assert_false(is_filled());
    run_sqlf(
        "DO $$ BEGIN PERFORM pg_advisory_unlock(hashtextextended('cortex.project_text_fill', 0)); END $$");
    db_free(db);
    text_blocks_free(blocks);
    fill(e);
    expect_blocks(e);
}

/* So many that they do not wait for a quieter time. */
static void test_text_when_many_changes_have_gathered_is_filled_although_more_come(void **state)
{
    struct engine *e = *state;
    struct db *db = connect_filler(e);
    struct text_blocks *blocks = text_blocks_new(e->loop, db, 5);
    add_projects(e, "Quay");
    for (int turn = 0; turn < 3000 && !is_filled(); turn++) {
        for (int i = 0; i < MANY / 100; i++)
            text_blocks_changed(blocks);
        run_for(e->loop, 0.01);
    }
    assert_true(is_filled());
    db_free(db);
    text_blocks_free(blocks);
    expect_blocks(e);
}

/* As a migration does when a field gets x-search, and as it did when rows were there before the blocks. */
static void test_text_when_it_begins_anew_all_rows_come_into_blocks_again(void **state)
{
    struct engine *e = *state;
    add_projects(e, "Quay");
    fill(e);
    run_sqlf("SELECT text_search_prepare('project', '{number,name,description,address}')");
    run_sqlf("SELECT text_search_begin('project', '{number,name,description,address}')");
    assert_false(is_filled());
    fill(e);
    expect_blocks(e);
}

/* A create pays for no index of texts. */
static void test_text_of_a_table_with_search_is_in_no_index_of_the_table_itself(void **state)
{
    (void)state;
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
                 " JOIN pg_am AS a ON a.oid = c.relam WHERE a.amname NOT IN ('btree', 'hash')"
                 " AND i.indrelid IN ('project'::regclass, 'task'::regclass)"),
        "0");
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_text_when_rows_come_change_and_go_each_is_in_one_block_with_its_present_text),
        TEST(test_text_when_a_row_changes_in_something_else_it_stays_where_it_is),
        TEST(test_text_when_a_change_is_rolled_back_nothing_is_left_to_fill),
        TEST(test_text_when_another_process_fills_this_one_leaves_it_alone_and_goes_on_later),
        TEST(test_text_when_many_changes_have_gathered_is_filled_although_more_come),
        TEST(test_text_when_it_begins_anew_all_rows_come_into_blocks_again),
        TEST(test_text_of_a_table_with_search_is_in_no_index_of_the_table_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
