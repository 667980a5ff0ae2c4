#include "tests/unit/workers/engine/worker_fixture.h"

#define CREATE(e, project, json_) DO(e, .type = "task.create", .parent = (project), .json = (json_))
#define UPDATE(e, project, id, json_, ...) \
    DO(e, .type = "task.update", .parent = (project), .subject = (id), .json = (json_), ##__VA_ARGS__)
#define DELETE(e, project, id) DO(e, .type = "task.delete", .parent = (project), .subject = (id))

/* JSON with an id in it. */
static const char *with_id(const char *before, const struct uuid *id, const char *after)
{
    static char json[512];
    snprintf(json, sizeof(json), "%s\"%s\"%s", before, uuid_text(id), after);
    return json;
}

static int progress_of(const struct uuid *project)
{
    return atoi(ask_sqlf("SELECT progress FROM project WHERE id = '%s'", uuid_text(project)));
}

/* ---- create ---- */

static void test_task_create_when_little_is_said_takes_the_schemas_defaults(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct command *command = CREATE(e, project, "{\"title\":\"Dig\"}");
    assert_status(command, ERR_OK);
    assert_int_equal(command->http_status, 201);
    assert_int_equal(count_effects(command), 1); /* the project stays at 0 */
    assert_true(slice_is(command->effects->type, "task.created"));
    assert_true(command->effects->has_project && uuid_equal(&command->effects->project, &project));
    assert_string_equal(member(command->effects, "project_id"), uuid_text(&project));
    assert_string_equal(member(command->effects, "creator_id"), uuid_text(&e->user));
    assert_string_equal(member(command->effects, "status"), "todo");
    assert_string_equal(member(command->effects, "priority"), "medium");
    assert_string_equal(member(command->effects, "completed_at"), "null");
    assert_string_equal(member(command->effects, "position"), "0");
}

static void test_task_create_when_the_project_does_not_exist_is_not_found(void **state)
{
    struct engine *e = *state;
    assert_refusal(CREATE(e, uuid_v7(), "{\"title\":\"Dig\"}"), ERR_NOT_FOUND, NULL);
}

static void test_task_create_when_the_project_has_ended_refuses(void **state)
{
    struct engine *e = *state;
    static const char *const ended[] = {"{\"name\":\"X\",\"status\":\"completed\"}",
                                        "{\"name\":\"X\",\"status\":\"cancelled\"}"};
    for (size_t i = 0; i < ARRAY_LEN(ended); i++)
        assert_refusal(CREATE(e, make_project(e, ended[i]), "{\"title\":\"Dig\"}"), ERR_CONFLICT, NULL);
}

static void test_task_create_when_it_is_born_completed_is_at_100(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct command *command =
        CREATE(e, project, "{\"title\":\"Dig\",\"status\":\"completed\",\"progress\":3}");
    assert_string_equal(member(command->effects, "progress"), "100");
    assert_string_equal(member(command->effects, "completed_at"), member(command->effects, "created_at"));
}

static void test_task_create_when_the_assignee_is_not_of_the_company_refuses(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    assert_refusal(CREATE(e, project, with_id("{\"title\":\"Dig\",\"assignee_id\":", &e->stranger, "}")),
                   ERR_VALIDATION, "/assignee_id");
    assert_status(CREATE(e, project, with_id("{\"title\":\"Dig\",\"assignee_id\":", &e->user, "}")), ERR_OK);
}

static void test_task_create_when_the_parent_task_is_of_another_project_refuses(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}"), other = make_project(e, "{\"name\":\"Y\"}");
    struct uuid task = make_task(e, other, "{\"title\":\"Dig\"}");
    assert_refusal(CREATE(e, project, with_id("{\"title\":\"Deeper\",\"parent_task_id\":", &task, "}")),
                   ERR_VALIDATION, "/parent_task_id");
    assert_status(CREATE(e, other, with_id("{\"title\":\"Deeper\",\"parent_task_id\":", &task, "}")), ERR_OK);
}

/* ---- update ---- */

static void test_task_update_when_it_is_looked_for_in_another_project_is_not_found(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}"), other = make_project(e, "{\"name\":\"Y\"}");
    struct uuid task = make_task(e, project, "{\"title\":\"Dig\"}");
    assert_refusal(UPDATE(e, other, task, "{\"title\":\"Z\"}"), ERR_NOT_FOUND, NULL);
    assert_refusal(DELETE(e, other, task), ERR_NOT_FOUND, NULL);
    assert_status(UPDATE(e, project, task, "{\"title\":\"Z\"}"), ERR_OK);
}

static const char *const statuses[] = {"todo", "in-progress", "review", "completed", "blocked"};

/* Rows: from; columns: to, in the order of `statuses`. */
static const bool allowed[5][5] = {
    {true, true, true, true, true},  {true, true, true, true, true},  {true, true, true, true, true},
    {true, true, true, true, false}, {true, true, true, false, true},
};

static void test_task_update_when_the_status_changes_follows_the_table(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    for (size_t from = 0; from < ARRAY_LEN(statuses); from++)
        for (size_t to = 0; to < ARRAY_LEN(statuses); to++) {
            char json[128];
            snprintf(json, sizeof(json), "{\"title\":\"X\",\"status\":\"%s\"}", statuses[from]);
            struct uuid id = make_task(e, project, json);
            snprintf(json, sizeof(json), "{\"status\":\"%s\"}", statuses[to]);
            struct command *command = UPDATE(e, project, id, json);
            if (allowed[from][to])
                assert_status(command, ERR_OK);
            else
                assert_refusal(command, ERR_ILLEGAL_TRANSITION, "/status");
        }
}

static void test_task_update_when_completed_and_opened_again_sets_and_clears_what_follows(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct uuid task = make_task(e, project, "{\"title\":\"Dig\",\"progress\":30}");
    struct effect *effect = UPDATE(e, project, task, "{\"status\":\"completed\"}")->effects;
    assert_string_equal(member(effect, "progress"), "100");
    assert_string_equal(member(effect, "completed_at"), member(effect, "updated_at"));
    char completed_at[40];
    snprintf(completed_at, sizeof(completed_at), "%s", member(effect, "completed_at"));
    effect = UPDATE(e, project, task, "{\"title\":\"Dug\",\"progress\":5}")->effects;
    assert_string_equal(member(effect, "progress"), "100");
    assert_string_equal(member(effect, "completed_at"), completed_at);
    effect = UPDATE(e, project, task, "{\"status\":\"review\"}")->effects;
    assert_string_equal(member(effect, "progress"), "0");
    assert_string_equal(member(effect, "completed_at"), "null");
    assert_status(UPDATE(e, project, task, "{\"status\":\"completed\"}"), ERR_OK);
    effect = UPDATE(e, project, task, "{\"status\":\"in-progress\",\"progress\":80}")->effects;
    assert_string_equal(member(effect, "progress"), "80");
}

static void test_task_update_when_its_parent_would_be_itself_or_below_it_refuses(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct uuid top = make_task(e, project, "{\"title\":\"1\"}");
    struct uuid middle = make_task(e, project, with_id("{\"title\":\"2\",\"parent_task_id\":", &top, "}"));
    struct uuid bottom = make_task(e, project, with_id("{\"title\":\"3\",\"parent_task_id\":", &middle, "}"));
    assert_refusal(UPDATE(e, project, top, with_id("{\"parent_task_id\":", &top, "}")), ERR_VALIDATION,
                   "/parent_task_id");
    assert_refusal(UPDATE(e, project, top, with_id("{\"parent_task_id\":", &bottom, "}")), ERR_VALIDATION,
                   "/parent_task_id");
    assert_status(UPDATE(e, project, bottom, with_id("{\"parent_task_id\":", &top, "}")), ERR_OK);
    assert_status(UPDATE(e, project, bottom, "{\"parent_task_id\":null}"), ERR_OK);
    assert_status(UPDATE(e, project, middle, with_id("{\"parent_task_id\":", &bottom, "}")), ERR_OK);
    assert_refusal(UPDATE(e, project, bottom, with_id("{\"parent_task_id\":", &middle, "}")), ERR_VALIDATION,
                   "/parent_task_id");
}

/* ---- delete ---- */

static void test_task_delete_when_it_has_subtasks_refuses(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}"),
                top = make_task(e, project, "{\"title\":\"1\"}");
    struct uuid below = make_task(e, project, with_id("{\"title\":\"2\",\"parent_task_id\":", &top, "}"));
    assert_refusal(DELETE(e, project, top), ERR_CONFLICT, NULL);
    assert_status(DELETE(e, project, below), ERR_OK);
    struct command *command = DELETE(e, project, top);
    assert_status(command, ERR_OK);
    assert_int_equal(command->http_status, 204);
    assert_true(slice_is(command->effects->type, "task.deleted"));
    assert_true(uuid_equal(&command->effects->project, &project));
}

/* ---- the project's progress ---- */

static void test_task_progress_when_tasks_change_moves_the_project_with_an_event_of_its_own(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct uuid task = make_task(e, project, "{\"title\":\"1\",\"estimated_hours\":1}");
    struct command *command = UPDATE(e, project, task, "{\"progress\":50}");
    assert_int_equal(count_effects(command), 2);
    struct effect *moved = command->effects->next;
    assert_true(slice_is(moved->type, "project.updated"));
    assert_true(uuid_equal(&moved->subject, &project));
    assert_int_equal(moved->seq, command->effects->seq + 1);
    assert_int_equal(moved->version, 2);
    assert_string_equal(member(moved, "progress"), "50");
    assert_string_equal(member(moved, "version"), "2");
    assert_string_equal(member(moved, "updated_at"), member(command->effects, "updated_at"));
    assert_int_equal(count_effects(UPDATE(e, project, task, "{\"title\":\"2\"}")), 1);
    assert_int_equal(count_effects(DELETE(e, project, task)), 2);
    assert_int_equal(progress_of(&project), 0);
    assert_no_gaps(&e->company);
}

static void test_task_progress_when_hours_are_estimated_is_weighted_by_them_and_rounded_down(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    make_task(e, project, "{\"title\":\"1\",\"estimated_hours\":3,\"status\":\"completed\"}");
    assert_int_equal(progress_of(&project), 100);
    struct uuid second = make_task(e, project, "{\"title\":\"2\",\"estimated_hours\":1}");
    assert_int_equal(progress_of(&project), 75);
    make_task(e, project, "{\"title\":\"3\"}"); /* weighs 2, the mean of 3 and 1 */
    assert_int_equal(progress_of(&project), 50);
    assert_status(UPDATE(e, project, second, "{\"progress\":99}"), ERR_OK);
    assert_int_equal(progress_of(&project), 66); /* 399 of 600 */
}

/* The mean of the estimates is 4/3: rounded on the way it would make 19 of a full 20. */
static void test_task_progress_when_the_mean_is_no_decimal_is_exact(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    make_task(e, project, "{\"title\":\"1\",\"estimated_hours\":1}");
    make_task(e, project, "{\"title\":\"2\",\"estimated_hours\":1}");
    make_task(e, project, "{\"title\":\"3\",\"estimated_hours\":2}");
    make_task(e, project, "{\"title\":\"4\",\"progress\":80}");
    assert_int_equal(progress_of(&project), 20);
}

static void test_task_update_when_its_project_is_completed_does_not_open_again(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct uuid task = make_task(e, project, "{\"title\":\"1\",\"status\":\"completed\"}");
    ask_sqlf("UPDATE project SET status = 'completed' WHERE id = '%s'", uuid_text(&project));
    assert_refusal(UPDATE(e, project, task, "{\"status\":\"todo\"}"), ERR_CONFLICT, "/status");
    assert_status(UPDATE(e, project, task, "{\"title\":\"2\"}"), ERR_OK);
    ask_sqlf("UPDATE project SET status = 'active' WHERE id = '%s'", uuid_text(&project));
    assert_status(UPDATE(e, project, task, "{\"status\":\"todo\"}"), ERR_OK);
}

static void test_task_progress_when_nothing_is_estimated_weighs_all_the_same(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    make_task(e, project, "{\"title\":\"1\",\"status\":\"completed\"}");
    make_task(e, project, "{\"title\":\"2\",\"progress\":20}");
    make_task(e, project, "{\"title\":\"3\"}");
    assert_int_equal(progress_of(&project), 40);
    struct uuid zero = make_project(e, "{\"name\":\"Y\"}");
    make_task(e, zero, "{\"title\":\"1\",\"estimated_hours\":0,\"progress\":60}");
    make_task(e, zero, "{\"title\":\"2\",\"estimated_hours\":0}");
    assert_int_equal(progress_of(&zero), 30);
}

static void test_task_progress_when_the_command_is_refused_does_not_move(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct uuid task = make_task(e, project, "{\"title\":\"1\",\"progress\":10}");
    run_sqlf("UPDATE project SET progress = 77 WHERE id = '%s'", uuid_text(&project)); /* as imported */
    assert_refusal(UPDATE(e, project, task, "{\"progress\":20}", .if_match = 9), ERR_VERSION_CONFLICT, NULL);
    assert_int_equal(progress_of(&project), 77);
    assert_status(UPDATE(e, project, task, "{\"progress\":20}", .if_match = 1), ERR_OK);
    assert_int_equal(progress_of(&project), 20);
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_task_create_when_little_is_said_takes_the_schemas_defaults),
        TEST(test_task_create_when_the_project_does_not_exist_is_not_found),
        TEST(test_task_create_when_the_project_has_ended_refuses),
        TEST(test_task_create_when_it_is_born_completed_is_at_100),
        TEST(test_task_create_when_the_assignee_is_not_of_the_company_refuses),
        TEST(test_task_create_when_the_parent_task_is_of_another_project_refuses),
        TEST(test_task_update_when_it_is_looked_for_in_another_project_is_not_found),
        TEST(test_task_update_when_the_status_changes_follows_the_table),
        TEST(test_task_update_when_completed_and_opened_again_sets_and_clears_what_follows),
        TEST(test_task_update_when_its_parent_would_be_itself_or_below_it_refuses),
        TEST(test_task_delete_when_it_has_subtasks_refuses),
        TEST(test_task_progress_when_tasks_change_moves_the_project_with_an_event_of_its_own),
        TEST(test_task_progress_when_hours_are_estimated_is_weighted_by_them_and_rounded_down),
        TEST(test_task_progress_when_the_mean_is_no_decimal_is_exact),
        TEST(test_task_update_when_its_project_is_completed_does_not_open_again),
        TEST(test_task_progress_when_nothing_is_estimated_weighs_all_the_same),
        TEST(test_task_progress_when_the_command_is_refused_does_not_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
