#include "tests/unit/workers/engine/worker_process_fixture.h"

/* ---- between commit and ack ---- */

static void remove_gate(void)
{
    run_sqlf("DROP TRIGGER IF EXISTS gate ON inbox");
    run_sqlf("DROP FUNCTION IF EXISTS gate()");
}

/* The worker's transaction waits as it commits for a lock that the test holds. By then PostgreSQL has all of it, so
 * the worker can be stopped: when the lock is let go, PostgreSQL commits, and the worker never learns of it. */
static void hold_commits(const struct hall *hall)
{
    remove_gate(); /* of a test that failed */
    run_sqlf("CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS"
             " $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$");
    run_sqlf("CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED"
             " FOR EACH ROW WHEN (NEW.company_id = '%s') EXECUTE FUNCTION gate()",
             uuid_text(&hall->engine->company));
    run_sqlf("SELECT pg_advisory_lock(4711)");
}

static void let_commits_go(void)
{
    run_sqlf("SELECT pg_advisory_unlock_all()");
}

static bool somebody_waits_at_the_gate(void)
{
    return strcmp(ask_sqlf("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND "
                           "NOT granted"),
                  "0") != 0;
}

static int inbox_rows(const struct hall *hall)
{
    return atoi(
        ask_sqlf("SELECT count(*) FROM inbox WHERE company_id = '%s'", uuid_text(&hall->engine->company)));
}

/* A worker commits its first batch, and is killed before it has told anybody. Returns how many commands were in it. */
static int commit_and_die(struct hall *hall)
{
    pid_t pid = fork_worker(hall);
    eventually(hall, somebody_waits_at_the_gate());
    kill(pid, SIGSTOP);
    let_commits_go();
    eventually(hall, inbox_rows(hall) > 0);
    int committed = inbox_rows(hall);
    remove_gate();
    kill_worker(pid);
    assert_int_equal(hall->event_count, 0); /* it could tell nobody */
    return committed;
}

static void test_worker_when_it_dies_between_commit_and_ack_the_next_tells_the_same_and_does_nothing_twice(
    void **state)
{
    struct hall *hall = *state;
    enum { COUNT = 5 };
    struct uuid ids[COUNT];
    hold_commits(hall);
    for (int i = 0; i < COUNT; i++)
        ids[i] = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
    all_confirmed(hall);
    int committed = commit_and_die(hall);
    start_worker(hall);
    eventually(hall, hall->event_count >= COUNT);
    let_pass_ms(hall, 200);
    assert_int_equal(hall->event_count, COUNT);
    assert_in_range(committed, 1, COUNT);
    for (int i = 0; i < COUNT; i++) {
        const struct event *event = reply_to(hall, &ids[i]);
        assert_non_null(event);
        assert_int_equal(event->seq, i + 1);
        assert_int_equal(event->http_status, 201);
    }
    assert_string_equal(
        ask_sqlf("SELECT count(*) || ' ' || max(right(number, 4)) FROM project WHERE company_id = '%s'",
                 uuid_text(&hall->engine->company)),
        "5 0005");
    assert_no_gaps(&hall->engine->company);
}

/* The same with commands that the broker does not hold any more: they waited for their time in `deferred`. */
static void test_worker_when_it_dies_between_commit_and_telling_of_a_row_the_next_tells_it(void **state)
{
    struct hall *hall = *state;
    enum { COUNT = 5 };
    struct uuid ids[COUNT];
    hold_commits(hall);
    for (int i = 0; i < COUNT; i++)
        ids[i] = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}",
                         .not_before = clock_wall_ms() + 1000);
    all_confirmed(hall);
    commit_and_die(hall);
    start_worker(hall);
    eventually(hall, hall->event_count >= COUNT);
    let_pass_ms(hall, 200);
    assert_int_equal(hall->event_count, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(reply_to(hall, &ids[i])->http_status, 201);
    eventually(hall, strcmp(ask_sqlf("SELECT count(*) FROM unpublished WHERE company_id = '%s'",
                                     uuid_text(&hall->engine->company)),
                            "0") == 0);
    assert_no_gaps(&hall->engine->company);
}

/* ---- several processes ---- */

enum { MANY = 900 };

static struct uuid many[MANY];

static void publish_many(struct hall *hall, const struct uuid *companies, size_t count)
{
    for (size_t i = 0; i < MANY; i++)
        many[i] = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"X\"}",
                          .company = companies[i % count]);
}

static bool all_answered(struct hall *hall)
{
    if (hall->reply_count < MANY)
        return false;
    for (size_t i = 0; i < MANY; i++)
        if (!reply_to(hall, &many[i]))
            return false;
    return true;
}

static void assert_each_done_once(const struct uuid *companies, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_no_gaps(&companies[i]);
        assert_string_equal(
            ask_sqlf(
                "SELECT count(*) || ' ' || count(DISTINCT number) || ' ' || max(right(number, 4)::integer)"
                " FROM project WHERE company_id = '%s'",
                uuid_text(&companies[i])),
            "300 300 300");
        assert_string_equal(ask_sqlf("SELECT count(DISTINCT command_id) FROM events WHERE company_id = '%s'",
                                     uuid_text(&companies[i])),
                            "300");
    }
}

static void test_worker_when_processes_share_companies_and_die_does_everything_once_without_gaps(void **state)
{
    struct hall *hall = *state;
    const struct uuid companies[3] = {hall->engine->company, add_company(), add_company()};
    hall->config.prefetch = 64;
    hall->config.batch_max = 16;
    pid_t first = fork_worker(hall), second = fork_worker(hall);
    publish_many(hall, companies, ARRAY_LEN(companies));
    eventually(hall, hall->reply_count > 100);
    kill_worker(first);
    first = fork_worker(hall);
    eventually(hall, hall->reply_count > 400);
    kill_worker(second);
    second = fork_worker(hall);
    eventually(hall, all_answered(hall));
    kill_worker(first);
    kill_worker(second);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(reply_to(hall, &many[i])->status, ERR_OK);
    assert_each_done_once(companies, ARRAY_LEN(companies));
}

/* ---- leaving ---- */

/* The order to leave comes while a transaction waits at the gate, with most of the work still in the queue. */
static void test_worker_when_told_to_leave_under_load_finishes_what_it_has_and_loses_nothing(void **state)
{
    struct hall *hall = *state;
    const struct uuid companies[3] = {hall->engine->company, add_company(), add_company()};
    int status;
    hall->config.prefetch = 64;
    hall->config.batch_max = 16;
    publish_many(hall, companies, ARRAY_LEN(companies));
    all_confirmed(hall);
    hold_commits(hall);
    pid_t pid = fork_worker(hall);
    eventually(hall, somebody_waits_at_the_gate());
    kill(pid, SIGTERM);
    let_commits_go();
    eventually(hall, waitpid(pid, &status, WNOHANG) == pid);
    remove_gate();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    let_pass_ms(hall, 200);
    assert_in_range(hall->reply_count, 1, MANY - 1); /* what it had taken, not all there was */
    start_worker(hall);
    eventually(hall, all_answered(hall));
    let_pass_ms(hall, 200);
    assert_int_equal(hall->reply_count, MANY); /* it acked all that it had done: nothing was told twice */
    assert_each_done_once(companies, ARRAY_LEN(companies));
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, hall_setup, hall_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_worker_when_it_dies_between_commit_and_ack_the_next_tells_the_same_and_does_nothing_twice),
        TEST(test_worker_when_it_dies_between_commit_and_telling_of_a_row_the_next_tells_it),
        TEST(test_worker_when_processes_share_companies_and_die_does_everything_once_without_gaps),
        TEST(test_worker_when_told_to_leave_under_load_finishes_what_it_has_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
