#include "tests/unit/common/db/db_fixture.h"

#include "common/db/pg_rows.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    struct ev_loop *loop;
    struct journal journal;
    struct db *db;
    struct mark marks[8]; /* a, b, c … */
    struct mark sync;
};

static const struct db_statement one = {"one", "SELECT 1"};
static const struct db_statement echo = {"echo", "SELECT $1::text"};
static const struct db_statement pid = {"pid", "SELECT pg_backend_pid()"};
static const struct db_statement divide = {"divide", "SELECT 1 / $1::integer"};
static const struct db_statement nap = {"nap", "SELECT pg_sleep($1::float)"};
static const struct db_statement insert = {"insert", "INSERT INTO test_row (id) VALUES ($1::integer)"};
static const struct db_statement count = {"count", "SELECT count(*) FROM test_row"};

static void open_db(struct fixture *f, const struct db_options *options)
{
    db_free(f->db);
    f->db = NULL;
    journal_clear(&f->journal);
    assert_int_equal(db_new(f->loop, options, &noting, &f->journal, &f->db), ERR_OK);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->loop = ev_loop_new(EVFLAG_AUTO);
    journal_init(&f->journal, f->loop);
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        f->marks[i] = (struct mark){&f->journal, names[i]};
    f->sync = (struct mark){&f->journal, "sync"};
    do_sql("CREATE TABLE IF NOT EXISTS test_row (id integer UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    do_sql("TRUNCATE test_row");
    open_db(f, &(struct db_options){.url = test_url(), .application_name = "test_db"});
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "up:-");
    journal_clear(&f->journal);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    db_free(f->db);
    ev_loop_destroy(f->loop);
    free(f);
    return 0;
}

static void run(struct fixture *f, const struct db_statement *statement, const char *param, int mark)
{
    const struct slice params[] = {slice_of(param)};
    db_send(f->db, statement, params, param ? 1 : 0, note_result, &f->marks[mark]);
}

static void commit(struct fixture *f)
{
    db_sync(f->db, note_sync, &f->sync);
}

/* Runs a statement on the connection of the fixture, in a transaction of its own, and returns the answer. */
static struct db_result *ask(struct fixture *f, const struct db_statement *statement)
{
    struct kept kept = {.journal = &f->journal};
    int before = f->journal.count;
    db_send(f->db, statement, NULL, 0, keep_result, &kept);
    db_sync(f->db, NULL, NULL);
    journal_await(&f->journal, before + 1);
    assert_int_equal(db_result_error(kept.result), ERR_OK);
    return kept.result;
}

static int64_t ask_int(struct fixture *f, const struct db_statement *statement)
{
    struct db_result *result = ask(f, statement);
    int64_t value = db_int(result, 0, 0);
    db_result_release(result);
    return value;
}

/* A URL of the test server with another list of hosts and ports, and parameters behind it. */
static void url_with(char url[1024], const char *before_host, const char *after_port, const char *parameters)
{
    const char *base = test_url(), *at = strchr(base, '@'), *slash = at ? strchr(at, '/') : NULL;
    if (!slash)
        fail_msg("the test database's URL must look like postgresql://user:password@host:port/name");
    snprintf(url, 1024, "%.*s@%s%.*s%s%s%s%s", (int)(at - base), base, before_host, (int)(slash - at - 1),
             at + 1, after_port, slash, strchr(slash, '?') ? "&" : "?", parameters);
}

static void test_callbacks_when_statements_are_pipelined_come_in_order(void **state)
{
    struct fixture *f = *state;
    run(f, &one, NULL, 0);
    run(f, &echo, "x", 1);
    commit(f);
    run(f, &one, NULL, 2);
    commit(f);
    assert_int_equal(f->journal.count, 0); /* nothing is called from inside */
    assert_int_equal(db_outstanding(f->db), 3);
    journal_await(&f->journal, 5);
    assert_string_equal(f->journal.text, "a:OK b:OK sync:OK c:OK sync:OK");
    assert_int_equal(db_outstanding(f->db), 0);
}

static void test_transaction_when_a_statement_fails_skips_the_rest_and_rolls_back(void **state)
{
    struct fixture *f = *state;
    run(f, &insert, "1", 0);
    run(f, &divide, "0", 1);
    run(f, &insert, "2", 2);
    commit(f);
    run(f, &insert, "3", 3);
    commit(f);
    journal_await(&f->journal, 6);
    assert_string_equal(f->journal.text, "a:OK b:DATABASE_ERROR c:skipped sync:DATABASE_ERROR d:OK sync:OK");
    assert_int_equal(ask_int(f, &count), 1);
}

static void test_ask_when_the_transaction_goes_on_answers_without_committing(void **state)
{
    struct fixture *f = *state;
    run(f, &insert, "1", 0);
    db_ask(f->db);
    journal_await(&f->journal, 1);
    struct db_result *outside = run_sql("SELECT count(*) FROM test_row", NULL);
    assert_int_equal(db_int(outside, 0, 0), 0);
    db_result_release(outside);
    run(f, &count, NULL, 1);
    commit(f);
    journal_await(&f->journal, 3);
    assert_string_equal(f->journal.text, "a:OK b:OK sync:OK");
    assert_int_equal(ask_int(f, &count), 1);
}

static void test_statement_when_its_first_use_was_skipped_is_prepared_again(void **state)
{
    struct fixture *f = *state;
    run(f, &divide, "0", 0);
    run(f, &echo, "never prepared", 1);
    commit(f);
    run(f, &echo, "sent before that was known", 2);
    commit(f);
    journal_await(&f->journal, 5);
    run(f, &echo, "sent after", 3);
    commit(f);
    journal_await(&f->journal, 7);
    assert_string_equal(f->journal.text,
                        "a:DATABASE_ERROR b:skipped sync:DATABASE_ERROR c:OK sync:OK d:OK sync:OK");
}

static void test_statement_when_its_sql_is_wrong_gets_the_error_itself(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement wrong = {"wrong", "SELECT FROM WHERE"};
    struct kept kept = {.journal = &f->journal};
    db_send(f->db, &wrong, NULL, 0, keep_result, &kept);
    commit(f);
    journal_await(&f->journal, 2);
    assert_string_equal(f->journal.text, "kept:DATABASE_ERROR sync:DATABASE_ERROR");
    assert_string_equal(db_result_sqlstate(kept.result), "42601");
    assert_false(db_result_skipped(kept.result));
    db_result_release(kept.result);
}

static void test_commit_when_a_deferred_constraint_fails_is_reported_at_the_sync(void **state)
{
    struct fixture *f = *state;
    run(f, &insert, "1", 0);
    run(f, &insert, "1", 1);
    commit(f);
    run(f, &one, NULL, 2);
    commit(f);
    journal_await(&f->journal, 5);
    assert_string_equal(f->journal.text, "a:OK b:OK sync:DATABASE_ERROR c:OK sync:OK");
    assert_int_equal(ask_int(f, &count), 0);
}

static void test_constraint_when_violated_is_named(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement check = {
        "check", "INSERT INTO counter (company_id, scope, value) VALUES (gen_random_uuid(), '', 0)"};
    struct kept kept = {.journal = &f->journal};
    db_send(f->db, &check, NULL, 0, keep_result, &kept);
    db_sync(f->db, NULL, NULL);
    journal_await(&f->journal, 1);
    assert_string_equal(db_result_constraint(kept.result), "counter_scope_check");
    assert_string_equal(db_result_sqlstate(kept.result), "23514");
    assert_non_null(strstr(db_result_message(kept.result), "counter"));
    db_result_release(kept.result);
}

static void test_values_when_null_empty_or_text_come_back_as_they_went(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement three = {"three", "SELECT $1::text, $2::text, $3::text, $3::bigint + 1"};
    const struct slice params[] = {SLICE_NONE, SLICE(""), SLICE("-9007199254740993")};
    struct kept kept = {.journal = &f->journal};
    db_send(f->db, &three, params, ARRAY_LEN(params), keep_result, &kept);
    db_sync(f->db, NULL, NULL);
    journal_await(&f->journal, 1);
    assert_int_equal(db_rows(kept.result), 1);
    assert_null(db_text(kept.result, 0, 0).data);
    assert_int_equal(db_int(kept.result, 0, 0), 0);
    assert_non_null(db_text(kept.result, 0, 1).data);
    assert_int_equal(db_text(kept.result, 0, 1).len, 0);
    assert_true(slice_equal(db_text(kept.result, 0, 2), params[2]));
    assert_true(db_int(kept.result, 0, 3) == INT64_C(-9007199254740992));
    db_result_release(kept.result);
}

static void test_share_when_the_result_is_released_keeps_the_bytes(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement wide = {"wide", "SELECT repeat('x', 100000), 'y'"};
    struct db_result *result = ask(f, &wide);
    struct bytes *x = db_share(result, 0, 0), *y = db_share(result, 0, 1);
    assert_ptr_equal(x->slice.data, db_text(result, 0, 0).data); /* not a copy */
    db_result_release(result);
    assert_int_equal(x->slice.len, 100000);
    assert_int_equal(x->slice.data[99999], 'x');
    bytes_unref(x);
    db_free(TAKE(f->db)); /* outlives the connection too */
    assert_true(slice_is(y->slice, "y"));
    bytes_unref(y);
}

static void test_pipeline_when_both_ways_carry_megabytes_does_not_lock_up(void **state)
{
    struct fixture *f = *state;
    enum { STATEMENTS = 400, SIZE = 60000 };
    char *big = malloc(SIZE);
    memset(big, 'z', SIZE);
    const struct slice params[] = {{big, SIZE}};
    for (int i = 0; i < STATEMENTS; i++)
        db_send(f->db, &echo, params, 1, NULL, NULL);
    commit(f);
    free(big);
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "sync:OK");
}

static void test_statement_when_it_takes_too_long_times_out(void **state)
{
    struct fixture *f = *state;
    open_db(f, &(struct db_options){.url = test_url(), .statement_timeout_ms = 50});
    journal_await(&f->journal, 1);
    run(f, &nap, "10", 0);
    commit(f);
    journal_await(&f->journal, 3);
    assert_string_equal(f->journal.text, "up:- a:TIMEOUT sync:TIMEOUT");
}

static void test_connection_when_terminated_mid_flight_fails_all_once_in_order_and_comes_back(void **state)
{
    struct fixture *f = *state;
    char victim[24];
    snprintf(victim, sizeof(victim), "%lld", (long long)ask_int(f, &pid));
    journal_clear(&f->journal);
    run(f, &one, NULL, 0);
    run(f, &nap, "30", 1);
    run(f, &one, NULL, 2);
    commit(f);
    run(f, &one, NULL, 3);
    commit(f);
    db_ask(f->db);
    ev_run(f->loop, EVRUN_NOWAIT);
    db_result_release(run_sql("SELECT pg_terminate_backend($1::integer)", victim));
    journal_await(&f->journal, 8);
    /* The first may have been answered in time; the third is skipped when the server could still say why it
     * left. */
    assert_non_null(strstr(f->journal.text, "a:"));
    assert_non_null(strstr(f->journal.text, " b:DATABASE_UNAVAILABLE c:"));
    assert_non_null(strstr(f->journal.text, " sync:DATABASE_UNAVAILABLE d:DATABASE_UNAVAILABLE"
                                            " sync:DATABASE_UNAVAILABLE down:- up:-"));
    assert_int_equal(f->journal.count, 8);
    journal_clear(&f->journal);
    run(f, &one, NULL, 0);
    commit(f);
    journal_await(&f->journal, 2);
    assert_string_equal(f->journal.text, "a:OK sync:OK");
}

static void test_transaction_when_its_connection_broke_does_not_end_on_the_next_one(void **state)
{
    struct fixture *f = *state;
    char victim[24];
    snprintf(victim, sizeof(victim), "%lld", (long long)ask_int(f, &pid));
    journal_clear(&f->journal);
    run(f, &insert, "1", 0);
    db_ask(f->db);
    journal_await(&f->journal, 1);
    db_result_release(run_sql("SELECT pg_terminate_backend($1::integer)", victim));
    journal_await(&f->journal, 3); /* down, up */
    assert_true(db_is_up(f->db));
    run(f, &insert, "2", 1);
    commit(f);
    run(f, &insert, "3", 2);
    commit(f);
    journal_await(&f->journal, 7);
    assert_string_equal(f->journal.text, "a:OK down:- up:- b:DATABASE_UNAVAILABLE sync:DATABASE_UNAVAILABLE"
                                         " c:OK sync:OK");
    assert_int_equal(ask_int(f, &count), 1);
}

static void test_send_when_down_fails_later_and_in_order(void **state)
{
    struct fixture *f = *state;
    open_db(f, &(struct db_options){.url = "postgresql://nobody@127.0.0.1:1/nothing"});
    run(f, &one, NULL, 0);
    db_ask(f->db);
    commit(f);
    run(f, &one, NULL, 1);
    assert_int_equal(f->journal.count, 0);
    journal_await(&f->journal, 3);
    assert_string_equal(f->journal.text,
                        "a:DATABASE_UNAVAILABLE sync:DATABASE_UNAVAILABLE b:DATABASE_UNAVAILABLE");
    journal_await(&f->journal, 5); /* two rounds of attempts show that it does not give up */
    assert_non_null(strstr(f->journal.text, "down:- down:-"));
    assert_false(db_is_up(f->db));
}

static void test_free_when_answers_are_owed_gives_shutting_down(void **state)
{
    struct fixture *f = *state;
    run(f, &one, NULL, 0);
    run(f, &nap, "30", 1);
    commit(f);
    ev_run(f->loop, EVRUN_NOWAIT);
    db_free(TAKE(f->db));
    const char *last = strstr(f->journal.text, "b:");
    assert_non_null(last);
    assert_string_equal(last, "b:SHUTTING_DOWN sync:SHUTTING_DOWN");
    assert_int_equal(f->journal.count, 3);
}

static void test_hosts_when_the_first_refuses_uses_the_next(void **state)
{
    struct fixture *f = *state;
    char url[1024];
    url_with(url, "127.0.0.1:1,", "", "connect_timeout=2");
    open_db(f, &(struct db_options){.url = url});
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "up:-");
}

static void test_host_name_when_it_has_no_address_uses_the_next(void **state)
{
    struct fixture *f = *state;
    char url[1024];
    url_with(url, "no-such-host.invalid:5432,", "", "connect_timeout=15");
    open_db(f, &(struct db_options){.url = url});
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "up:-");
}

static void test_host_name_when_it_has_an_address_connects(void **state)
{
    struct fixture *f = *state;
    char url[1024];
    const char *at = strchr(test_url(), '@'), *colon = strchr(at, ':');
    snprintf(url, sizeof(url), "%.*s@localhost%s", (int)(at - test_url()), test_url(), colon);
    open_db(f, &(struct db_options){.url = url});
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "up:-");
}

/* The kernel accepts the connection, but no server speaks: libpq alone would wait for ever. */
static void test_host_when_it_is_silent_is_given_up_for_the_next(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int silent = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(silent, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(silent, 8), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&address, &len), 0);
    char url[1024], host[64];
    snprintf(host, sizeof(host), "127.0.0.1:%u,", ntohs(address.sin_port));
    url_with(url, host, "", "connect_timeout=1");
    open_db(f, &(struct db_options){.url = url});
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "up:-");
    close(silent);
}

/* A server that does not cancel the statement itself, as it was told to when the session began. */
static void test_connection_when_the_server_hangs_is_given_up(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement forget = {"forget",
                                               "SELECT set_config('statement_timeout', '0', false)"};
    open_db(f, &(struct db_options){.url = test_url(), .statement_timeout_ms = 50});
    journal_await(&f->journal, 1);
    run(f, &forget, NULL, 0);
    commit(f);
    run(f, &nap, "15", 1);
    commit(f);
    journal_await(&f->journal, 7);
    assert_string_equal(f->journal.text,
                        "up:- a:OK sync:OK b:DATABASE_UNAVAILABLE sync:DATABASE_UNAVAILABLE down:- up:-");
}

static void test_connection_when_the_server_takes_no_writes_is_not_used_for_them(void **state)
{
    struct fixture *f = *state;
    char url[1024];
    url_with(url, "", "", "options=-c%20default_transaction_read_only%3Don");
    open_db(f, &(struct db_options){.url = url});
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "down:-");
    open_db(f, &(struct db_options){.url = url, .read_only = true});
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "up:-");
}

static void test_role_when_it_does_not_exist_keeps_the_connection_down(void **state)
{
    struct fixture *f = *state;
    open_db(f, &(struct db_options){.url = test_url(), .role = "no_such_role"});
    journal_await(&f->journal, 1);
    assert_string_equal(f->journal.text, "down:-");
}

static void test_session_when_up_is_set_up(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement session = {
        "session", "SELECT current_setting('TimeZone'), current_user, current_setting('application_name'),"
                   " current_setting('transaction_read_only')"};
    open_db(f, &(struct db_options){
                   .url = test_url(), .role = "cortex_gateway", .application_name = "n", .read_only = true});
    journal_await(&f->journal, 1);
    struct db_result *result = ask(f, &session);
    assert_true(slice_is(db_text(result, 0, 0), "UTC"));
    assert_true(slice_is(db_text(result, 0, 1), "cortex_gateway"));
    assert_true(slice_is(db_text(result, 0, 2), "n"));
    assert_true(slice_is(db_text(result, 0, 3), "on"));
    db_result_release(result);
}

/* What an owner may set for a database, and we set on each connection: the worst of it. */
static const struct {
    const char *name, *hostile;
} hostile_settings[] = {
    {"quote_all_identifiers", "on"},
    {"client_encoding", "LATIN1"},
    {"DateStyle", "SQL, DMY"},
    {"IntervalStyle", "iso_8601"},
    {"TimeZone", "Asia/Kathmandu"},
    {"timezone_abbreviations", "India"},
    {"bytea_output", "escape"},
    {"extra_float_digits", "-15"},
    {"lc_monetary", "POSIX"},
    {"lc_numeric", "POSIX"},
    {"lc_time", "POSIX"},
    {"xmlbinary", "hex"},
    {"xmloption", "document"},
    {"array_nulls", "off"},
    {"default_text_search_config", "pg_catalog.german"},
    {"search_path", "nowhere"},
    {"standard_conforming_strings", "off"},
    {"backslash_quote", "on"},
    {"transform_null_equals", "on"},
    {"check_function_bodies", "off"},
    {"plpgsql.extra_errors", "all"},
    {"restrict_nonsystem_relation_kind", "view"},
    {"row_security", "off"},
    {"cortex.company", "018e0000-0000-7000-8000-000000000001"},
    {"cortex.operator", "on"},
    {"gin_fuzzy_search_limit", "1"},
    {"default_transaction_isolation", "serializable"},
    {"default_transaction_deferrable", "on"},
    {"max_parallel_workers_per_gather", "8"},
    {"exit_on_error", "on"},
    {"lock_timeout", "1ms"},
    {"idle_session_timeout", "50ms"},
    {"idle_in_transaction_session_timeout", "1ms"},
    /* Of connect.c itself. */
    {"default_transaction_read_only", "on"},
    {"statement_timeout", "50ms"},
    {"synchronous_commit", "off"},
    {"enable_indexscan", "off"},
};

static void alter_database(const char *name, const char *value)
{
    char text[512];
    struct db_result *known = run_sql("SELECT current_setting($1, true)", name);
    bool is_known = db_text(known, 0, 0).data || strchr(name, '.');
    db_result_release(known);
    if (!is_known)
        return; /* the server is older than the setting */
    snprintf(text, sizeof(text),
             "DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET %s = ''%s''', current_database());"
             " EXCEPTION WHEN insufficient_privilege THEN NULL; END $$", /* cortex.*: a superuser may */
             name, value);
    do_sql(text);
}

static void expect_setting(struct fixture *f, const char *name, const char *value)
{
    static const struct db_statement read = {"setting", "SELECT coalesce(current_setting($1, true), $2)"};
    const struct slice params[] = {slice_of(name), slice_of(value)};
    struct kept kept = {.journal = &f->journal};
    int before = f->journal.count;
    db_send(f->db, &read, params, ARRAY_LEN(params), keep_result, &kept);
    db_sync(f->db, NULL, NULL);
    journal_await(&f->journal, before + 1);
    assert_int_equal(db_result_error(kept.result), ERR_OK);
    if (!slice_is(db_text(kept.result, 0, 0), value))
        fail_msg("%s is %s and not %s", name, db_text(kept.result, 0, 0).data, value);
    db_result_release(kept.result);
}

static void await_up(struct fixture *f)
{
    for (int i = 1; !strstr(f->journal.text, "up:-"); i++)
        journal_await(&f->journal, i);
}

static void test_session_when_the_owner_has_other_settings_keeps_none_of_them(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *value;
    } ours[] = {
#define DB_SESSION(name, value) {name, value},
#include "common/db/session.def"
#undef DB_SESSION
        {"default_transaction_read_only", "off"},
        {"statement_timeout", "5s"},
        {"synchronous_commit", "on"},
        {"enable_indexscan", "on"},
    };
    assert_int_equal(ARRAY_LEN(ours), ARRAY_LEN(hostile_settings)); /* a new row needs its worst value here */
    for (size_t i = 0; i < ARRAY_LEN(hostile_settings); i++)
        alter_database(hostile_settings[i].name, hostile_settings[i].hostile);
    open_db(f, &(struct db_options){.url = test_url(), .statement_timeout_ms = 5000});
    await_up(f);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        assert_string_equal(ours[i].name, hostile_settings[i].name);
        expect_setting(f, ours[i].name, ours[i].value);
    }
}

/* So short that the session ends before it could set its own. */
static void test_session_when_the_owner_gives_it_a_millisecond_comes_up(void **state)
{
    struct fixture *f = *state;
    do_sql("DO $$ BEGIN"
           " EXECUTE format('ALTER DATABASE %I SET idle_session_timeout = ''1ms''', current_database());"
           " EXECUTE format('ALTER DATABASE %I SET statement_timeout = ''1ms''', current_database());"
           " END $$");
    open_db(f, &(struct db_options){.url = test_url(), .statement_timeout_ms = 5000});
    await_up(f);
    usleep(20000);
    int before = f->journal.count;
    run(f, &one, NULL, 0);
    commit(f);
    journal_await(&f->journal, before + 2);
    assert_non_null(strstr(f->journal.text, "up:- a:OK sync:OK"));
}

/* On a connection that is up: a new one may not come up at the first try. */
static int forgive(void **state)
{
    static const struct db_statement reset = {
        "reset", "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET ALL', current_database()); END $$"};
    db_result_release(ask(*state, &reset));
    return tear_down(state);
}

/* A generic plan is made once, perhaps while a table is empty. It must be the plan that suits millions of
 * rows.
 */
static void test_plan_when_the_table_is_empty_goes_by_the_index(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement explain = {
        "explain", "EXPLAIN (COSTS OFF) SELECT x.status FROM unnest(ARRAY[gen_random_uuid()]) AS k (id)"
                   " JOIN inbox AS x ON x.company_id = k.id AND x.command_id = k.id"};
    struct db_result *plan = ask(f, &explain);
    bool uses_index = false;
    for (int row = 0; row < db_rows(plan); row++) {
        assert_null(strstr(db_text(plan, row, 0).data, "Seq Scan"));
        uses_index |= strstr(db_text(plan, row, 0).data, "inbox_pkey") != NULL;
    }
    assert_true(uses_index);
    db_result_release(plan);
}

static void test_url_when_it_does_not_parse_is_refused(void **state)
{
    struct fixture *f = *state;
    struct db *db;
    assert_int_equal(db_new(f->loop, &(struct db_options){.url = "postgresql://[/"}, NULL, NULL, &db),
                     ERR_BAD_REQUEST);
    assert_int_equal(db_new(f->loop, &(struct db_options){.url = ""}, NULL, NULL, &db), ERR_BAD_REQUEST);
}

static void test_statement_when_a_migration_changes_its_type_is_prepared_again(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement rows = {"rows", "SELECT id FROM test_row"};
    run(f, &rows, NULL, 0);
    commit(f);
    journal_await(&f->journal, 2);
    do_sql("ALTER TABLE test_row ALTER COLUMN id TYPE bigint");
    run(f, &rows, NULL, 1);
    commit(f);
    journal_await(&f->journal, 4);
    run(f, &rows, NULL, 2);
    commit(f);
    journal_await(&f->journal, 6);
    do_sql("ALTER TABLE test_row ALTER COLUMN id TYPE integer");
    assert_string_equal(f->journal.text,
                        "a:OK sync:OK b:DATABASE_CONFLICT sync:DATABASE_CONFLICT c:OK sync:OK");
}

static int migrate(void **state)
{
    (void)state;
    return apply_migrations();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Two batches of one struct, so that nothing of the first is left in the second. */
static void test_rows_when_sent_arrive_as_they_were_added_and_none_send_nothing(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement join = {
        "join", "SELECT $1 || string_agg(n.i || coalesce(n.word, '-'), ' ' ORDER BY n.i)"
                " FROM unnest($2::bigint[], $3::text[]) AS n (i, word)"};
    struct kept kept = {.journal = &f->journal};
    struct pg_rows rows;
    pg_rows_init(&rows, 3, 1 << 16);
    for (int batch = 0; batch < 2; batch++) {
        pg_rows_begin(&rows, 2);
        assert_false(pg_rows_send(&rows, f->db, &join, "> ", keep_result, &kept));
        for (int i = 0; i < 2; i++) {
            struct pg_array *column = pg_rows_add(&rows);
            pg_array_add_i64(column++, 10 * batch + i);
            pg_array_add_text(column++, i == 0 ? SLICE("a,\"b\"") : SLICE_NONE);
        }
        assert_true(pg_rows_send(&rows, f->db, &join, "> ", keep_result, &kept));
        db_sync(f->db, NULL, NULL);
        pg_rows_begin(&rows, 3);
        journal_await(&f->journal, batch + 1);
        assert_string_equal(db_text(kept.result, 0, 0).data,
                            batch == 0 ? "> 0a,\"b\" 1-" : "> 10a,\"b\" 11-");
    }
    db_result_release(kept.result);
    pg_rows_done(&rows);
}

static void add_row_of_each_type(struct pg_rows *rows, bool is_null)
{
    static const char uuid_text[] = "01900000-0000-7000-8000-0000000000ff", bytes[] = {0, 1, (char)0xff};
    struct uuid uuid;
    assert_true(uuid_parse(SLICE(uuid_text), &uuid));
    struct pg_array *column = pg_rows_add(rows);
    if (is_null) {
        for (size_t i = 0; i < rows->width; i++)
            pg_array_add_null(column++);
        return;
    }
    pg_array_add_uuid(column++, &uuid);
    pg_array_add_i64(column++, INT64_MIN);
    pg_array_add_i64(column++, INT32_MIN);
    pg_array_add_i64(column++, INT16_MAX);
    pg_array_add_text(column++, SLICE("NULL,\"\\ é"));
    pg_array_add_bool(column++, true);
    pg_array_add_bytes(column++, (struct slice){bytes, sizeof(bytes)});
    pg_array_add_text(column++, SLICE("{\"a\": 1}"));
    pg_array_add_text(column++, SLICE("2026-03-01 00:00:00Z"));
}

/* Every type that a column can have in the binary form, beside one in the text form. */
static void test_rows_when_binary_arrive_as_they_were_added(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement read = {
        "read", "SELECT string_agg(coalesce(row(n.*)::text, '-'), ' ' ORDER BY i) FROM unnest($1::uuid[],"
                " $2::bigint[], $3::integer[], $4::smallint[], $5::text[], $6::boolean[], $7::bytea[],"
                " $8::json[], $9::timestamptz[]) WITH ORDINALITY AS n (a, b, c, d, e, f, g, h, k, i)"};
    static const enum pg_element elements[] = {PG_UUID,    PG_BIGINT, PG_INTEGER, PG_SMALLINT, PG_TEXT,
                                               PG_BOOLEAN, PG_BYTEA,  PG_JSON,    PG_AS_TEXT};
    struct kept kept = {.journal = &f->journal};
    struct pg_rows rows;
    pg_rows_init(&rows, ARRAY_LEN(elements), 1 << 16);
    pg_rows_begin_binary(&rows, elements, ARRAY_LEN(elements));
    for (int i = 0; i < 3; i++)
        add_row_of_each_type(&rows, i == 1);
    assert_true(pg_rows_send(&rows, f->db, &read, NULL, keep_result, &kept));
    db_sync(f->db, NULL, NULL);
    journal_await(&f->journal, 1);
#define ROW                                                                         \
    "(01900000-0000-7000-8000-0000000000ff,-9223372036854775808,-2147483648,32767," \
    "\"NULL,\"\"\\\\ é\",t,\"\\\\x0001ff\",\"{\"\"a\"\": 1}\",\"2026-03-01 00:00:00+00\","
    assert_string_equal(db_text(kept.result, 0, 0).data, ROW "1) (,,,,,,,,,2) " ROW "3)");
#undef ROW
    db_result_release(kept.result);
    pg_rows_done(&rows);
}

/* Unlike a broken connection, it is the statement's own fault. */
static void test_binary_value_when_the_server_cannot_read_it_fails_its_statement_only(void **state)
{
    struct fixture *f = *state;
    static const struct db_statement read = {"read_one", "SELECT $1::bigint[]"};
    struct kept kept = {.journal = &f->journal};
    db_send_binary(f->db, &read, &SLICE("short"), 1, 1, keep_result, &kept);
    commit(f);
    run(f, &one, NULL, 1);
    commit(f);
    journal_await(&f->journal, 4);
    assert_string_equal(f->journal.text, "kept:DATABASE_ERROR sync:DATABASE_ERROR b:OK sync:OK");
    db_result_release(kept.result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_callbacks_when_statements_are_pipelined_come_in_order),
        TEST(test_transaction_when_a_statement_fails_skips_the_rest_and_rolls_back),
        TEST(test_ask_when_the_transaction_goes_on_answers_without_committing),
        TEST(test_statement_when_its_first_use_was_skipped_is_prepared_again),
        TEST(test_statement_when_its_sql_is_wrong_gets_the_error_itself),
        TEST(test_commit_when_a_deferred_constraint_fails_is_reported_at_the_sync),
        TEST(test_constraint_when_violated_is_named),
        TEST(test_values_when_null_empty_or_text_come_back_as_they_went),
        TEST(test_share_when_the_result_is_released_keeps_the_bytes),
        TEST(test_pipeline_when_both_ways_carry_megabytes_does_not_lock_up),
        TEST(test_statement_when_it_takes_too_long_times_out),
        TEST(test_connection_when_terminated_mid_flight_fails_all_once_in_order_and_comes_back),
        TEST(test_transaction_when_its_connection_broke_does_not_end_on_the_next_one),
        TEST(test_send_when_down_fails_later_and_in_order),
        TEST(test_free_when_answers_are_owed_gives_shutting_down),
        TEST(test_hosts_when_the_first_refuses_uses_the_next),
        TEST(test_host_name_when_it_has_no_address_uses_the_next),
        TEST(test_host_name_when_it_has_an_address_connects),
        TEST(test_host_when_it_is_silent_is_given_up_for_the_next),
        TEST(test_connection_when_the_server_hangs_is_given_up),
        TEST(test_connection_when_the_server_takes_no_writes_is_not_used_for_them),
        TEST(test_role_when_it_does_not_exist_keeps_the_connection_down),
        TEST(test_session_when_up_is_set_up),
        cmocka_unit_test_setup_teardown(test_session_when_the_owner_has_other_settings_keeps_none_of_them,
                                        set_up, forgive),
        cmocka_unit_test_setup_teardown(test_session_when_the_owner_gives_it_a_millisecond_comes_up, set_up,
                                        forgive),
        TEST(test_plan_when_the_table_is_empty_goes_by_the_index),
        TEST(test_url_when_it_does_not_parse_is_refused),
        TEST(test_statement_when_a_migration_changes_its_type_is_prepared_again),
        TEST(test_rows_when_sent_arrive_as_they_were_added_and_none_send_nothing),
        TEST(test_rows_when_binary_arrive_as_they_were_added),
        TEST(test_binary_value_when_the_server_cannot_read_it_fails_its_statement_only),
    };
    return cmocka_run_group_tests(tests, migrate, NULL);
}
