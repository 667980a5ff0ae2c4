/* A sent invoice becomes overdue at the company's midnight, also on the days on which clocks change. */

#include "tests/unit/workers/engine/worker_fixture.h"

#include "common/broker/topology.h"

static struct uuid make_sent(struct engine *e, const char *due)
{
    char json[256];
    struct command *command = DO(e, .type = "client.create", .json = "{\"name\":\"Client\"}");
    assert_status(command, ERR_OK);
    snprintf(json, sizeof(json), "{\"client_id\":\"%s\",\"due_date\":\"%s\",\"issue_date\":\"2020-01-01\"}",
             uuid_text(&command->envelope.id), due);
    command = DO(e, .type = "invoice.create", .json = json);
    assert_status(command, ERR_OK);
    struct uuid id = command->envelope.id;
    assert_status(DO(e, .type = "invoice_item.create", .parent = id,
                     .json = "{\"description\":\"A\",\"unit_price\":1}"),
                  ERR_OK);
    assert_status(DO(e, .type = "invoice.update", .subject = id, .json = "{\"status\":\"sent\"}"), ERR_OK);
    return id;
}

/* How many commands there are for the company when the work has been done at that time. */
static int commands_at(const struct engine *e, const char *at)
{
    ask_sqlf("SELECT invoice_overdue(1000, '%s')", at);
    return atoi(ask_sqlf("SELECT count(*) FROM deferred WHERE company_id = '%s'", uuid_text(&e->company)));
}

static void test_overdue_when_midnight_comes_in_the_company_then_there_is_one_command(void **state)
{
    struct engine *e = *state;
    static const struct {
        const char *zone, *due, *before, *after;
    } cases[] = {
        {"UTC", "2026-05-01", "2026-05-01 23:59:59Z", "2026-05-02 00:00:00Z"},
        {"Europe/Berlin", "2026-03-28", "2026-03-28 22:59:59Z",
         "2026-03-28 23:00:00Z"}, /* the night before … */
        {"Europe/Berlin", "2026-03-29", "2026-03-29 21:59:59Z",
         "2026-03-29 22:00:00Z"}, /* … a day of 23 hours */
        {"Europe/Berlin", "2026-10-24", "2026-10-24 21:59:59Z", "2026-10-24 22:00:00Z"},
        {"Europe/Berlin", "2026-10-25", "2026-10-25 22:59:59Z",
         "2026-10-25 23:00:00Z"}, /* a day of 25 hours */
        {"Africa/Cairo", "2026-04-23", "2026-04-23 21:59:59Z",
         "2026-04-23 22:00:00Z"}, /* it begins at one o'clock */
        {"Pacific/Kiritimati", "2026-05-01", "2026-05-01 09:59:59Z", "2026-05-01 10:00:00Z"},
        {"Pacific/Pago_Pago", "2026-05-01", "2026-05-02 10:59:59Z", "2026-05-02 11:00:00Z"},
        {"Asia/Kathmandu", "2026-05-01", "2026-05-01 18:14:59Z", "2026-05-01 18:15:00Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        run_sqlf("DELETE FROM deferred WHERE company_id = '%s'", uuid_text(&e->company));
        run_sqlf("DELETE FROM invoice WHERE company_id = '%s'", uuid_text(&e->company));
        run_sqlf("UPDATE company SET time_zone = '%s' WHERE id = '%s'", cases[i].zone,
                 uuid_text(&e->company));
        make_sent(e, cases[i].due);
        if (commands_at(e, cases[i].before) != 0 || commands_at(e, cases[i].after) != 1 ||
            commands_at(e, cases[i].after) != 1)
            fail_msg("%s %s", cases[i].zone, cases[i].due);
    }
}

static void test_overdue_command_when_it_is_put_then_it_is_what_a_gateway_would_send(void **state)
{
    struct engine *e = *state;
    CLEANUP(buf_done) struct buf body;
    char hex[64] = "\\x";
    struct uuid invoice = make_sent(e, "2026-05-01");
    assert_int_equal(commands_at(e, "2026-05-03Z"), 1);
    buf_init(&body, 1024);
    encode_body("invoice.update", "{\"status\":\"overdue\"}", &body);
    for (size_t i = 0; i < buf_len(&body); i++)
        snprintf(hex + 2 + 2 * i, 3, "%02x", (unsigned char)buf_data(&body)[i]);
    char expected[256];
    snprintf(expected, sizeof(expected), "%s %s %u %s", hex, uuid_text(&invoice), topology_slot(&e->company),
             "projects");
    assert_string_equal(
        ask_sqlf("SELECT body::text || ' ' || subject || ' ' || slot || ' ' || pool FROM deferred"
                 " WHERE company_id = '%s'",
                 uuid_text(&e->company)),
        expected);
    struct uuid id;
    assert_true(uuid_parse(
        slice_of(ask_sqlf("SELECT command_id FROM deferred WHERE company_id = '%s'", uuid_text(&e->company))),
        &id));
    run_sqlf("DELETE FROM deferred WHERE company_id = '%s'", uuid_text(&e->company));
    struct command *command =
        DO(e, .type = "invoice.update", .id = id, .subject = invoice, .json = "{\"status\":\"overdue\"}");
    assert_status(command, ERR_OK);
    assert_string_equal(member(command->effects, "is_overdue"), "true");
    assert_int_equal(commands_at(e, "2026-05-03Z"), 0);
}

static void test_overdue_when_an_invoice_is_paid_or_a_draft_then_there_is_none(void **state)
{
    struct engine *e = *state;
    struct uuid invoice = make_sent(e, "2026-05-01");
    assert_status(DO(e, .type = "invoice.update", .subject = invoice, .json = "{\"paid_amount\":1}"), ERR_OK);
    struct uuid other = make_sent(e, "2026-05-01");
    assert_status(DO(e, .type = "invoice.update", .subject = other, .json = "{\"status\":\"cancelled\"}"),
                  ERR_OK);
    assert_int_equal(commands_at(e, "2026-06-01Z"), 0);
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, engine_setup, engine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_overdue_when_midnight_comes_in_the_company_then_there_is_one_command),
        TEST(test_overdue_command_when_it_is_put_then_it_is_what_a_gateway_would_send),
        TEST(test_overdue_when_an_invoice_is_paid_or_a_draft_then_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
