#include "tests/unit/workers/engine/worker_process_fixture.h"

/* ---- answers ---- */

static void test_worker_when_a_command_succeeds_tells_event_and_reply_in_one_message(void **state)
{
    struct hall *hall = *state;
    struct engine *e = hall->engine;
    start_worker(hall);
    struct uuid id = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
    eventually(hall, reply_to(hall, &id));
    assert_int_equal(hall->event_count, 1);
    const struct event *event = reply_to(hall, &id);
    assert_true(slice_is(event->type, "project.created"));
    assert_int_equal(event->status, ERR_OK);
    assert_int_equal(event->http_status, 201);
    assert_int_equal(event->seq, 1);
    assert_int_equal(event->version, 1);
    assert_true(event->has_subject && uuid_equal(&event->subject, &id));
    assert_true(event->has_project && uuid_equal(&event->project, &id));
    assert_true(slice_is(event->correlation_id, uuid_text(&id)));
    /* The body: metadata, then the entity, byte for byte as it was stored. */
    char expected[1024];
    const char *at =
        ask_sqlf("SELECT time_text(at) FROM events WHERE company_id = '%s'", uuid_text(&e->company));
    int len = snprintf(expected, sizeof(expected),
                       "{\"type\":\"project.created\",\"seq\":1,\"id\":\"%s\",\"project\":\"%s\",\"actor\":"
                       "\"%s\",\"at\":\"%s\","
                       "\"data\":",
                       uuid_text(&id), uuid_text(&id), uuid_text(&e->user), at);
    assert_int_equal(event->entity_at, len);
    snprintf(expected + len, sizeof(expected) - (size_t)len, "%s}",
             ask_sqlf("SELECT data::text FROM events WHERE company_id = '%s'", uuid_text(&e->company)));
    assert_string_equal(event->body.data, expected);
}

/* The function event_text of the database and event_body.c write the same bytes: of events of a batch and of a long
 * job, of a project and of none. */
static void test_worker_when_it_publishes_an_event_its_text_is_that_of_the_database(void **state)
{
    struct hall *hall = *state;
    start_worker(hall);
    struct uuid project =
        PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"\\\"Brücke\\\" \\\\ 2\"}");
    PUBLISH(hall, .type = "task.create", .json = "{\"title\":\"Dig\"}", .parent = project);
    PUBLISH(hall, .type = "export.create", .json = "{\"resource\":\"project\"}");
    eventually(hall, hall->event_count > 0 &&
                         slice_is(hall->events[hall->event_count - 1].event.type, "export.completed"));
    size_t of_projects = 0, others = 0;
    for (size_t i = 0; i < hall->event_count; i++) {
        const struct event *event = &hall->events[i].event;
        if (event->seq == 0) /* a long job's progress is no event of the company */
            continue;
        of_projects += event->has_project;
        others += !event->has_project;
        assert_string_equal(
            event->body.data,
            ask_sqlf("SELECT event_text(events) FROM events WHERE company_id = '%s' AND seq = %lld",
                     uuid_text(&hall->engine->company), (long long)event->seq));
    }
    assert_int_equal(of_projects, 2);
    assert_int_equal(others, 3);
}

static void test_worker_when_two_events_follow_replies_with_the_first_alone(void **state)
{
    struct hall *hall = *state;
    start_worker(hall);
    struct uuid project = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
    struct uuid task =
        PUBLISH(hall, .type = "task.create", .json = "{\"title\":\"Dig\",\"progress\":9}", .parent = project);
    eventually(hall, hall->event_count == 3);
    assert_true(slice_is(reply_to(hall, &task)->type, "task.created"));
    assert_true(slice_is(hall->events[2].event.type, "project.updated"));
    assert_int_equal(hall->events[2].event.seq, 3);
    assert_int_equal(hall->events[2].event.version, 2);
    assert_true(uuid_equal(&hall->events[2].event.command_id, &task));
    assert_int_equal(hall->reply_count, 2);
}

static void test_worker_when_a_command_is_refused_replies_and_tells_nobody_else(void **state)
{
    struct hall *hall = *state;
    start_worker(hall);
    struct uuid id =
        PUBLISH(hall, .type = "project.create",
                .json = "{\"name\":\"X\",\"start_date\":\"2026-02-02\",\"end_date\":\"2026-02-01\"}");
    eventually(hall, reply_to(hall, &id));
    const struct event *reply = reply_to(hall, &id);
    assert_int_equal(reply->status, ERR_VALIDATION);
    assert_int_equal(reply->http_status, 422);
    assert_int_equal(reply->seq, 0);
    assert_string_equal(
        reply->body.data,
        "{\"errors\":[{\"pointer\":\"/end_date\",\"detail\":\"must not be before start_date\"}]}");
    assert_int_equal(hall->event_count, 0);
}

/* What the gateway asks is asked again. The project is none: what is let through is NOT_FOUND. */
static void test_worker_when_a_command_names_a_field_that_its_role_does_not_see_refuses_it(void **state)
{
    struct hall *hall = *state;
    static const struct {
        const char *role, *json;
        enum err status;
    } cases[] = {
        {"operative", "{\"minutes\":5,\"hourly_rate\":20}", ERR_FORBIDDEN},
        {"supervisor", "{\"minutes\":5,\"hourly_rate\":null}", ERR_FORBIDDEN},
        {"operative", "{\"minutes\":5}", ERR_NOT_FOUND},
        {"project_manager", "{\"minutes\":5,\"hourly_rate\":20}", ERR_NOT_FOUND},
    };
    start_worker(hall);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uuid id = PUBLISH(hall, .type = "time_entry.create", .parent = uuid_v7(),
                                 .role = cases[i].role, .json = cases[i].json);
        eventually(hall, reply_to(hall, &id));
        const struct event *reply = reply_to(hall, &id);
        assert_int_equal(reply->status, cases[i].status);
        if (cases[i].status == ERR_FORBIDDEN)
            assert_non_null(strstr(reply->body.data, "time_entry.create with \\\"hourly_rate\\\""));
    }
}

static void test_worker_when_a_command_comes_twice_at_once_runs_it_once_and_answers_both(void **state)
{
    struct hall *hall = *state;
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = uuid_v7()};
    publish_request(hall, &request);
    publish_request(hall, &request);
    all_confirmed(hall);
    start_worker(hall);
    eventually(hall, hall->reply_count == 2);
    assert_int_equal(hall->replies[0].event.seq, 1);
    assert_int_equal(hall->replies[1].event.seq, 1);
    assert_string_equal(hall->replies[0].event.body.data, hall->replies[1].event.body.data);
    assert_no_gaps(&hall->engine->company);
}

static void test_worker_when_many_commands_wait_answers_each_in_order(void **state)
{
    struct hall *hall = *state;
    enum { COUNT = 600 };
    static struct uuid ids[COUNT];
    for (int i = 0; i < COUNT; i++)
        ids[i] = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"X\"}");
    all_confirmed(hall);
    start_worker(hall);
    eventually(hall, hall->event_count == COUNT && hall->reply_count == COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_true(uuid_equal(&hall->events[i].event.command_id, &ids[i]));
        assert_int_equal(hall->events[i].event.seq, i + 1);
    }
    assert_no_gaps(&hall->engine->company);
}

/* ---- dead letters ---- */

static void test_worker_when_a_message_is_no_command_rejects_it_and_goes_on(void **state)
{
    struct hall *hall = *state;
    start_worker(hall);
    int unreadable = unreadable_dead_letters();
    const struct broker_message nonsense = {
        .exchange = SLICE(EXCHANGE_COMMANDS),
        .routing_key = SLICE("projects.00.what"),
        .message_id = SLICE("not a uuid"),
        .correlation_id = slice_of(hall->queue), /* no two of these messages are the same */
        .mandatory = true,
        .persistent = true,
        .body = SLICE("nonsense"),
    };
    publish_message(hall, &nonsense);
    struct uuid id = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
    eventually(hall, reply_to(hall, &id) && unreadable_dead_letters() == unreadable + 1);
}

static void test_worker_when_a_command_is_poisoned_replies_records_it_and_writes_a_dead_letter(void **state)
{
    struct hall *hall = *state;
    start_worker(hall);
    struct uuid id = PUBLISH(hall, .type = "project.explode");
    struct uuid good = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
    eventually(hall, reply_to(hall, &good) && reply_to(hall, &id) && is_dead(&id));
    assert_int_equal(reply_to(hall, &id)->status, ERR_POISON);
    assert_int_equal(reply_to(hall, &id)->http_status, 500);
    assert_string_equal(ask_sqlf("SELECT status FROM inbox WHERE command_id = '%s'", uuid_text(&id)),
                        "poison");
}

static void add_trap(const struct hall *hall, const char *action)
{
    run_sqlf("CREATE OR REPLACE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
             " $$ BEGIN %s; RETURN NEW; END $$",
             action);
    run_sqlf("DROP TRIGGER IF EXISTS trap ON project");
    run_sqlf("CREATE TRIGGER trap BEFORE INSERT ON project FOR EACH ROW"
             " WHEN (NEW.name = 'trap' AND NEW.company_id = '%s') EXECUTE FUNCTION trap()",
             uuid_text(&hall->engine->company));
}

static void remove_trap(void)
{
    run_sqlf("DROP TRIGGER trap ON project");
    run_sqlf("DROP FUNCTION trap()");
}

static void test_worker_when_an_error_passes_retries_and_succeeds(void **state)
{
    struct hall *hall = *state;
    run_sqlf("CREATE SEQUENCE IF NOT EXISTS trap_runs");
    run_sqlf("ALTER SEQUENCE trap_runs RESTART");
    add_trap(hall, "IF nextval('trap_runs') < 4 THEN RAISE EXCEPTION 'busy' USING ERRCODE = "
                   "'deadlock_detected'; END IF");
    start_worker(hall);
    struct uuid trapped = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"trap\"}");
    struct uuid good = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
    eventually(hall, reply_to(hall, &trapped) && reply_to(hall, &good));
    assert_int_equal(reply_to(hall, &trapped)->status, ERR_OK);
    assert_int_equal(reply_to(hall, &good)->status, ERR_OK);
    remove_trap();
    assert_no_gaps(&hall->engine->company);
}

static void test_worker_when_an_error_stays_ends_in_the_dead_letters_and_holds_up_nobody(void **state)
{
    struct hall *hall = *state;
    add_trap(hall, "RAISE EXCEPTION 'busy' USING ERRCODE = 'deadlock_detected'");
    hall->config.retry_attempts = 2;
    hall->config.retry_first_ms = 1;
    hall->config.backlog_poll_ms = 20;
    start_worker(hall);
    struct uuid trapped = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"trap\"}");
    for (int i = 0; i < 20; i++) {
        struct uuid good = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
        eventually(hall, reply_to(hall, &good));
    }
    eventually(hall, is_dead(&trapped) && reply_to(hall, &trapped));
    remove_trap();
    assert_int_equal(reply_to(hall, &trapped)->status, ERR_DATABASE_CONFLICT);
    assert_string_equal(ask_sqlf("SELECT reason || ' ' || attempts FROM dead_letter WHERE command_id = '%s'",
                                 uuid_text(&trapped)),
                        "database-conflict 5");
    assert_no_gaps(&hall->engine->company);
}

/* ---- rows that cannot be worked on ---- */

static void set_actor_types(const char *type)
{
    run_sqlf("DROP VIEW IF EXISTS untold");
    for (size_t i = 0; i < 2; i++)
        run_sqlf("ALTER TABLE %s ALTER COLUMN actor TYPE %s USING actor::%s",
                 i == 0 ? "deferred" : "unpublished", type, type);
    run_sqlf("CREATE VIEW untold WITH (security_invoker = true) AS SELECT * FROM unpublished");
    run_sqlf("GRANT SELECT, INSERT, DELETE ON untold TO cortex_engine");
}

static struct uuid add_row(const struct engine *e, const char *reason, const char *actor)
{
    struct uuid id = uuid_v7();
    run_sqlf("INSERT INTO deferred (company_id, command_id, pool, slot, reason, type, actor, role, "
             "fingerprint, body)"
             " VALUES ('%s', '%s', 'projects', %u, '%s', 'project.create', '%s', 'project_manager', 1,"
             " '\\x8103a158')",
             uuid_text(&e->company), uuid_text(&id), topology_slot(&e->company), reason, actor);
    return id;
}

static const char *rows_left(const struct engine *e)
{
    return ask_sqlf("SELECT (SELECT count(*) FROM deferred WHERE company_id = x.id) || ' ' ||"
                    " (SELECT count(*) FROM unpublished WHERE company_id = x.id)"
                    " FROM company AS x WHERE x.id = '%s'",
                    uuid_text(&e->company));
}

/* More of them than a worker has due at a time: they do not take the place of others. */
static void test_rows_when_they_cannot_be_read_become_dead_letters_with_their_ids_and_those_beside_them_run(
    void **state)
{
    enum { EACH = 150 };
    static const char *const reasons[] = {"turn", "retry", "schedule", "of a later version"};
    struct hall *hall = *state;
    struct engine *e = hall->engine;
    set_actor_types("text");
    run_sqlf("ALTER TABLE deferred DROP CONSTRAINT deferred_reason_check");
    run_sqlf("CREATE TEMPORARY TABLE unreadable (id uuid)");
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        for (int n = 0; n < EACH; n++) {
            struct uuid id = add_row(e, reasons[i], i == 3 ? uuid_text(&e->user) : "nobody");
            run_sqlf("INSERT INTO unreadable VALUES ('%s')", uuid_text(&id));
        }
    run_sqlf("WITH u AS (INSERT INTO unpublished (company_id, command_id, pool, slot, at, type, actor, role,"
             " fingerprint) SELECT '%s', gen_random_uuid(), 'projects', %u, now() - interval '1 minute',"
             " 'project.create', 'nobody', 'operative', 1 RETURNING command_id)"
             " INSERT INTO unreadable SELECT * FROM u",
             uuid_text(&e->company), topology_slot(&e->company));
    for (size_t i = 0; i < 3; i++)
        add_row(e, reasons[i], uuid_text(&e->user));
    run_sqlf("UPDATE deferred SET scheduled_by = '%s', scheduled_company = company_id, scheduled_at = 1",
             uuid_text(&e->user));
    start_worker(hall);
    eventually(hall, strcmp(rows_left(e), "0 0") == 0);
    stop_worker(hall);
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM project WHERE company_id = '%s'", uuid_text(&e->company)), "3");
    assert_string_equal(
        ask_sqlf("SELECT count(DISTINCT command_id) || ' ' || bool_and(command_id IN (TABLE unreadable))"
                 " || ' ' || count(scheduled_by) || ' ' || string_agg(DISTINCT reason, ' ')"
                 " FROM dead_letter WHERE company_id = '%s'",
                 uuid_text(&e->company)),
        "601 true 600 unreadable");
    run_sqlf("DROP TABLE unreadable");
    set_actor_types("uuid");
    run_sqlf("ALTER TABLE deferred ADD CONSTRAINT deferred_reason_check"
             " CHECK (reason IN ('turn', 'retry', 'schedule'))");
    /* One that could be read but for its reason can be run again. */
    assert_string_equal(ask_sqlf("SELECT dead_letter_replay(array_agg(id)) FROM dead_letter"
                                 " WHERE company_id = '%s'",
                                 uuid_text(&e->company)),
                        "150");
    run_sqlf("DELETE FROM deferred");
}

static void test_row_when_the_database_takes_no_result_of_it_becomes_a_dead_letter_and_its_sender_is_answered(
    void **state)
{
    struct hall *hall = *state;
    struct engine *e = hall->engine;
    run_sqlf("CREATE FUNCTION no_result() RETURNS trigger LANGUAGE plpgsql AS"
             " $$ BEGIN RAISE EXCEPTION 'no result'; END $$");
    run_sqlf("CREATE TRIGGER no_result BEFORE INSERT ON inbox FOR EACH ROW WHEN (NEW.company_id = '%s')"
             " EXECUTE FUNCTION no_result()",
             uuid_text(&e->company));
    struct uuid id = add_row(e, "retry", uuid_text(&e->user));
    run_sqlf("UPDATE deferred SET reply_to = '%s', correlation_id = command_id::text WHERE command_id = '%s'",
             hall->reply_key, uuid_text(&id));
    start_worker(hall);
    eventually(hall, strcmp(rows_left(e), "0 0") == 0 && reply_to(hall, &id));
    assert_int_equal(reply_to(hall, &id)->status, ERR_DATABASE_ERROR);
    run_sqlf("DROP FUNCTION no_result() CASCADE");
    assert_string_equal(ask_sqlf("SELECT reason || ' ' || (detail LIKE '%%no result') || ' ' || attempts"
                                 " FROM dead_letter WHERE command_id = '%s'",
                                 uuid_text(&id)),
                        "database-error true 0");
    run_sqlf("SELECT dead_letter_replay(array_agg(id)) FROM dead_letter WHERE command_id = '%s'",
             uuid_text(&id));
    eventually(hall, hall->event_count > 0);
    eventually(hall,
               strcmp(ask_sqlf("SELECT count(*) FROM dead_letter WHERE command_id = '%s'", uuid_text(&id)),
                      "0") == 0);
}

/* ---- a database that lacks what the worker needs ---- */

/* At the start of a worker, and while it runs. Nothing is refused or given up for it. */
static void test_worker_when_the_database_lacks_a_column_commands_wait_until_it_is_there(void **state)
{
    struct hall *hall = *state;
    static const char *const away[][2] = {
        {"REVOKE DELETE ON project FROM cortex_projects", "GRANT DELETE ON project TO cortex_projects"},
        {"ALTER TABLE project RENAME COLUMN budget TO gone",
         "ALTER TABLE project RENAME COLUMN gone TO budget"},
        {"REVOKE INSERT ON project FROM cortex_projects", "GRANT INSERT ON project TO cortex_projects"},
        {"REVOKE INSERT ON events FROM cortex_engine", "GRANT INSERT ON events TO cortex_engine"},
    };
    for (size_t i = 0; i < ARRAY_LEN(away); i++) {
        run_sqlf("%s", away[i][0]);
        if (!hall->worker)
            start_worker(hall);
        struct uuid id = PUBLISH(hall, .type = "project.create", .json = "{\"name\":\"Bridge\"}");
        let_pass_ms(hall, 1200);
        size_t replies = hall->reply_count;
        run_sqlf("%s", away[i][1]);
        assert_int_equal(replies, i);
        eventually(hall, reply_to(hall, &id));
        assert_int_equal(reply_to(hall, &id)->status, ERR_OK);
    }
    assert_string_equal(ask_sqlf("SELECT count(*) FROM dead_letter WHERE company_id = '%s'",
                                 uuid_text(&hall->engine->company)),
                        "0");
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, hall_setup, hall_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_worker_when_a_command_succeeds_tells_event_and_reply_in_one_message),
        TEST(test_worker_when_it_publishes_an_event_its_text_is_that_of_the_database),
        TEST(test_worker_when_two_events_follow_replies_with_the_first_alone),
        TEST(test_worker_when_a_command_is_refused_replies_and_tells_nobody_else),
        TEST(test_worker_when_a_command_names_a_field_that_its_role_does_not_see_refuses_it),
        TEST(test_worker_when_a_command_comes_twice_at_once_runs_it_once_and_answers_both),
        TEST(test_worker_when_many_commands_wait_answers_each_in_order),
        TEST(test_worker_when_a_message_is_no_command_rejects_it_and_goes_on),
        TEST(test_worker_when_a_command_is_poisoned_replies_records_it_and_writes_a_dead_letter),
        TEST(test_worker_when_an_error_passes_retries_and_succeeds),
        TEST(test_worker_when_an_error_stays_ends_in_the_dead_letters_and_holds_up_nobody),
        TEST(test_rows_when_they_cannot_be_read_become_dead_letters_with_their_ids_and_those_beside_them_run),
        TEST(
            test_row_when_the_database_takes_no_result_of_it_becomes_a_dead_letter_and_its_sender_is_answered),
        TEST(test_worker_when_the_database_lacks_a_column_commands_wait_until_it_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
