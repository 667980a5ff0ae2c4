/* Mapping of webhooks: which commands an event becomes, and what a mapping is refused for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/json.h"
#include "common/hooks/mapping.h"

#define PARENT "018f4c1e-7b5a-7c3d-8e9f-0a1b2c3d4e5f"

/* Maps the body by the rules; the caller ends the outcome. */
static struct hook_outcome map(const char *rules, const char *event, const char *body)
{
    char why[160] = "The body is none.";
    struct hook_outcome outcome;
    CLEANUP(json_cleanup) json_t *source = json_pack("{s:o}", "mapping", json_loads(rules, 0, NULL));
    CLEANUP(json_cleanup) json_t *content = NULL;
    struct hook_facts facts = {
        .source = source, .event = slice_of(event), .unreadable = why, .id = {{1}}, .company = {{2}}};
    if (hook_content_read(SLICE_NONE, slice_of(body), &content, why) == ERR_OK)
        facts.content = content;
    hook_map(&facts, &outcome);
    return outcome;
}

static const char *text_at(const json_t *json, size_t index, const char *name)
{
    return json_string_value(json_object_get(json_array_get(json, index), name));
}

static void assert_body(const struct hook_outcome *outcome, size_t index, const char *expected)
{
    CLEANUP(json_cleanup) json_t *wanted = json_loads(expected, 0, NULL);
    assert_true(json_equal(json_object_get(json_array_get(outcome->made, index), "shown"), wanted));
}

static void test_map_when_rules_are_for_the_event_then_each_makes_its_command(void **state)
{
    (void)state;
    struct hook_outcome outcome =
        map("[{\"name\":\"one\",\"event\":\"made\",\"command\":\"client.create\",\"fields\":["
            "{\"to\":\"name\",\"from\":\"/n\"},{\"to\":\"payment_terms_days\",\"from\":\"/d\"},"
            "{\"to\":\"active\",\"value\":\"false\"},{\"to\":\"notes\",\"from\":\"/"
            "x\"},{\"to\":\"tax_id\",\"from\":\"/t\"}]},"
            "{\"name\":\"two\",\"event\":\"*\",\"command\":\"task.create\",\"fields\":["
            "{\"to\":\"title\",\"from\":\"/n\"},{\"to\":\"project_id\",\"value\":\"" PARENT "\"}]},"
            "{\"name\":\"three\",\"event\":\"other\",\"command\":\"client.create\",\"fields\":[]}]",
            "made", "{\"n\":\"Pier\",\"d\":\"14\",\"t\":7}");
    assert_string_equal(outcome.status, "mapped");
    assert_int_equal(json_array_size(outcome.reasons), 0);
    assert_int_equal(json_array_size(outcome.made), 2);
    assert_string_equal(text_at(outcome.commands, 0, "rule"), "one");
    assert_body(&outcome, 0,
                "{\"name\":\"Pier\",\"payment_terms_days\":14,\"active\":false,\"tax_id\":\"7\"}");
    assert_string_equal(text_at(outcome.made, 1, "parent"), PARENT);
    assert_null(text_at(outcome.made, 1, "subject"));
    assert_string_equal(text_at(outcome.made, 1, "pool"), "projects");
    hook_outcome_done(&outcome);
}

static void test_map_when_asked_again_then_the_ids_are_the_same_and_each_rule_has_its_own(void **state)
{
    (void)state;
    static const char rules[] = "[{\"name\":\"a\",\"event\":\"*\",\"command\":\"client.create\",\"fields\":[{"
                                "\"to\":\"name\",\"from\":\"/n\"}]},"
                                "{\"name\":\"b\",\"event\":\"*\",\"command\":\"client.create\",\"fields\":[{"
                                "\"to\":\"name\",\"from\":\"/n\"}]}]";
    struct hook_outcome first = map(rules, NULL, "{\"n\":\"x\"}"), second = map(rules, NULL, "{\"n\":\"y\"}");
    assert_string_equal(text_at(first.made, 0, "id"), text_at(second.made, 0, "id"));
    assert_string_not_equal(text_at(first.made, 0, "id"), text_at(first.made, 1, "id"));
    hook_outcome_done(&first);
    hook_outcome_done(&second);
}

static void test_map_when_an_update_or_a_delete_then_it_names_its_entity(void **state)
{
    (void)state;
    struct hook_outcome outcome =
        map("[{\"name\":\"u\",\"event\":\"*\",\"command\":\"client.update\",\"fields\":["
            "{\"to\":\"id\",\"from\":\"/id\"},{\"to\":\"notes\",\"from\":\"/note\"}]},"
            "{\"name\":\"d\",\"event\":\"*\",\"command\":\"client.delete\",\"fields\":[{\"to\":\"id\","
            "\"from\":\"/id\"}]},"
            "{\"name\":\"n\",\"event\":\"*\",\"command\":\"client.delete\",\"fields\":[{\"to\":\"id\","
            "\"from\":\"/none\"}]}]",
            NULL, "{\"id\":\"" PARENT "\",\"note\":null}");
    assert_string_equal(outcome.status, "failed");
    assert_int_equal(json_array_size(outcome.made), 2);
    assert_string_equal(text_at(outcome.made, 0, "subject"), PARENT);
    assert_body(&outcome, 0, "{\"notes\":null}");
    assert_string_equal(text_at(outcome.made, 1, "body"), "");
    assert_string_equal(text_at(outcome.reasons, 0, "pointer"), "/id");
    hook_outcome_done(&outcome);
}

static void assert_reason(const char *fields, const char *body, const char *pointer, const char *detail)
{
    CLEANUP(buf_done) struct buf rules;
    buf_init(&rules, 4096);
    buf_printf(&rules, "[{\"name\":\"r\",\"event\":\"*\",\"command\":\"client.create\",\"fields\":[%s]}]%c",
               fields, '\0');
    struct hook_outcome outcome = map(buf_data(&rules), "x", body);
    assert_string_equal(outcome.status, "failed");
    assert_int_equal(json_array_size(outcome.made), 0);
    if (pointer)
        assert_string_equal(text_at(outcome.reasons, 0, "pointer"), pointer);
    assert_string_equal(text_at(outcome.reasons, 0, "detail"), detail);
    hook_outcome_done(&outcome);
}

static void test_map_when_it_does_not_fit_then_a_reason_and_no_command(void **state)
{
    (void)state;
    assert_reason("{\"to\":\"name\",\"from\":\"/n\"}", "{}", "/name", "is required");
    assert_reason("{\"to\":\"name\",\"from\":\"/n\"}", "{\"n\":[1]}", "/name", "must be a string");
    assert_reason("{\"to\":\"name\",\"from\":\"/n\"}", "{\"n\":\"\\u0000\"}", "/name",
                  "must not contain the character U+0000");
    assert_reason("{\"to\":\"colour\",\"from\":\"/n\"}", "{}", "/colour",
                  "is no field that this command takes");
}

static void test_map_when_the_body_cannot_be_read_then_the_reason_says_why(void **state)
{
    (void)state;
    struct hook_outcome outcome =
        map("[{\"name\":\"r\",\"event\":\"*\",\"command\":\"client.create\",\"fields\":[]}]", "x", "no json");
    assert_string_equal(outcome.status, "failed");
    assert_non_null(text_at(outcome.reasons, 0, "detail"));
    hook_outcome_done(&outcome);
    outcome =
        map("[{\"name\":\"r\",\"event\":\"y\",\"command\":\"client.create\",\"fields\":[]}]", "x", "no json");
    assert_string_equal(outcome.status, "unmapped");
    hook_outcome_done(&outcome);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_map_when_rules_are_for_the_event_then_each_makes_its_command),
        TEST(test_map_when_asked_again_then_the_ids_are_the_same_and_each_rule_has_its_own),
        TEST(test_map_when_an_update_or_a_delete_then_it_names_its_entity),
        TEST(test_map_when_it_does_not_fit_then_a_reason_and_no_command),
        TEST(test_map_when_the_body_cannot_be_read_then_the_reason_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
