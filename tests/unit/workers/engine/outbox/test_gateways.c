/* Under which keys a worker publishes, by what the gateways report. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "workers/engine/outbox/gateways.h"

#define REPLY         SLICE("slots.0199aaaa-0000-7000-8000-000000000001")
#define OLD_REPLY     SLICE("reply.0199aaaa-0000-7000-8000-000000000001")
#define PARCELS_REPLY SLICE("slots.p-0199aaaa-0000-7000-8000-000000000001")
#define ALL           "{\"slots\":true,\"for_ms\":60000}"
#define ALL_READ      "{\"slots\":true,\"parcels\":true,\"for_ms\":60000}"
#define NOT_ALL       "{\"slots\":false,\"for_ms\":60000}"

static struct config config;

static bool report(struct gateways *gateways, const char *body)
{
    const struct broker_delivery delivery = {.consumer_tag = SLICE("gateways"), .body = slice_of(body)};
    return gateways_delivery(gateways, &delivery);
}

static int setup(void **state)
{
    config = (struct config){.parcels = 1};
    *state = gateways_new(NULL, &config, "projects");
    return 0;
}

static int teardown(void **state)
{
    gateways_free(*state);
    return 0;
}

static void test_keys_when_all_gateways_bind_slots_then_by_slot_alone(void **state)
{
    assert_int_equal(gateways_keys(*state, REPLY), EVENT_KEYS_BOTH); /* before the first report */
    assert_true(report(*state, ALL));
    assert_int_equal(gateways_keys(*state, REPLY), EVENT_KEYS_SLOT);
    assert_int_equal(gateways_keys(*state, SLICE("")), EVENT_KEYS_SLOT);
    assert_false(gateways_delivery(*state, &(struct broker_delivery){.consumer_tag = SLICE("members")}));
}

static void test_keys_when_one_gateway_says_otherwise_then_both(void **state)
{
    assert_true(report(*state, NOT_ALL));
    assert_true(report(*state, ALL)); /* another one has not heard of it yet */
    assert_int_equal(gateways_keys(*state, REPLY), EVENT_KEYS_BOTH);
}

static void test_keys_when_a_gateway_of_the_version_before_has_sent_a_command_then_both(void **state)
{
    assert_true(report(*state, ALL));
    assert_int_equal(gateways_keys(*state, OLD_REPLY), EVENT_KEYS_BOTH);
    assert_int_equal(gateways_keys(*state, REPLY), EVENT_KEYS_BOTH); /* its clients listen */
}

static void test_keys_when_the_gateways_are_silent_then_both(void **state)
{
    assert_true(report(*state, "{\"slots\":true,\"for_ms\":1}"));
    usleep(3000);
    assert_int_equal(gateways_keys(*state, REPLY), EVENT_KEYS_BOTH);
}

static void test_keys_when_the_setting_keeps_companies_then_both(void **state)
{
    config.events_by_company = 1;
    assert_true(report(*state, ALL));
    assert_int_equal(gateways_keys(*state, REPLY), EVENT_KEYS_BOTH);
}

static void test_report_when_it_cannot_be_read_then_nothing_changes(void **state)
{
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "{\"slots\":true}",
                                         "{\"slots\":true,\"for_ms\":-1}",
                                         "{\"slots\":true,\"for_ms\":9223372036854775807}",
                                         "{\"slots\":true,\"for_ms\":\"60000\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_true(report(*state, bodies[i]));
    assert_int_equal(gateways_keys(*state, REPLY), EVENT_KEYS_BOTH);
}

static void test_parcels_when_all_gateways_read_them_then_yes(void **state)
{
    assert_false(gateways_read_parcels(*state, PARCELS_REPLY)); /* before the first report */
    assert_true(report(*state, ALL_READ));
    assert_true(gateways_read_parcels(*state, PARCELS_REPLY));
    assert_true(gateways_read_parcels(*state, SLICE("")));
    assert_int_equal(gateways_keys(*state, PARCELS_REPLY), EVENT_KEYS_SLOT);
}

static void test_parcels_when_one_gateway_says_otherwise_or_nothing_then_no(void **state)
{
    static const char *const others[] = {ALL, NOT_ALL, "{\"slots\":true,\"parcels\":false,\"for_ms\":60000}"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct gateways *gateways = gateways_new(NULL, &config, "projects");
        assert_true(report(gateways, ALL_READ));
        assert_true(gateways_read_parcels(gateways, PARCELS_REPLY));
        assert_true(report(gateways, others[i]));
        assert_true(report(gateways, ALL_READ)); /* another one has not heard of it yet */
        assert_false(gateways_read_parcels(gateways, PARCELS_REPLY));
        gateways_free(gateways);
    }
    assert_true(report(*state, "{\"slots\":true,\"parcels\":true,\"for_ms\":1}"));
    usleep(3000);
    assert_false(gateways_read_parcels(*state, PARCELS_REPLY));
}

static void test_parcels_when_somebody_else_waits_for_a_reply_then_no(void **state)
{
    static const struct slice replies[] = {SLICE("slots.0199aaaa-0000-7000-8000-000000000001"),
                                           SLICE("reply.0199aaaa-0000-7000-8000-000000000001"),
                                           SLICE("a.queue.of.my.own")};
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        struct gateways *gateways = gateways_new(NULL, &config, "projects");
        assert_true(report(gateways, ALL_READ));
        assert_false(gateways_read_parcels(gateways, replies[i]));
        assert_false(gateways_read_parcels(gateways, PARCELS_REPLY)); /* its clients listen */
        gateways_free(gateways);
    }
    (void)state;
}

static void test_parcels_when_a_setting_is_against_them_then_no(void **state)
{
    assert_true(report(*state, ALL_READ));
    config.events_by_company = 1;
    assert_false(gateways_read_parcels(*state, PARCELS_REPLY));
    config = (struct config){.parcels = 0};
    assert_false(gateways_read_parcels(*state, PARCELS_REPLY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keys_when_all_gateways_bind_slots_then_by_slot_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_keys_when_one_gateway_says_otherwise_then_both, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_keys_when_a_gateway_of_the_version_before_has_sent_a_command_then_both, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_when_the_gateways_are_silent_then_both, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_when_the_setting_keeps_companies_then_both, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_parcels_when_all_gateways_read_them_then_yes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parcels_when_one_gateway_says_otherwise_or_nothing_then_no,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_parcels_when_somebody_else_waits_for_a_reply_then_no, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_parcels_when_a_setting_is_against_them_then_no, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_when_it_cannot_be_read_then_nothing_changes, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
