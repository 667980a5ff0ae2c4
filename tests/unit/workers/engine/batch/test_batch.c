#include "tests/unit/common/db/db_cutter.h"
#include "tests/unit/workers/engine/worker_fixture.h"
#include "workers/engine/command/retry.h"
#include "workers/engine/records/database.h"

/* ---- one command ---- */

static void test_batch_when_a_command_succeeds_writes_row_event_inbox_and_sequence(void **state)
{
    struct engine *e = *state;
    struct command *command = DO(e, .type = "project.create", .json = "{\"name\":\"Bridge \\\"A\\\\B\\\"\"}");
    assert_status(command, ERR_OK);
    assert_int_equal(command->http_status, 201);
    assert_int_equal(command->effects->seq, 1);
    assert_int_equal(command->effects->version, 1);
    assert_true(uuid_equal(&command->effects->subject, &command->envelope.id));
    assert_string_equal(member(command->effects, "name"), "Bridge \"A\\B\"");
    const char *company = uuid_text(&e->company), *id = uuid_text(&command->envelope.id);
    assert_string_equal(
        ask_sqlf("SELECT e.data::text FROM events e JOIN inbox i USING (company_id, command_id, seq, at)"
                 " JOIN project p ON p.company_id = e.company_id AND p.id = e.subject"
                 " WHERE e.company_id = '%s' AND i.status = 'ok' AND i.http_status = 201 AND e.type = "
                 "'project.created'"
                 " AND p.id = '%s' AND e.actor = '%s' AND p.created_at = e.at",
                 company, id, uuid_text(&e->user)),
        command->effects->data.data);
    assert_no_gaps(&e->company);
}

static void test_batch_when_a_command_comes_again_gives_its_first_result(void **state)
{
    struct engine *e = *state;
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = uuid_v7()};
    struct command *first = run_request(e, &request);
    char data[2048], at[CLOCK_TEXT_SIZE];
    snprintf(data, sizeof(data), "%s", first->effects->data.data);
    snprintf(at, sizeof(at), "%s", first->effects->at.data);
    int64_t seq = first->effects->seq;
    struct command *again = run_request(e, &request);
    assert_status(again, ERR_OK);
    assert_int_equal(again->finding, FINDING_REPLAY);
    assert_int_equal(again->http_status, 201);
    assert_int_equal(count_effects(again), 1);
    assert_int_equal(again->effects->seq, seq);
    assert_int_equal(again->effects->version, 1);
    assert_string_equal(again->effects->data.data, data);
    assert_string_equal(again->effects->at.data, at);
    assert_true(slice_is(again->effects->type, "project.created"));
    assert_true(uuid_equal(&again->effects->actor, &e->user));
    assert_true(again->effects->has_project && uuid_equal(&again->effects->project, &again->envelope.id));
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM project WHERE company_id = '%s'", uuid_text(&e->company)), "1");
    assert_no_gaps(&e->company);
}

static void test_batch_when_a_command_with_two_events_comes_again_gives_both(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"Bridge\"}");
    const struct request request = {.type = "task.create",
                                    .json = "{\"title\":\"Dig\",\"progress\":40}",
                                    .id = uuid_v7(),
                                    .parent = project};
    assert_int_equal(count_effects(run_request(e, &request)), 2);
    struct command *again = run_request(e, &request);
    assert_int_equal(again->finding, FINDING_REPLAY);
    assert_int_equal(count_effects(again), 2);
    assert_true(slice_is(again->effects->type, "task.created"));
    assert_true(slice_is(again->effects->next->type, "project.updated"));
    assert_int_equal(again->effects->next->seq, again->effects->seq + 1);
    assert_true(uuid_equal(&again->effects->next->subject, &project));
    assert_no_gaps(&e->company);
}

static void test_batch_when_a_refused_command_comes_again_gives_the_refusal_although_the_world_has_changed(
    void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"Bridge\"}");
    const struct request request = {
        .type = "project.update", .json = "{\"status\":\"completed\"}", .id = uuid_v7(), .subject = project};
    assert_refusal(run_request(e, &request), ERR_ILLEGAL_TRANSITION, "/status");
    assert_status(DO(e, .type = "project.update", .json = "{\"status\":\"active\"}", .subject = project),
                  ERR_OK);
    struct command *again = run_request(e, &request);
    assert_int_equal(again->finding, FINDING_REPLAY);
    assert_refusal(again, ERR_ILLEGAL_TRANSITION, "/status");
    assert_no_gaps(&e->company);
}

static void test_batch_when_a_command_id_comes_with_another_request_refuses_it_and_keeps_the_result(
    void **state)
{
    struct engine *e = *state;
    struct uuid id = uuid_v7();
    assert_status(DO(e, .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = id), ERR_OK);
    assert_refusal(DO(e, .type = "project.create", .json = "{\"name\":\"Tunnel\"}", .id = id),
                   ERR_IDEMPOTENCY_MISMATCH, NULL);
    struct command *again = DO(e, .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = id);
    assert_int_equal(again->finding, FINDING_REPLAY);
    assert_status(again, ERR_OK);
}

static void test_batch_when_the_inbox_row_has_expired_says_that_the_entity_is_there(void **state)
{
    struct engine *e = *state;
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = uuid_v7()};
    assert_status(run_request(e, &request), ERR_OK);
    run_sqlf("DELETE FROM inbox WHERE command_id = '%s'", uuid_text(&request.id));
    assert_refusal(run_request(e, &request), ERR_ALREADY_EXISTS, NULL);
    assert_int_equal(run_request(e, &request)->finding, FINDING_REPLAY);
    assert_string_equal(ask_sqlf("SELECT number FROM project WHERE id = '%s'", uuid_text(&request.id)) + 9,
                        "0001");
}

static void test_batch_when_the_company_does_not_exist_refuses(void **state)
{
    struct engine *e = *state;
    assert_refusal(DO(e, .type = "project.create", .json = "{\"name\":\"Bridge\"}", .company = uuid_v7()),
                   ERR_NOT_FOUND, NULL);
}

static void test_batch_when_too_many_commands_of_a_company_wait_for_their_time_refuses_more(void **state)
{
    struct engine *e = *state;
    struct command *commands[SCHEDULED_MAX + 2];
    struct request request = {
        .type = "project.create", .json = "{\"name\":\"X\"}", .not_before = clock_wall_ms() + 3600000};
    struct uuid first = uuid_v7();
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        request.id = i == 0 ? first : uuid_v7();
        commands[i] = make_command(e, &request);
    }
    run_commands(e, commands, ARRAY_LEN(commands));
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (i < SCHEDULED_MAX)
            assert_int_equal(e->settled[i]->outcome, COMMAND_DEFERRED);
        else
            assert_status(e->settled[i], ERR_TOO_MANY_REQUESTS);
    request.id = uuid_v7();
    assert_status(run_request(e, &request), ERR_TOO_MANY_REQUESTS);
    request.id = first; /* it waits already */
    assert_int_equal(run_request(e, &request)->outcome, COMMAND_DEFERRED);
    run_sqlf("DELETE FROM deferred WHERE command_id = '%s'", uuid_text(&first));
    request.id = uuid_v7();
    assert_int_equal(run_request(e, &request)->outcome, COMMAND_DEFERRED);
}

static void test_batch_when_the_waiting_commands_of_a_company_hold_too_many_bytes_refuses_more(void **state)
{
    struct engine *e = *state;
    char json[SCHEDULED_BYTES];
    snprintf(json, sizeof(json), "{\"name\":\"X\",\"description\":\"%0*d\"}", SCHEDULED_BYTES * 2 / 3, 0);
    struct request large = {
        .type = "project.create", .json = json, .id = uuid_v7(), .not_before = clock_wall_ms() + 3600000};
    assert_int_equal(run_request(e, &large)->outcome, COMMAND_DEFERRED);
    large.id = uuid_v7();
    const struct command *refused = run_request(e, &large);
    assert_status(refused, ERR_TOO_MANY_REQUESTS);
    struct request small = {.type = "project.create",
                            .json = "{\"name\":\"X\"}",
                            .id = uuid_v7(),
                            .not_before = large.not_before};
    assert_int_equal(run_request(e, &small)->outcome, COMMAND_DEFERRED);
}

/* ---- poison ---- */

static void assert_dead(const struct command *command, const char *status)
{
    assert_int_equal(command->outcome, COMMAND_DEAD);
    assert_int_equal(command->http_status, 500);
    assert_string_equal(ask_sqlf("SELECT status FROM inbox WHERE company_id = '%s' AND command_id = '%s'",
                                 uuid_text(&command->envelope.company), uuid_text(&command->envelope.id)),
                        status);
}

static void test_batch_when_a_body_is_no_msgpack_rejects_the_command(void **state)
{
    struct engine *e = *state;
    struct command *command =
        make_command(e, &(struct request){.type = "project.create", .json = "{\"name\":\"Bridge\"}"});
    command->envelope.body = SLICE("\xc1 what is this");
    run_commands(e, &command, 1);
    assert_dead(e->settled[0], "poison");
}

static void test_batch_when_the_type_is_unknown_rejects_the_command(void **state)
{
    struct engine *e = *state;
    struct command *command = make_command(e, &(struct request){.type = "project.explode"});
    run_commands(e, &command, 1);
    assert_dead(e->settled[0], "poison");
}

static void test_batch_when_a_header_is_missing_rejects_the_command(void **state)
{
    struct engine *e = *state;
    assert_dead(DO(e, .type = "project.update", .json = "{}"), "poison");
    assert_dead(DO(e, .type = "task.create", .json = "{\"title\":\"Dig\"}"), "poison");
}

static void test_batch_when_a_required_field_is_missing_rejects_the_command(void **state)
{
    struct engine *e = *state;
    struct command *command =
        make_command(e, &(struct request){.type = "project.create", .json = "{\"name\":\"Bridge\"}"});
    command->envelope.body = SLICE("\x80");
    run_commands(e, &command, 1);
    assert_dead(e->settled[0], "poison");
}

static void test_batch_when_a_dead_letter_that_was_unreadable_is_replayed_and_readable_runs_it(void **state)
{
    struct engine *e = *state;
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = uuid_v7()};
    for (int i = 0; i < 2; i++) { /* the broken one may come twice */
        struct command *command = make_command(e, &request);
        command->envelope.body = SLICE("\xc1");
        run_commands(e, &command, 1);
        assert_dead(e->settled[0], "poison");
    }
    struct command *mended = run_request(e, &request);
    assert_status(mended, ERR_OK);
    assert_int_equal(mended->finding, FINDING_REPLACE);
    assert_string_equal(ask_sqlf("SELECT status FROM inbox WHERE command_id = '%s'", uuid_text(&request.id)),
                        "ok");
}

static void test_batch_when_a_broken_copy_follows_a_success_keeps_the_success(void **state)
{
    struct engine *e = *state;
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = uuid_v7()};
    assert_status(run_request(e, &request), ERR_OK);
    struct command *broken = make_command(e, &request);
    broken->verdict = ERR_POISON;
    broken->reading = READING_ADDRESS;
    run_commands(e, &broken, 1);
    assert_int_equal(e->settled[0]->outcome, COMMAND_DEAD);
    assert_int_equal(e->settled[0]->finding, FINDING_UNRECORDED);
    assert_int_equal(e->settled[0]->status, ERR_POISON); /* what its sender is told */
    assert_int_equal(run_request(e, &request)->finding, FINDING_REPLAY);
    assert_string_equal(ask_sqlf("SELECT status FROM inbox WHERE command_id = '%s'", uuid_text(&request.id)),
                        "ok");
}

/* ---- many ---- */

static void test_batch_when_good_and_bad_are_mixed_answers_each_with_its_own(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"Bridge\"}");
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"One\"}"},
        {.type = "project.update", .json = "{\"status\":\"completed\"}", .subject = project},
        {.type = "project.explode"},
        {.type = "task.create", .json = "{\"title\":\"Dig\"}", .parent = uuid_v7()},
        {.type = "project.create", .json = "{\"name\":\"Two\"}"},
        {.type = "project.update", .json = "{\"name\":\"B\"}", .subject = project, .if_match = 7},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = uuid_v7()},
        {.type = "task.create", .json = "{\"title\":\"Dig\",\"progress\":10}", .parent = project},
        {.type = "project.create", .json = "{\"name\":\"Three\"}"},
    };
    static const enum err expected[] = {ERR_OK, ERR_ILLEGAL_TRANSITION, ERR_POISON,    ERR_NOT_FOUND,
                                        ERR_OK, ERR_VERSION_CONFLICT,   ERR_NOT_FOUND, ERR_OK,
                                        ERR_OK};
    run_requests(e, requests, ARRAY_LEN(requests));
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        assert_status(e->ran[i], expected[i]);
    assert_string_equal(
        ask_sqlf("SELECT string_agg(name || ' ' || right(number, 4), ',' ORDER BY number) FROM project"
                 " WHERE company_id = '%s'",
                 uuid_text(&e->company)),
        "Bridge 0001,One 0002,Two 0003,Three 0004");
    assert_string_equal(
        ask_sqlf("SELECT string_agg(type, ',' ORDER BY seq) FROM events WHERE company_id = '%s'",
                 uuid_text(&e->company)),
        "project.created,project.created,project.created,task.created,project.updated,project.created");
    assert_no_gaps(&e->company);
}

static void test_batch_when_one_command_builds_on_another_runs_them_in_order(void **state)
{
    struct engine *e = *state;
    struct uuid project = uuid_v7(), task = uuid_v7();
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = project},
        {.type = "task.create", .json = "{\"title\":\"Dig\"}", .id = task, .parent = project},
        {.type = "task.update",
         .json = "{\"status\":\"completed\"}",
         .subject = task,
         .parent = project,
         .if_match = 1},
        {.type = "project.update", .json = "{\"name\":\"Done\"}", .subject = project, .if_match = 2},
        {.type = "task.delete", .subject = task, .parent = project},
        {.type = "project.delete", .subject = project},
    };
    run_requests(e, requests, ARRAY_LEN(requests));
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        assert_status(e->ran[i], ERR_OK);
    assert_string_equal(member(e->ran[3]->effects, "progress"), "100");
    assert_int_equal(e->ran[5]->http_status, 204);
    assert_no_gaps(&e->company);
}

static void test_batch_when_several_companies_are_in_it_counts_each_by_itself(void **state)
{
    struct engine *e = *state;
    struct uuid companies[3] = {e->company, add_company(), add_company()};
    struct request requests[30];
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        requests[i] = (struct request){
            .type = "project.create", .json = "{\"name\":\"X\"}", .company = companies[(i * 7) % 3]};
    run_requests(e, requests, ARRAY_LEN(requests));
    for (size_t i = 0; i < ARRAY_LEN(companies); i++) {
        assert_no_gaps(&companies[i]);
        assert_string_equal(ask_sqlf("SELECT max(right(number, 4)) FROM project WHERE company_id = '%s'",
                                     uuid_text(&companies[i])),
                            "0010");
    }
}

/* ---- SQL errors ---- */

/* A trigger that raises for projects of that name in that company. */
static void add_trap(const struct engine *e, const char *name, const char *action)
{
    run_sqlf("CREATE OR REPLACE FUNCTION trap_%s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s; RETURN "
             "NEW; END $$",
             name, action);
    run_sqlf("DROP TRIGGER IF EXISTS trap_%s ON project", name);
    run_sqlf("CREATE TRIGGER trap_%s BEFORE INSERT ON project FOR EACH ROW"
             " WHEN (NEW.name = 'trap %s' AND NEW.company_id = '%s') EXECUTE FUNCTION trap_%s()",
             name, name, uuid_text(&e->company), name);
}

static void remove_trap(const char *name)
{
    run_sqlf("DROP TRIGGER trap_%s ON project", name);
    run_sqlf("DROP FUNCTION trap_%s()", name);
}

static void test_batch_when_one_statement_fails_costs_only_its_command(void **state)
{
    struct engine *e = *state;
    add_trap(e, "raise", "RAISE EXCEPTION 'no'");
    struct request requests[9];
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        requests[i] = (struct request){.type = "project.create",
                                       .json = i == 4 ? "{\"name\":\"trap raise\"}" : "{\"name\":\"X\"}"};
    run_requests(e, requests, ARRAY_LEN(requests));
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        assert_status(e->ran[i], i == 4 ? ERR_DATABASE_ERROR : ERR_OK);
    assert_dead(e->ran[4], "database-error");
    assert_null(memmem(e->ran[4]->refusal.data, e->ran[4]->refusal.len, "no", 2)); /* the log's business */
    assert_string_equal(
        ask_sqlf("SELECT max(right(number, 4)) FROM project WHERE company_id = '%s'", uuid_text(&e->company)),
        "0008");
    assert_no_gaps(&e->company);
    remove_trap("raise");
}

/* The message is cut to fit, at every place within a character of four octets. */
static void test_dead_letter_when_its_message_is_cut_within_a_character_keeps_its_result(void **state)
{
    struct engine *e = *state;
    for (int i = 0; i < 4; i++) {
        char action[128];
        snprintf(action, sizeof(action), "RAISE EXCEPTION '%%', repeat('x', %d) || repeat(chr(128679), 200)",
                 i);
        add_trap(e, "cut", action);
        run_requests(e, &(struct request){.type = "project.create", .json = "{\"name\":\"trap cut\"}"}, 1);
        assert_dead(e->ran[0], "database-error");
        assert_string_equal(ask_sqlf("SELECT x.status || ' ' || (length(l.detail) > 60)"
                                     " FROM inbox AS x JOIN dead_letter AS l USING (company_id, command_id)"
                                     " WHERE x.command_id = '%s'",
                                     uuid_text(&e->ran[0]->envelope.id)),
                            "database-error true");
    }
    remove_trap("cut");
}

static void test_entity_when_a_key_is_violated_is_there_already_only_if_it_is_its_own(void **state)
{
    struct engine *e = *state;
    static const struct {
        const char *table, *constraint;
        enum err status;
    } cases[] = {
        {"project", "project_pkey", ERR_ALREADY_EXISTS},       {"task", "task_pkey", ERR_DATABASE_ERROR},
        {"counter", "counter_pkey", ERR_DATABASE_ERROR},       {"audit", "project_pkey", ERR_DATABASE_ERROR},
        {"project", "project_audit_pkey", ERR_DATABASE_ERROR},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char action[256];
        snprintf(
            action, sizeof(action),
            "RAISE EXCEPTION 'twice' USING ERRCODE = 'unique_violation', TABLE = '%s', CONSTRAINT = '%s'",
            cases[i].table, cases[i].constraint);
        add_trap(e, "twice", action);
        run_requests(e, &(struct request){.type = "project.create", .json = "{\"name\":\"trap twice\"}"}, 1);
        assert_status(e->ran[0], cases[i].status);
    }
    remove_trap("twice");
}

static void test_batch_when_the_cause_of_a_dead_letter_is_mended_a_replay_succeeds(void **state)
{
    struct engine *e = *state;
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"trap mend\"}", .id = uuid_v7()};
    add_trap(e, "mend", "RAISE EXCEPTION 'no'");
    assert_status(run_request(e, &request), ERR_DATABASE_ERROR);
    remove_trap("mend");
    assert_status(run_request(e, &request), ERR_OK);
}

static const char *dead_letter_of(const struct command *command)
{
    return ask_sqlf(
        "SELECT reason || ' ' || attempts || ' ' || replays || ' ' || jsonb_array_length(history) FROM"
        " dead_letter WHERE command_id = '%s'",
        uuid_text(&command->envelope.id));
}

static const char *row_of(const struct command *command)
{
    return ask_sqlf("SELECT reason || ' ' || attempts FROM deferred WHERE command_id = '%s'",
                    uuid_text(&command->envelope.id));
}

/* The row of the command, as a worker finds it when it has become due. */
static struct command *as_row(struct command *command, enum deferral reason)
{
    struct command *row = command_new_of_row(&command->envelope, reason);
    row->attempts = command->attempts;
    command_free(command);
    return row;
}

static void test_batch_when_an_error_is_worth_a_retry_holds_its_company_then_waits_then_is_a_dead_letter(
    void **state)
{
    struct engine *e = *state;
    add_trap(e, "retry", "RAISE EXCEPTION 'busy' USING ERRCODE = 'serialization_failure'");
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"One\"}"},
        {.type = "project.create", .json = "{\"name\":\"trap retry\"}"},
        {.type = "project.create", .json = "{\"name\":\"Behind it\"}"},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = add_company()},
    };
    run_requests(e, requests, ARRAY_LEN(requests));
    assert_status(e->ran[0], ERR_OK);
    assert_int_equal(e->ran[1]->outcome, COMMAND_RETRY);
    assert_int_equal(e->ran[2]->outcome, COMMAND_AGAIN);
    assert_status(e->ran[3], ERR_OK);
    struct command *command = take_settled(e, 2);
    assert_int_equal(command->outcome, COMMAND_RETRY); /* after the one that it holds */
    while (command->outcome == COMMAND_RETRY) {
        run_commands(e, &command, 1);
        command = take_settled(e, 0);
    }
    assert_int_equal(command->attempts, RETRY_IN_PLACE_MAX);
    for (int attempts = 3; attempts <= 4; attempts++) { /* the pool's two */
        char expected[16];
        snprintf(expected, sizeof(expected), "retry %d", attempts);
        assert_int_equal(command->outcome, COMMAND_DEFERRED);
        assert_string_equal(row_of(command), expected);
        command = as_row(command, DEFER_RETRY);
        run_commands(e, &command, 1);
        command = take_settled(e, 0);
    }
    assert_int_equal(command->outcome, COMMAND_DEAD);
    assert_int_equal(command->http_status, 503);
    assert_string_equal(row_of(command), "");
    assert_string_equal(dead_letter_of(command), "database-conflict 5 0 0");
    remove_trap("retry");
    command_free(command);
    assert_no_gaps(&e->company);
}

static void revoke_tokens(const struct engine *e, const struct uuid *user, int64_t before_s)
{
    run_sqlf("INSERT INTO revocation (company_id, id, user_id, before, expires_at)"
             " VALUES ('%s', gen_random_uuid(), '%s', to_timestamp(%lld), now() + interval '1 s')",
             uuid_text(&e->company), uuid_text(user), (long long)before_s);
}

/* The gateway let it in, and the person was sent away while it waited. */
static void test_batch_when_the_sender_was_revoked_since_then_what_waited_is_refused(void **state)
{
    struct engine *e = *state;
    int64_t now_s = clock_wall_ms() / 1000;
    for (enum deferral reason = DEFER_TURN; reason <= DEFER_SCHEDULE; reason++)
        for (int is_revoked = 0; is_revoked <= 1; is_revoked++) {
            struct command *command =
                make_command(e, &(struct request){.type = "project.create", .json = "{\"name\":\"x\"}"});
            command->deferral = reason;
            command->delay_ms = 0;
            command->envelope.timestamp = now_s - 100;
            run_commands(e, &command, 1);
            command = take_settled(e, 0);
            assert_int_equal(command->outcome, COMMAND_DEFERRED);
            revoke_tokens(e, is_revoked ? &e->user : &e->stranger, now_s - 50);
            revoke_tokens(e, &e->user, now_s - 101); /* of tokens before the one that sent it */
            command = as_row(command, reason);
            run_commands(e, &command, 1);
            command = take_settled(e, 0);
            assert_int_equal(command->outcome, COMMAND_DONE);
            assert_int_equal(command->status, is_revoked ? ERR_REVOKED : ERR_OK);
            assert_string_equal(
                ask_sqlf("SELECT status || ' ' || http_status FROM inbox WHERE command_id = '%s'",
                         uuid_text(&command->envelope.id)),
                is_revoked ? "revoked 403" : "ok 201");
            command_free(command);
            run_sqlf("DELETE FROM revocation WHERE company_id = '%s'", uuid_text(&e->company));
        }
    assert_no_gaps(&e->company);
}

/* A delivery that was sent a moment ago is not asked for; one that the broker kept for a while is. */
static void test_batch_when_the_sender_was_revoked_since_then_an_old_delivery_is_refused(void **state)
{
    struct engine *e = *state;
    int64_t now_s = clock_wall_ms() / 1000;
    struct command *command =
        make_command(e, &(struct request){.type = "project.create", .json = "{\"name\":\"x\"}"});
    command->envelope.timestamp = now_s - 20;
    revoke_tokens(e, &e->user, now_s - 10);
    run_commands(e, &command, 1);
    command = take_settled(e, 0);
    assert_int_equal(command->status, ERR_REVOKED);
    command_free(command);
    run_sqlf("DELETE FROM revocation WHERE company_id = '%s'", uuid_text(&e->company));
}

/* Somebody else had it run in the sender's name: put its schedule, or replayed its dead letter. */
static void test_batch_when_who_acted_was_revoked_since_then_what_waited_is_refused(void **state)
{
    struct engine *e = *state;
    int64_t now_s = clock_wall_ms() / 1000;
    struct uuid elsewhere = uuid_v7();
    for (int revoked = 0; revoked <= 7; revoked++) { /* from 4 on: who put its schedule */
        bool is_put = revoked >= 4;
        struct command *command =
            make_command(e, &(struct request){.type = "project.create", .json = "{\"name\":\"x\"}"});
        struct acted acted = {.is_known = true,
                              .by = e->stranger,
                              .company = revoked % 4 == 3 ? elsewhere : e->company,
                              .at = now_s - 50};
        command->deferral = DEFER_RETRY;
        command->delay_ms = 0;
        command->envelope.timestamp = now_s - 100;
        *(is_put ? &command->scheduled : &command->acted) = acted;
        run_commands(e, &command, 1); /* each wait keeps who acted */
        command = take_settled(e, 0);
        assert_string_equal(ask_sqlf("SELECT ((%s) = ('%s'::uuid, '%s'::uuid, %lld))::text"
                                     " FROM deferred WHERE command_id = '%s'",
                                     is_put ? "scheduled_by, scheduled_company, scheduled_at"
                                            : "acted_by, acted_company, acted_at",
                                     uuid_text(&acted.by), uuid_text(&acted.company), (long long)acted.at,
                                     uuid_text(&command->envelope.id)),
                            "true");
        if (revoked % 4 >= 2) /* 3: the same user id, in a company that is not that of the token */
            revoke_tokens(e, &e->stranger, now_s - 40);
        if (revoked % 4 == 1)
            revoke_tokens(e, &e->stranger, now_s - 60); /* before the operator acted */
        command = as_row(command, DEFER_RETRY);
        *(is_put ? &command->scheduled : &command->acted) = acted;
        run_commands(e, &command, 1);
        command = take_settled(e, 0);
        assert_int_equal(command->status, revoked % 4 == 2 ? ERR_REVOKED : ERR_OK);
        command_free(command);
        run_sqlf("DELETE FROM revocation WHERE company_id = '%s'", uuid_text(&e->company));
    }
}

static void test_batch_when_a_dead_letter_is_replayed_success_removes_it_and_failure_adds_to_its_history(
    void **state)
{
    struct engine *e = *state;
    add_trap(e, "replay", "RAISE EXCEPTION 'no'");
    struct command *command =
        make_command(e, &(struct request){.type = "project.create", .json = "{\"name\":\"trap replay\"}"});
    run_commands(e, &command, 1);
    command = take_settled(e, 0);
    assert_string_equal(dead_letter_of(command), "database-error 1 0 0");
    for (int round = 1; round <= 2; round++) {
        assert_string_equal(ask_sqlf("SELECT dead_letter_replay(array_agg(id)) >= 1 FROM dead_letter"), "t");
        assert_string_equal(row_of(command), "retry 0");
        assert_string_equal(
            ask_sqlf("SELECT count(*) FROM inbox WHERE command_id = '%s'", uuid_text(&command->envelope.id)),
            "0");
        if (round == 2)
            remove_trap("replay");
        command = as_row(command, DEFER_RETRY);
        command->has_dead_letter = true;
        command->attempts = 0;
        run_commands(e, &command, 1);
        command = take_settled(e, 0);
        assert_string_equal(dead_letter_of(command), round == 1 ? "database-error 1 1 1" : "");
    }
    assert_int_equal(command->outcome, COMMAND_DONE);
    assert_int_equal(command->status, ERR_OK);
    command_free(command);
    assert_no_gaps(&e->company);
}

/* ---- waiting ---- */

static void test_batch_when_a_command_is_to_be_parked_it_becomes_a_row_and_is_run_from_it_once(void **state)
{
    struct engine *e = *state;
    struct command *commands[3];
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        commands[i] =
            make_command(e, &(struct request){.type = "project.create", .json = "{\"name\":\"X\"}"});
        commands[i]->deferral = DEFER_TURN;
    }
    run_commands(e, commands, ARRAY_LEN(commands));
    assert_string_equal(
        ask_sqlf("SELECT string_agg(command_id::text, ' ' ORDER BY place) = '%s %s %s' FROM deferred"
                 " WHERE company_id = '%s' AND reason = 'turn'",
                 uuid_text(&commands[0]->envelope.id), uuid_text(&commands[1]->envelope.id),
                 uuid_text(&commands[2]->envelope.id), uuid_text(&e->company)),
        "t");
    struct command *first = take_settled(e, 0);
    assert_int_equal(first->outcome, COMMAND_DEFERRED);
    struct command *twin =
        command_new_of_row(&first->envelope, DEFER_TURN); /* as another process would find it */
    first = as_row(first, DEFER_TURN);
    run_commands(e, &first, 1);
    assert_status(e->settled[0], ERR_OK);
    run_commands(e, &twin, 1);
    assert_int_equal(e->settled[0]->outcome, COMMAND_GONE);
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM deferred WHERE company_id = '%s'", uuid_text(&e->company)), "2");
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM project WHERE company_id = '%s'", uuid_text(&e->company)), "1");
}

static void test_batch_when_a_waiting_command_is_sent_again_it_goes_on_waiting_and_answers_the_last(
    void **state)
{
    struct engine *e = *state;
    const struct request request = {.type = "project.create",
                                    .json = "{\"name\":\"X\"}",
                                    .id = uuid_v7(),
                                    .not_before = clock_wall_ms() + 3600000};
    struct command *command = run_request(e, &request);
    assert_int_equal(command->outcome, COMMAND_DEFERRED);
    assert_string_equal(
        ask_sqlf(
            "SELECT reason || (due_at > now() + interval '59 minutes') FROM deferred WHERE command_id = '%s'",
            uuid_text(&request.id)),
        "scheduletrue");
    command = make_command(e, &request);
    command->envelope.reply_to = SLICE("reply.later");
    run_commands(e, &command, 1);
    assert_int_equal(e->settled[0]->outcome, COMMAND_DEFERRED);
    assert_int_equal(e->settled[0]->finding, FINDING_WAITING);
    assert_string_equal(
        ask_sqlf("SELECT reply_to FROM deferred WHERE command_id = '%s'", uuid_text(&request.id)),
        "reply.later");
    command = make_command(e, &request);
    command->envelope.fingerprint++;
    run_commands(e, &command, 1);
    assert_refusal(e->settled[0], ERR_IDEMPOTENCY_MISMATCH, NULL);
}

/* ---- poison ---- */

static struct command *redelivered(const struct engine *e, const struct request *request)
{
    struct command *command = make_command(e, request);
    command->is_redelivered = command->was_begun = true;
    return command;
}

static void test_batch_when_a_command_ended_two_runs_with_a_begun_mark_rejects_it_without_another(
    void **state)
{
    struct engine *e = *state;
    const struct request request = {.type = "project.create", .json = "{\"name\":\"X\"}", .id = uuid_v7()};
    run_sqlf("INSERT INTO begun_mark (company_id, command_id, alone) VALUES ('%s', '%s', 2)",
             uuid_text(&e->company), uuid_text(&request.id));
    struct command *command = redelivered(e, &request);
    run_commands(e, &command, 1);
    assert_status(e->settled[0], ERR_FATAL_COMMAND);
    assert_string_equal(dead_letter_of(e->settled[0]), "fatal-command 3 0 0");
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM begun_mark WHERE company_id = '%s'", uuid_text(&e->company)), "0");
    command = redelivered(e, &request); /* its process died before the ack */
    run_commands(e, &command, 1);
    assert_int_equal(e->settled[0]->outcome, COMMAND_DONE);
    assert_int_equal(e->settled[0]->status, ERR_FATAL_COMMAND);
    assert_string_equal(dead_letter_of(e->settled[0]), "fatal-command 3 0 0");
}

static void test_batch_when_a_command_that_was_begun_is_innocent_runs_it_and_deletes_the_mark(void **state)
{
    struct engine *e = *state;
    const struct request request = {.type = "project.create", .json = "{\"name\":\"X\"}", .id = uuid_v7()};
    run_sqlf("INSERT INTO begun_mark (company_id, command_id, alone) VALUES ('%s', '%s', 1)",
             uuid_text(&e->company), uuid_text(&request.id));
    struct command *command = redelivered(e, &request);
    run_commands(e, &command, 1);
    assert_status(e->settled[0], ERR_OK);
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM begun_mark WHERE company_id = '%s'", uuid_text(&e->company)), "0");
}

/* ---- the server, or one command? ---- */

static void test_batch_when_the_disk_is_full_for_one_command_costs_only_that_one(void **state)
{
    struct engine *e = *state;
    add_trap(e, "disk", "RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'");
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"trap disk\"}"},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = add_company()},
    };
    run_requests(e, requests, ARRAY_LEN(requests));
    assert_int_equal(e->ran[0]->outcome, COMMAND_RETRY);
    assert_int_equal(e->ran[0]->attempts, 1);
    assert_status(e->ran[1], ERR_OK);
    assert_int_equal(e->troubles, 0);
    remove_trap("disk");
}

static void test_batch_when_the_disk_is_full_for_all_costs_nobody_a_try(void **state)
{
    struct engine *e = *state;
    add_trap(e, "disk", "RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'");
    run_sqlf("CREATE FUNCTION trap_probe() RETURNS trigger LANGUAGE plpgsql AS"
             " $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END $$");
    run_sqlf("CREATE TRIGGER trap_probe BEFORE INSERT ON probe FOR EACH ROW EXECUTE FUNCTION trap_probe()");
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"trap disk\"}"},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = add_company()},
    };
    run_requests(e, requests, ARRAY_LEN(requests));
    run_sqlf("DROP FUNCTION trap_probe() CASCADE");
    remove_trap("disk");
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        assert_int_equal(e->ran[i]->outcome, COMMAND_AGAIN);
        assert_int_equal(e->ran[i]->attempts, 0);
    }
    assert_int_equal(e->troubles, 1);
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM project WHERE company_id = '%s'", uuid_text(&e->company)), "0");
}

static void test_batch_when_a_statement_takes_too_long_costs_only_its_command(void **state)
{
    struct engine *e = *state;
    add_trap(e, "slow", "RAISE EXCEPTION 'slow' USING ERRCODE = 'query_canceled'");
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"trap slow\"}"},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = add_company()},
    };
    run_requests(e, requests, ARRAY_LEN(requests));
    remove_trap("slow");
    assert_int_equal(e->ran[0]->outcome, COMMAND_RETRY);
    assert_int_equal(e->ran[0]->error, ERR_TIMEOUT);
    assert_status(e->ran[1], ERR_OK);
}

/* ---- rows that another transaction holds ---- */

/* Somebody with psql holds the rows of `what` until let_go. */
static void hold(struct engine *e, const char *what, const struct uuid *company)
{
    database_limit_lock_waits(e->db, 20);
    run_sqlf("BEGIN");
    run_sqlf("SELECT FROM %s WHERE company_id = '%s' FOR UPDATE", what, uuid_text(company));
}

static void let_go(void)
{
    run_sqlf("ROLLBACK");
}

static void test_batch_when_a_sequence_is_held_passes_over_its_company_at_once_and_runs_the_others(
    void **state)
{
    struct engine *e = *state;
    struct uuid other = add_company(), unknown = uuid_v7();
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"One\"}"},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = other},
        {.type = "project.create", .json = "{\"name\":\"Two\"}"},
        {.type = "project.create", .json = "{\"name\":\"Nowhere\"}", .company = unknown},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere 2\"}", .company = other},
    };
    hold(e, "company_sequence", &e->company);
    run_sqlf("UPDATE company_sequence SET seq = seq + 1 WHERE company_id = '%s'", uuid_text(&e->company));
    run_requests(e, requests, ARRAY_LEN(requests));
    let_go();
    static const size_t held[] = {0, 2};
    for (size_t i = 0; i < ARRAY_LEN(held); i++) {
        assert_int_equal(e->ran[held[i]]->outcome, COMMAND_LOCKED);
        assert_int_equal(e->ran[held[i]]->attempts, 0);
    }
    assert_status(e->ran[1], ERR_OK);
    assert_status(e->ran[3], ERR_NOT_FOUND); /* unknown is not held */
    assert_status(e->ran[4], ERR_OK);
    assert_true(e->settled[0] == e->ran[2] && e->settled[1] == e->ran[0]); /* the last one comes back first */
    struct command *again[] = {take_settled(e, 1), take_settled(e, 0)};
    run_commands(e, again, ARRAY_LEN(again));
    assert_status(e->settled[0], ERR_OK);
    assert_status(e->settled[1], ERR_OK);
    assert_no_gaps(&e->company);
    assert_no_gaps(&other);
}

static void test_batch_when_a_row_of_one_company_is_held_gives_that_company_back_and_runs_the_others(
    void **state)
{
    struct engine *e = *state;
    static const char *const held[] = {"project", "counter"};
    struct uuid other = add_company();
    struct uuid project = make_project(e, "{\"name\":\"Bridge\"}");
    for (size_t i = 0; i < ARRAY_LEN(held); i++) {
        const struct request requests[] = {
            {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = other},
            {.type = "project.create", .json = "{\"name\":\"Next\"}"},
            {.type = "project.update", .json = "{\"name\":\"Tunnel\"}", .subject = project},
            {.type = "project.create", .json = "{\"name\":\"Elsewhere 2\"}", .company = other},
        };
        hold(e, held[i], &e->company);
        run_requests(e, requests, ARRAY_LEN(requests));
        let_go();
        for (size_t k = 1; k <= 2; k++) {
            assert_int_equal(e->ran[k]->outcome, COMMAND_BLOCKED);
            assert_int_equal(e->ran[k]->attempts, 0);
        }
        assert_status(e->ran[0], ERR_OK);
        assert_status(e->ran[3], ERR_OK);
    }
    assert_int_equal(e->troubles, 0);
    assert_no_gaps(&other);
}

/* The statement that claims rows is about all companies, and does not say whose row it waited for. */
static void test_batch_when_a_deferred_row_of_one_company_is_held_each_company_gets_a_transaction(
    void **state)
{
    struct engine *e = *state;
    struct uuid companies[] = {e->company, add_company(), add_company()};
    struct command *commands[ARRAY_LEN(companies)];
    for (size_t i = 0; i < ARRAY_LEN(companies); i++) {
        struct command *command = make_command(
            e,
            &(struct request){.type = "project.create", .json = "{\"name\":\"X\"}", .company = companies[i]});
        command->deferral = DEFER_RETRY;
        run_commands(e, &command, 1);
        commands[i] = as_row(take_settled(e, 0), DEFER_RETRY);
    }
    hold(e, "deferred", &companies[1]);
    run_commands(e, commands, ARRAY_LEN(commands));
    let_go();
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (uuid_equal(&e->settled[i]->envelope.company, &companies[1]))
            assert_int_equal(e->settled[i]->outcome, COMMAND_BLOCKED);
        else
            assert_status(e->settled[i], ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(companies); i++)
        assert_string_equal(
            ask_sqlf("SELECT count(*) FROM deferred WHERE company_id = '%s'", uuid_text(&companies[i])),
            i == 1 ? "1" : "0");
}

/* Nobody looks the command up in the inbox under the lock, and that is why its row looks again. */
static void test_batch_when_a_sequence_is_held_parks_the_surplus_of_its_company_all_the_same(void **state)
{
    struct engine *e = *state;
    struct command *command =
        make_command(e, &(struct request){.type = "project.create", .json = "{\"name\":\"X\"}"});
    command->deferral = DEFER_TURN;
    command->is_parked = true;
    hold(e, "company_sequence", &e->company);
    run_commands(e, &command, 1);
    let_go();
    assert_int_equal(e->settled[0]->outcome, COMMAND_DEFERRED);
    assert_string_equal(row_of(e->settled[0]), "turn 0");
}

static struct command *make_surplus(struct engine *e, struct uuid company)
{
    const struct request request = {.type = "project.create", .json = "{\"name\":\"X\"}", .company = company};
    struct command *command = make_command(e, &request);
    command->deferral = DEFER_TURN;
    command->is_parked = true;
    return command;
}

/* Rows run before deliveries: as a row, the surplus would overtake the command that goes back. */
static void test_batch_when_a_sequence_is_held_no_surplus_is_parked_behind_a_command_that_goes_back(
    void **state)
{
    struct engine *e = *state;
    struct uuid other = add_company();
    const struct request request = {.type = "project.create", .json = "{\"name\":\"X\"}"};
    struct command *const commands[] = {make_command(e, &request), make_surplus(e, other),
                                        make_surplus(e, e->company), make_surplus(e, e->company)};
    hold(e, "company_sequence", &e->company);
    run_commands(e, (struct command **)commands, ARRAY_LEN(commands));
    let_go();
    static const size_t last_first[] = {3, 2, 0};
    for (size_t i = 0; i < ARRAY_LEN(last_first); i++) {
        assert_true(e->settled[i] == commands[last_first[i]]);
        assert_int_equal(e->settled[i]->outcome, COMMAND_LOCKED);
    }
    assert_int_equal(commands[1]->outcome, COMMAND_DEFERRED);
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM deferred WHERE company_id = '%s'", uuid_text(&e->company)), "0");
}

static const char *counted_runs(const struct command *command)
{
    return ask_sqlf("SELECT coalesce(max(alone), 0) FROM begun_mark WHERE command_id = '%s'",
                    uuid_text(&command->envelope.id));
}

/* It comes to one process after another, each of which leaves while the company is locked. */
static void test_batch_when_a_suspect_finds_its_company_locked_again_and_again_counts_no_run(void **state)
{
    struct engine *e = *state;
    static const char *const held[] = {"company_sequence", "counter"};
    make_project(e, "{\"name\":\"Bridge\"}");
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"Innocent\"}", .id = uuid_v7()};
    for (size_t i = 0; i < 4 * ARRAY_LEN(held); i++) {
        struct command *command = make_command(e, &request);
        command->was_begun = true;
        hold(e, held[i % 2], &e->company);
        run_commands(e, &command, 1);
        let_go();
        assert_int_equal(e->settled[0]->outcome, i % 2 ? COMMAND_BLOCKED : COMMAND_LOCKED);
        assert_int_equal(e->settled[0]->verdict, ERR_OK);
        assert_string_equal(counted_runs(e->settled[0]), "0");
    }
    struct command *command = make_command(e, &request);
    command->was_begun = true;
    run_commands(e, &command, 1);
    assert_status(e->settled[0], ERR_OK);
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM begun_mark WHERE command_id = '%s'", uuid_text(&request.id)), "0");
}

static void test_batch_when_a_suspect_is_rolled_back_for_a_retry_takes_its_count_back(void **state)
{
    struct engine *e = *state;
    add_trap(e, "retry", "RAISE EXCEPTION 'busy' USING ERRCODE = 'serialization_failure'");
    struct command *command =
        make_command(e, &(struct request){.type = "project.create", .json = "{\"name\":\"trap retry\"}"});
    command->was_begun = true;
    run_commands(e, &command, 1);
    remove_trap("retry");
    assert_int_equal(e->settled[0]->outcome, COMMAND_RETRY);
    assert_string_equal(counted_runs(e->settled[0]), "0");
}

/* ---- the database goes away ---- */

static void test_batch_when_the_connection_is_lost_in_it_runs_again_and_does_everything_once(void **state)
{
    struct engine *e = *state;
    /* The first run ends its own connection in the middle of the batch; the second finds no trap any more. */
    run_sqlf("CREATE SEQUENCE IF NOT EXISTS lost_runs");
    run_sqlf("GRANT USAGE ON lost_runs TO cortex_projects");
    run_sqlf("SELECT setval('lost_runs', 1, false)");
    add_trap(e, "lost",
             "IF nextval('lost_runs') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF");
    run_sqlf("ALTER FUNCTION trap_lost() SECURITY DEFINER");
    struct request requests[5];
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        requests[i] = (struct request){.type = "project.create",
                                       .json = i == 2 ? "{\"name\":\"trap lost\"}" : "{\"name\":\"X\"}"};
    run_requests(e, requests, ARRAY_LEN(requests));
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        assert_status(e->ran[i], ERR_OK);
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM project WHERE company_id = '%s'", uuid_text(&e->company)), "5");
    assert_no_gaps(&e->company);
    remove_trap("lost");
}

/* Nobody knows then whether the commit went through. It did, so the tries that the connection costs must not
 * make a dead letter of a command that has its result. */
static void test_batch_when_the_connection_is_cut_at_each_commit_until_no_try_is_left_gives_the_results(
    void **state)
{
    struct engine *e = *state;
    enum { COMMITS = 6, ATTEMPTS = 1 };
    struct cutter cutter;
    char url[1024];
    engine_disconnect(e);
    cutter_open(&cutter, e->loop, "inbox.look", url, sizeof(url));
    engine_connect(e, url, ATTEMPTS);
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"One\"}"},
        {.type = "project.create", .json = "{\"name\":\"Two\"}"},
    };
    cutter.commits_to_cut = COMMITS;
    run_requests(e, requests, ARRAY_LEN(requests));
    assert_int_equal(cutter.commits_cut, COMMITS);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        assert_status(e->ran[i], ERR_OK);
        assert_int_equal(e->ran[i]->finding, FINDING_REPLAY);
        assert_int_equal(e->ran[i]->outcome, COMMAND_DONE);
    }
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM project WHERE company_id = '%s'", uuid_text(&e->company)), "2");
    assert_string_equal(
        ask_sqlf("SELECT count(*) FROM dead_letter WHERE company_id = '%s'", uuid_text(&e->company)), "0");
    assert_no_gaps(&e->company);
    engine_disconnect(e);
    cutter_done(&cutter);
}

static void test_batch_when_a_command_ends_the_connection_each_time_gives_it_back_and_goes_on(void **state)
{
    struct engine *e = *state;
    add_trap(e, "deadly", "PERFORM pg_terminate_backend(pg_backend_pid())");
    run_sqlf("ALTER FUNCTION trap_deadly() SECURITY DEFINER");
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"One\"}"},
        {.type = "project.create", .json = "{\"name\":\"trap deadly\"}"},
        {.type = "project.create", .json = "{\"name\":\"Two\"}"},
    };
    run_requests(e, requests, ARRAY_LEN(requests));
    assert_status(e->settled[0], ERR_OK);
    assert_int_equal(e->settled[1]->outcome, COMMAND_DEFERRED);
    assert_status(e->settled[2], ERR_OK);
    assert_no_gaps(&e->company);
    remove_trap("deadly");
}

/* ---- creates that one statement does and records ---- */

static void on_uses_counted(void *arg, struct db_result *result)
{
    int64_t *count = arg;
    assert_int_equal(db_result_error(result), ERR_OK);
    *count = db_int(result, 0, 0);
}

static void on_uses_synced(void *arg, enum err err)
{
    assert_int_equal(err, ERR_OK);
    *(bool *)arg = true;
}

/* How often the engine's connection has run the statement. */
static int64_t uses_of(struct engine *e, const char *name)
{
    static const struct db_statement find = {
        "test.find_prepared",
        "SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements WHERE name = $1"};
    const struct slice params[] = {slice_of(name)};
    int64_t uses = -1;
    bool is_done = false;
    db_send(e->db, &find, params, ARRAY_LEN(params), on_uses_counted, &uses);
    db_sync(e->db, on_uses_synced, &is_done);
    while (!is_done)
        ev_run(e->loop, EVRUN_ONCE);
    return uses;
}

/* Two companies use the same ids, which their clients make. What the commands of two batches leave behind is the
 * same, whether one statement writes all of it or one after the other does. */
static void test_creates_when_nothing_else_is_in_the_batch_are_done_and_recorded_by_one_statement(
    void **state)
{
    struct engine *e = *state;
    struct uuid companies[3] = {e->company, add_company(), add_company()}, ids[4];
    struct request requests[12];
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        ids[i] = uuid_v7();
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        requests[i] =
            (struct request){.type = "project.create",
                             .json = i % 2 ? "{\"name\":\"X\",\"budget\":12.5,\"end_date\":\"2026-03-01\"}"
                                           : "{\"name\":\"Y, \\\"{}\\\\\"}",
                             .id = ids[i / 3],
                             .company = companies[i % 3]};
    run_requests(e, requests, ARRAY_LEN(requests));
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        assert_status(e->ran[i], ERR_OK);
        assert_int_equal(e->ran[i]->http_status, 201);
        assert_int_equal(e->ran[i]->effects->seq, i / 3 + 1);
        assert_true(uuid_equal(&e->ran[i]->effects->subject, &ids[i / 3]));
        assert_string_equal(member(e->ran[i]->effects, "name"), i % 2 ? "X" : "Y, \"{}\\");
    }
    assert_int_equal(uses_of(e, "project.create.recorded"), 1);
    assert_int_equal(uses_of(e, "project.create") + uses_of(e, "inbox.add") + uses_of(e, "events.add"), 0);
    for (size_t i = 0; i < ARRAY_LEN(companies); i++) {
        const char *company = uuid_text(&companies[i]);
        assert_no_gaps(&companies[i]);
        assert_string_equal(
            ask_sqlf("SELECT string_agg(right(p.number, 4) || e.seq, ' ' ORDER BY p.id) FROM project AS p"
                     " JOIN inbox AS i ON i.company_id = p.company_id AND i.command_id = p.id"
                     " JOIN events AS e ON e.company_id = p.company_id AND e.command_id = p.id"
                     " WHERE p.company_id = '%s' AND i.status = 'ok' AND i.http_status = 201"
                     " AND i.seq = e.seq AND i.at = e.at AND p.created_at = e.at AND e.type = "
                     "'project.created'"
                     " AND e.subject = p.id AND e.project = p.id AND e.actor = '%s' AND e.version = 1"
                     " AND i.refusal IS NULL AND e.data ->> 'number' = p.number",
                     company, uuid_text(&e->user)),
            "00011 00022 00033 00044");
        assert_string_equal(ask_sqlf("SELECT seq FROM company_sequence WHERE company_id = '%s'", company),
                            "4");
    }
}

static void assert_same_results(struct engine *e, const struct request *requests, size_t count)
{
    struct slice data[SETTLED_MAX];
    for (size_t i = 0; i < count; i++) {
        struct slice json = e->ran[i]->effects ? e->ran[i]->effects->data : e->ran[i]->refusal;
        data[i] = (struct slice){strndup(json.data, json.len), json.len};
    }
    run_requests(e, requests, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(e->ran[i]->finding, FINDING_REPLAY);
        struct slice json = e->ran[i]->effects ? e->ran[i]->effects->data : e->ran[i]->refusal;
        assert_true(slice_equal(json, data[i]));
        free((char *)(uintptr_t)data[i].data);
    }
}

/* The statement does nothing then, and the steps give each its own result, in the order of the commands. */
static void test_creates_when_one_of_them_is_refused_are_done_by_steps_and_leave_no_gap(void **state)
{
    struct engine *e = *state;
    struct uuid other = add_company();
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"One\"}", .id = uuid_v7()},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .id = uuid_v7(), .company = other},
        {.type = "project.create",
         .json = "{\"name\":\"Bad\",\"start_date\":\"2026-03-02\",\"end_date\":\"2026-03-01\"}",
         .id = uuid_v7()},
        {.type = "project.create", .json = "{\"name\":\"Two\"}", .id = uuid_v7()},
    };
    for (size_t k = 0; k < 2; k++) { /* the second time it is done by steps at once */
        struct request mine[ARRAY_LEN(requests)];
        memcpy(mine, requests, sizeof(mine));
        for (size_t i = 0; i < ARRAY_LEN(mine); i++)
            mine[i].id = uuid_v7();
        run_requests(e, mine, ARRAY_LEN(mine));
        for (size_t i = 0; i < ARRAY_LEN(mine); i++)
            if (i != 2)
                assert_status(e->ran[i], ERR_OK);
        assert_refusal(e->ran[2], ERR_VALIDATION, "/end_date");
        assert_int_equal(e->ran[3]->effects->seq, 2 * k + 2);
        assert_int_equal(uses_of(e, "project.create.recorded"), 1);
        assert_int_equal(uses_of(e, "inbox.add"), k + 1);
        assert_same_results(e, mine, ARRAY_LEN(mine));
        assert_no_gaps(&e->company);
        assert_no_gaps(&other);
    }
    assert_string_equal(
        ask_sqlf("SELECT string_agg(name || ' ' || right(number, 4), ',' ORDER BY number) FROM project"
                 " WHERE company_id = '%s'",
                 uuid_text(&e->company)),
        "One 0001,Two 0002,One 0003,Two 0004");
}

/* A statement about several companies does not say whose row it waited for. */
static void test_creates_when_a_row_of_one_company_is_held_give_that_company_back_and_do_the_others(
    void **state)
{
    struct engine *e = *state;
    struct uuid others[] = {add_company(), add_company()};
    assert_status(DO(e, .type = "project.create", .json = "{\"name\":\"Bridge\"}"), ERR_OK);
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = others[0]},
        {.type = "project.create", .json = "{\"name\":\"Next\"}"},
        {.type = "project.create", .json = "{\"name\":\"Tunnel\"}"},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere 2\"}", .company = others[1]},
    };
    hold(e, "counter", &e->company);
    run_requests(e, requests, ARRAY_LEN(requests));
    let_go();
    assert_status(e->ran[0], ERR_OK);
    assert_status(e->ran[3], ERR_OK);
    assert_true(e->settled[1] == e->ran[2] && e->settled[2] == e->ran[1]); /* the last one comes back first */
    struct command *again[] = {take_settled(e, 2), take_settled(e, 1)};
    for (size_t i = 0; i < ARRAY_LEN(again); i++) {
        assert_int_equal(again[i]->outcome, COMMAND_BLOCKED);
        assert_int_equal(again[i]->attempts, 0);
    }
    run_commands(e, again, ARRAY_LEN(again));
    assert_string_equal(member(e->settled[1]->effects, "name"), "Tunnel");
    assert_int_equal(e->settled[1]->effects->seq, 3);
    assert_no_gaps(&e->company);
}

/* Runs a create for each company. Returns true when they went at once: without a look. */
static bool create_at_once(struct engine *e, const struct request *requests, size_t count)
{
    int64_t looks = uses_of(e, "inbox.look"), at_once = uses_of(e, "project.create.at_once");
    run_requests(e, requests, count);
    bool is_tried = uses_of(e, "project.create.at_once") == at_once + 1;
    return is_tried && uses_of(e, "inbox.look") == looks;
}

/* The process has seen the companies, so nothing is asked before. */
static void test_creates_when_the_companies_are_known_are_done_with_one_answer(void **state)
{
    struct engine *e = *state;
    struct uuid other = add_company();
    const struct request requests[] = {
        {.type = "project.create", .json = "{\"name\":\"One\"}"},
        {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = other},
        {.type = "project.create", .json = "{\"name\":\"Two\"}"},
    };
    assert_false(create_at_once(e, requests, ARRAY_LEN(requests)));
    for (int64_t k = 1; k <= 3; k++) {
        assert_true(create_at_once(e, requests, ARRAY_LEN(requests)));
        for (size_t i = 0; i < ARRAY_LEN(requests); i++)
            assert_status(e->ran[i], ERR_OK);
        assert_int_equal(e->ran[2]->effects->seq, 2 * k + 2);
        assert_int_equal(e->ran[1]->effects->seq, k + 1);
    }
    assert_no_gaps(&e->company);
    assert_no_gaps(&other);
    assert_string_equal(
        ask_sqlf("SELECT bool_and(at >= before) FROM (SELECT at, lag(at, 1, at) OVER (ORDER BY seq)"
                 " AS before FROM events WHERE company_id = '%s') AS e",
                 uuid_text(&e->company)),
        "t");
}

/* What the statement must not do it leaves to those that look: of all companies that are in the batch. */
static void test_creates_when_not_all_is_as_this_process_has_seen_it_are_looked_up_first(void **state)
{
    struct engine *e = *state, *elsewhere = engine_new();
    struct uuid other = add_company(), id = uuid_v7();
    elsewhere->company = e->company;
    const struct request again = {.type = "project.create", .json = "{\"name\":\"Again\"}", .id = id},
                         requests[] = {
                             {.type = "project.create", .json = "{\"name\":\"Elsewhere\"}", .company = other},
                             {.type = "project.create", .json = "{\"name\":\"Next\"}"},
                         };
    create_at_once(e, requests, ARRAY_LEN(requests));
    assert_true(create_at_once(e, requests, ARRAY_LEN(requests)));

    /* Another process has moved the sequence. */
    assert_status(DO(elsewhere, .type = "project.create", .json = "{\"name\":\"Between\"}"), ERR_OK);
    assert_false(create_at_once(e, requests, ARRAY_LEN(requests)));
    assert_int_equal(e->ran[1]->effects->seq, 4);
    assert_true(create_at_once(e, requests, ARRAY_LEN(requests)));

    /* Another process has the sequence. */
    hold(e, "company_sequence", &e->company);
    assert_false(create_at_once(e, requests, ARRAY_LEN(requests)));
    let_go();
    assert_status(e->ran[0], ERR_OK);
    assert_int_equal(e->ran[1]->outcome, COMMAND_LOCKED);
    assert_true(create_at_once(e, requests, ARRAY_LEN(requests)));

    /* The command ran before. */
    assert_true(create_at_once(e, &again, 1));
    assert_false(create_at_once(e, &again, 1));
    assert_int_equal(e->ran[0]->finding, FINDING_REPLAY);

    /* It waits in `deferred`. */
    struct request waiting = again;
    waiting.id = uuid_v7();
    run_sqlf("INSERT INTO deferred (company_id, command_id, pool, slot, reason, type, actor, role, "
             "fingerprint, body)"
             " VALUES ('%s', '%s', 'projects', 1, 'retry', 'project.create', '%s', 'company_admin', %" PRId64
             ", '')",
             uuid_text(&e->company), uuid_text(&waiting.id), uuid_text(&e->user),
             (int64_t)e->ran[0]->envelope.fingerprint);
    assert_false(create_at_once(e, &waiting, 1));
    assert_int_equal(e->ran[0]->finding, FINDING_WAITING);
    run_sqlf("DELETE FROM deferred WHERE command_id = '%s'", uuid_text(&waiting.id));

    assert_no_gaps(&e->company);
    assert_no_gaps(&other);
    engine_free(elsewhere);
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_batch_when_a_command_succeeds_writes_row_event_inbox_and_sequence),
        TEST(test_batch_when_a_command_comes_again_gives_its_first_result),
        TEST(test_batch_when_a_command_with_two_events_comes_again_gives_both),
        TEST(test_batch_when_a_refused_command_comes_again_gives_the_refusal_although_the_world_has_changed),
        TEST(test_batch_when_a_command_id_comes_with_another_request_refuses_it_and_keeps_the_result),
        TEST(test_batch_when_the_inbox_row_has_expired_says_that_the_entity_is_there),
        TEST(test_batch_when_the_company_does_not_exist_refuses),
        TEST(test_batch_when_a_body_is_no_msgpack_rejects_the_command),
        TEST(test_batch_when_the_type_is_unknown_rejects_the_command),
        TEST(test_batch_when_a_header_is_missing_rejects_the_command),
        TEST(test_batch_when_a_required_field_is_missing_rejects_the_command),
        TEST(test_batch_when_a_dead_letter_that_was_unreadable_is_replayed_and_readable_runs_it),
        TEST(test_batch_when_a_broken_copy_follows_a_success_keeps_the_success),
        TEST(test_batch_when_good_and_bad_are_mixed_answers_each_with_its_own),
        TEST(test_batch_when_one_command_builds_on_another_runs_them_in_order),
        TEST(test_batch_when_several_companies_are_in_it_counts_each_by_itself),
        TEST(test_batch_when_one_statement_fails_costs_only_its_command),
        TEST(test_dead_letter_when_its_message_is_cut_within_a_character_keeps_its_result),
        TEST(test_entity_when_a_key_is_violated_is_there_already_only_if_it_is_its_own),
        TEST(test_batch_when_the_cause_of_a_dead_letter_is_mended_a_replay_succeeds),
        TEST(test_batch_when_an_error_is_worth_a_retry_holds_its_company_then_waits_then_is_a_dead_letter),
        TEST(test_batch_when_the_sender_was_revoked_since_then_what_waited_is_refused),
        TEST(test_batch_when_the_sender_was_revoked_since_then_an_old_delivery_is_refused),
        TEST(test_batch_when_who_acted_was_revoked_since_then_what_waited_is_refused),
        TEST(test_batch_when_a_dead_letter_is_replayed_success_removes_it_and_failure_adds_to_its_history),
        TEST(test_batch_when_a_command_is_to_be_parked_it_becomes_a_row_and_is_run_from_it_once),
        TEST(test_batch_when_too_many_commands_of_a_company_wait_for_their_time_refuses_more),
        TEST(test_batch_when_the_waiting_commands_of_a_company_hold_too_many_bytes_refuses_more),
        TEST(test_batch_when_a_waiting_command_is_sent_again_it_goes_on_waiting_and_answers_the_last),
        TEST(test_batch_when_a_command_ended_two_runs_with_a_begun_mark_rejects_it_without_another),
        TEST(test_batch_when_a_command_that_was_begun_is_innocent_runs_it_and_deletes_the_mark),
        TEST(test_batch_when_the_disk_is_full_for_one_command_costs_only_that_one),
        TEST(test_batch_when_the_disk_is_full_for_all_costs_nobody_a_try),
        TEST(test_batch_when_a_statement_takes_too_long_costs_only_its_command),
        TEST(test_batch_when_a_sequence_is_held_passes_over_its_company_at_once_and_runs_the_others),
        TEST(test_batch_when_a_row_of_one_company_is_held_gives_that_company_back_and_runs_the_others),
        TEST(test_batch_when_a_deferred_row_of_one_company_is_held_each_company_gets_a_transaction),
        TEST(test_batch_when_a_sequence_is_held_parks_the_surplus_of_its_company_all_the_same),
        TEST(test_batch_when_a_sequence_is_held_no_surplus_is_parked_behind_a_command_that_goes_back),
        TEST(test_batch_when_a_suspect_finds_its_company_locked_again_and_again_counts_no_run),
        TEST(test_batch_when_a_suspect_is_rolled_back_for_a_retry_takes_its_count_back),
        TEST(test_batch_when_the_connection_is_lost_in_it_runs_again_and_does_everything_once),
        TEST(test_batch_when_the_connection_is_cut_at_each_commit_until_no_try_is_left_gives_the_results),
        TEST(test_batch_when_a_command_ends_the_connection_each_time_gives_it_back_and_goes_on),
        TEST(test_creates_when_nothing_else_is_in_the_batch_are_done_and_recorded_by_one_statement),
        TEST(test_creates_when_one_of_them_is_refused_are_done_by_steps_and_leave_no_gap),
        TEST(test_creates_when_a_row_of_one_company_is_held_give_that_company_back_and_do_the_others),
        TEST(test_creates_when_the_companies_are_known_are_done_with_one_answer),
        TEST(test_creates_when_not_all_is_as_this_process_has_seen_it_are_looked_up_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
