#include "tests/unit/common/db/db_fixture.h"

#include <sys/stat.h>

#define COMPANY "0000000f-0000-7000-8000-000000000001"

static int64_t number_of(const char *sql)
{
    struct db_result *result = run_sql(sql, NULL);
    int64_t number = db_int(result, 0, 0);
    db_result_release(result);
    return number;
}

/* The answer to a statement on a connection of its own, under a role. */
static struct db_result *ask_as(const char *role, const char *sql, const struct slice *params, size_t count)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct journal journal;
    journal_init(&journal, loop);
    struct kept kept = {.journal = &journal};
    struct db *db;
    assert_int_equal(
        db_new(loop, &(struct db_options){.url = test_url(), .role = role}, &noting, &journal, &db), ERR_OK);
    journal_await(&journal, 1);
    const struct db_statement statement = {"statement", sql};
    db_send(db, &statement, params, count, keep_result, &kept);
    db_sync(db, NULL, NULL);
    journal_await(&journal, 2);
    db_free(db);
    ev_loop_destroy(loop);
    return kept.result;
}

/* The SQLSTATE that `sql` gives under a role; "" when it succeeds. */
static void state_of(const char *role, const char *sql, char state[6])
{
    struct db_result *result = ask_as(role, sql, NULL, 0);
    snprintf(state, 6, "%s", db_result_sqlstate(result));
    db_result_release(result);
}

static void assert_refused(const char *role, const char *sql)
{
    char state[6];
    state_of(role, sql, state);
    if (strcmp(state, "42501") != 0)
        fail_msg("%s as %s: SQLSTATE '%s'", sql, role, state);
}

static void assert_allowed(const char *role, const char *sql)
{
    char state[6];
    state_of(role, sql, state);
    if (*state)
        fail_msg("%s as %s: SQLSTATE '%s'", sql, role, state);
}

/* ---- the applier ---- */

/* A copy of the script and its files that a test may spoil. */
static void copy_migrations(char folder[64])
{
    char command[512];
    snprintf(folder, 64, "/tmp/cortex-migrations-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof(command),
             "mkdir -p %1$s/deploy/local/lib %1$s/schemas %1$s/common/db &&"
             " cp deploy/local/migrate.sh %1$s/deploy/local/ &&"
             " cp deploy/local/lib/session.sh %1$s/deploy/local/lib/ &&"
             " cp common/db/session.def %1$s/common/db/ &&"
             " cp -r schemas/sql %1$s/schemas/",
             folder);
    assert_int_equal(system(command), 0);
}

static void remove_migrations(const char *folder)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* Runs the copy; what it says is in folder/said. */
static int run_copy(const char *folder)
{
    char command[4096];
    snprintf(command, sizeof(command), "CORTEX_DATABASE_URL='%s' %s/deploy/local/migrate.sh 2>%s/said",
             test_url(), folder, folder);
    return system(command);
}

static bool said(const char *folder, const char *words)
{
    char command[512];
    snprintf(command, sizeof(command), "grep -q '%s' %s/said", words, folder);
    return system(command) == 0;
}

static void append_to(const char *folder, const char *name, const char *sql)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/schemas/sql/%s", folder, name);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fprintf(file, "%s\n", sql);
    assert_int_equal(fclose(file), 0);
}

static void test_migrate_when_run_again_changes_nothing(void **state)
{
    (void)state;
    int64_t before = number_of("SELECT count(*) FROM schema_migration");
    assert_true(before >= 4);
    assert_int_equal(apply_migrations(), 0);
    assert_int_equal(number_of("SELECT count(*) FROM schema_migration"), before);
}

static void test_migrate_when_a_file_was_changed_says_which_and_stops(void **state)
{
    (void)state;
    char folder[64];
    copy_migrations(folder);
    append_to(folder, "0002_company.sql", "-- changed");
    assert_int_not_equal(run_copy(folder), 0);
    assert_true(said(folder, "0002_company.sql has changed since it was applied"));
    remove_migrations(folder);
}

static void test_migrate_when_a_file_fails_leaves_nothing_of_it(void **state)
{
    (void)state;
    char folder[64];
    copy_migrations(folder);
    int64_t next = number_of("SELECT max(version) + 1 FROM schema_migration");
    char name[64];
    snprintf(name, sizeof(name), "%04d_broken.sql", (int)next);
    append_to(folder, name, "CREATE TABLE half_done (); SELECT 1 / 0;");
    assert_int_not_equal(run_copy(folder), 0);
    assert_int_equal(number_of("SELECT count(*) FROM pg_class WHERE relname = 'half_done'"), 0);
    assert_int_equal(number_of("SELECT max(version) + 1 FROM schema_migration"), next);
    remove_migrations(folder);
}

static void test_migrate_when_a_number_is_missing_says_so(void **state)
{
    (void)state;
    char folder[64];
    copy_migrations(folder);
    append_to(folder, "9999_far_away.sql", "SELECT 1;");
    assert_int_not_equal(run_copy(folder), 0);
    assert_true(said(folder, "9999_far_away.sql: version"));
    remove_migrations(folder);
}

static void test_migrate_when_a_number_is_used_twice_says_so(void **state)
{
    (void)state;
    char folder[64];
    copy_migrations(folder);
    append_to(folder, "0002_again.sql", "SELECT 1;");
    assert_int_not_equal(run_copy(folder), 0);
    assert_true(said(folder, "0002_company.sql: version 3 was expected here"));
    remove_migrations(folder);
}

/* Three at once on an empty database of their own: each file is applied by exactly one of them. */
static void test_migrate_when_run_by_several_at_once_applies_each_file_once(void **state)
{
    (void)state;
    char url[1024], command[4096];
    const char *slash = strrchr(test_url(), '/');
    int before = (int)(slash - test_url());
    const char *parameters = strchr(slash, '?');
    snprintf(url, sizeof(url), "%.*s/cortex_test_race%s", before, test_url(), parameters ? parameters : "");
    do_sql("DROP DATABASE IF EXISTS cortex_test_race");
    do_sql("CREATE DATABASE cortex_test_race");
    snprintf(command, sizeof(command),
             "said=$(mktemp); for i in 1 2 3; do CORTEX_DATABASE_URL='%s' deploy/local/migrate.sh 2>>$said & "
             "pids=\"$pids $!\"; done;"
             " failed=0; for p in $pids; do wait $p || failed=1; done;"
             " applied=$(grep -c 'applied 0001_roles' $said); cat $said; rm $said; [ $failed = 0 ] && [ "
             "$applied = 1 ]",
             url);
    assert_int_equal(system(command), 0);
    do_sql("DROP DATABASE cortex_test_race");
}

/* ---- what the roles may do ---- */

static void test_gateway_role_when_it_writes_or_reads_secrets_is_refused(void **state)
{
    (void)state;
    assert_refused("cortex_gateway", "DELETE FROM project");
    assert_refused("cortex_gateway", "UPDATE task SET title = 'x'");
    assert_refused("cortex_gateway", "INSERT INTO inbox DEFAULT VALUES");
    assert_refused("cortex_gateway", "SELECT password_hash FROM app_user");
    assert_refused("cortex_gateway", "SELECT * FROM counter");
    assert_refused("cortex_gateway", "SELECT events_partitions_ahead(1)");
    assert_refused("cortex_gateway", "CREATE TABLE mine ()");
    assert_allowed("cortex_gateway", "SELECT email, role FROM app_user");
}

static void test_worker_role_when_it_makes_or_drops_tables_or_changes_history_is_refused(void **state)
{
    (void)state;
    assert_refused("cortex_worker", "CREATE TABLE mine ()");
    assert_refused("cortex_worker", "DROP TABLE events_default");
    assert_refused("cortex_worker", "UPDATE events SET type = 'x'");
    assert_refused("cortex_worker", "DELETE FROM events");
    assert_refused("cortex_worker", "DELETE FROM company");
    assert_refused("cortex_worker", "ALTER TABLE project DISABLE ROW LEVEL SECURITY");
    assert_allowed("cortex_worker", "SELECT events_partitions_ahead(0)");
    assert_allowed("cortex_worker", "SELECT company_id, seq FROM company_sequence FOR UPDATE");
}

/* ---- the names of tables before 0014 ---- */

/* What workers send that were built before `untold` and `mark` were renamed, word for word. */
#define OLD_HEAD                                                                                      \
    "company_id, command_id, slot, type, actor, role, subject, parent, if_match, fingerprint, sent, " \
    "correlation_id, reply_to, traceparent"
#define OLD_CLAIM                                                                                   \
    "WITH claimed AS (DELETE FROM deferred AS d USING unnest($1::bigint[], $2::uuid[], $3::uuid[])" \
    " AS k (i, company_id, command_id)"                                                             \
    " WHERE d.company_id = k.company_id AND d.command_id = k.command_id RETURNING k.i, d.*),"       \
    " kept AS (INSERT INTO untold (pool, " OLD_HEAD ") SELECT pool, " OLD_HEAD                      \
    " FROM claimed ON CONFLICT DO NOTHING)"                                                         \
    " SELECT i FROM claimed"
#define OLD_FIND_UNTOLD                                                                                   \
    "SELECT 'untold', 0, 0, NULL, to_char(f.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')," \
    " false, false, " OLD_HEAD ", ''::bytea FROM untold AS f WHERE pool = $1"                             \
    " AND at < now() - interval '2 seconds' AND slot % $2::integer = ANY ($3::integer[])"                 \
    " AND command_id <> ALL ($4::uuid[]) ORDER BY at LIMIT $5::integer"
#define OLD_FORGET                                                                               \
    "DELETE FROM untold AS u USING unnest($1::uuid[], $2::uuid[]) AS k (company_id, command_id)" \
    " WHERE u.company_id = k.company_id AND u.command_id = k.command_id"
#define OLD_FIND_DUE                                                                                       \
    "WITH found AS MATERIALIZED (SELECT * FROM deferred WHERE pool = $1 AND reason <> 'turn'"              \
    " AND due_at <= now() AND slot % $2::integer = ANY ($3::integer[]) AND command_id <> ALL ($4::uuid[])" \
    " ORDER BY due_at LIMIT $5::integer),"                                                                 \
    " marked AS (INSERT INTO mark (company_id, command_id) SELECT company_id, command_id FROM found"       \
    " ON CONFLICT DO NOTHING)"                                                                             \
    " SELECT m.command_id IS NOT NULL FROM found AS f LEFT JOIN mark AS m"                                 \
    " ON m.company_id = f.company_id AND m.command_id = f.command_id ORDER BY f.due_at, f.place"
#define OLD_MARK_ALONE                                                         \
    "INSERT INTO mark AS m (company_id, command_id, alone) VALUES ($1, $2, 1)" \
    " ON CONFLICT (company_id, command_id) DO UPDATE SET alone = m.alone + 1, at = now() RETURNING m.alone"
#define OLD_MARK_KEEP                                                                        \
    "INSERT INTO mark (company_id, command_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])" \
    " ON CONFLICT DO NOTHING"
#define OLD_MARK_CLEAR                                                                         \
    "DELETE FROM mark AS m USING unnest($1::uuid[], $2::uuid[]) AS k (company_id, command_id)" \
    " WHERE m.company_id = k.company_id AND m.command_id = k.command_id"

#define COMMAND_ID "0000000f-0000-7000-8000-000000000002"

static const struct slice key[] = {SLICE(COMPANY), SLICE(COMMAND_ID)};
static const struct slice keys[] = {SLICE("{" COMPANY "}"), SLICE("{" COMMAND_ID "}")};
static const struct slice claimed[] = {SLICE("{1}"), SLICE("{" COMPANY "}"), SLICE("{" COMMAND_ID "}")};
static const struct slice due[] = {SLICE("old"), SLICE("1"), SLICE("{0}"), SLICE("{}"), SLICE("8")};

/* Sends it as a worker does; returns how many rows come back, and the first value of the first as text. */
static int ask_as_worker(const char *sql, const struct slice *params, size_t count, char ret_first[64])
{
    struct db_result *result = ask_as("cortex_worker", sql, params, count);
    if (db_result_error(result))
        fail_msg("%s: %s", sql, db_result_message(result));
    int rows = db_rows(result);
    struct slice first = rows > 0 ? db_text(result, 0, 0) : SLICE("");
    snprintf(ret_first, 64, "%.*s", (int)first.len, first.data);
    db_result_release(result);
    return rows;
}

static void assert_worker_gets(const char *sql, const struct slice *params, size_t count, const char *first)
{
    char got[64];
    assert_int_equal(ask_as_worker(sql, params, count, got), *first ? 1 : 0);
    assert_string_equal(got, first);
}

static void put_deferred(void)
{
    do_sql(
        "INSERT INTO deferred (company_id, command_id, pool, slot, reason, type, actor, role, fingerprint, "
        "body) VALUES ('" COMPANY "', '" COMMAND_ID "', 'old', 0, 'retry', 'project.create',"
        " gen_random_uuid(), 'company_admin', 7, '')");
}

static void test_untold_when_a_worker_of_the_version_before_uses_it_then_its_rows_are_unpublished(
    void **state)
{
    (void)state;
    put_deferred();
    assert_worker_gets(OLD_CLAIM, claimed, 3, "1");
    assert_worker_gets(OLD_CLAIM, claimed, 3, "");
    assert_int_equal(
        number_of("SELECT count(*) FROM unpublished WHERE pool = 'old' AND fingerprint = 7 AND at > "
                  "now() - interval '1 minute'"),
        1);
    assert_worker_gets(OLD_FIND_UNTOLD, due, 5, "");
    do_sql("UPDATE unpublished SET at = at - interval '3 seconds' WHERE pool = 'old'");
    assert_worker_gets(OLD_FIND_UNTOLD, due, 5, "untold");
    assert_worker_gets(OLD_FORGET, keys, 2, "");
    assert_int_equal(number_of("SELECT count(*) FROM unpublished WHERE pool = 'old'"), 0);
}

static void test_mark_when_a_worker_of_the_version_before_uses_it_then_its_rows_are_begun_marks(void **state)
{
    (void)state;
    put_deferred();
    assert_worker_gets(OLD_FIND_DUE, due, 5, "f");
    assert_worker_gets(OLD_FIND_DUE, due, 5, "t");
    assert_worker_gets(OLD_MARK_KEEP, keys, 2, "");
    assert_worker_gets(OLD_MARK_ALONE, key, 2, "1");
    assert_worker_gets(OLD_MARK_ALONE, key, 2, "2");
    assert_int_equal(number_of("SELECT alone FROM begun_mark WHERE company_id = '" COMPANY "'"), 2);
    assert_worker_gets(OLD_MARK_CLEAR, keys, 2, "");
    assert_worker_gets(OLD_MARK_ALONE, key, 2, "1");
    assert_worker_gets(OLD_MARK_CLEAR, keys, 2, "");
    assert_int_equal(number_of("SELECT count(*) FROM begun_mark WHERE company_id = '" COMPANY "'"), 0);
}

static void test_old_names_when_another_role_uses_them_is_refused_as_under_the_new(void **state)
{
    (void)state;
    static const char *const names[] = {"untold", "unpublished", "mark", "begun_mark"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "SELECT FROM %s", names[i]);
        assert_refused("cortex_gateway", sql);
        assert_allowed("cortex_worker", sql);
    }
    assert_refused("cortex_worker", "UPDATE untold SET pool = 'x'");
    assert_refused("cortex_worker", "UPDATE unpublished SET pool = 'x'");
}

/* ---- partitions of events ---- */

static void insert_event(int seq, const char *at)
{
    char sql[512];
    snprintf(
        sql, sizeof(sql),
        "INSERT INTO events (company_id, seq, at, command_id, type, subject, actor, version, data) VALUES"
        " ('" COMPANY
        "', %d, %s, gen_random_uuid(), 'project.created', gen_random_uuid(), gen_random_uuid(), 1, '{}')",
        seq, at);
    do_sql(sql);
}

static void test_partitions_when_made_ahead_are_made_once(void **state)
{
    (void)state;
    do_sql("SELECT events_partitions_ahead(20)");
    assert_int_equal(number_of("SELECT events_partitions_ahead(20)"), 0);
    assert_true(number_of("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass") >= 22);
    assert_int_equal(number_of("SELECT events_partitions_ahead(21)"), 1);
}

static void test_partitions_when_rows_wait_in_the_default_take_them_over(void **state)
{
    (void)state;
    insert_event(1, "now() + interval '40 days'");
    assert_int_equal(number_of("SELECT count(*) FROM events_default WHERE company_id = '" COMPANY "'"), 1);
    do_sql("SELECT events_partitions_ahead(41)");
    assert_int_equal(number_of("SELECT count(*) FROM events_default WHERE company_id = '" COMPANY "'"), 0);
    assert_int_equal(number_of("SELECT count(*) FROM events WHERE company_id = '" COMPANY "'"), 1);
}

static void make_old_partition(int days)
{
    char sql[512];
    snprintf(
        sql, sizeof(sql),
        "DO $$ DECLARE d date := (now() AT TIME ZONE 'UTC')::date - %d; BEGIN"
        " EXECUTE format('CREATE TABLE IF NOT EXISTS %%I PARTITION OF events FOR VALUES FROM (%%L) TO (%%L)',"
        " 'events_' || to_char(d, 'YYYYMMDD'), d::timestamp AT TIME ZONE 'UTC', (d + 1)::timestamp AT TIME "
        "ZONE 'UTC');"
        " END $$",
        days);
    do_sql(sql);
}

static void test_drop_when_the_inbox_needs_a_partition_keeps_it(void **state)
{
    (void)state;
    make_old_partition(30);
    make_old_partition(20);
    do_sql("INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, seq, at) VALUES"
           " ('" COMPANY "', gen_random_uuid(), 0, 'ok', 201, 1, now() - interval '20 days')");
    assert_int_equal(number_of("SELECT events_drop_before(now())"), 1);
    do_sql("DELETE FROM inbox WHERE company_id = '" COMPANY "'");
    assert_int_equal(number_of("SELECT events_drop_before(now() - interval '25 days')"), 0);
    assert_int_equal(number_of("SELECT events_drop_before('infinity')"),
                     1); /* today's and yesterday's stay */
    assert_true(number_of("SELECT events_partitions_ahead(0)") == 0);
}

static void test_sequence_when_a_company_is_made_begins_at_zero(void **state)
{
    (void)state;
    do_sql("DELETE FROM company WHERE id = '" COMPANY "'");
    do_sql("INSERT INTO company (id, name) VALUES ('" COMPANY "', 'F')");
    assert_int_equal(
        number_of("SELECT count(*) FROM company_sequence WHERE company_id = '" COMPANY "' AND seq = 0"), 1);
    do_sql("DELETE FROM company WHERE id = '" COMPANY "'");
}

static int migrate(void **state)
{
    (void)state;
    log_threshold = LOG_ERROR;
    return apply_migrations();
}

/* Only the partitions that the migration itself made are left. */
static int clear(void **state)
{
    (void)state;
    do_sql("DO $$ DECLARE part regclass; BEGIN FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent "
           "= 'events'::regclass"
           " AND right(inhrelid::regclass::text, 8) > to_char(now() + interval '8 days', 'YYYYMMDD')"
           " AND inhrelid <> 'events_default'::regclass"
           " LOOP EXECUTE format('DROP TABLE %s', part); END LOOP; END $$");
    do_sql("DELETE FROM inbox WHERE company_id = '" COMPANY "'");
    do_sql("DELETE FROM events WHERE company_id = '" COMPANY "'");
    do_sql("DELETE FROM deferred WHERE company_id = '" COMPANY "'");
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clear, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_migrate_when_run_again_changes_nothing),
        cmocka_unit_test(test_migrate_when_a_file_was_changed_says_which_and_stops),
        cmocka_unit_test(test_migrate_when_a_file_fails_leaves_nothing_of_it),
        cmocka_unit_test(test_migrate_when_a_number_is_missing_says_so),
        cmocka_unit_test(test_migrate_when_a_number_is_used_twice_says_so),
        cmocka_unit_test(test_migrate_when_run_by_several_at_once_applies_each_file_once),
        cmocka_unit_test(test_gateway_role_when_it_writes_or_reads_secrets_is_refused),
        cmocka_unit_test(test_worker_role_when_it_makes_or_drops_tables_or_changes_history_is_refused),
        TEST(test_untold_when_a_worker_of_the_version_before_uses_it_then_its_rows_are_unpublished),
        TEST(test_mark_when_a_worker_of_the_version_before_uses_it_then_its_rows_are_begun_marks),
        cmocka_unit_test(test_old_names_when_another_role_uses_them_is_refused_as_under_the_new),
        TEST(test_partitions_when_made_ahead_are_made_once),
        TEST(test_partitions_when_rows_wait_in_the_default_take_them_over),
        TEST(test_drop_when_the_inbox_needs_a_partition_keeps_it),
        cmocka_unit_test(test_sequence_when_a_company_is_made_begins_at_zero),
    };
    return cmocka_run_group_tests(tests, migrate, NULL);
}
