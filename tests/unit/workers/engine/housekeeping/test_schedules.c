/* Schedules: which time follows, that each time is claimed once, and the system's own work. */

#include "tests/unit/workers/engine/worker_fixture.h"
#include "workers/engine/housekeeping/schedules.h"

/* ---- which time follows ---- */

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, LATE = 60 };

static int64_t next_of(const char *text, int64_t planned, int64_t now)
{
    struct cron cron;
    struct time_zone *zone = NULL;
    char why[CRON_WHY_SIZE];
    assert_int_equal(cron_parse(slice_of(text), &cron, why), ERR_OK);
    assert_int_equal(time_zone_open(SLICE("UTC"), &zone), ERR_OK);
    int64_t next = schedule_next(&cron, zone, planned, now, LATE);
    time_zone_free(zone);
    return next;
}

static const int64_t noon = INT64_C(20000) * DAY + 12 * HOUR;

static void test_next_when_it_is_late_by_little_each_time_has_its_run(void **state)
{
    (void)state;
    for (int64_t now = noon; now < noon + LATE; now++)
        assert_int_equal(next_of("* * * * * *", noon, now), noon + 1);
    assert_int_equal(next_of("* * * * *", noon, noon), noon + MINUTE);
    assert_int_equal(next_of("0 * * * *", noon, noon + 59), noon + HOUR);
}

static void test_next_when_all_was_down_the_older_times_share_one_run(void **state)
{
    (void)state;
    int64_t now = noon + 3 * DAY + 17 * MINUTE + 30;
    assert_int_equal(next_of("0 * * * *", noon, now), noon + 3 * DAY + HOUR);
    assert_int_equal(next_of("* * * * *", noon, now), now - 30); /* late by half a minute: one of its own */
    assert_int_equal(next_of("* * * * * *", noon, now), now - LATE + 1);
}

/* Whatever a clock says, times are claimed in their order, each once: next_at only grows. */
static void test_next_when_the_clock_jumps_forth_and_back_no_time_comes_twice(void **state)
{
    (void)state;
    static const int64_t jumps[] = {1, 5, -40, 3 * DAY, -3 * DAY, 2, HOUR, -HOUR, 90, -200, 700, 0, 1};
    int64_t now = noon, next = noon;
    for (int round = 0; round < 200; round++) {
        now += jumps[round % (int)ARRAY_LEN(jumps)];
        for (int claims = 0; next <= now && claims < 500; claims++) {
            int64_t following = next_of("*/10 * * * * *", next, now);
            assert_true(following > next && following % 10 == 0);
            /* None within the time that counts as late is left out. */
            assert_true(following == next + 10 || following <= now - LATE + 10);
            next = following;
        }
    }
}

/* ---- a process that looks ---- */

struct looker {
    struct db *db;
    struct schedules *schedules;
};

static const struct config settings = {.schedule_poll_ms = 20,
                                       .schedule_late_ms = LATE * 1000,
                                       .inbox_days = 7,
                                       .event_days = 90,
                                       .export_days = 30,
                                       .long_job_days = 30,
                                       .dead_letter_days = 365};

static void on_up(void *ctx, struct db *db)
{
    (void)ctx, (void)db;
}

static void on_down(void *ctx, struct db *db, const char *why)
{
    (void)ctx, (void)db, (void)why;
}

static struct looker look(const struct engine *e)
{
    static const struct db_callbacks callbacks = {.on_up = on_up, .on_down = on_down};
    struct looker looker = {0};
    assert_int_equal(db_new(e->loop, &(struct db_options){.url = test_url(), .role = "cortex_webhooks"},
                            &callbacks, NULL, &looker.db),
                     ERR_OK);
    looker.schedules = schedules_new(e->loop, looker.db, &settings, settings.schedule_poll_ms);
    return looker;
}

static void leave(struct looker looker)
{
    schedules_drain(looker.schedules);
    db_free(looker.db);
    schedules_free(looker.schedules);
}

/* Turns the loop until the statement says "t". */
static void await(const struct engine *e, const char *sql)
{
    int64_t limit = clock_monotonic_us() + 20 * 1000000LL;
    while (strcmp(ask_sqlf("%s", sql), "t") != 0) {
        assert_true(clock_monotonic_us() < limit);
        ev_run(e->loop, EVRUN_ONCE);
    }
}

static void add_schedule(const struct engine *e, const char *name, const char *cron, const char *next_at)
{
    run_sqlf(
        "INSERT INTO schedule (name, company_id, cron, type, pool, slot, actor, role, fingerprint, body, "
        "next_at)"
        " VALUES ('%s', '%s', '%s', 'project.create', 'projects', 7, '%s', 'super_admin', 1, '\\x80', %s)",
        name, uuid_text(&e->company), cron, uuid_text(&e->user), next_at);
}

static void test_due_schedule_when_many_look_has_one_command_for_each_time(void **state)
{
    struct engine *e = *state;
    struct looker lookers[6];
    char done[160];
    for (int i = 0; i < 30; i++) {
        char name[32];
        snprintf(name, sizeof(name), "each-%d", i);
        add_schedule(e, name, "0 4 1 1 *", "now() - interval '1 second'");
    }
    for (size_t i = 0; i < ARRAY_LEN(lookers); i++)
        lookers[i] = look(e);
    snprintf(done, sizeof(done),
             "SELECT count(*) = 30 FROM schedule WHERE company_id = '%s' AND next_at > now() AND runs = 1",
             uuid_text(&e->company));
    await(e, done);
    for (size_t i = 0; i < ARRAY_LEN(lookers); i++)
        leave(lookers[i]);
    assert_string_equal(
        ask_sqlf(
            "SELECT count(*) || ' ' || count(DISTINCT command_id) || ' ' || bool_and(reason = 'schedule' AND "
            "due_at < now()"
            " AND pool = 'projects' AND slot = 7 AND body = '\\x80') FROM deferred WHERE company_id = '%s'",
            uuid_text(&e->company)),
        "30 30 true");
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM deferred AS d JOIN schedule AS s ON s.last_command = d.command_id"
                 " AND s.company_id = d.company_id WHERE s.company_id = '%s'",
                 uuid_text(&e->company)),
        "30");
    run_sqlf("DELETE FROM schedule WHERE company_id = '%s'", uuid_text(&e->company));
}

static void test_due_schedule_when_all_was_down_has_one_run_for_what_is_old(void **state)
{
    struct engine *e = *state;
    add_schedule(e, "missed", "30 * * * *",
                 "date_trunc('hour', now()) - interval '50 hours' + interval '30 minutes'");
    struct looker looker = look(e);
    await(e, "SELECT next_at > now() AND runs BETWEEN 1 AND 2 FROM schedule WHERE name = 'missed'");
    leave(looker);
    assert_string_equal(
        ask_sqlf("SELECT next_at - now() <= interval '1 hour' FROM schedule WHERE name = 'missed'"), "t");
    run_sqlf("DELETE FROM schedule WHERE name = 'missed'");
}

static void test_schedule_when_an_operator_asks_for_a_run_has_one_and_its_next_time_stays(void **state)
{
    struct engine *e = *state;
    add_schedule(e, "asked", "0 4 1 1 *", "'2100-01-01 04:00:00Z'");
    run_sqlf("UPDATE schedule SET asked_at = now(), enabled = false WHERE name = 'asked'");
    struct looker looker = look(e);
    await(e, "SELECT runs = 1 AND asked_at IS NULL AND last_asked_at IS NOT NULL"
             " AND next_at = '2100-01-01 04:00:00Z' FROM schedule WHERE name = 'asked'");
    leave(looker);
    run_sqlf("DELETE FROM schedule WHERE name = 'asked'");
}

static void test_schedule_when_it_cannot_be_read_rests_and_says_so(void **state)
{
    struct engine *e = *state;
    add_schedule(e, "odd", "sometimes", "now()");
    add_schedule(e, "nowhere", "0 4 1 1 *", "now()");
    run_sqlf("UPDATE schedule SET timezone = 'Nowhere/City' WHERE name = 'nowhere'");
    add_schedule(e, "even", "0 4 1 1 *", "now()");
    struct looker looker = look(e);
    await(e, "SELECT bool_and(CASE name"
             " WHEN 'odd' THEN last_error = 'schedule-cron-unreadable' AND step_at > now() AND runs = 0"
             " WHEN 'nowhere' THEN last_error = 'schedule-zone-unknown' AND step_at > now() AND runs = 0"
             " ELSE runs = 1 END) FROM schedule WHERE name IN ('odd', 'nowhere', 'even')");
    leave(looker);
    run_sqlf("DELETE FROM schedule WHERE name IN ('odd', 'nowhere', 'even')");
}

/* ---- many ---- */

static void add_schedules(const struct engine *e, const char *prefix, int count, const char *next_at)
{
    run_sqlf("DELETE FROM schedule WHERE name LIKE '%s-%%'", prefix); /* of a run that failed */
    run_sqlf("INSERT INTO schedule (name, company_id, cron, type, pool, slot, actor, role, fingerprint, "
             "body, next_at)"
             " SELECT '%s-' || n, '%s', '0 4 1 1 *', 'project.create', 'projects', 7, '%s', 'super_admin', "
             "1, '\\x80',"
             " %s FROM generate_series(1, %d) AS n",
             prefix, uuid_text(&e->company), uuid_text(&e->user), next_at, count);
}

static void expect_runs(const struct engine *e, const char *prefix, int count)
{
    char sql[300];
    snprintf(sql, sizeof(sql),
             "SELECT count(*) = %d FROM schedule WHERE name LIKE '%s-%%' AND runs = 1 AND next_at > now()",
             count, prefix);
    await(e, sql);
}

static void forget_schedules(const struct engine *e)
{
    run_sqlf("DELETE FROM schedule WHERE company_id = '%s'", uuid_text(&e->company));
    run_sqlf("DELETE FROM deferred WHERE company_id = '%s'", uuid_text(&e->company));
}

/* What a process reads while nothing is due does not grow with the number of schedules. */
static void test_schedules_when_none_is_due_are_not_read(void **state)
{
    struct engine *e = *state;
    static const char
        *const entries = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'schedule_due'",
               *const rows = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'schedule'";
    run_sqlf("UPDATE schedule SET next_at = now() + interval '1 hour', run_at = NULL");
    add_schedules(e, "later", 5000, "now() + interval '1 hour' + n * interval '1 second'");
    run_sqlf("ANALYZE schedule");
    run_sqlf("SELECT pg_stat_force_next_flush()");
    long long read = atoll(ask_sqlf("%s", rows)), walked = atoll(ask_sqlf("%s", entries));
    struct looker lookers[3];
    char looked[200];
    for (size_t i = 0; i < ARRAY_LEN(lookers); i++)
        lookers[i] = look(e);
    snprintf(looked, sizeof(looked), "SELECT (%s) >= %lld", entries, walked + 30);
    await(e, looked);
    for (size_t i = 0; i < ARRAY_LEN(lookers); i++)
        leave(lookers[i]);
    assert_int_equal(atoll(ask_sqlf("%s", rows)), read);
    assert_in_range(atoll(ask_sqlf("%s", entries)) - walked, 30, 2000);
    forget_schedules(e);
}

/* The bad one has no role, which no row of `deferred` may have. */
static void test_due_schedules_when_one_cannot_be_claimed_it_rests_and_all_others_have_their_run(void **state)
{
    struct engine *e = *state;
    add_schedules(e, "among", 700, "now() - interval '1 second'");
    run_sqlf("UPDATE schedule SET role = '' WHERE name IN ('among-13', 'among-600')");
    struct looker lookers[2] = {look(e), look(e)};
    expect_runs(e, "among", 698);
    await(e, "SELECT count(*) = 2 FROM schedule WHERE name LIKE 'among-%' AND last_error IS NOT NULL"
             " AND runs = 0 AND step_at > now()");
    leave(lookers[0]);
    leave(lookers[1]);
    forget_schedules(e);
}

static void test_due_schedules_when_another_process_holds_some_the_others_do_not_wait_for_them(void **state)
{
    static const struct db_statement hold = {
        "test.hold", "SELECT FROM schedule WHERE name LIKE 'held-_' ORDER BY name FOR UPDATE"};
    struct engine *e = *state;
    add_schedules(e, "held", 50, "now() - interval '1 second'");
    db_send(e->db, &hold, NULL, 0, NULL, NULL);
    db_ask(e->db); /* the transaction stays open */
    await(
        e,
        "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'schedule'::regclass AND mode = 'RowShareLock'");
    struct looker looker = look(e);
    await(e, "SELECT count(*) = 41 FROM schedule WHERE name LIKE 'held-%' AND runs = 1");
    assert_string_equal(ask_sqlf("SELECT count(*) FROM schedule WHERE name LIKE 'held-_' AND runs = 0"), "9");
    db_sync(e->db, NULL, NULL);
    expect_runs(e, "held", 50);
    leave(looker);
    forget_schedules(e);
}

/* Word for word the claim of workers of the version before, but for its parameters. */
#define OLD_CLAIM                                                                                            \
    "WITH claimed AS (UPDATE schedule SET next_at = now() + interval '1 hour', asked_at = NULL,"             \
    " last_asked_at = coalesce(asked_at, last_asked_at), last_at = coalesce(asked_at, next_at),"             \
    " last_begun_at = clock_timestamp(), last_ended_at = NULL, last_by = 'old:1', last_error = NULL,"        \
    " runs = runs + 1, last_command = gen_random_uuid() WHERE name = '%s' AND version = 1"                   \
    " AND run_at IS NULL AND next_at IS NOT DISTINCT FROM '%s'::timestamptz"                                 \
    " AND asked_at IS NOT DISTINCT FROM NULL::timestamptz RETURNING *),"                                     \
    " waiting AS (INSERT INTO deferred (company_id, command_id, pool, slot, reason, due_at, type, actor, "   \
    "role,"                                                                                                  \
    " subject, parent, fingerprint, sent, body)"                                                             \
    " SELECT company_id, last_command, pool, slot, 'schedule', last_at, type, actor, role, subject, parent," \
    " fingerprint, floor(extract(epoch FROM last_at))::bigint, body FROM claimed ON CONFLICT DO NOTHING)"    \
    " SELECT 1 FROM claimed"

static void test_due_schedules_when_workers_of_the_version_before_claim_too_each_has_one_run(void **state)
{
    struct engine *e = *state;
    char due[64];
    snprintf(due, sizeof(due), "%s", ask_sqlf("SELECT now() - interval '1 second'"));
    char next_at[80];
    snprintf(next_at, sizeof(next_at), "'%s'::timestamptz", due);
    add_schedules(e, "both", 60, next_at);
    struct looker lookers[2] = {look(e), look(e)};
    for (int i = 60; i > 0; i--) {
        char sql[2048], name[32];
        snprintf(name, sizeof(name), "both-%d", i);
        snprintf(sql, sizeof(sql), OLD_CLAIM, name, due);
        db_send(e->db, keep_statement(sql), NULL, 0, NULL, NULL);
        db_sync(e->db, NULL, NULL);
    }
    expect_runs(e, "both", 60);
    leave(lookers[0]);
    leave(lookers[1]);
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM deferred WHERE company_id = '%s'", uuid_text(&e->company)), "60");
    assert_true(
        atoi(ask_sqlf("SELECT count(*) FROM schedule WHERE name LIKE 'both-%%' AND last_by = 'old:1'")) > 0);
    forget_schedules(e);
}

/* ---- the system's work ---- */

static void make_due(const char *name)
{
    run_sqlf("UPDATE schedule SET next_at = now(), run_at = NULL, step_at = now(), last_error = NULL WHERE "
             "name = '%s'",
             name);
}

static void expect_ended(const struct engine *e, const char *name)
{
    char sql[200];
    snprintf(sql, sizeof(sql),
             "SELECT run_at IS NULL AND last_ended_at >= last_begun_at AND next_at > now() FROM schedule "
             "WHERE name = '%s'",
             name);
    await(e, sql);
}

static void test_work_when_the_inbox_is_old_expires_it_in_steps_and_keeps_what_is_young(void **state)
{
    struct engine *e = *state;
    struct looker lookers[2] = {look(e), look(e)};
    run_sqlf("INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, at)"
             " SELECT '%s', gen_random_uuid(), 0, 'not-found', 404,"
             " now() - interval '1 day' * CASE WHEN n > 24000 THEN 4 ELSE 8 END FROM "
             "generate_series(1, 24010) AS n",
             uuid_text(&e->company));
    make_due("inbox.retention");
    int64_t limit = clock_monotonic_us() + 20 * 1000000LL;
    int steps = 0;
    for (int left = 24010, now; left > 10; left = now) {
        assert_true(clock_monotonic_us() < limit);
        ev_run(e->loop, EVRUN_ONCE);
        now = atoi(ask_sqlf("SELECT count(*) FROM inbox WHERE company_id = '%s'", uuid_text(&e->company)));
        steps += now < left;
        assert_in_range(left - now, 0, 20000); /* two processes, no more than 10,000 at a time */
    }
    assert_in_range(steps, 2, 1000);
    expect_ended(e, "inbox.retention");
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM inbox WHERE company_id = '%s'", uuid_text(&e->company)), "10");
    leave(lookers[0]);
    leave(lookers[1]);
}

static void test_work_when_days_come_makes_their_partitions_and_drops_the_old(void **state)
{
    struct engine *e = *state;
    char partition[64], done[200];
    snprintf(
        partition, sizeof(partition), "%s",
        ask_sqlf("SELECT 'events_' || to_char(now() AT TIME ZONE 'UTC' + interval '7 days', 'YYYYMMDD')"));
    run_sqlf("DROP TABLE IF EXISTS %s", partition);
    run_sqlf("CREATE TABLE events_20200101 PARTITION OF events"
             " FOR VALUES FROM ('2020-01-01 00:00:00+00') TO ('2020-01-02 00:00:00+00')");
    run_sqlf("DELETE FROM inbox WHERE at < '2020-01-03'");
    make_due("events.partitions");
    make_due("events.retention");
    struct looker looker = look(e);
    snprintf(done, sizeof(done),
             "SELECT to_regclass('%s') IS NOT NULL AND to_regclass('events_20200101') IS NULL", partition);
    await(e, done);
    expect_ended(e, "events.partitions");
    expect_ended(e, "events.retention");
    leave(looker);
    assert_string_equal(
        ask_sqlf("SELECT count(*) >= 8 FROM pg_inherits WHERE inhparent = 'events'::regclass"), "t");
}

static void test_work_when_a_step_fails_rests_and_is_done_later(void **state)
{
    struct engine *e = *state;
    struct looker looker = look(e);
    run_sqlf("REVOKE DELETE ON inbox FROM cortex_engine");
    run_sqlf("INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, at)"
             " VALUES ('%s', gen_random_uuid(), 0, 'not-found', 404, now() - interval '8 days')",
             uuid_text(&e->company));
    make_due("inbox.retention");
    await(e, "SELECT last_error IS NOT NULL AND run_at IS NOT NULL AND step_at > now() FROM schedule"
             " WHERE name = 'inbox.retention'");
    run_sqlf("GRANT DELETE ON inbox TO cortex_engine");
    run_sqlf("UPDATE schedule SET step_at = now() WHERE name = 'inbox.retention'");
    expect_ended(e, "inbox.retention");
    assert_string_equal(ask_sqlf("SELECT last_error IS NULL FROM schedule WHERE name = 'inbox.retention'"),
                        "t");
    leave(looker);
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_when_it_is_late_by_little_each_time_has_its_run),
        cmocka_unit_test(test_next_when_all_was_down_the_older_times_share_one_run),
        cmocka_unit_test(test_next_when_the_clock_jumps_forth_and_back_no_time_comes_twice),
        TEST(test_due_schedule_when_many_look_has_one_command_for_each_time),
        TEST(test_due_schedule_when_all_was_down_has_one_run_for_what_is_old),
        TEST(test_schedule_when_an_operator_asks_for_a_run_has_one_and_its_next_time_stays),
        TEST(test_schedule_when_it_cannot_be_read_rests_and_says_so),
        TEST(test_schedules_when_none_is_due_are_not_read),
        TEST(test_due_schedules_when_one_cannot_be_claimed_it_rests_and_all_others_have_their_run),
        TEST(test_due_schedules_when_another_process_holds_some_the_others_do_not_wait_for_them),
        TEST(test_due_schedules_when_workers_of_the_version_before_claim_too_each_has_one_run),
        TEST(test_work_when_the_inbox_is_old_expires_it_in_steps_and_keeps_what_is_young),
        TEST(test_work_when_days_come_makes_their_partitions_and_drops_the_old),
        TEST(test_work_when_a_step_fails_rests_and_is_done_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
