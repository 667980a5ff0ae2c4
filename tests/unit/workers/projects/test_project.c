#include "tests/unit/workers/engine/worker_fixture.h"

#define CREATE(e, json_) DO(e, .type = "project.create", .json = (json_))
#define UPDATE(e, id, json_, ...) \
    DO(e, .type = "project.update", .subject = (id), .json = (json_), ##__VA_ARGS__)
#define DELETE(e, id, ...) DO(e, .type = "project.delete", .subject = (id), ##__VA_ARGS__)

/* JSON with a user in it. */
static const char *with_user(const char *before, const struct uuid *user, const char *after)
{
    static char json[512];
    snprintf(json, sizeof(json), "%s\"%s\"%s", before, uuid_text(user), after);
    return json;
}

/* ---- create ---- */

static void test_project_create_when_little_is_said_takes_the_schemas_defaults(void **state)
{
    struct engine *e = *state;
    struct effect *effect = CREATE(e, "{\"name\":\"Bridge\"}")->effects;
    static const char *const expected[][2] = {
        {"name", "Bridge"},    {"status", "planning"}, {"priority", "medium"},
        {"archived", "false"}, {"progress", "0"},      {"description", "null"},
        {"budget", "null"},    {"start_date", "null"}, {"version", "1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        if (strcmp(member(effect, expected[i][0]), expected[i][1]) != 0)
            fail_msg("%s is %s", expected[i][0], member(effect, expected[i][0]));
    assert_true(strtod(member(effect, "actual_cost"), NULL) == 0);
    assert_string_equal(member(effect, "created_at"), member(effect, "updated_at"));
    assert_true(uuid_equal(&effect->project, &effect->subject) && effect->has_project);
}

static void test_project_create_when_everything_is_said_keeps_it(void **state)
{
    struct engine *e = *state;
    struct effect *effect =
        CREATE(e, with_user("{\"name\":\"Br\\u00fccke\",\"description\":\"a\\nb\",\"status\":\"active\","
                            "\"priority\":\"critical\","
                            "\"start_date\":\"2026-02-28\",\"end_date\":\"2026-02-28\",\"budget\":1250000.25,"
                            "\"address\":\"Quay 1\",\"archived\":true,\"manager_id\":",
                            &e->user, "}"))
            ->effects;
    assert_non_null(effect);
    assert_string_equal(member(effect, "name"), "Br\xc3\xbc"
                                                "cke");
    assert_string_equal(member(effect, "description"), "a\nb");
    assert_string_equal(member(effect, "status"), "active");
    assert_string_equal(member(effect, "end_date"), "2026-02-28");
    assert_string_equal(member(effect, "budget"), "1250000.25");
    assert_string_equal(member(effect, "archived"), "true");
    assert_string_equal(member(effect, "manager_id"), uuid_text(&e->user));
}

static void test_project_create_when_refused_uses_no_number(void **state)
{
    struct engine *e = *state;
    char year[5];
    snprintf(year, sizeof(year), "%s", ask_sqlf("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY')"));
    for (int i = 1; i <= 3; i++) {
        char number[16];
        snprintf(number, sizeof(number), "PRJ-%s-%04d", year, i);
        assert_string_equal(member(CREATE(e, "{\"name\":\"X\"}")->effects, "number"), number);
        assert_refusal(
            CREATE(e, "{\"name\":\"X\",\"start_date\":\"2026-02-01\",\"end_date\":\"2026-01-31\"}"),
            ERR_VALIDATION, "/end_date");
    }
}

static void test_project_create_when_the_ten_thousandth_is_numbered_in_full(void **state)
{
    struct engine *e = *state;
    make_project(e, "{\"name\":\"X\"}");
    run_sqlf("UPDATE counter SET value = 9999 WHERE company_id = '%s'", uuid_text(&e->company));
    assert_string_equal(member(CREATE(e, "{\"name\":\"X\"}")->effects, "number") + strlen("PRJ-2026-"),
                        "10000");
}

static void test_project_create_when_the_manager_is_not_of_the_company_refuses(void **state)
{
    struct engine *e = *state;
    assert_refusal(CREATE(e, with_user("{\"name\":\"X\",\"manager_id\":", &e->stranger, "}")), ERR_VALIDATION,
                   "/manager_id");
}

static void test_project_create_when_two_rules_are_broken_tells_both(void **state)
{
    struct engine *e = *state;
    struct command *command = CREATE(
        e,
        with_user("{\"name\":\"X\",\"start_date\":\"2026-02-02\",\"end_date\":\"2026-02-01\",\"manager_id\":",
                  &e->stranger, "}"));
    assert_refusal(command, ERR_VALIDATION, "/manager_id");
    assert_refusal(command, ERR_VALIDATION, "/end_date");
}

/* ---- update ---- */

static void test_project_update_when_a_field_is_mentioned_changes_that_alone(void **state)
{
    struct engine *e = *state;
    struct uuid id =
        make_project(e, "{\"name\":\"X\",\"description\":\"d\",\"budget\":10,\"address\":\"a\"}");
    struct command *command = UPDATE(e, id, "{\"name\":\"Y\",\"description\":null}");
    assert_status(command, ERR_OK);
    assert_int_equal(command->http_status, 200);
    assert_int_equal(command->effects->version, 2);
    assert_true(slice_is(command->effects->type, "project.updated"));
    assert_string_equal(member(command->effects, "name"), "Y");
    assert_string_equal(member(command->effects, "description"), "null");
    assert_string_equal(member(command->effects, "address"), "a");
    assert_int_equal(strtol(member(command->effects, "budget"), NULL, 10), 10);
    assert_string_equal(member(command->effects, "updated_at"),
                        ask_sqlf("SELECT time_text(updated_at) FROM"
                                 " project WHERE id = '%s' AND updated_at > created_at",
                                 uuid_text(&id)));
}

static void test_project_update_when_it_does_not_exist_or_is_anothers_is_not_found(void **state)
{
    struct engine *e = *state;
    assert_refusal(UPDATE(e, uuid_v7(), "{\"name\":\"Y\"}"), ERR_NOT_FOUND, NULL);
    struct uuid id = make_project(e, "{\"name\":\"X\"}"), other = add_company();
    assert_refusal(UPDATE(e, id, "{\"name\":\"Y\"}", .company = other), ERR_NOT_FOUND, NULL);
    assert_string_equal(ask_sqlf("SELECT name FROM project WHERE id = '%s'", uuid_text(&id)), "X");
}

static void test_project_update_when_the_version_is_stale_refuses_and_says_only_that(void **state)
{
    struct engine *e = *state;
    struct uuid id = make_project(e, "{\"name\":\"X\"}");
    assert_status(UPDATE(e, id, "{\"name\":\"Y\"}", .if_match = 1), ERR_OK);
    struct command *command = UPDATE(e, id, "{\"status\":\"completed\"}", .if_match = 1);
    assert_refusal(command, ERR_VERSION_CONFLICT, NULL);
    assert_string_equal(command->refusal.data, "{\"version\":2}");
    assert_status(UPDATE(e, id, "{\"name\":\"Z\"}", .if_match = 2), ERR_OK);
}

static const char *const statuses[] = {"planning", "active", "on-hold", "completed", "cancelled"};

/* Rows: from; columns: to, in the order of `statuses`. */
static const bool allowed[5][5] = {
    {true, true, true, false, true},   {false, true, true, true, true},   {true, true, true, false, true},
    {false, true, false, true, false}, {true, false, false, false, true},
};

static void test_project_update_when_the_status_changes_follows_the_table(void **state)
{
    struct engine *e = *state;
    for (size_t from = 0; from < ARRAY_LEN(statuses); from++)
        for (size_t to = 0; to < ARRAY_LEN(statuses); to++) {
            char json[128];
            snprintf(json, sizeof(json), "{\"name\":\"X\",\"status\":\"%s\"}", statuses[from]);
            struct uuid id = make_project(e, json);
            snprintf(json, sizeof(json), "{\"status\":\"%s\"}", statuses[to]);
            struct command *command = UPDATE(e, id, json);
            if (allowed[from][to])
                assert_status(command, ERR_OK);
            else
                assert_refusal(command, ERR_ILLEGAL_TRANSITION, "/status");
        }
}

static void test_project_update_when_the_status_is_refused_names_what_it_may_become(void **state)
{
    struct engine *e = *state;
    struct uuid id = make_project(e, "{\"name\":\"X\"}");
    struct command *command = UPDATE(e, id, "{\"status\":\"completed\"}");
    static const char allowed_next[] = "is planning and may become active, on-hold or cancelled";
    assert_refusal(command, ERR_ILLEGAL_TRANSITION, "/status");
    assert_non_null(memmem(command->refusal.data, command->refusal.len, allowed_next, strlen(allowed_next)));
    assert_status(UPDATE(e, id, "{\"status\":\"cancelled\"}"), ERR_OK);
    command = UPDATE(e, id, "{\"status\":\"active\"}");
    assert_non_null(
        memmem(command->refusal.data, command->refusal.len, "is cancelled and may become planning", 36));
}

static void test_project_update_when_only_one_date_is_said_looks_at_the_other(void **state)
{
    struct engine *e = *state;
    struct uuid id =
        make_project(e, "{\"name\":\"X\",\"start_date\":\"2026-02-01\",\"end_date\":\"2026-03-01\"}");
    assert_refusal(UPDATE(e, id, "{\"start_date\":\"2026-03-02\"}"), ERR_VALIDATION, "/end_date");
    assert_refusal(UPDATE(e, id, "{\"end_date\":\"2026-01-31\"}"), ERR_VALIDATION, "/end_date");
    assert_status(UPDATE(e, id, "{\"end_date\":null}"), ERR_OK);
    assert_status(UPDATE(e, id, "{\"start_date\":\"2030-01-01\"}"), ERR_OK);
}

static void test_project_update_when_the_manager_has_left_minds_only_a_new_one(void **state)
{
    struct engine *e = *state;
    struct uuid leaver = add_user(&e->company);
    struct uuid id = make_project(e, with_user("{\"name\":\"X\",\"manager_id\":", &leaver, "}"));
    run_sqlf("DELETE FROM app_user WHERE id = '%s'", uuid_text(&leaver));
    assert_status(UPDATE(e, id, "{\"name\":\"Y\"}"), ERR_OK);
    assert_refusal(UPDATE(e, id, with_user("{\"manager_id\":", &e->stranger, "}")), ERR_VALIDATION,
                   "/manager_id");
    assert_status(UPDATE(e, id, with_user("{\"manager_id\":", &e->user, "}")), ERR_OK);
    assert_status(UPDATE(e, id, "{\"manager_id\":null}"), ERR_OK);
}

/* ---- delete ---- */

static void test_project_delete_when_it_is_there_tells_its_id_and_the_version_after_the_last(void **state)
{
    struct engine *e = *state;
    struct uuid id = make_project(e, "{\"name\":\"X\"}");
    assert_refusal(DELETE(e, id, .if_match = 9), ERR_VERSION_CONFLICT, NULL);
    struct command *command = DELETE(e, id, .if_match = 1);
    assert_status(command, ERR_OK);
    assert_int_equal(command->http_status, 204);
    assert_true(slice_is(command->effects->type, "project.deleted"));
    assert_string_equal(member(command->effects, "id"), uuid_text(&id));
    assert_string_equal(member(command->effects, "version"), "2");
    assert_int_equal(command->effects->version, 2);
    assert_refusal(DELETE(e, id), ERR_NOT_FOUND, NULL);
    assert_no_gaps(&e->company);
}

static void test_project_delete_when_it_has_tasks_refuses(void **state)
{
    struct engine *e = *state;
    struct uuid id = make_project(e, "{\"name\":\"X\"}"), task = make_task(e, id, "{\"title\":\"Dig\"}");
    assert_refusal(DELETE(e, id), ERR_CONFLICT, NULL);
    assert_status(DO(e, .type = "task.delete", .subject = task, .parent = id), ERR_OK);
    assert_status(DELETE(e, id), ERR_OK);
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_project_create_when_little_is_said_takes_the_schemas_defaults),
        TEST(test_project_create_when_everything_is_said_keeps_it),
        TEST(test_project_create_when_refused_uses_no_number),
        TEST(test_project_create_when_the_ten_thousandth_is_numbered_in_full),
        TEST(test_project_create_when_the_manager_is_not_of_the_company_refuses),
        TEST(test_project_create_when_two_rules_are_broken_tells_both),
        TEST(test_project_update_when_a_field_is_mentioned_changes_that_alone),
        TEST(test_project_update_when_it_does_not_exist_or_is_anothers_is_not_found),
        TEST(test_project_update_when_the_version_is_stale_refuses_and_says_only_that),
        TEST(test_project_update_when_the_status_changes_follows_the_table),
        TEST(test_project_update_when_the_status_is_refused_names_what_it_may_become),
        TEST(test_project_update_when_only_one_date_is_said_looks_at_the_other),
        TEST(test_project_update_when_the_manager_has_left_minds_only_a_new_one),
        TEST(test_project_delete_when_it_is_there_tells_its_id_and_the_version_after_the_last),
        TEST(test_project_delete_when_it_has_tasks_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
