/* Sums of other entities (x-sum) follow whoever writes: a command, psql, a worker of the version before; and the check
 * from scratch finds each that does not. */

#include "tests/unit/workers/engine/worker_fixture.h"

#include "common/msg/sum_sql.h"

#define TASK(e, verb, project, ...) DO(e, .type = "task." verb, .parent = (project), __VA_ARGS__)

/* What the check finds in the company: a sum on each line. */
static const char *found(const struct engine *e)
{
    CLEANUP(buf_done) struct buf query;
    const char *separator =
        "SELECT string_agg(name || ' is ' || value || ', not ' || expected, '; ' ORDER BY id, name) FROM (";
    buf_init(&query, 1 << 16);
    for (const struct msg_resource *const *at = msg_resources; *at; at++) {
        if (!(*at)->sums)
            continue;
        buf_append_text(&query, separator);
        sum_sql_check(msg_resources, *at, &query);
        separator = " UNION ALL ";
    }
    buf_printf(&query, ") AS c (company_id, id, name, value, expected) WHERE company_id = '%s'%c",
               uuid_text(&e->company), '\0');
    static char answer[4096];
    struct db_result *result = run_as_owner(buf_data(&query));
    struct slice text = db_text(result, 0, 0);
    snprintf(answer, sizeof(answer), "%s", text.data ? text.data : "");
    db_result_release(result);
    return answer;
}

static void assert_all_right(const struct engine *e)
{
    assert_string_equal(found(e), "");
}

static const char *progress_of(const struct uuid *project)
{
    return ask_sqlf("SELECT progress FROM project WHERE id = '%s'", uuid_text(project));
}

/* ---- commands ---- */

static unsigned next_random(unsigned *seed, unsigned below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

static const char *random_json(unsigned *seed, const char *title)
{
    static const char *const statuses[] = {"todo", "in-progress", "review", "completed"};
    static char json[256];
    char hours[32];
    snprintf(hours, sizeof(hours), next_random(seed, 4) == 0 ? "null" : "%u.%02u", next_random(seed, 90),
             next_random(seed, 100));
    snprintf(json, sizeof(json), "{%s\"estimated_hours\":%s,\"progress\":%u,\"status\":\"%s\"}", title, hours,
             next_random(seed, 101), statuses[next_random(seed, ARRAY_LEN(statuses))]);
    return json;
}

static void test_sums_when_commands_are_random_then_they_are_what_the_rows_come_to(void **state)
{
    struct engine *e = *state;
    struct uuid projects[3], tasks[40][2];
    size_t count = 0;
    unsigned seed = 7;
    for (size_t i = 0; i < ARRAY_LEN(projects); i++)
        projects[i] = make_project(e, "{\"name\":\"X\"}");
    for (int i = 0; i < 300; i++) {
        unsigned verb = next_random(&seed, 5);
        size_t which = count ? next_random(&seed, (unsigned)count) : 0;
        if (count == 0 || (verb <= 1 && count < ARRAY_LEN(tasks))) {
            struct uuid project = projects[next_random(&seed, ARRAY_LEN(projects))];
            tasks[count][0] = project;
            tasks[count++][1] = make_task(e, project, random_json(&seed, "\"title\":\"T\","));
        } else if (verb == 2) {
            assert_status(TASK(e, "delete", tasks[which][0], .subject = tasks[which][1]), ERR_OK);
            count--;
            memcpy(tasks[which], tasks[count], sizeof(tasks[which]));
        } else {
            TASK(e, "update", tasks[which][0], .subject = tasks[which][1], .json = random_json(&seed, ""));
        }
    }
    assert_true(count > 3);
    assert_all_right(e);
    assert_no_gaps(&e->company);
}

static void test_sums_when_nothing_that_is_summed_up_changes_then_the_project_is_left_alone(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct uuid task = make_task(e, project, "{\"title\":\"1\",\"progress\":10}");
    char before[64];
    snprintf(before, sizeof(before), "%s",
             ask_sqlf("SELECT ctid FROM project WHERE id = '%s'", uuid_text(&project)));
    assert_status(TASK(e, "update", project, .subject = task, .json = "{\"title\":\"2\"}"), ERR_OK);
    assert_string_equal(ask_sqlf("SELECT ctid FROM project WHERE id = '%s'", uuid_text(&project)), before);
    /* A sum that no client sees changes, and the progress does not. */
    struct command *command = TASK(e, "update", project, .subject = task, .json = "{\"estimated_hours\":3}");
    assert_int_equal(count_effects(command), 1);
    assert_string_equal(
        ask_sqlf("SELECT task_hours || ' ' || version FROM project WHERE id = '%s'", uuid_text(&project)),
        "3.00 2");
    assert_all_right(e);
}

static const char *next_condition(const char *plan)
{
    return strstr(plan, "\"Index Cond\"");
}

static void test_command_when_a_sum_would_be_too_large_then_refused(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    make_task(e, project, "{\"title\":\"1\",\"estimated_hours\":3}");
    run_sqlf("ALTER TABLE project ADD CONSTRAINT few_hours CHECK (task_hours < 5) NOT VALID");
    struct command *command = TASK(e, "create", project, .json = "{\"title\":\"2\",\"estimated_hours\":2}");
    run_sqlf("ALTER TABLE project DROP CONSTRAINT few_hours");
    assert_refusal(command, ERR_VALIDATION, NULL);
    assert_all_right(e);
    assert_status(TASK(e, "create", project, .json = "{\"title\":\"2\",\"estimated_hours\":2}"), ERR_OK);
}

/* A plan is made once, perhaps while the tables are empty. */
static void test_statement_when_it_is_planned_on_empty_tables_then_each_row_is_looked_up_by_its_key(
    void **state)
{
    struct engine *e = *state;
    const struct handler *handler = handlers_find(e->handlers, SLICE("task.update"));
    CLEANUP(buf_done) struct buf execute;
    buf_init(&execute, 1 << 16);
    buf_printf(&execute, "PREPARE looked_up AS %s%c", handler->statement.statement.sql, '\0');
    db_result_release(run_as_owner(buf_data(&execute)));
    buf_clear(&execute);
    buf_append_text(&execute, "EXPLAIN (FORMAT JSON, COSTS off) EXECUTE looked_up(");
    for (size_t i = 0; i < handler->statement.param_count; i++)
        buf_append_text(&execute, i == 0 ? "NULL" : ", NULL");
    buf_printf(&execute, ")%c", '\0');
    struct db_result *plan = run_as_owner(buf_data(&execute));
    const char *text = db_text(plan, 0, 0).data;
    assert_null(strstr(text, "Seq Scan"));
    int scans = 0;
    for (const char *at = next_condition(strstr(text, "CTE made")); at; at = next_condition(at + 1)) {
        const char *end = strchr(at, '\n'), *id = strstr(at, "(company_id = $2) AND (id = ");
        if (!id || id > end)
            fail_msg("%.*s", (int)(end - at), at);
        scans++;
    }
    assert_int_equal(scans, 4); /* the task as it is and as it was, likewise the project */
    db_result_release(plan);
    run_sqlf("DEALLOCATE looked_up");
}

/* ---- invoices and costs ---- */

/* The entity that the command has made, of a resource below that entity. */
static struct uuid make(struct engine *e, const char *type, struct uuid above, const char *json)
{
    struct command *command = DO(e, .type = type, .parent = above, .json = json);
    assert_status(command, ERR_OK);
    return command->envelope.id;
}

static const char *number_of(const char *table, const char *column, const struct uuid *id)
{
    return ask_sqlf("SELECT %s FROM %s WHERE id = '%s'", column, table, uuid_text(id));
}

static struct uuid make_invoice(struct engine *e, const char *more)
{
    char json[256];
    struct uuid client = make(e, "client.create", NO_UUID, "{\"name\":\"Client\"}");
    snprintf(json, sizeof(json), "{\"client_id\":\"%s\"%s}", uuid_text(&client), more);
    return make(e, "invoice.create", NO_UUID, json);
}

#define TOTALS "subtotal || ' ' || tax_amount || ' ' || total || ' ' || balance"

static void test_invoice_when_its_items_change_then_its_totals_do_with_an_event(void **state)
{
    struct engine *e = *state;
    struct uuid invoice = make_invoice(e, ",\"tax_rate\":19,\"paid_amount\":5");
    assert_string_equal(number_of("invoice", TOTALS, &invoice), "0.00 0.00 0.00 -5.00");
    struct command *command = DO(e, .type = "invoice_item.create", .parent = invoice,
                                 .json = "{\"description\":\"Sand\",\"quantity\":2.5,\"unit_price\":40.1}");
    assert_int_equal(count_effects(command), 2);
    assert_true(slice_is(command->effects->next->type, "invoice.updated"));
    assert_string_equal(member(command->effects->next, "subtotal"), "100.25");
    assert_string_equal(member(command->effects->next, "balance"), "114.3");
    struct uuid item = command->envelope.id;
    assert_string_equal(number_of("invoice", TOTALS, &invoice), "100.25 19.05 119.30 114.30");
    assert_status(
        DO(e, .type = "invoice_item.update", .parent = invoice, .subject = item, .json = "{\"quantity\":1}"),
        ERR_OK);
    assert_string_equal(number_of("invoice", TOTALS, &invoice), "40.10 7.62 47.72 42.72");
    assert_status(
        DO(e, .type = "invoice.update", .subject = invoice, .json = "{\"tax_rate\":0,\"paid_amount\":0.1}"),
        ERR_OK);
    assert_string_equal(number_of("invoice", TOTALS, &invoice), "40.10 0.00 40.10 40.00");
    assert_status(DO(e, .type = "invoice_item.delete", .parent = invoice, .subject = item), ERR_OK);
    assert_string_equal(number_of("invoice", TOTALS, &invoice), "0.00 0.00 0.00 -0.10");
    assert_string_equal(number_of("invoice", "version::text", &invoice), "5");
    assert_all_right(e);
}

/* It is paid when nothing is left to be paid, at that time; until then a client says so or nobody. */
static void test_invoice_when_its_balance_is_zero_then_it_is_paid(void **state)
{
    struct engine *e = *state;
    struct uuid invoice = make_invoice(e, ",\"due_date\":\"2030-01-01\",\"paid_amount\":20");
    make(e, "invoice_item.create", invoice, "{\"description\":\"Sand\",\"unit_price\":20}");
    assert_string_equal(number_of("invoice", "status", &invoice), "draft");
    assert_status(DO(e, .type = "invoice.update", .subject = invoice, .json = "{\"paid_amount\":5}"), ERR_OK);
    struct effect *effect =
        DO(e, .type = "invoice.update", .subject = invoice, .json = "{\"status\":\"sent\"}")->effects;
    assert_string_equal(member(effect, "status"), "sent");
    assert_string_equal(member(effect, "paid_at"), "null");
    effect = DO(e, .type = "invoice.update", .subject = invoice, .json = "{\"paid_amount\":20}")->effects;
    assert_string_equal(member(effect, "status"), "paid");
    assert_string_equal(member(effect, "balance"), "0.0");
    assert_string_equal(member(effect, "paid_at"), member(effect, "updated_at"));
    char paid_at[64];
    snprintf(paid_at, sizeof(paid_at), "%s", member(effect, "paid_at"));
    effect = DO(e, .type = "invoice.update", .subject = invoice, .json = "{\"notes\":\"N\"}")->effects;
    assert_string_equal(member(effect, "paid_at"), paid_at);
    effect =
        DO(e, .type = "invoice.update", .subject = invoice, .json = "{\"status\":\"sent\",\"paid_amount\":1}")
            ->effects;
    assert_string_equal(member(effect, "paid_at"), "null");
    effect = DO(e, .type = "invoice.update", .subject = invoice, .json = "{\"status\":\"overdue\"}")->effects;
    assert_string_equal(member(effect, "is_overdue"), "true");
    effect = DO(e, .type = "invoice.update", .subject = invoice, .json = "{\"paid_amount\":30}")->effects;
    assert_string_equal(member(effect, "status"), "paid");
    assert_string_equal(member(effect, "is_overdue"), "false");
    assert_all_right(e);
}

static void test_invoice_when_a_half_is_rounded_then_away_from_zero_and_each_item_by_itself(void **state)
{
    struct engine *e = *state;
    struct uuid invoice = make_invoice(e, ",\"tax_rate\":1");
    for (int i = 0; i < 3; i++) /* 0.005 each */
        make(e, "invoice_item.create", invoice,
             "{\"description\":\"A\",\"quantity\":0.5,\"unit_price\":0.01}");
    assert_string_equal(number_of("invoice", TOTALS, &invoice), "0.03 0.00 0.03 0.03");
    make(e, "invoice_item.create", invoice, "{\"description\":\"B\",\"quantity\":0.5,\"unit_price\":-0.05}");
    assert_string_equal(number_of("invoice", TOTALS, &invoice), "0.00 0.00 0.00 0.00");
    make(e, "invoice_item.create", invoice, "{\"description\":\"C\",\"unit_price\":-0.5}");
    assert_string_equal(number_of("invoice", TOTALS, &invoice), "-0.50 -0.01 -0.51 -0.51");
    assert_all_right(e);
}

static void test_invoice_when_its_items_are_as_large_as_can_be_then_one_more_is_refused(void **state)
{
    struct engine *e = *state;
    struct uuid invoice = make_invoice(e, "");
    make(e, "invoice_item.create", invoice, "{\"description\":\"A\",\"unit_price\":999999999999.99}");
    assert_refusal(DO(e, .type = "invoice_item.create", .parent = invoice,
                      .json = "{\"description\":\"A\",\"unit_price\":0.01}"),
                   ERR_VALIDATION, NULL);
    assert_string_equal(number_of("invoice", "total", &invoice), "999999999999.99");
    assert_no_gaps(&e->company);
    assert_all_right(e);
}

static void test_actual_cost_when_work_is_done_and_orders_are_received_then_it_follows(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct uuid entry = make(e, "time_entry.create", project, "{\"minutes\":100,\"hourly_rate\":60.5}");
    assert_string_equal(number_of("project", "actual_cost", &project), "100.83");
    make(e, "time_entry.create", project, "{\"minutes\":1}");
    assert_status(
        DO(e, .type = "time_entry.update", .parent = project, .subject = entry, .json = "{\"minutes\":60}"),
        ERR_OK);
    assert_string_equal(number_of("project", "actual_cost", &project), "60.50");

    struct uuid firm = make(e, "subcontractor.create", NO_UUID, "{\"name\":\"Firm\"}");
    char json[256];
    snprintf(json, sizeof(json), "{\"subcontractor_id\":\"%s\",\"contract_amount\":1000}", uuid_text(&firm));
    struct uuid contract = make(e, "project_subcontractor.create", project, json);
    assert_string_equal(number_of("project", "actual_cost", &project), "1060.50");

    snprintf(json, sizeof(json), "{\"vendor_name\":\"Vendor\",\"tax_rate\":10,\"project_id\":\"%s\"}",
             uuid_text(&project));
    struct uuid order = make(e, "purchase_order.create", NO_UUID, json);
    make(e, "purchase_order_item.create", order,
         "{\"description\":\"Sand\",\"quantity\":3,\"unit_price\":20}");
    assert_string_equal(number_of("purchase_order", "total", &order), "66.00");
    static const char *const steps[] = {"sent", "approved", "received"};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        assert_string_equal(number_of("project", "actual_cost", &project), "1060.50");
        snprintf(json, sizeof(json), "{\"status\":\"%s\"}", steps[i]);
        struct command *command = DO(e, .type = "purchase_order.update", .subject = order, .json = json);
        assert_status(command, ERR_OK);
        assert_int_equal(count_effects(command), i == 2 ? 2 : 1);
    }
    assert_string_equal(number_of("project", "actual_cost", &project), "1126.50");
    assert_all_right(e);

    run_sqlf("UPDATE purchase_order SET status = 'cancelled' WHERE id = '%s'",
             uuid_text(&order)); /* as by psql */
    assert_string_equal(number_of("project", "actual_cost", &project), "1060.50");
    assert_status(DO(e, .type = "project_subcontractor.update", .parent = project, .subject = contract,
                     .json = "{\"status\":\"terminated\"}"),
                  ERR_OK);
    assert_status(DO(e, .type = "time_entry.delete", .parent = project, .subject = entry), ERR_OK);
    assert_string_equal(number_of("project", "actual_cost", &project), "0.00");
    assert_all_right(e);
    assert_no_gaps(&e->company);
}

/* ---- everybody else ---- */

static void test_sums_when_psql_writes_many_rows_then_they_follow(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}"), other = make_project(e, "{\"name\":\"Y\"}");
    const char *company = uuid_text(&e->company), *one = uuid_text(&project), *two = uuid_text(&other);
    run_sqlf(
        "INSERT INTO task (company_id, id, project_id, title, creator_id, progress, estimated_hours)"
        " SELECT '%s', gen_random_uuid(), CASE WHEN i %% 3 = 0 THEN '%s'::uuid ELSE '%s' END, 'T', '%s', i,"
        " nullif(i %% 5, 0) FROM generate_series(1, 100) AS i",
        company, one, two, uuid_text(&e->user));
    assert_all_right(e);
    run_sqlf(
        "UPDATE task SET progress = 100 - progress, project_id = CASE WHEN progress %% 2 = 0 THEN '%s'::uuid"
        " ELSE project_id END WHERE company_id = '%s'",
        one, company);
    assert_all_right(e);
    run_sqlf("DELETE FROM task WHERE company_id = '%s' AND progress %% 7 <> 0", company);
    assert_all_right(e);
    run_sqlf("DELETE FROM task WHERE company_id = '%s' AND project_id = '%s'", company, two);
    assert_string_equal(progress_of(&other), "0");
    assert_all_right(e);
    run_sqlf("DELETE FROM project WHERE company_id = '%s' AND id = '%s'", company, one);
    assert_all_right(e);
}

/* The statement of 9b31972, without its rules. */
static void change_as_before(const struct engine *e, const struct uuid *project, const struct uuid *task,
                             int progress)
{
    run_sqlf(
        "WITH made AS (UPDATE task AS t SET version = t.version + 1, progress = %d WHERE t.company_id = '%s'"
        " AND t.id = '%s' RETURNING t.*)"
        " UPDATE project AS t SET progress = f.progress, version = t.version + 1 FROM"
        " (SELECT coalesce(floor(coalesce((count(w.estimated_hours) * sum(w.estimated_hours * w.progress)"
        " + sum(w.estimated_hours) * coalesce(sum(w.progress) FILTER (WHERE w.estimated_hours IS NULL), 0))"
        " / nullif(sum(w.estimated_hours) * count(*), 0), avg(w.progress))), 0)::integer AS progress FROM"
        " (SELECT estimated_hours, progress FROM task WHERE company_id = '%s' AND project_id = '%s'"
        " AND id <> '%s' UNION ALL SELECT estimated_hours, progress FROM made) AS w) AS f"
        " WHERE t.company_id = '%s' AND t.id = '%s' AND t.progress <> f.progress",
        progress, uuid_text(&e->company), uuid_text(task), uuid_text(&e->company), uuid_text(project),
        uuid_text(task), uuid_text(&e->company), uuid_text(project));
}

static void test_sums_when_a_worker_of_the_version_before_writes_beside_then_both_agree(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    struct uuid one = make_task(e, project, "{\"title\":\"1\",\"estimated_hours\":3}");
    struct uuid two = make_task(e, project, "{\"title\":\"2\",\"progress\":50}");
    for (int i = 0; i < 10; i++) {
        change_as_before(e, &project, i % 2 ? &one : &two, i * 9);
        assert_all_right(e);
        char json[64];
        snprintf(json, sizeof(json), "{\"progress\":%d}", 100 - i * 7);
        assert_status(TASK(e, "update", project, .subject = i % 3 ? one : two, .json = json), ERR_OK);
        assert_all_right(e);
    }
}

/* ---- what was there before ---- */

#define COUNT_FILE "schemas/sql/*_sums_counted_concurrently.sql"

static void test_sums_when_they_are_not_counted_yet_then_the_migration_counts_them(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}"), empty = make_project(e, "{\"name\":\"Y\"}");
    struct uuid task = make_task(e, project, "{\"title\":\"1\",\"estimated_hours\":3}");
    make_task(e, project, "{\"title\":\"2\",\"progress\":40}");
    run_sqlf("UPDATE project SET task_count = NULL, task_progress = NULL, task_estimates = NULL, task_hours "
             "= NULL,"
             " task_hours_done = NULL, task_progress_unestimated = NULL WHERE id IN ('%s', '%s')",
             uuid_text(&project), uuid_text(&empty));
    change_as_before(e, &project, &task, 60); /* progress goes on as before */
    assert_string_equal(progress_of(&project), "50");
    assert_string_equal(ask_sqlf("SELECT coalesce(task_count::text, 'none') FROM project WHERE id = '%s'",
                                 uuid_text(&project)),
                        "none");
    char command[2048];
    snprintf(command, sizeof(command),
             "psql -qXAt -v ON_ERROR_STOP=1 -f \"$(echo " COUNT_FILE ")\" '%s' >/dev/null 2>&1", test_url());
    assert_int_equal(system(command), 0);
    assert_all_right(e);
    assert_status(TASK(e, "update", project, .subject = task, .json = "{\"progress\":80}"), ERR_OK);
    assert_string_equal(progress_of(&project), "60");
    assert_all_right(e);
}

/* ---- the check ---- */

static void test_check_when_sums_are_wrong_then_it_names_each(void **state)
{
    struct engine *e = *state;
    struct uuid project = make_project(e, "{\"name\":\"X\"}");
    make_task(e, project, "{\"title\":\"1\",\"estimated_hours\":3,\"progress\":20}");
    run_sqlf("UPDATE project SET progress = 77, task_hours = 4 WHERE id = '%s'", uuid_text(&project));
    assert_string_equal(found(e), "progress is 77, not 20; task_hours is 4, not 3.00");
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        /* first, while the tables are empty */
        TEST(test_statement_when_it_is_planned_on_empty_tables_then_each_row_is_looked_up_by_its_key),
        TEST(test_sums_when_commands_are_random_then_they_are_what_the_rows_come_to),
        TEST(test_sums_when_nothing_that_is_summed_up_changes_then_the_project_is_left_alone),
        TEST(test_command_when_a_sum_would_be_too_large_then_refused),
        TEST(test_invoice_when_its_items_change_then_its_totals_do_with_an_event),
        TEST(test_invoice_when_its_balance_is_zero_then_it_is_paid),
        TEST(test_invoice_when_a_half_is_rounded_then_away_from_zero_and_each_item_by_itself),
        TEST(test_invoice_when_its_items_are_as_large_as_can_be_then_one_more_is_refused),
        TEST(test_actual_cost_when_work_is_done_and_orders_are_received_then_it_follows),
        TEST(test_sums_when_psql_writes_many_rows_then_they_follow),
        TEST(test_sums_when_a_worker_of_the_version_before_writes_beside_then_both_agree),
        TEST(test_sums_when_they_are_not_counted_yet_then_the_migration_counts_them),
        TEST(test_check_when_sums_are_wrong_then_it_names_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
