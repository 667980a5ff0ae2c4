#include "tests/unit/gateway/centrifuge/centrifuge_fixture.h"

/* Connecting. */

static void test_connect_when_the_token_is_good_then_welcome(void **state)
{
    (void)state;
    say("{\"id\":1,\"connect\":{\"token\":\"good\",\"name\":\"js\",\"subs\":{}}}");
    assert_sent("> {\"id\":1,\"connect\":{\"client\":\"" USER "\",\"version\":\"cortexbuild " CORTEX_VERSION
                "\",\"expires\":true,\"ttl\":3600,\"ping\":25,\"pong\":true}}\n");
    assert_closed(0);
    assert_true(socket_of_test.limit_ms >= 12400 && socket_of_test.limit_ms <= 25000);
}

static void test_connect_when_without_a_token_then_unauthorized_and_the_rest_is_ignored(void **state)
{
    (void)state;
    say("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"company:" COMPANY "\"}}");
    assert_sent("> {\"id\":1,\"error\":{\"code\":101,\"message\":\"unauthorized\"}}\n");
    assert_closed(0);
    pass_to(10);
    assert_closed(3502);
}

static void test_connect_when_the_token_has_expired_then_told_to_get_another(void **state)
{
    (void)state;
    say("{\"id\":1,\"connect\":{\"token\":\"old\"}}");
    assert_sent("> {\"id\":1,\"error\":{\"code\":109,\"message\":\"token expired\"}}\n");
    assert_closed(0);
}

static void test_connect_when_the_token_is_bad_then_disconnected_for_good(void **state)
{
    (void)state;
    say("{\"id\":1,\"connect\":{\"token\":\"forged\"}}");
    assert_sent("");
    assert_closed(3500);
}

static void test_connect_when_it_does_not_come_then_stale(void **state)
{
    (void)state;
    assert_limit(10000);
    pass_to(10);
    assert_closed(3502);
}

static void test_messages_when_not_of_the_protocol_then_bad_request(void **state)
{
    static const char *const bad[] = {
        "",
        "hello",
        "[]",
        "7",
        "{",
        "{\"id\":2}",
        "{}", /* a pong that nobody asked for */
        "{\"id\":2,\"dance\":{}}",
        "{\"subscribe\":{\"channel\":\"x\"}}", /* no id */
        "{\"id\":0,\"subscribe\":{\"channel\":\"x\"}}",
        "{\"id\":-1,\"subscribe\":{\"channel\":\"x\"}}",
        "{\"id\":4294967296,\"subscribe\":{\"channel\":\"x\"}}",
        "{\"id\":1.5,\"subscribe\":{\"channel\":\"x\"}}",
        "{\"id\":\"1\",\"subscribe\":{\"channel\":\"x\"}}",
        "{\"id\":2,\"subscribe\":[]}",
        "{\"id\":2,\"subscribe\":{}}",
        "{\"id\":2,\"unsubscribe\":{}}",
        "{\"id\":2,\"refresh\":{}}",
        "{\"id\":2,\"connect\":{\"token\":\"good\"}}", /* again */
        "{\"id\":2,\"id\":3,\"subscribe\":{\"channel\":\"x\"}}",
        "{\"id\":2,\"rpc\":{\"data\":[",
        "{\"id\":2,\"rpc\":{\"data\":[[}}",
        "{\"id\":2,\"rpc\":{\"data\":1e999}} {}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        connect_client();
        say(bad[i]);
        assert_closed(3501);
        tear_down(state);
        set_up(state);
    }
    say("{\"id\":1,\"subscribe\":{\"channel\":\"company:" COMPANY "\"}}"); /* before connect */
    assert_closed(3501);
}

/* Subscribing. */

static void test_subscribe_when_in_one_message_with_connect_then_replies_come_in_one(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("41");
    say("{\"id\":3,\"unsubscribe\":{\"channel\":\"company:" COMPANY "\"}}\n"
        "{\"id\":4,\"subscribe\":{\"channel\":\"company:" COMPANY "\"}}\n");
    assert_sent(
        "> {\"id\":3,\"unsubscribe\":{}}\n{\"id\":4,\"subscribe\":{\"recoverable\":true,\"positioned\":true,"
        "\"epoch\":\"e1\",\"offset\":41}}\n");
}

static void test_events_when_subscribed_then_pushed_byte_for_byte_in_one_message_a_turn(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("41");
    event(42);
    event(43);
    script_turn(&gateway);
    assert_sent(
        "> {\"push\":{\"channel\":\"company:" COMPANY "\",\"pub\":{\"data\":{\"seq\":42},\"offset\":42}}}\n"
        "{\"push\":{\"channel\":\"company:" COMPANY "\",\"pub\":{\"data\":{\"seq\":43},\"offset\":43}}}\n");
}

static void test_subscribe_when_recovering_then_the_missed_come_with_the_reply(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"subscribe\":{\"channel\":\"company:" COMPANY
        "\",\"recover\":true,\"epoch\":\"e1\",\"offset\":5}}");
    script_row("hub.position", "e1", "7");
    script_events(1, 7, "");
    assert_sent(
        "> {\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e1\",\"offset\":5,"
        "\"was_recovering\":true,\"recovered\":true,\"publications\":[{\"data\":{\"seq\":6},\"offset\":6},"
        "{\"data\":{\"seq\":7},\"offset\":7}]}}\n");
}

static void test_subscribe_when_it_cannot_recover_then_told_to_reload(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"subscribe\":{\"channel\":\"company:" COMPANY
        "\",\"recover\":true,\"epoch\":\"e0\",\"offset\":5}}");
    script_row("hub.position", "e1", "7");
    assert_sent(
        "> {\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e1\",\"offset\":7,"
        "\"was_recovering\":true,\"recovered\":false}}\n");
}

static void test_subscribe_when_not_allowed_then_its_error(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"subscribe\":{\"channel\":\"weather\"}}");
    assert_sent("> {\"id\":2,\"error\":{\"code\":102,\"message\":\"unknown channel\"}}\n");
    say("{\"id\":3,\"subscribe\":{\"channel\":\"company:" USER "\"}}");
    assert_sent("> {\"id\":3,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    say("{\"id\":4,\"subscribe\":{\"channel\":\"project:" PROJECT "\"}}");
    script_nothing("hub.projects");
    assert_sent("> {\"id\":4,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    say("{\"id\":5,\"subscribe\":{\"channel\":\"project:" PROJECT "\"}}");
    script_fail("hub.projects", ERR_DATABASE_BUSY);
    assert_sent(
        "> {\"id\":5,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n");
    say("{\"id\":6,\"subscribe\":{\"channel\":\"company:" COMPANY "\",\"recover\":true,\"offset\":-1}}");
    assert_sent("> {\"id\":6,\"error\":{\"code\":107,\"message\":\"bad request\"}}\n");
    assert_closed(0);
}

static void test_subscribe_when_already_there_then_its_error(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"subscribe\":{\"channel\":\"company:" COMPANY "\"}}");
    say("{\"id\":3,\"subscribe\":{\"channel\":\"company:" COMPANY "\"}}");
    assert_sent("> {\"id\":3,\"error\":{\"code\":105,\"message\":\"already subscribed\"}}\n");
}

static void test_subscribe_when_over_the_limit_then_its_error(void **state)
{
    (void)state;
    connect_client();
    for (int i = 0; i < 4; i++) {
        char command[200];
        snprintf(command, sizeof(command),
                 "{\"id\":%d,\"subscribe\":{\"channel\":\"project:0199aaaa-0000-7000-8000-00000000000%d\"}}",
                 i + 2, i);
        say(command);
    }
    assert_sent("> {\"id\":5,\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}\n");
}

static void test_unsubscribe_when_the_answer_is_still_out_then_both_are_answered(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"subscribe\":{\"channel\":\"company:" COMPANY "\"}}");
    say("{\"id\":3,\"unsubscribe\":{\"channel\":\"company:" COMPANY "\"}}");
    assert_sent(
        "> {\"id\":2,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n"
        "{\"id\":3,\"unsubscribe\":{}}\n");
    script_row("hub.position", "e1", "7");
    event(8);
    script_turn(&gateway);
    assert_sent("");
}

static void test_stream_when_lost_then_unsubscribed_with_a_code_that_brings_it_back(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("41");
    struct uuid company;
    assert_true(uuid_parse(SLICE(COMPANY), &company));
    hub_on_watched(gateway.hub, &company);
    script_row("hub.position", "e2", "41");
    assert_sent("> {\"push\":{\"channel\":\"company:" COMPANY
                "\",\"unsubscribe\":{\"code\":2500,\"reason\":\"insufficient state\"}}}\n");
    say("{\"id\":3,\"subscribe\":{\"channel\":\"company:" COMPANY
        "\",\"recover\":true,\"epoch\":\"e1\",\"offset\":41}}");
    script_row("hub.position", "e2", "41");
    assert_sent(
        "> {\"id\":3,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e2\",\"offset\":41,"
        "\"was_recovering\":true,\"recovered\":false}}\n");
}

/* The clock. */

static void test_ping_when_answered_then_the_session_goes_on(void **state)
{
    (void)state;
    connect_client();
    for (int i = 0; i < 3; i++) {
        pass_to(25);
        assert_sent("> {}\n");
        assert_limit(8000);
        say("{}");
        assert_limit(25000);
    }
    assert_closed(0);
    say("{}");
    assert_closed(3501);
}

static void test_ping_when_not_answered_then_no_pong(void **state)
{
    (void)state;
    connect_client();
    pass_to(25);
    pass_to(8);
    assert_closed(3012);
}

static void test_ping_when_the_client_has_not_read_it_yet_then_it_is_waited_for(void **state)
{
    (void)state;
    connect_client();
    pass_to(25);
    socket_of_test.backlog = 1000;
    pass_to(8);
    assert_closed(0);
    socket_of_test.backlog = 0;
    pass_to(8);
    assert_closed(3012);
}

static void test_token_when_it_expires_then_disconnected_unless_refreshed(void **state)
{
    (void)state;
    ev_tstamp now = ev_now(gateway.loop);
    token_expires_at = (int64_t)now + 5;
    connect_client();
    assert_true(socket_of_test.limit_ms <= 5000);
    token_expires_at = (int64_t)now + 11; /* 10 whole seconds are left */
    say("{\"id\":2,\"refresh\":{\"token\":\"good\"}}");
    assert_sent("> {\"id\":2,\"refresh\":{\"client\":\"" USER "\",\"version\":\"cortexbuild " CORTEX_VERSION
                "\",\"expires\":true,\"ttl\":10}}\n");
    assert_true(socket_of_test.limit_ms > 5000 && socket_of_test.limit_ms <= 11000);
    session_on_time(&socket_of_test.session);
    assert_closed(0);
    socket_of_test.session.identity.expires_at = (int64_t)now - 1;
    session_on_time(&socket_of_test.session);
    assert_closed(3005);
}

static void test_refresh_when_the_token_is_not_its_own_or_bad_then_disconnected(void **state)
{
    connect_client();
    say("{\"id\":2,\"refresh\":{\"token\":\"old\"}}");
    assert_sent("> {\"id\":2,\"error\":{\"code\":109,\"message\":\"token expired\"}}\n");
    assert_closed(0);
    say("{\"id\":3,\"refresh\":{\"token\":\"stranger\"}}");
    assert_closed(3500);
    tear_down(state);
    set_up(state);
    connect_client();
    say("{\"id\":3,\"refresh\":{\"token\":\"forged\"}}");
    assert_closed(3500);
}

static void test_drain_when_its_turn_has_come_then_shutdown_and_off_its_channels(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("0");
    session_on_drain(&socket_of_test.session);
    assert_closed(3001);
    event(1);
    script_turn(&gateway);
    assert_int_equal(socket_of_test.session.state, SESSION_ENDED);
}

static void test_slow_when_too_much_waits_then_disconnected_and_off_its_channels(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("0");
    session_on_slow(&socket_of_test.session);
    assert_closed(3008);
    event(1);
    script_turn(&gateway);
    assert_sent("");
    assert_int_equal(socket_of_test.session.subscriptions->subscriber.state, SUBSCRIBER_OUT);
}

/* 10,000 of these are open at once. */
static void test_session_when_idle_then_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct session) <= 208);
    assert_true(sizeof(struct subscription) <= 128);
}

#define WITH_SESSION(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SESSION(test_connect_when_the_token_is_good_then_welcome),
        WITH_SESSION(test_connect_when_without_a_token_then_unauthorized_and_the_rest_is_ignored),
        WITH_SESSION(test_connect_when_the_token_has_expired_then_told_to_get_another),
        WITH_SESSION(test_connect_when_the_token_is_bad_then_disconnected_for_good),
        WITH_SESSION(test_connect_when_it_does_not_come_then_stale),
        WITH_SESSION(test_messages_when_not_of_the_protocol_then_bad_request),
        WITH_SESSION(test_subscribe_when_in_one_message_with_connect_then_replies_come_in_one),
        WITH_SESSION(test_events_when_subscribed_then_pushed_byte_for_byte_in_one_message_a_turn),
        WITH_SESSION(test_subscribe_when_recovering_then_the_missed_come_with_the_reply),
        WITH_SESSION(test_subscribe_when_it_cannot_recover_then_told_to_reload),
        WITH_SESSION(test_subscribe_when_not_allowed_then_its_error),
        WITH_SESSION(test_subscribe_when_already_there_then_its_error),
        WITH_SESSION(test_subscribe_when_over_the_limit_then_its_error),
        WITH_SESSION(test_unsubscribe_when_the_answer_is_still_out_then_both_are_answered),
        WITH_SESSION(test_stream_when_lost_then_unsubscribed_with_a_code_that_brings_it_back),
        WITH_SESSION(test_ping_when_answered_then_the_session_goes_on),
        WITH_SESSION(test_ping_when_not_answered_then_no_pong),
        WITH_SESSION(test_ping_when_the_client_has_not_read_it_yet_then_it_is_waited_for),
        WITH_SESSION(test_token_when_it_expires_then_disconnected_unless_refreshed),
        WITH_SESSION(test_refresh_when_the_token_is_not_its_own_or_bad_then_disconnected),
        WITH_SESSION(test_drain_when_its_turn_has_come_then_shutdown_and_off_its_channels),
        WITH_SESSION(test_slow_when_too_much_waits_then_disconnected_and_off_its_channels),
        cmocka_unit_test(test_session_when_idle_then_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
