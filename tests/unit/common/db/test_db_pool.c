#include "tests/unit/common/db/db_fixture.h"

#include <signal.h>

#define COMPANY_A "0000000a-0000-7000-8000-000000000001"
#define COMPANY_B "0000000b-0000-7000-8000-000000000001"

struct fixture {
    struct ev_loop *loop;
    struct journal journal;
    struct db_pool *pool;
    struct mark marks[8];
};

static const struct db_statement one = {"one", "SELECT 1"};
static const struct db_statement names = {"names", "SELECT name FROM project ORDER BY name"};
static const struct db_statement names_of_b = {"names_of_b",
                                               "SELECT name FROM project WHERE company_id = '" COMPANY_B "'"};
static const struct db_statement divide = {"divide", "SELECT 1 / $1::integer"};
static const struct db_statement nap = {"nap", "SELECT pg_sleep($1::float)"};
static const struct db_statement pid = {"pid", "SELECT pg_backend_pid()"};

static void open_pool(struct fixture *f, const struct db_pool_options *options)
{
    db_pool_free(f->pool);
    f->pool = NULL;
    journal_clear(&f->journal);
    assert_int_equal(db_pool_new(f->loop, options, &f->pool), ERR_OK);
}

static struct db_pool_options usual(void)
{
    return (struct db_pool_options){.db = {.url = test_url(), .role = "cortex_gateway", .read_only = true},
                                    .connections = 1,
                                    .queue_max = 100,
                                    .deadline_ms = 10000};
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->loop = ev_loop_new(EVFLAG_AUTO);
    journal_init(&f->journal, f->loop);
    static const char *const letters[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < ARRAY_LEN(letters); i++)
        f->marks[i] = (struct mark){&f->journal, letters[i]};
    const struct db_pool_options options = usual();
    open_pool(f, &options);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    db_pool_free(f->pool);
    ev_loop_destroy(f->loop);
    free(f);
    return 0;
}

static enum err ask(struct fixture *f, const struct db_query *query)
{
    return db_pool_query(f->pool, query, NULL);
}

static enum err query_of(struct fixture *f, const char *company, const struct db_statement *statement,
                         const char *param, int mark)
{
    const struct slice params[] = {slice_of(param)};
    return ask(f, &(struct db_query){.company = slice_of(company),
                                     .statement = statement,
                                     .params = params,
                                     .param_count = param ? 1 : 0,
                                     .on_result = note_result,
                                     .arg = &f->marks[mark]});
}

static void query(struct fixture *f, const struct db_statement *statement, const char *param, int mark)
{
    assert_int_equal(query_of(f, COMPANY_A, statement, param, mark), ERR_OK);
}

static struct db_result *rows_of(struct fixture *f, const char *company, const struct db_statement *statement)
{
    struct kept kept = {.journal = &f->journal};
    journal_clear(&f->journal);
    const struct db_query query = {
        .company = slice_of(company), .statement = statement, .on_result = keep_result, .arg = &kept};
    assert_int_equal(ask(f, &query), ERR_OK);
    journal_await(&f->journal, 1);
    assert_int_equal(db_result_error(kept.result), ERR_OK);
    return kept.result;
}

static void test_rows_when_another_company_asks_are_not_there(void **state)
{
    struct fixture *f = *state;
    struct db_result *a = rows_of(f, COMPANY_A, &names), *b = rows_of(f, COMPANY_B, &names);
    assert_int_equal(db_rows(a), 1);
    assert_true(slice_is(db_text(a, 0, 0), "of A"));
    assert_int_equal(db_rows(b), 1);
    assert_true(slice_is(db_text(b, 0, 0), "of B"));
    db_result_release(a);
    db_result_release(b);
    /* Not even a statement that asks for the other company gets its rows. */
    struct db_result *stolen = rows_of(f, COMPANY_A, &names_of_b);
    assert_int_equal(db_rows(stolen), 0);
    db_result_release(stolen);
}

static void test_rows_when_companies_share_a_transaction_are_their_own(void **state)
{
    struct fixture *f = *state;
    struct kept kept[6];
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        kept[i] = (struct kept){.journal = &f->journal};
        const char *company = i % 3 == 0 ? COMPANY_B : COMPANY_A;
        const struct db_query query = {
            .company = slice_of(company), .statement = &names, .on_result = keep_result, .arg = &kept[i]};
        assert_int_equal(ask(f, &query), ERR_OK);
    }
    journal_await(&f->journal, ARRAY_LEN(kept));
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        assert_int_equal(db_rows(kept[i].result), 1);
        assert_true(slice_is(db_text(kept[i].result, 0, 0), i % 3 == 0 ? "of B" : "of A"));
        db_result_release(kept[i].result);
    }
}

/* Without the pool, a session of the role that has set no company sees nothing and can write nothing. */
static void test_rows_when_no_company_is_set_are_none(void **state)
{
    struct fixture *f = *state;
    struct db *db;
    struct kept kept = {.journal = &f->journal};
    static const struct db_statement write = {"write", "DELETE FROM project"};
    assert_int_equal(db_new(f->loop, &(struct db_options){.url = test_url(), .role = "cortex_gateway"},
                            &noting, &f->journal, &db),
                     ERR_OK);
    journal_await(&f->journal, 1);
    db_send(db, &names, NULL, 0, keep_result, &kept);
    db_sync(db, NULL, NULL);
    journal_await(&f->journal, 2);
    assert_int_equal(db_result_error(kept.result), ERR_OK);
    assert_int_equal(db_rows(kept.result), 0);
    db_send(db, &write, NULL, 0, keep_result, &kept);
    db_sync(db, NULL, NULL);
    journal_await(&f->journal, 3);
    assert_string_equal(db_result_sqlstate(kept.result), "42501");
    db_result_release(kept.result);
    db_free(db);
}

/* Its text is overwritten and freed before it is sent. Beside it a statement fails, so that it is sent twice. */
static void test_query_when_its_statement_has_no_name_is_answered_and_nothing_is_prepared(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement prepared = {
        "prepared",
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1::text || %'"};
    struct kept kept = {.journal = &f->journal};
    char *sql = strdup("SELECT $1::text || ' there'");
    struct db_statement *statement = malloc(sizeof(*statement));
    *statement = (struct db_statement){.sql = sql};
    query(f, &divide, "0", 0);
    assert_int_equal(ask(f, &(struct db_query){.company = SLICE(COMPANY_A),
                                               .statement = statement,
                                               .params = &SLICE("hello"),
                                               .param_count = 1,
                                               .on_result = keep_result,
                                               .arg = &kept}),
                     ERR_OK);
    memset(sql, 'x', strlen(sql));
    free(sql);
    free(statement);
    journal_await(&f->journal, 2);
    assert_int_equal(db_result_error(kept.result), ERR_OK);
    assert_true(slice_is(db_text(kept.result, 0, 0), "hello there"));
    db_result_release(kept.result);
    struct db_result *result = rows_of(f, COMPANY_A, &prepared);
    assert_int_equal(db_int(result, 0, 0), 0);
    db_result_release(result);
}

static void test_query_when_a_neighbour_fails_is_run_again_alone(void **state)
{
    struct fixture *f = *state;
    query(f, &one, NULL, 0);
    query(f, &divide, "0", 1);
    query(f, &one, NULL, 2);
    query(f, &divide, "1", 3);
    journal_await(&f->journal, 4);
    /* The two that were skipped come after, in either order. */
    assert_memory_equal(f->journal.text, "a:OK b:DATABASE_ERROR ", 22);
    assert_non_null(strstr(f->journal.text, "c:OK"));
    assert_non_null(strstr(f->journal.text, "d:OK"));
    assert_int_equal(f->journal.count, 4);
}

static void test_query_when_its_connection_breaks_is_answered_by_the_next_one(void **state)
{
    struct fixture *f = *state;
    struct db_result *result = rows_of(f, COMPANY_A, &pid);
    char victim[24];
    snprintf(victim, sizeof(victim), "%lld", (long long)db_int(result, 0, 0));
    db_result_release(result);
    journal_clear(&f->journal);
    query(f, &nap, "0.3", 0);
    query(f, &one, NULL, 1);
    ev_run(f->loop, EVRUN_NOWAIT);
    db_result_release(run_sql("SELECT pg_terminate_backend($1::integer)", victim));
    journal_await(&f->journal, 2);
    assert_non_null(strstr(f->journal.text, "a:OK")); /* in either order */
    assert_non_null(strstr(f->journal.text, "b:OK"));
}

static void test_query_when_the_queue_is_full_is_refused(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = usual();
    options.queue_max = 3;
    open_pool(f, &options);
    for (int i = 0; i < 3; i++)
        query(f, &one, NULL, i);
    assert_int_equal(query_of(f, COMPANY_A, &one, NULL, 3), ERR_DATABASE_BUSY);
    journal_await(&f->journal, 3);
    assert_string_equal(f->journal.text, "a:OK b:OK c:OK");
    query(f, &one, NULL, 4); /* there is room again */
    journal_await(&f->journal, 4);
}

static void test_query_when_its_time_is_over_is_answered_for_what_it_was_doing(void **state)
{
    struct fixture *f = *state;
    journal_clear(&f->journal);
    struct db_pool_options options = usual();
    options.deadline_ms = 300;
    open_pool(f, &options);
    while (!db_pool_is_up(f->pool))
        ev_run(f->loop, EVRUN_ONCE);
    query(f, &nap, "1", 0);
    ev_run(f->loop, EVRUN_NOWAIT); /* sent */
    query(f, &one, NULL, 1);       /* waits for the connection */
    journal_await(&f->journal, 2);
    assert_string_equal(f->journal.text, "a:TIMEOUT b:DATABASE_BUSY");
    /* The late answer is dropped, and then the connection serves the next query. */
    do {
        journal_clear(&f->journal);
        query(f, &one, NULL, 2);
        journal_await(&f->journal, 1);
    } while (strcmp(f->journal.text, "c:DATABASE_BUSY") == 0);
    assert_string_equal(f->journal.text, "c:OK");
}

static void test_query_when_the_server_is_away_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = usual();
    options.db.url = "postgresql://nobody@127.0.0.1:1/nothing";
    options.deadline_ms = 200;
    open_pool(f, &options);
    query(f, &one, NULL, 0);
    assert_int_equal(f->journal.count, 0);
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "a:DATABASE_UNAVAILABLE");
    assert_false(db_pool_is_up(f->pool));
}

static void test_query_when_another_is_slow_uses_another_connection(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = usual();
    options.connections = 2;
    open_pool(f, &options);
    while (!db_pool_is_up(f->pool))
        ev_run(f->loop, EVRUN_ONCE);
    query(f, &nap, "0.5", 0);
    ev_run(f->loop, EVRUN_NOWAIT);
    query(f, &one, NULL, 1);
    journal_await(&f->journal, 2);
    assert_string_equal(f->journal.text, "b:OK a:OK");
}

static void await_connections(struct fixture *f)
{
    while (!db_pool_is_up(f->pool))
        ev_run(f->loop, EVRUN_ONCE);
    journal_clear(&f->journal);
}

static void test_company_when_another_has_all_it_may_run_has_its_turn(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = usual();
    options.connections = 2;
    options.company_max = 1;
    open_pool(f, &options);
    await_connections(f);
    for (int i = 0; i < 4; i++) { /* each in a transaction of its own, if it may */
        query(f, &nap, "0.2", i);
        ev_run(f->loop, EVRUN_NOWAIT);
    }
    assert_int_equal(query_of(f, COMPANY_B, &one, NULL, 4), ERR_OK);
    journal_await(&f->journal, 5);
    assert_memory_equal(f->journal.text, "e:OK", 4);
}

static void test_company_when_another_has_filled_its_part_of_the_queue_finds_room(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = usual();
    options.queue_max = 4;
    open_pool(f, &options);
    for (int i = 0; i < 3; i++)
        query(f, &one, NULL, i);
    assert_int_equal(query_of(f, COMPANY_A, &one, NULL, 3), ERR_DATABASE_BUSY);
    assert_int_equal(query_of(f, COMPANY_B, &one, NULL, 3), ERR_OK);
    journal_await(&f->journal, 4);
    assert_non_null(strstr(f->journal.text, "d:OK"));
}

static void test_companies_when_one_has_asked_much_take_turns(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = usual();
    options.queue_max = 1000;
    open_pool(f, &options);
    for (int i = 0; i < 80; i++) /* more than one transaction takes */
        query(f, &one, NULL, 0);
    assert_int_equal(query_of(f, COMPANY_B, &one, NULL, 1), ERR_OK);
    journal_await(&f->journal, 5);
    assert_memory_equal(f->journal.text, "a:OK a:OK a:OK a:OK b:OK", 24);
}

static enum err ask_expensive(struct fixture *f, const char *company, const struct db_statement *statement,
                              const char *param, int mark)
{
    const struct slice params[] = {slice_of(param)};
    return ask(f, &(struct db_query){.kind = DB_QUERY_EXPENSIVE,
                                     .company = slice_of(company),
                                     .statement = statement,
                                     .params = params,
                                     .param_count = param ? 1 : 0,
                                     .on_result = note_result,
                                     .arg = &f->marks[mark]});
}

static void test_queries_when_they_are_expensive_leave_room_for_others(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = usual();
    options.expensive_connections = 2;
    open_pool(f, &options);
    await_connections(f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask_expensive(f, COMPANY_A, &nap, "0.3", i), ERR_OK);
    ev_run(f->loop, EVRUN_NOWAIT);
    query(f, &one, NULL, 4);                                             /* a cheap one of the same company */
    assert_int_equal(ask_expensive(f, COMPANY_B, &nap, "0", 5), ERR_OK); /* an expensive one of another */
    journal_await(&f->journal, 6);
    assert_memory_equal(strchr(f->journal.text, 'a'), "a:OK b:OK c:OK d:OK", 19);
    assert_true(strstr(f->journal.text, "e:OK") < strstr(f->journal.text, "a:OK"));
    assert_true(strstr(f->journal.text, "f:OK") < strstr(f->journal.text, "a:OK"));
}

/* Both companies ask for more while the first one's query runs: b is the first one's, c and f are the other's. They take
 * turns, unless the first one rests. */
static void run_after_a_long_one(struct fixture *f, enum db_query_kind kind)
{
    struct db_pool_options options = usual();
    options.expensive_share = 1;
    open_pool(f, &options);
    await_connections(f);
    if (kind == DB_QUERY_CHEAP)
        assert_int_equal(query_of(f, COMPANY_B, &one, NULL, 3), ERR_OK);
    else
        query(f, &one, NULL, 3);
    assert_int_equal(ask_expensive(f, COMPANY_A, &nap, "0.1", 0), ERR_OK);
    ev_run(f->loop, EVRUN_NOWAIT);
    assert_int_equal(ask_expensive(f, COMPANY_A, &one, NULL, 1), ERR_OK);
    assert_int_equal(ask_expensive(f, COMPANY_B, &one, NULL, 2), ERR_OK);
    assert_int_equal(ask_expensive(f, COMPANY_B, &one, NULL, 5), ERR_OK);
}

static void test_company_when_its_expensive_queries_take_long_rests_while_others_read(void **state)
{
    struct fixture *f = *state;
    run_after_a_long_one(f, DB_QUERY_CHEAP);
    journal_await(&f->journal, 5);
    assert_string_equal(f->journal.text, "d:OK a:OK c:OK f:OK b:OK");
}

static void test_company_when_nobody_else_reads_does_not_rest(void **state)
{
    struct fixture *f = *state;
    run_after_a_long_one(f, DB_QUERY_EXPENSIVE);
    journal_await(&f->journal, 5);
    assert_string_equal(f->journal.text, "d:OK a:OK c:OK b:OK f:OK");
}

/* Nor does it make others slow with cheap queries that are none. */
static void test_query_that_looks_when_its_company_rests_is_expensive(void **state)
{
    struct fixture *f = *state;
    run_after_a_long_one(f, DB_QUERY_CHEAP);
    journal_await(&f->journal, 2);
    const struct db_query look = {.kind = DB_QUERY_LOOK,
                                  .company = SLICE(COMPANY_A),
                                  .statement = &one,
                                  .on_result = note_result,
                                  .arg = &f->marks[4]};
    assert_int_equal(ask(f, &look), ERR_OK);
    journal_await(&f->journal, 6);
    assert_string_equal(f->journal.text, "d:OK a:OK c:OK f:OK b:OK e:OK");
}

static void test_query_that_looks_when_it_takes_long_is_charged(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = usual();
    options.expensive_share = 1;
    open_pool(f, &options);
    await_connections(f);
    const struct db_query look = {.kind = DB_QUERY_LOOK,
                                  .company = SLICE(COMPANY_A),
                                  .statement = &nap,
                                  .params = &SLICE("0.1"),
                                  .param_count = 1,
                                  .on_result = note_result,
                                  .arg = &f->marks[0]};
    assert_int_equal(ask(f, &look), ERR_OK);
    assert_int_equal(query_of(f, COMPANY_B, &one, NULL, 1), ERR_OK);
    journal_await(&f->journal, 2);
    assert_int_equal(ask_expensive(f, COMPANY_A, &one, NULL, 2), ERR_OK);
    assert_int_equal(ask_expensive(f, COMPANY_B, &one, NULL, 3), ERR_OK);
    journal_await(&f->journal, 4);
    assert_string_equal(f->journal.text, "a:OK b:OK d:OK c:OK"); /* although it asked first */
}

/* Whoever else reads may ask another process. */
static void test_company_when_others_read_elsewhere_rests(void **state)
{
    struct fixture *f = *state;
    struct uuid other;
    assert_true(uuid_parse(SLICE(COMPANY_B), &other));
    run_after_a_long_one(f, DB_QUERY_EXPENSIVE);
    db_pool_hear(f->pool, &other);
    struct uuid readers[2];
    assert_int_equal(db_pool_readers(f->pool, readers), 1); /* what was heard is not said again */
    journal_await(&f->journal, 5);
    assert_string_equal(f->journal.text, "d:OK a:OK c:OK f:OK b:OK");
}

static void test_query_when_it_is_expensive_has_less_time(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = usual();
    options.db.statement_timeout_ms = 20000;
    options.expensive_timeout_ms = 100;
    open_pool(f, &options);
    assert_int_equal(ask_expensive(f, COMPANY_A, &nap, "9", 0), ERR_OK);
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "a:TIMEOUT");
}

/* The next query would wait for 30 seconds, three times as long as it may. */
static void test_query_when_nobody_waits_for_it_is_cancelled(void **state)
{
    struct fixture *f = *state;
    await_connections(f);
    struct pool_query *dropped;
    const struct db_query long_one = {.company = SLICE(COMPANY_A),
                                      .statement = &nap,
                                      .params = &SLICE("30"),
                                      .param_count = 1,
                                      .on_result = note_result,
                                      .arg = &f->marks[0]};
    for (int i = 0; i < 5; i++) {
        journal_clear(&f->journal);
        assert_int_equal(db_pool_query(f->pool, &long_one, &dropped), ERR_OK);
        ev_run(f->loop, EVRUN_NOWAIT);
        db_pool_drop(dropped);
        query(f, &one, NULL, 1); /* nor does the cancellation meet this one */
        journal_await(&f->journal, 1);
        assert_string_equal(f->journal.text, "b:OK");
    }
    assert_int_equal(db_pool_query(f->pool, &long_one, &dropped), ERR_OK);
    db_pool_drop(dropped); /* before it was sent */
    query(f, &one, NULL, 1);
    journal_await(&f->journal, 2);
    assert_string_equal(f->journal.text, "b:OK b:OK");
}

/* The server drops a request to cancel that comes before the statement: here its process stands still meanwhile. */
static void test_query_when_its_cancellation_comes_too_early_is_cancelled_all_the_same(void **state)
{
    struct fixture *f = *state;
    await_connections(f);
    struct db_result *result = rows_of(f, COMPANY_A, &pid);
    pid_t backend = (pid_t)db_int(result, 0, 0);
    db_result_release(result);
    journal_clear(&f->journal);
    struct pool_query *dropped;
    const struct db_query long_one = {.company = SLICE(COMPANY_A),
                                      .statement = &nap,
                                      .params = &SLICE("30"),
                                      .param_count = 1,
                                      .on_result = note_result,
                                      .arg = &f->marks[0]};
    if (kill(backend, SIGSTOP) != 0)
        skip(); /* the server runs on another machine */
    assert_int_equal(db_pool_query(f->pool, &long_one, &dropped), ERR_OK);
    ev_run(f->loop, EVRUN_NOWAIT);
    db_pool_drop(dropped);
    ev_run(f->loop, EVRUN_ONCE); /* the first request has been dealt with */
    assert_int_equal(kill(backend, SIGCONT), 0);
    query(f, &one, NULL, 1);
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "b:OK");
}

static void test_query_when_one_of_its_transaction_is_dropped_is_answered(void **state)
{
    struct fixture *f = *state;
    await_connections(f);
    struct pool_query *dropped;
    const struct db_query first = {.company = SLICE(COMPANY_A),
                                   .statement = &nap,
                                   .params = &SLICE("0.2"),
                                   .param_count = 1,
                                   .on_result = note_result,
                                   .arg = &f->marks[0]};
    assert_int_equal(db_pool_query(f->pool, &first, &dropped), ERR_OK);
    query(f, &one, NULL, 1);
    ev_run(f->loop, EVRUN_NOWAIT);
    db_pool_drop(dropped);
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "b:OK");
}

static void test_query_when_it_is_hurried_is_answered_soon(void **state)
{
    struct fixture *f = *state;
    await_connections(f);
    double begin = ev_time();
    assert_int_equal(ask(f, &(struct db_query){.kind = DB_QUERY_HURRIED,
                                               .company = SLICE(COMPANY_A),
                                               .statement = &nap,
                                               .params = &SLICE("8"),
                                               .param_count = 1,
                                               .on_result = note_result,
                                               .arg = &f->marks[0]}),
                     ERR_OK);
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "a:TIMEOUT");
    assert_true(ev_time() - begin < 5); /* the others have 10 s */
}

/* A row that only the primary has: it is told by the name of the connection. */
static void test_replica_when_it_has_no_row_is_not_believed(void **state)
{
    static const struct db_statement only_there = {
        "only_there", "SELECT 1 WHERE current_setting('application_name') = 'primary'"};
    struct fixture *f = *state;
    struct db_pool *primary;
    struct db_pool_options options = usual();
    options.db.application_name = "primary";
    options.db.primary = true;
    assert_int_equal(db_pool_new(f->loop, &options, &primary), ERR_OK);
    while (!db_pool_is_up(primary))
        ev_run(f->loop, EVRUN_ONCE);
    options.db.application_name = "replica";
    options.primary = primary;
    open_pool(f, &options);
    await_connections(f);
    for (int i = 0; i < 3; i++) {
        struct kept kept = {.journal = &f->journal};
        const struct db_query query = {.company = SLICE(COMPANY_A),
                                       .expects_row = i == 1,
                                       .is_fresh = i == 2,
                                       .statement = &only_there,
                                       .on_result = keep_result,
                                       .arg = &kept};
        journal_clear(&f->journal);
        assert_int_equal(ask(f, &query), ERR_OK);
        journal_await(&f->journal, 1);
        assert_int_equal(db_rows(kept.result), i > 0);
        db_result_release(kept.result);
    }
    db_pool_free(TAKE(f->pool));
    db_pool_free(primary);
}

static void test_pool_when_freed_answers_everybody(void **state)
{
    struct fixture *f = *state;
    while (!db_pool_is_up(f->pool))
        ev_run(f->loop, EVRUN_ONCE);
    query(f, &nap, "30", 0);
    ev_run(f->loop, EVRUN_NOWAIT);
    query(f, &one, NULL, 1);
    db_pool_free(TAKE(f->pool));
    assert_string_equal(f->journal.text, "a:SHUTTING_DOWN b:SHUTTING_DOWN");
}

static void test_company_when_it_is_no_uuid_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(query_of(f, "", &one, NULL, 0), ERR_BAD_REQUEST);
}

static int migrate(void **state)
{
    (void)state;
    log_threshold = LOG_ERROR;
    if (apply_migrations() != 0)
        return -1;
    do_sql("DELETE FROM company WHERE id IN ('" COMPANY_A "', '" COMPANY_B "')");
    do_sql("INSERT INTO company (id, name) VALUES ('" COMPANY_A "', 'A'), ('" COMPANY_B "', 'B')");
    do_sql("INSERT INTO project (company_id, id, number, name) VALUES ('" COMPANY_A
           "', gen_random_uuid(), '1', 'of A'),"
           " ('" COMPANY_B "', gen_random_uuid(), '1', 'of B')");
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows_when_another_company_asks_are_not_there),
        TEST(test_rows_when_companies_share_a_transaction_are_their_own),
        TEST(test_rows_when_no_company_is_set_are_none),
        TEST(test_query_when_its_statement_has_no_name_is_answered_and_nothing_is_prepared),
        TEST(test_query_when_a_neighbour_fails_is_run_again_alone),
        TEST(test_query_when_its_connection_breaks_is_answered_by_the_next_one),
        TEST(test_query_when_the_queue_is_full_is_refused),
        TEST(test_query_when_its_time_is_over_is_answered_for_what_it_was_doing),
        TEST(test_query_when_the_server_is_away_is_unavailable),
        TEST(test_query_when_another_is_slow_uses_another_connection),
        TEST(test_company_when_another_has_all_it_may_run_has_its_turn),
        TEST(test_company_when_another_has_filled_its_part_of_the_queue_finds_room),
        TEST(test_companies_when_one_has_asked_much_take_turns),
        TEST(test_queries_when_they_are_expensive_leave_room_for_others),
        TEST(test_company_when_its_expensive_queries_take_long_rests_while_others_read),
        TEST(test_company_when_nobody_else_reads_does_not_rest),
        TEST(test_query_that_looks_when_its_company_rests_is_expensive),
        TEST(test_query_that_looks_when_it_takes_long_is_charged),
        TEST(test_company_when_others_read_elsewhere_rests),
        TEST(test_query_when_it_is_expensive_has_less_time),
        TEST(test_query_when_nobody_waits_for_it_is_cancelled),
        TEST(test_query_when_its_cancellation_comes_too_early_is_cancelled_all_the_same),
        TEST(test_query_when_one_of_its_transaction_is_dropped_is_answered),
        TEST(test_query_when_it_is_hurried_is_answered_soon),
        TEST(test_replica_when_it_has_no_row_is_not_believed),
        TEST(test_pool_when_freed_answers_everybody),
        TEST(test_company_when_it_is_no_uuid_is_refused),
    };
    return cmocka_run_group_tests(tests, migrate, NULL);
}
