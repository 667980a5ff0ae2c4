#include "tests/unit/worker_fixture.h"
#include "workers/upkeep.h"

static int old_rows(const struct engine *e)
{
    return atoi(ask_sqlf("SELECT count(*) FROM inbox WHERE company_id = '%s'", uuid_text(&e->company)));
}

/* Runs step after step until `rows` inbox rows of the company are left; returns how many steps took some away. */
static int run_until(struct engine *e, struct upkeep *upkeep, int rows)
{
    int64_t limit = clock_monotonic_us() + 20 * 1000000LL;
    int steps = 0;
    for (int left = old_rows(e), now; left != rows; left = now) {
        assert_true(clock_monotonic_us() < limit);
        if (upkeep_is_due(upkeep))
            upkeep_run(upkeep);
        ev_run(e->loop, EVRUN_ONCE);
        now = old_rows(e);
        steps += now < left;
    }
    return steps;
}

static void test_upkeep_when_it_starts_expires_the_inbox_in_steps_and_keeps_what_is_young(void **state)
{
    struct engine *e = *state;
    run_sqlf("INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, at)"
             " SELECT '%s', gen_random_uuid(), 0, 'not-found', 404, now() - interval '1 day' * (3 * (n / "
             "1200) + 1) FROM"
             " generate_series(1, 1210) AS n",
             uuid_text(&e->company));
    run_sqlf("UPDATE inbox SET at = at - interval '8 days' WHERE company_id = '%s' AND ctid IN"
             " (SELECT ctid FROM inbox WHERE company_id = '%s' LIMIT 1200)",
             uuid_text(&e->company), uuid_text(&e->company));
    struct upkeep *upkeep = upkeep_new(e->loop, e->db, 7, 90);
    assert_in_range(run_until(e, upkeep, 10), 3, 1000); /* 1200 rows, no more than 500 at a time */
    db_free(TAKE(e->db));
    upkeep_free(upkeep);
}

static void test_upkeep_when_it_starts_makes_the_partitions_of_the_days_to_come(void **state)
{
    struct engine *e = *state;
    const char *name =
        ask_sqlf("SELECT 'events_' || to_char(now() AT TIME ZONE 'UTC' + interval '7 days', 'YYYYMMDD')");
    char partition[64];
    snprintf(partition, sizeof(partition), "%s", name);
    run_sqlf("DROP TABLE IF EXISTS %s", partition);
    struct upkeep *upkeep = upkeep_new(e->loop, e->db, 7, 90);
    int64_t limit = clock_monotonic_us() + 20 * 1000000LL;
    while (strcmp(ask_sqlf("SELECT to_regclass('%s') IS NOT NULL", partition), "t") != 0) {
        assert_true(clock_monotonic_us() < limit);
        if (upkeep_is_due(upkeep))
            upkeep_run(upkeep);
        ev_run(e->loop, EVRUN_ONCE);
    }
    db_free(TAKE(e->db));
    upkeep_free(upkeep);
}

static void test_upkeep_when_it_starts_drops_the_partitions_that_are_too_old(void **state)
{
    struct engine *e = *state;
    run_sqlf("CREATE TABLE events_20200101 PARTITION OF events"
             " FOR VALUES FROM ('2020-01-01 00:00:00+00') TO ('2020-01-02 00:00:00+00')");
    run_sqlf("DELETE FROM inbox WHERE at < '2020-01-03'");
    struct upkeep *upkeep = upkeep_new(e->loop, e->db, 7, 90);
    int64_t limit = clock_monotonic_us() + 20 * 1000000LL;
    while (strcmp(ask_sqlf("SELECT to_regclass('events_20200101') IS NULL"), "t") != 0) {
        assert_true(clock_monotonic_us() < limit);
        if (upkeep_is_due(upkeep))
            upkeep_run(upkeep);
        ev_run(e->loop, EVRUN_ONCE);
    }
    assert_string_equal(
        ask_sqlf("SELECT count(*) >= 8 FROM pg_inherits WHERE inhparent = 'events'::regclass"), "t");
    db_free(TAKE(e->db));
    upkeep_free(upkeep);
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_upkeep_when_it_starts_expires_the_inbox_in_steps_and_keeps_what_is_young),
        TEST(test_upkeep_when_it_starts_makes_the_partitions_of_the_days_to_come),
        TEST(test_upkeep_when_it_starts_drops_the_partitions_that_are_too_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
