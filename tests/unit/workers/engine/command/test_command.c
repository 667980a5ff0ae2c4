#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "workers/engine/command/command.h"

#define COMPANY "018f3c5e-0000-7000-8000-000000000001"
#define ID      "018f3c5e-0000-7000-8000-000000000002"

/* A delivery of which no more than the company and the id make sense. */
static struct command *receive(const struct broker_header *headers, size_t count, struct slice id)
{
    const struct broker_delivery delivery = {
        .message_id = id,
        .type = SLICE("project.create"),
        .headers = headers,
        .header_count = count,
        .body = SLICE("\x80"),
    };
    return command_new(&delivery);
}

static void test_command_when_its_headers_are_broken_then_its_address_is_read(void **state)
{
    (void)state;
    const struct broker_header company = {.name = SLICE("company"), .text = SLICE(COMPANY)};
    struct command *command = receive(&company, 1, SLICE(ID));
    assert_int_equal(command->reading, READING_ADDRESS);
    assert_int_equal(command->verdict, ERR_POISON);
    char text[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.company, text);
    assert_string_equal(text, COMPANY);
    uuid_format(&command->envelope.id, text);
    assert_string_equal(text, ID);
    command_free(command);
}

static void test_command_when_company_or_id_is_missing_then_nothing_is_read(void **state)
{
    (void)state;
    const struct broker_header company = {.name = SLICE("company"), .text = SLICE(COMPANY)};
    struct command *without_company = receive(NULL, 0, SLICE(ID));
    struct command *without_id = receive(&company, 1, SLICE_NONE);
    assert_int_equal(without_company->reading, READING_NOTHING);
    assert_int_equal(without_id->reading, READING_NOTHING);
    command_free(without_company);
    command_free(without_id);
}

static void test_finding_when_a_command_is_a_row_of_deferred_then_gone_until_its_row_is_claimed(void **state)
{
    (void)state;
    const struct envelope envelope = {.type = SLICE("project.create")};
    struct command *command = command_new_of_row(&envelope, DEFER_RETRY);
    for (int transaction = 0; transaction < 2; transaction++) {
        command_reset(command);
        assert_int_equal(command->finding, FINDING_GONE);
        assert_false(command_has_result(command));
        command_find(command, FINDING_RUN);
        assert_true(command_has_result(command));
    }
    command_free(command);
}

static void test_finding_when_a_command_is_a_row_of_unpublished_then_it_may_be_gone_only_when_looked_up(
    void **state)
{
    (void)state;
    static const enum command_finding found[] = {FINDING_RUN, FINDING_REPLACE, FINDING_IN_TURN,
                                                 FINDING_WAITING};
    const struct envelope envelope = {.type = SLICE("project.create")};
    struct command *command = command_new_of_row(&envelope, DEFER_UNPUBLISHED);
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        command_reset(command);
        assert_int_equal(command->finding, FINDING_RUN);
        if (found[i] != FINDING_RUN)
            command_find(command, found[i]);
        command_find(command, FINDING_GONE);
    }
    command_free(command);
}

static void test_finding_then_only_a_new_command_that_does_not_wait_has_a_result(void **state)
{
    (void)state;
    static const bool is_new[] = {[FINDING_RUN] = true, [FINDING_REPLACE] = true, [FINDING_GONE] = false};
    for (size_t i = 0; i < ARRAY_LEN(is_new); i++) {
        const struct command runs = {.finding = (enum command_finding)i};
        const struct command waits = {.finding = (enum command_finding)i, .deferral = DEFER_TURN};
        assert_int_equal(command_has_result(&runs), is_new[i]);
        assert_false(command_has_result(&waits));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_when_its_headers_are_broken_then_its_address_is_read),
        cmocka_unit_test(test_command_when_company_or_id_is_missing_then_nothing_is_read),
        cmocka_unit_test(test_finding_when_a_command_is_a_row_of_deferred_then_gone_until_its_row_is_claimed),
        cmocka_unit_test(
            test_finding_when_a_command_is_a_row_of_unpublished_then_it_may_be_gone_only_when_looked_up),
        cmocka_unit_test(test_finding_then_only_a_new_command_that_does_not_wait_has_a_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
