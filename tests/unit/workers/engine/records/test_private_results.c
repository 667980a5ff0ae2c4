/* Commands of which nobody but the sender hears (x-audience): their result is in the inbox alone. job.cancel is one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/workers/engine/worker_fixture.h"

/* A command that waits for its time, which can be cancelled. */
static struct uuid make_waiting(struct engine *e)
{
    struct request request = {.type = "project.create",
                              .json = "{\"name\":\"Later\"}",
                              .id = uuid_v7(),
                              .not_before = clock_wall_ms() + 3600 * 1000};
    struct command *command = make_command(e, &request);
    run_commands(e, &command, 1);
    assert_int_equal(e->settled[0]->outcome, COMMAND_DEFERRED);
    return request.id;
}

static struct request cancel_of(struct uuid waiting)
{
    return (struct request){
        .type = "job.cancel", .json = "{\"cancel_asked\":true}", .id = uuid_v7(), .subject = waiting};
}

static const char *ask_seq(struct engine *e)
{
    return ask_sqlf("SELECT seq FROM company_sequence WHERE company_id = '%s'", uuid_text(&e->company));
}

static void assert_private(const struct command *command)
{
    assert_status(command, ERR_OK);
    assert_int_equal(command->http_status, 202);
    assert_int_equal(count_effects(command), 1);
    assert_true(command->effects->is_private);
    assert_int_equal(command->effects->seq, 0);
    assert_string_equal(member(command->effects, "cancel_asked"), "true");
}

static void test_command_for_nobody_when_it_runs_leaves_no_event_and_takes_no_number(void **state)
{
    struct engine *e = *state;
    make_project(e, "{\"name\":\"Before\"}");
    struct request request = cancel_of(make_waiting(e));
    struct command *command = run_request(e, &request);
    assert_private(command);
    assert_string_equal(ask_seq(e), "1");
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM events WHERE command_id = '%s'", uuid_text(&request.id)), "0");
    assert_string_equal(
        ask_sqlf("SELECT concat_ws(' ', status, http_status, seq, type, subject = '%s', actor = '%s',"
                 " data->>'cancel_asked') FROM inbox WHERE command_id = '%s'",
                 uuid_text(&request.subject), uuid_text(&e->user), uuid_text(&request.id)),
        "ok 202 job.cancelling t t true");
    make_project(e, "{\"name\":\"Behind\"}");
    assert_string_equal(ask_seq(e), "2");
    assert_no_gaps(&e->company);
}

static void test_command_for_nobody_when_it_comes_again_has_the_same_answer_and_runs_once(void **state)
{
    struct engine *e = *state;
    struct request request = cancel_of(make_waiting(e));
    struct command *command = run_request(e, &request);
    assert_private(command);
    char first[1024];
    snprintf(first, sizeof(first), "%.*s", (int)command->effects->data.len, command->effects->data.data);
    int64_t version = command->effects->version;
    for (size_t i = 0; i < 3; i++) {
        command = run_request(e, &request);
        assert_private(command);
        assert_true(command_is_replayed(command));
        assert_int_equal(command->effects->version, version);
        assert_true(slice_is(command->effects->data, first));
        assert_true(uuid_equal(&command->effects->subject, &request.subject));
    }
    request.json = "{}";
    assert_status(run_request(e, &request), ERR_IDEMPOTENCY_MISMATCH);
    assert_string_equal(ask_sqlf("SELECT count(*) FROM inbox WHERE company_id = '%s' AND status = 'ok'",
                                 uuid_text(&e->company)),
                        "1");
}

static void test_commands_of_a_batch_when_some_are_for_nobody_number_only_the_others(void **state)
{
    struct engine *e = *state;
    struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"One\"}"},
        cancel_of(make_waiting(e)),
        {.type = "project.create", .json = "{\"name\":\"Two\"}"},
        cancel_of(uuid_v7()), /* of what is not there: a refusal, as ever */
        {.type = "project.create", .json = "{\"name\":\"Three\"}"},
    };
    run_requests(e, requests, ARRAY_LEN(requests));
    assert_private(e->ran[1]);
    assert_status(e->ran[3], ERR_NOT_FOUND);
    for (size_t i = 0; i < ARRAY_LEN(requests); i += 2)
        assert_int_equal(e->ran[i]->effects->seq, i / 2 + 1);
    assert_string_equal(ask_seq(e), "3");
    assert_no_gaps(&e->company);
}

static void test_command_for_nobody_when_the_batch_fails_after_it_runs_again_and_once(void **state)
{
    struct engine *e = *state;
    struct request request = cancel_of(make_waiting(e));
    run_sqlf("CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " IF NEW.name = 'Trap' THEN RAISE EXCEPTION 'trap'; END IF; RETURN NEW; END $$");
    run_sqlf("CREATE TRIGGER fail_once BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION fail_once()");
    struct request requests[] = {request, {.type = "project.create", .json = "{\"name\":\"Trap\"}"}};
    run_requests(e, requests, ARRAY_LEN(requests));
    run_sqlf("DROP FUNCTION fail_once() CASCADE");
    assert_private(e->ran[0]);
    assert_true(e->ran[1]->outcome == COMMAND_RETRY || e->ran[1]->outcome == COMMAND_DEAD);
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM inbox WHERE command_id = '%s'", uuid_text(&request.id)), "1");
    assert_string_equal(ask_seq(e), "0");
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_command_for_nobody_when_it_runs_leaves_no_event_and_takes_no_number),
        TEST(test_command_for_nobody_when_it_comes_again_has_the_same_answer_and_runs_once),
        TEST(test_commands_of_a_batch_when_some_are_for_nobody_number_only_the_others),
        TEST(test_command_for_nobody_when_the_batch_fails_after_it_runs_again_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
