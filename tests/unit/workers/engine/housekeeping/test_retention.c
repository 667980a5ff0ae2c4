/* What is kept how long: each table of retention.def loses what is old and keeps what is young, by an index; and
 * a command that comes again takes effect once, whatever retention does meanwhile. */

#include "tests/unit/workers/engine/worker_fixture.h"

enum { OLD = 300, YOUNG = 10, SQL_SIZE = 2048 };

static const struct config settings = {.inbox_days = 7,
                                       .event_days = 90,
                                       .export_days = 30,
                                       .long_job_days = 30,
                                       .dead_letter_days = 365,
                                       .act_days = 365,
                                       .hook_event_days = 30,
                                       .webhook_days = 30};

struct retained {
    const char *table;
    int64_t days;
    const char *step;
};

static const struct retained *kept_tables(size_t *ret_count)
{
    static struct retained kept[16];
    const struct config *config = &settings;
    size_t count = 0;
#define RETENTION(name, number, sql) kept[count++] = (struct retained){name, number, sql};
#include "workers/engine/housekeeping/retention.def"
#undef RETENTION
    *ret_count = count;
    return kept;
}

/* Does a step with the rights of a worker, in one statement with the check that follows it. The answer of the
 * step is not asked for. */
static void do_step(const struct retained *kept, const char *check)
{
    static const char parameter[] = "$2::integer";
    char step[SQL_SIZE];
    const char *at = strstr(kept->step, parameter);
    snprintf(step, sizeof(step), "%.*s%d%s", (int)(at - kept->step), kept->step, (int)kept->days,
             at + strlen(parameter));
    run_sqlf("DO $do$ BEGIN SET LOCAL ROLE cortex_webhooks; PERFORM %s; RESET ROLE; %s END $do$", step,
             check);
}

static const struct retained *kept_table(const char *table)
{
    size_t count;
    const struct retained *kept = kept_tables(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(kept[i].table, table) == 0)
            return &kept[i];
    fail_msg("%s has no row", table);
    return NULL;
}

static void expire(const char *table)
{
    do_step(kept_table(table), "");
}

static int rows_of(const struct engine *e, const char *table)
{
    return atoi(ask_sqlf("SELECT count(*) FROM %s WHERE company_id = '%s'", table, uuid_text(&e->company)));
}

/* ---- each table ---- */

/* Each row: the company, and a time that is 400 days ago for the first OLD rows and yesterday for the others. */
#define AGE  "now() - interval '1 day' * CASE WHEN n > 300 THEN 1 ELSE 400 END"
#define ROWS " FROM generate_series(1, 310) AS n"
static const struct {
    const char *table, *insert;
} fills[] = {
    {"inbox", "INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, at)"
              " SELECT '%s', gen_random_uuid(), 0, 'not-found', 404, " AGE ROWS},
    {"events_default",
     "INSERT INTO events (company_id, seq, at, command_id, type, subject, actor, version, data)"
     " SELECT '%s', n, " AGE ", gen_random_uuid(), 'project.created', gen_random_uuid(), gen_random_uuid(),"
     " 1, '{}'" ROWS},
    {"export", "INSERT INTO export (company_id, id, resource, creator_id, status, ended_at)"
               " SELECT '%s', gen_random_uuid(), 'task', gen_random_uuid(), 'completed', " AGE ROWS},
    {"long_job",
     "INSERT INTO long_job (company_id, id, pool, kind, actor, status, due_at, ended_at)"
     " SELECT '%s', gen_random_uuid(), 'projects', 'export.task.csv', gen_random_uuid(), 'completed', NULL,"
     " " AGE ROWS},
    {"hook_event",
     "INSERT INTO hook_event (company_id, id, source_id, headers, size, body, created_at, updated_at)"
     " SELECT '%s', gen_random_uuid(), gen_random_uuid(), '[]', 0, '', " AGE ", " AGE ROWS},
    {"dead_letter", "INSERT INTO dead_letter (pool, company_id, command_id, reason, last_at, body)"
                    " SELECT 'projects', '%s', gen_random_uuid(), 'rejected', " AGE ", ''" ROWS},
    {"operator_act",
     "INSERT INTO operator_act (company_id, id, actor, act, at, outcome)"
     " SELECT '%s', gen_random_uuid(), gen_random_uuid(), 'schedule.run', " AGE ", 'ok'" ROWS},
    {"webhook_attempt", "INSERT INTO webhook_attempt (company_id, delivery_id, at, n, took_ms)"
                        " SELECT '%s', gen_random_uuid(), " AGE ", 1, 9" ROWS},
    {"webhook_delivery", "INSERT INTO webhook_delivery (company_id, id, endpoint_id, event_type, event_seq,"
                         " event_at, subject_id, status, attempted_at)"
                         " SELECT '%s', gen_random_uuid(), gen_random_uuid(), 'task.created', n, now(),"
                         " gen_random_uuid(), 'delivered', " AGE ROWS},
    {"begun_mark", "INSERT INTO begun_mark (company_id, command_id, at)"
                   " SELECT '%s', gen_random_uuid(), " AGE ROWS},
    {"revocation",
     "INSERT INTO revocation (company_id, id, user_id, before, expires_at, created_at)"
     " SELECT '%s', gen_random_uuid(), '00000000-0000-7000-8000-00000000000a', " AGE ", now(), " AGE ROWS},
};

static const char *insert_of(const char *table)
{
    for (size_t i = 0; i < ARRAY_LEN(fills); i++)
        if (strcmp(fills[i].table, table) == 0)
            return fills[i].insert;
    return NULL;
}

static void fill(const struct engine *e, const char *table)
{
    int before = rows_of(e, table);
    char sql[SQL_SIZE];
    const char *insert = insert_of(table), *company;
    if (!insert)
        fail_msg("this test has no old rows for %s", table);
    company = strstr(insert, "%s");
    snprintf(sql, sizeof(sql), "%.*s%s%s", (int)(company - insert), insert, uuid_text(&e->company),
             company + 2);
    run_sqlf("%s", sql);
    assert_int_equal(rows_of(e, table), before + OLD + YOUNG);
}

static void test_retention_of_each_table_then_what_is_old_goes_by_an_index_and_what_is_young_stays(
    void **state)
{
    struct engine *e = *state;
    size_t count;
    const struct retained *kept = kept_tables(&count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(ask_sqlf("SELECT enabled AND company_id IS NULL AND name = type FROM schedule"
                                     " WHERE name = '%s.retention'",
                                     kept[i].table),
                            "t");
        if (strcmp(kept[i].table, "events") == 0)
            continue;
        char check[SQL_SIZE];
        fill(e, kept[i].table);
        run_sqlf("SELECT pg_stat_force_next_flush()"); /* what was read to fill and to count does not count */
        snprintf(check, sizeof(check),
                 "IF (SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = '%s') > 0"
                 " THEN RAISE EXCEPTION '%s is read whole'; END IF;",
                 kept[i].table, kept[i].table);
        for (int step = 0; step < 4; step++)
            do_step(&kept[i], check);
        assert_int_equal(rows_of(e, kept[i].table), YOUNG);
        run_sqlf("DELETE FROM %s WHERE company_id = '%s'", kept[i].table, uuid_text(&e->company));
    }
}

/* Until a vacuum the index has what was deleted: a run does not walk it again at each step. */
static void test_retention_when_a_run_has_more_to_do_then_the_next_step_begins_where_the_last_one_ended(
    void **state)
{
    struct engine *e = *state;
    fill(e, "dead_letter");
    expire("dead_letter");
    assert_int_equal(rows_of(e, "dead_letter"), OLD + YOUNG - 100);
    assert_string_equal(
        ask_sqlf("SELECT reached BETWEEN now() - interval '401 days' AND now() - interval '399 days'"
                 " FROM retention_cursor WHERE what = 'dead_letter'"),
        "t");
    for (int step = 0; step < 3; step++)
        expire("dead_letter");
    assert_int_equal(rows_of(e, "dead_letter"), YOUNG);
    assert_string_equal(ask_sqlf("SELECT reached FROM retention_cursor WHERE what = 'dead_letter'"),
                        "-infinity");
    run_sqlf("DELETE FROM dead_letter");
}

/* ---- every table ---- */

static bool has_search(const struct msg_resource *resource)
{
    for (size_t i = 0; i < resource->object->field_count; i++)
        if (resource->object->fields[i].search)
            return true;
    return false;
}

/* The tables that keep entities, and those of their text search, each behind a comma. */
static void add_tables_of_resources(char *known, size_t size)
{
    for (const struct msg_resource *const *at = msg_resources; *at; at++) {
        const char *table = (*at)->table;
        size_t len = strlen(known);
        if (has_search(*at))
            snprintf(known + len, size - len, ",'%s','%s_text_block','%s_text_changed'", table, table, table);
        else
            snprintf(known + len, size - len, ",'%s'", table);
    }
}

/* The tables that have no row in retention.def, neither as RETENTION nor as KEPT, and keep no entities. */
static const char *tables_without_end(void)
{
    char known[SQL_SIZE] = "";
    size_t count;
    const struct retained *kept = kept_tables(&count);
    static const char *const others[] = {
#define RETENTION(name, number, sql)
#define KEPT(name, why) name,
#include "workers/engine/housekeeping/retention.def"
#undef KEPT
#undef RETENTION
    };
    for (size_t i = 0; i < count + ARRAY_LEN(others); i++)
        snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s'%s'", i > 0 ? "," : "",
                 i < count ? kept[i].table : others[i - count]);
    add_tables_of_resources(known, sizeof(known));
    return ask_sqlf("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class"
                    " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
                    " AND (NOT relispartition OR relname = 'events_default')"
                    " AND relname !~ '_text_(block|changed)$' AND relname NOT IN (%s)",
                    known);
}

static void test_every_table_when_it_may_grow_then_retention_knows_it_or_says_why_it_stays(void **state)
{
    (void)state;
    assert_string_equal(tables_without_end(), "");
    run_sqlf("CREATE TABLE diary (at timestamptz)");
    assert_string_equal(tables_without_end(), "diary");
    run_sqlf("DROP TABLE diary");
}

/* ---- what stays although it is old ---- */

static void test_retention_of_dead_letters_when_one_is_being_replayed_keeps_it(void **state)
{
    struct engine *e = *state;
    fill(e, "dead_letter");
    run_sqlf("UPDATE dead_letter SET is_replaying = true WHERE id = (SELECT id FROM dead_letter ORDER BY "
             "last_at LIMIT 1)");
    for (int step = 0; step < 4; step++)
        expire("dead_letter");
    assert_int_equal(rows_of(e, "dead_letter"), YOUNG + 1);
    run_sqlf("DELETE FROM dead_letter");
}

static void test_retention_of_exports_when_the_content_is_still_kept_keeps_them_and_else_their_jobs_go(
    void **state)
{
    struct engine *e = *state;
    static const char *const expiries[] = {"now() + interval '1 hour'", "now() - interval '31 days'"};
    for (size_t i = 0; i < ARRAY_LEN(expiries); i++)
        run_sqlf("INSERT INTO export (company_id, id, resource, creator_id, status, ended_at, expires_at)"
                 " VALUES ('%s', gen_random_uuid(), 'task', gen_random_uuid(), 'completed',"
                 " now() - interval '40 days', %s)",
                 uuid_text(&e->company), expiries[i]);
    run_sqlf("INSERT INTO export (company_id, id, resource, creator_id) VALUES"
             " ('%s', gen_random_uuid(), 'task', gen_random_uuid())",
             uuid_text(&e->company)); /* not ended */
    expire("export");
    assert_int_equal(rows_of(e, "export"), 2);
    assert_int_equal(rows_of(e, "long_job"), 2);
    run_sqlf("DELETE FROM export");
}

static void test_retention_of_long_jobs_when_their_last_event_may_be_unpublished_keeps_them(void **state)
{
    struct engine *e = *state;
    run_sqlf(
        "INSERT INTO long_job (company_id, id, pool, kind, actor, status, due_at, ended_at)"
        " VALUES ('%s', gen_random_uuid(), 'projects', 'export.task.csv', gen_random_uuid(), 'completed',"
        " now(), now() - interval '400 days')",
        uuid_text(&e->company));
    expire("long_job");
    assert_int_equal(rows_of(e, "long_job"), 1);
    run_sqlf("DELETE FROM long_job");
}

/* Nothing says how old a token without an iat is. */
static void test_retention_of_revocations_when_they_are_the_last_of_their_user_keeps_them(void **state)
{
    struct engine *e = *state;
    for (int i = 0; i < 3; i++)
        run_sqlf("INSERT INTO revocation (company_id, id, user_id, before, expires_at, created_at)"
                 " SELECT '%s', gen_random_uuid(), u, now() - interval '%d days', now(), now() - interval "
                 "'400 days'"
                 " FROM unnest(ARRAY['%s', '%s']::uuid[]) AS u",
                 uuid_text(&e->company), 400 + i, uuid_text(&e->user), uuid_text(&e->stranger));
    expire("revocation");
    assert_string_equal(ask_sqlf("SELECT count(*) || ' ' || max(before)::date - current_date FROM revocation"
                                 " WHERE company_id = '%s' AND user_id IN ('%s', '%s')",
                                 uuid_text(&e->company), uuid_text(&e->user), uuid_text(&e->stranger)),
                        "2 -400");
    run_sqlf("DELETE FROM revocation");
}

/* ---- the content of exports ---- */

enum { PIECES = 30, LIVE = 200 };

static void forget_exports(void)
{
    run_sqlf("DELETE FROM export");
    run_sqlf("DELETE FROM export_piece");
    run_sqlf("DELETE FROM export_content");
}

/* Exports with `pieces` pieces of content each. */
static void add_exports(const struct engine *e, int count, int pieces)
{
    run_sqlf(
        "WITH x AS (INSERT INTO export (company_id, id, resource, creator_id, status, ended_at, expires_at)"
        " SELECT '%s', gen_random_uuid(), 'task', gen_random_uuid(), 'running', now(), NULL"
        " FROM generate_series(1, %d) RETURNING company_id, id)"
        " INSERT INTO export_piece (company_id, export_id, n, content)"
        " SELECT company_id, id, n, 'line' FROM x, generate_series(0, %d) AS n",
        uuid_text(&e->company), count, pieces - 1);
}

static int sweep(int most)
{
    run_sqlf("DO $do$ BEGIN SET LOCAL ROLE cortex_projects; PERFORM set_config('test.swept',"
             " export_sweep(%d)::text, false); RESET ROLE; END $do$",
             most);
    return atoi(ask_sqlf("SELECT current_setting('test.swept')"));
}

static void test_sweep_when_an_export_is_over_then_its_content_goes_in_steps_and_that_of_others_stays(
    void **state)
{
    struct engine *e = *state;
    static const char *const ends[] = {
        "UPDATE export SET status = 'cancelled'",
        "UPDATE export SET status = 'failed'",
        "UPDATE export SET status = 'completed', expires_at = now() - interval '1 second'",
        "DELETE FROM export",
    };
    forget_exports();
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        add_exports(e, 1, PIECES);
        assert_int_equal(sweep(20), 0); /* it runs */
        run_sqlf("%s", ends[i]);
        assert_int_equal(sweep(20), 20);
        assert_int_equal(rows_of(e, "export_piece"), PIECES - 20);
        assert_int_equal(sweep(20), PIECES - 20);
        assert_int_equal(sweep(20), 0);
        assert_int_equal(rows_of(e, "export_piece"), 0);
        assert_int_equal(rows_of(e, "export_content"), 0);
        run_sqlf("DELETE FROM export");
    }
    add_exports(e, 1, PIECES);
    run_sqlf("UPDATE export SET status = 'completed', expires_at = now() + interval '1 hour'");
    run_sqlf("UPDATE export_content SET due_at = now()"); /* as for content of the version before */
    assert_int_equal(sweep(20), 1);
    assert_int_equal(sweep(20), 0);
    assert_int_equal(rows_of(e, "export_piece"), PIECES);
    forget_exports();
}

/* What it reads does not grow with the exports that still have content. */
static void test_sweep_when_many_exports_have_content_then_it_reads_only_what_is_over(void **state)
{
    struct engine *e = *state;
    forget_exports();
    add_exports(e, LIVE, 1);
    run_sqlf("UPDATE export SET status = 'completed', expires_at = now() + interval '1 hour'");
    run_sqlf("SELECT pg_stat_force_next_flush()");
    run_sqlf("DO $do$ DECLARE seen bigint; BEGIN SET LOCAL ROLE cortex_projects; PERFORM export_sweep(20);"
             " RESET ROLE; SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) INTO seen"
             " FROM pg_stat_xact_user_tables WHERE relname IN ('export', 'export_piece', 'export_content');"
             " IF seen > 0 THEN RAISE EXCEPTION 'it reads %% rows', seen; END IF; END $do$");
    run_sqlf("DELETE FROM export");
    assert_int_equal(sweep(LIVE + 1), LIVE);
    assert_int_equal(rows_of(e, "export_content"), 0);
}

/* ---- events ---- */

static void make_partition(int days_ago)
{
    run_sqlf(
        "DO $$ DECLARE d date := (now() AT TIME ZONE 'UTC')::date - %d; BEGIN"
        " EXECUTE format('CREATE TABLE IF NOT EXISTS %%I PARTITION OF events FOR VALUES FROM (%%L) TO (%%L)',"
        " 'events_' || to_char(d, 'YYYYMMDD'), d::timestamp AT TIME ZONE 'UTC', (d + 1)::timestamp AT TIME "
        "ZONE 'UTC'); END $$",
        days_ago);
}

static int old_partitions(void)
{
    return atoi(
        ask_sqlf("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass"
                 " AND inhrelid::regclass::text ~ '^events_[0-9]{8}$'"
                 " AND right(inhrelid::regclass::text, 8) < to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"));
}

static void test_retention_of_events_when_the_inbox_is_behind_drops_a_partition_at_each_step_all_the_same(
    void **state)
{
    struct engine *e = *state;
    static const int ages[] = {120, 110, 100, 91, 90, 89, 1};
    run_sqlf("DELETE FROM events_default");
    for (size_t i = 0; i < ARRAY_LEN(ages); i++)
        make_partition(ages[i]);
    run_sqlf("INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, seq, at)"
             " VALUES ('%s', gen_random_uuid(), 0, 'ok', 201, 1, now() - interval '200 days')",
             uuid_text(&e->company));
    for (int left = ARRAY_LEN(ages); left > 3; left--) {
        assert_int_equal(old_partitions(), left);
        expire("events");
    }
    for (int step = 0; step < 2; step++) {
        expire("events");
        assert_int_equal(old_partitions(), 3); /* the whole days within the 90, and yesterday */
    }
    for (size_t i = 4; i < ARRAY_LEN(ages); i++)
        run_sqlf("DO $$ BEGIN EXECUTE format('DROP TABLE %%I', 'events_' || to_char("
                 "(now() AT TIME ZONE 'UTC')::date - %d, 'YYYYMMDD')); END $$",
                 ages[i]);
}

/* ---- effects happen once ---- */

static void expire_all(void)
{
    size_t count;
    const struct retained *kept = kept_tables(&count);
    run_sqlf("SELECT events_partitions_ahead(7)");
    for (size_t i = 0; i < count; i++)
        for (int step = 0; step < 3; step++)
            do_step(&kept[i], "");
}

static void expect_one_effect(struct engine *e, const struct request *request)
{
    struct command *again = run_request(e, request);
    assert_int_equal(again->finding, FINDING_REPLAY);
    assert_status(again, ERR_OK);
    assert_string_equal(
        ask_sqlf("SELECT count(*) || ' ' || (SELECT count(*) FROM events WHERE command_id = p.id)"
                 " || ' ' || (SELECT count(*) FROM inbox WHERE command_id = p.id)"
                 " FROM project AS p WHERE p.id = '%s' GROUP BY p.id",
                 uuid_text(&request->id)),
        "1 1 1");
}

/* Midnight passes: what happened a moment ago happened yesterday, then the day before, and so on. */
static void test_command_when_it_comes_again_after_midnight_and_retention_takes_effect_once(void **state)
{
    struct engine *e = *state;
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = uuid_v7()};
    assert_status(run_request(e, &request), ERR_OK);
    for (int day = 1; day < settings.inbox_days; day++) {
        expire_all();
        expect_one_effect(e, &request);
        run_sqlf("UPDATE inbox SET at = at - interval '1 day' WHERE command_id = '%s'",
                 uuid_text(&request.id));
        run_sqlf("UPDATE events SET at = at - interval '1 day' WHERE command_id = '%s'",
                 uuid_text(&request.id));
        expect_one_effect(e, &request);
    }
}

/* Word for word what workers of the version before send. */
static void test_command_when_workers_of_the_version_before_do_the_retention_takes_effect_once(void **state)
{
    struct engine *e = *state;
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = uuid_v7()};
    assert_status(run_request(e, &request), ERR_OK);
    fill(e, "inbox"); /* the request has a row there, too */
    for (int step = 0; step < 2; step++) {
        run_sqlf(
            "DO $$ BEGIN SET LOCAL ROLE cortex_worker; PERFORM inbox_expire(7, 500) = 500;"
            " PERFORM events_drop_before(now() - make_interval(days => 90)) IS NULL; RESET ROLE; END $$");
        expire("inbox");
    }
    assert_int_equal(rows_of(e, "inbox"), YOUNG + 1);
    expect_one_effect(e, &request);
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_retention_of_each_table_then_what_is_old_goes_by_an_index_and_what_is_young_stays),
        TEST(test_retention_when_a_run_has_more_to_do_then_the_next_step_begins_where_the_last_one_ended),
        TEST(test_every_table_when_it_may_grow_then_retention_knows_it_or_says_why_it_stays),
        TEST(test_retention_of_dead_letters_when_one_is_being_replayed_keeps_it),
        TEST(test_retention_of_exports_when_the_content_is_still_kept_keeps_them_and_else_their_jobs_go),
        TEST(test_retention_of_long_jobs_when_their_last_event_may_be_unpublished_keeps_them),
        TEST(test_retention_of_revocations_when_they_are_the_last_of_their_user_keeps_them),
        TEST(test_sweep_when_an_export_is_over_then_its_content_goes_in_steps_and_that_of_others_stays),
        TEST(test_sweep_when_many_exports_have_content_then_it_reads_only_what_is_over),
        TEST(test_retention_of_events_when_the_inbox_is_behind_drops_a_partition_at_each_step_all_the_same),
        TEST(test_command_when_it_comes_again_after_midnight_and_retention_takes_effect_once),
        TEST(test_command_when_workers_of_the_version_before_do_the_retention_takes_effect_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
