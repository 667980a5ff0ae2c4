#include "tests/unit/gateway/centrifuge/centrifuge_fixture.h"

#define CHANNEL "company:" COMPANY
#define TASK_OF "project:" PROJECT

/* Commands that the protocol has and clients do not need here. */

static void test_publish_when_asked_then_denied_as_clients_write_through_the_api(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"publish\":{\"channel\":\"" CHANNEL "\",\"data\":{}}}");
    assert_sent("> {\"id\":2,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    say("{\"id\":3,\"publish\":{\"channel\":\"weather\",\"data\":{}}}");
    assert_sent("> {\"id\":3,\"error\":{\"code\":102,\"message\":\"unknown channel\"}}\n");
    say("{\"id\":4,\"publish\":{\"data\":{}}}");
    assert_closed(3501);
}

static void test_send_when_nobody_hears_it_then_closed_saying_so(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":9,\"ping\":{}}");
    assert_sent("> {\"id\":9,\"error\":{\"code\":108,\"message\":\"not available\"}}\n");
    say("{\"send\":{\"data\":1}}");
    assert_closed(3508);
}

static void test_sub_refresh_when_subscribed_then_nothing_expires(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"sub_refresh\":{\"channel\":\"" CHANNEL "\",\"token\":\"x\"}}");
    assert_sent("> {\"id\":2,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    subscribe_company("7");
    say("{\"id\":3,\"sub_refresh\":{\"channel\":\"" CHANNEL "\",\"token\":\"x\"}}");
    assert_sent("> {\"id\":3,\"sub_refresh\":{}}\n");
}

/* Rates. */

static void test_commands_when_more_than_the_burst_then_111_and_then_closed(void **state)
{
    (void)state;
    config.ws_commands_burst = 3;
    connect_client();
    for (int i = 0; i < 2; i++)
        say("{\"id\":2,\"ping\":{}}");
    forget_sent();
    say("{\"id\":3,\"ping\":{}}");
    assert_sent(
        "> {\"id\":3,\"error\":{\"code\":111,\"message\":\"too many requests\",\"temporary\":true}}\n");
    for (int i = 0; i < 2; i++)
        say("{\"id\":4,\"ping\":{}}");
    assert_closed(0);
    say("{\"id\":5,\"ping\":{}}");
    assert_closed(3013);
}

static void test_commands_when_time_has_passed_then_taken_again(void **state)
{
    (void)state;
    config.ws_commands_burst = 1;
    connect_client();
    say("{\"id\":2,\"ping\":{}}");
    assert_sent(
        "> {\"id\":2,\"error\":{\"code\":111,\"message\":\"too many requests\",\"temporary\":true}}\n");
    socket_of_test.session.commands -= 0.02;
    say("{\"id\":3,\"ping\":{}}");
    assert_sent("> {\"id\":3,\"error\":{\"code\":108,\"message\":\"not available\"}}\n");
}

static void test_subscribe_when_too_often_then_111(void **state)
{
    (void)state;
    config.ws_subscribes_per_s = 1;
    connect_client();
    for (int i = 0; i < 4; i++) /* three channels, and one that this second allows */
        say("{\"id\":2,\"subscribe\":{\"channel\":\"weather\"}}");
    forget_sent();
    say("{\"id\":3,\"subscribe\":{\"channel\":\"" CHANNEL "\"}}");
    assert_sent(
        "> {\"id\":3,\"error\":{\"code\":111,\"message\":\"too many requests\",\"temporary\":true}}\n");
    assert_closed(0);
}

static void test_connect_when_the_user_has_as_many_sockets_as_it_may_then_3504(void **state)
{
    (void)state;
    struct uuid user;
    assert_true(uuid_parse(SLICE(USER), &user));
    user_counts_free(gateway.user_counts);
    gateway.user_counts = user_counts_new(1);
    assert_true(user_counts_enter(gateway.user_counts, &user));
    say("{\"id\":1,\"connect\":{\"token\":\"good\"}}");
    assert_closed(3504);
    user_counts_leave(gateway.user_counts, &user);
    assert_true(user_counts_enter(gateway.user_counts, &user)); /* who was refused does not count */
}

static void test_connect_when_the_session_ends_then_the_next_may_come(void **state)
{
    (void)state;
    struct uuid user;
    assert_true(uuid_parse(SLICE(USER), &user));
    user_counts_free(gateway.user_counts);
    gateway.user_counts = user_counts_new(1);
    connect_client();
    assert_false(user_counts_enter(gateway.user_counts, &user));
    session_end(&socket_of_test.session);
    assert_true(user_counts_enter(gateway.user_counts, &user));
    user_counts_leave(gateway.user_counts, &user);
}

/* History. */

static void history(const char *params)
{
    char command[256];
    snprintf(command, sizeof(command), "{\"id\":3,\"history\":{\"channel\":\"" CHANNEL "\"%s}}", params);
    say(command);
}

static void events_up_to(int64_t last)
{
    for (int64_t seq = 8; seq <= last; seq++)
        event(seq);
    script_turn(&gateway);
    forget_sent();
}

#define EVENT(seq) "{\"data\":{\"seq\":" #seq "},\"offset\":" #seq "}"
#define HISTORY(publications, last) \
    "> {\"id\":3,\"history\":{\"publications\":[" publications "],\"epoch\":\"e1\",\"offset\":" #last "}}\n"

static void test_history_when_without_a_limit_then_where_the_stream_stands(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("7");
    history("");
    assert_sent(HISTORY("", 7));
}

static void test_history_when_recent_then_from_memory(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("7");
    events_up_to(10);
    history(",\"limit\":-1,\"since\":{\"offset\":7,\"epoch\":\"e1\"}");
    assert_sent(HISTORY(EVENT(8) "," EVENT(9) "," EVENT(10), 10));
    history(",\"limit\":1,\"since\":{\"offset\":8}");
    assert_sent(HISTORY(EVENT(9), 10));
    history(",\"limit\":2,\"reverse\":true");
    assert_sent(HISTORY(EVENT(10) "," EVENT(9), 10));
    history(",\"limit\":2,\"reverse\":true,\"since\":{\"offset\":10}");
    assert_sent(HISTORY(EVENT(9) "," EVENT(8), 10));
    history(",\"limit\":5,\"since\":{\"offset\":10,\"epoch\":\"e1\"}");
    assert_sent(HISTORY("", 10));
}

static void test_history_when_older_then_from_the_database(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("7");
    events_up_to(8);
    history(",\"limit\":3,\"since\":{\"offset\":2}");
    assert_sent("");
    script_rows("hub.history", 3, 5);
    assert_sent(HISTORY(EVENT(3) "," EVENT(4) "," EVENT(5), 8));
    history(",\"limit\":3,\"reverse\":true");
    assert_string_equal(script_expect("hub.history_reverse")->params[2], "8");
    script_rows("hub.history_reverse", 6, 8);
    assert_sent(HISTORY(EVENT(6) "," EVENT(7) "," EVENT(8), 8)); /* as the rows come */
    history(",\"limit\":100");
    assert_string_equal(script_expect("hub.history")->params[3], "10"); /* ws_history_max */
    script_fail("hub.history", ERR_DATABASE_UNAVAILABLE);
    assert_sent(
        "> {\"id\":3,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n");
}

static void test_history_when_the_position_is_gone_then_112(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("7");
    history(",\"limit\":3,\"since\":{\"offset\":2,\"epoch\":\"e0\"}");
    assert_sent("> {\"id\":3,\"error\":{\"code\":112,\"message\":\"unrecoverable position\"}}\n");
    history(",\"limit\":3,\"since\":{\"offset\":2,\"epoch\":\"e1\"}");
    script_rows("hub.history", 5, 7);
    assert_sent("> {\"id\":3,\"error\":{\"code\":112,\"message\":\"unrecoverable position\"}}\n");
}

static void test_history_when_not_subscribed_or_malformed_then_refused(void **state)
{
    static const char *const bad[] = {",\"limit\":1.5", ",\"limit\":\"1\"", ",\"limit\":2147483648",
                                      ",\"since\":7",   ",\"reverse\":1",   ",\"since\":{\"offset\":-1}"};
    (void)state;
    connect_client();
    history("");
    assert_sent("> {\"id\":3,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    subscribe_company("7");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        history(bad[i]);
        assert_sent("> {\"id\":3,\"error\":{\"code\":107,\"message\":\"bad request\"}}\n");
    }
}

static void test_history_when_the_session_ends_meanwhile_then_the_query_is_dropped(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("7");
    history(",\"limit\":3");
    session_end(&socket_of_test.session);
    assert_null(script_find("hub.history"));
    assert_sent("");
}

static void test_history_when_too_many_wait_then_111(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("7");
    history(",\"limit\":3");
    history(",\"limit\":3");
    history(",\"limit\":3");
    assert_sent(
        "> {\"id\":3,\"error\":{\"code\":111,\"message\":\"too many requests\",\"temporary\":true}}\n");
    script_rows("hub.history", 1, 3);
    forget_sent();
    history(",\"limit\":3");
    assert_sent("");
}

/* Presence; over several processes in test_presence.c. */

static bool something_was_sent(void)
{
    return buf_len(&socket_of_test.sent) > 0;
}

static void test_presence_when_asked_then_who_is_here(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"presence\":{\"channel\":\"" CHANNEL "\"}}");
    assert_sent("> {\"id\":2,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    subscribe_company("7");
    say("{\"id\":3,\"presence\":{\"channel\":\"" CHANNEL "\"}}");
    assert_sent(""); /* others may have something to say */
    script_wait(&gateway, something_was_sent);
    assert_sent("> {\"id\":3,\"presence\":{\"presence\":{\"" USER "\":{\"client\":\"" USER
                "\",\"user\":\"" USER "\"}}}}\n");
    say("{\"id\":4,\"presence_stats\":{\"channel\":\"" CHANNEL "\"}}"); /* it is watched now */
    assert_sent("> {\"id\":4,\"presence_stats\":{\"num_clients\":1,\"num_users\":1}}\n");
}

static void test_presence_when_the_session_ends_meanwhile_then_forgotten(void **state)
{
    (void)state;
    connect_client();
    subscribe_company("7");
    say("{\"id\":3,\"presence\":{\"channel\":\"" CHANNEL "\"}}");
    session_end(&socket_of_test.session);
    assert_null(socket_of_test.session.works);
}

static void test_join_leave_when_asked_for_then_ones_own_join_comes_after_the_answer(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"subscribe\":{\"channel\":\"" CHANNEL "\",\"join_leave\":true}}");
    script_row("hub.position", "e1", "7");
    forget_sent();
    script_wait(&gateway, something_was_sent);
    assert_sent("> {\"push\":{\"channel\":\"" CHANNEL "\",\"join\":{\"info\":{\"client\":\"" USER
                "\",\"user\":\"" USER "\"}}}}\n");
}

/* Requests of the HTTP API. */

static void test_rpc_when_answered_then_status_headers_and_body(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"rpc\":{\"method\":\"POST /v1/projects\",\"data\":{\"body\":{\"name\":\"x\"},"
        "\"headers\":{\"Idempotency-Key\":\"k\"}}}}");
    assert_string_equal(rpc_line, "POST /v1/projects");
    assert_string_equal(rpc_body, "{\"name\":\"x\"}");
    assert_string_equal(rpc_header, "Idempotency-Key: k");
    assert_sent("");
    const struct rpc_answer answer = {.status = 201,
                                      .content_type = "application/json",
                                      .headers = SLICE("ETag: \"1\"\r\nLocation: /v1/projects/7\r\n"),
                                      .body = SLICE("{\"a\":\n1}")};
    rpc_asked->on_answer(rpc_asked, &answer);
    assert_sent("> {\"id\":2,\"rpc\":{\"data\":{\"status\":201,\"headers\":{\"etag\":\"\\\"1\\\"\","
                "\"location\":\"/v1/projects/7\"},\"body\":{\"a\": 1}}}}\n");
}

static void test_rpc_when_answered_without_a_body_or_with_text_then_so_it_says(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"rpc\":{\"method\":\"DELETE /v1/projects/7\"}}");
    assert_string_equal(rpc_body, "");
    rpc_asked->on_answer(rpc_asked, &(struct rpc_answer){.status = 204, .headers = SLICE("")});
    assert_sent("> {\"id\":2,\"rpc\":{\"data\":{\"status\":204,\"headers\":{}}}}\n");
    say("{\"id\":3,\"rpc\":{\"method\":\"GET /x\",\"data\":null}}");
    rpc_asked->on_answer(rpc_asked, &(struct rpc_answer){.status = 200,
                                                         .content_type = "text/csv",
                                                         .headers = SLICE(""),
                                                         .body = SLICE("a,\"b\"\n")});
    assert_sent(
        "> {\"id\":3,\"rpc\":{\"data\":{\"status\":200,\"headers\":{},\"body\":\"a,\\\"b\\\"\\n\"}}}\n");
}

static void test_rpc_when_malformed_then_refused(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"rpc\":{\"method\":\"project.create\"}}");
    assert_sent("> {\"id\":2,\"error\":{\"code\":104,\"message\":\"method not found\"}}\n");
    say("{\"id\":2,\"rpc\":{}}");
    assert_sent("> {\"id\":2,\"error\":{\"code\":104,\"message\":\"method not found\"}}\n");
    static const char *const bad[] = {"[]", "\"x\"", "{\"headers\":[]}", "{\"headers\":{\"a\":1}}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char command[128];
        snprintf(command, sizeof(command), "{\"id\":2,\"rpc\":{\"method\":\"GET /v1/projects\",\"data\":%s}}",
                 bad[i]);
        say(command);
        assert_sent("> {\"id\":2,\"error\":{\"code\":107,\"message\":\"bad request\"}}\n");
    }
    assert_null(rpc_asked);
}

/* Values that JSON allows and its reader refuses. */
static const char *const unreadable[] = {
    "\"\\ud800\"",
    "{\"\\udfff}\":1}",
    "12345678901234567890",
    "-99999999999999999999",
    "1e999",
    "{\"a\":1,\"a\":2}",
    "{\"\\u0000\":1}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "[1,,2]",
};

static void test_connect_when_its_data_is_unreadable_then_it_is_not_read(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } forms[] = {
        {"{\"id\":1,\"connect\":{\"token\":\"good\",\"data\":", "}}"},
        {" {\"connect\" : {\"data\":", ",\"token\":\"good\",\"name\":\"js\"} , \"id\" : 1 } "},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        for (size_t j = 0; j < ARRAY_LEN(unreadable); j++) {
            char command[256];
            snprintf(command, sizeof(command), "%s%s%s", forms[i].before, unreadable[j], forms[i].after);
            say(command);
            assert_int_equal(socket_of_test.session.state, SESSION_CONNECTED);
            assert_closed(0);
            tear_down(state);
            set_up(state);
        }
    say("{\"id\":1,\"connect\":{\"token\":\"good\",\"name\":\"\\ud800\"}}");
    assert_closed(3501);
}

static void test_command_when_it_has_an_unreadable_value_then_it_alone_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } commands[] = {
        {"{\"id\":7,\"rpc\":{\"method\":\"POST /v1/projects\",\"data\":{\"body\":", "}}}"},
        {" {\"rpc\" : {\"data\":", "} , \"id\" : 7 } "},
        {"{\"publish\":{\"channel\":\"x\",\"data\":", "},\"id\":7.0}"},
        {"{\"id\":7,\"subscribe\":{\"channel\":\"x\",\"data\":", "}}"},
        {"{\"id\":7,\"history\":", "}"},
    };
    config.ws_commands_burst = 1000;
    connect_client();
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        for (size_t j = 0; j < ARRAY_LEN(unreadable); j++) {
            char command[256];
            snprintf(command, sizeof(command), "%s%s%s", commands[i].before, unreadable[j],
                     commands[i].after);
            say(command);
            assert_sent("> {\"id\":7,\"error\":{\"code\":107,\"message\":\"bad request\"}}\n");
        }
    assert_closed(0);
    assert_null(rpc_asked);
}

static void test_rpc_when_the_session_ends_then_the_call_is_forgotten(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"rpc\":{\"method\":\"GET /v1/projects\"}}");
    session_end(&socket_of_test.session);
    assert_int_equal(rpc_forgotten, 1);
}

static void test_rpc_when_too_many_wait_then_111(void **state)
{
    (void)state;
    connect_client();
    for (int i = 0; i < 3; i++)
        say("{\"id\":2,\"rpc\":{\"method\":\"GET /v1/projects\"}}");
    assert_sent(
        "> {\"id\":2,\"error\":{\"code\":111,\"message\":\"too many requests\",\"temporary\":true}}\n");
}

/* Channels of the token. */

#define WELCOME                                                                                  \
    "> {\"id\":1,\"connect\":{\"client\":\"" USER "\",\"version\":\"cortexbuild " CORTEX_VERSION \
    "\",\"expires\":true,\"ttl\":3600,\"ping\":25,\"pong\":true"
#define AT(offset) "\"recoverable\":true,\"positioned\":true,\"epoch\":\"e1\",\"offset\":" #offset

static void test_connect_when_the_token_names_channels_then_answered_when_they_have_started(void **state)
{
    (void)state;
    named_channels[0] = CHANNEL;
    named_channels[1] = "news:of-another-service";
    named_channels[2] = TASK_OF;
    say("{\"id\":1,\"connect\":{\"token\":\"good\"}}");
    assert_sent("");
    script_row("hub.position", "e1", "7");
    event(8);
    script_turn(&gateway); /* the first is live already: what it gets waits */
    assert_sent("");
    script_row("hub.projects", "1", "");
    assert_sent(WELCOME ",\"subs\":{\"" CHANNEL "\":{" AT(7) "},\"" TASK_OF "\":{" AT(
        8) "}}}}\n"
           "> {\"push\":{\"channel\":\"" CHANNEL "\",\"pub\":{\"data\":{\"seq\":8},\"offset\":8}}}\n");
    event(9);
    script_turn(&gateway);
    assert_sent("> {\"push\":{\"channel\":\"" CHANNEL "\",\"pub\":{\"data\":{\"seq\":9},\"offset\":9}}}\n");
}

static void test_connect_when_it_gives_positions_then_the_named_channels_recover(void **state)
{
    (void)state;
    named_channels[0] = CHANNEL;
    say("{\"id\":1,\"connect\":{\"token\":\"good\",\"subs\":{\"" CHANNEL
        "\":{\"recover\":true,\"epoch\":\"e1\",\"offset\":6}}}}");
    script_row("hub.position", "e1", "7");
    script_events(7, 7, "");
    assert_sent(WELCOME ",\"subs\":{\"" CHANNEL
                        "\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e1\","
                        "\"offset\":6,\"was_recovering\":true,\"recovered\":true,\"publications\":["
                        "{\"data\":{\"seq\":7},\"offset\":7}]}}}}\n");
}

static void test_connect_when_a_named_project_is_gone_then_without_it(void **state)
{
    (void)state;
    named_channels[0] = TASK_OF;
    say("{\"id\":1,\"connect\":{\"token\":\"good\"}}");
    script_row("hub.position", "e1", "7");
    script_nothing("hub.projects");
    assert_sent(WELCOME "}}\n");
    assert_int_equal(socket_of_test.session.subscription_count, 0);
}

static void test_connect_when_the_database_fails_then_100_and_it_comes_again(void **state)
{
    (void)state;
    named_channels[0] = CHANNEL;
    say("{\"id\":1,\"connect\":{\"token\":\"good\"}}");
    script_fail("hub.position", ERR_DATABASE_UNAVAILABLE);
    assert_sent(
        "> {\"id\":1,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n");
}

static void test_connect_when_the_token_names_more_than_there_may_be_then_3505(void **state)
{
    (void)state;
    config.ws_max_channels = 1;
    named_channels[0] = CHANNEL;
    named_channels[1] = TASK_OF;
    say("{\"id\":1,\"connect\":{\"token\":\"good\"}}");
    assert_closed(3505);
}

static void test_named_channel_when_its_stream_is_lost_then_3010(void **state)
{
    (void)state;
    named_channels[0] = CHANNEL;
    say("{\"id\":1,\"connect\":{\"token\":\"good\"}}");
    script_row("hub.position", "e1", "7");
    struct uuid company;
    assert_true(uuid_parse(SLICE(COMPANY), &company));
    hub_on_watched(gateway.hub, &company);
    script_row("hub.position", "e2", "0");
    assert_closed(3010);
}

static void test_refresh_when_the_new_token_names_others_then_pushed(void **state)
{
    (void)state;
    named_channels[0] = TASK_OF;
    say("{\"id\":1,\"connect\":{\"token\":\"good\"}}");
    script_row("hub.position", "e1", "7");
    script_row("hub.projects", "1", "");
    forget_sent();
    named_channels[0] = CHANNEL;
    say("{\"id\":2,\"refresh\":{\"token\":\"good\"}}");
    assert_sent("> {\"id\":2,\"refresh\":{\"client\":\"" USER "\",\"version\":\"cortexbuild " CORTEX_VERSION
                "\",\"expires\":true,\"ttl\":3600}}\n"
                "> {\"push\":{\"channel\":\"" CHANNEL
                "\",\"subscribe\":{" AT(7) "}}}\n"
                                           "> {\"push\":{\"channel\":\"" TASK_OF
                                           "\",\"unsubscribe\":{\"code\":2000,"
                                           "\"reason\":\"unsubscribed by server\"}}}\n");
}

#define WITH_SESSION(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SESSION(test_publish_when_asked_then_denied_as_clients_write_through_the_api),
        WITH_SESSION(test_send_when_nobody_hears_it_then_closed_saying_so),
        WITH_SESSION(test_sub_refresh_when_subscribed_then_nothing_expires),
        WITH_SESSION(test_commands_when_more_than_the_burst_then_111_and_then_closed),
        WITH_SESSION(test_commands_when_time_has_passed_then_taken_again),
        WITH_SESSION(test_subscribe_when_too_often_then_111),
        WITH_SESSION(test_connect_when_the_user_has_as_many_sockets_as_it_may_then_3504),
        WITH_SESSION(test_connect_when_the_session_ends_then_the_next_may_come),
        WITH_SESSION(test_history_when_without_a_limit_then_where_the_stream_stands),
        WITH_SESSION(test_history_when_recent_then_from_memory),
        WITH_SESSION(test_history_when_older_then_from_the_database),
        WITH_SESSION(test_history_when_the_position_is_gone_then_112),
        WITH_SESSION(test_history_when_not_subscribed_or_malformed_then_refused),
        WITH_SESSION(test_history_when_the_session_ends_meanwhile_then_the_query_is_dropped),
        WITH_SESSION(test_history_when_too_many_wait_then_111),
        WITH_SESSION(test_presence_when_asked_then_who_is_here),
        WITH_SESSION(test_presence_when_the_session_ends_meanwhile_then_forgotten),
        WITH_SESSION(test_join_leave_when_asked_for_then_ones_own_join_comes_after_the_answer),
        WITH_SESSION(test_rpc_when_answered_then_status_headers_and_body),
        WITH_SESSION(test_rpc_when_answered_without_a_body_or_with_text_then_so_it_says),
        WITH_SESSION(test_rpc_when_malformed_then_refused),
        WITH_SESSION(test_connect_when_its_data_is_unreadable_then_it_is_not_read),
        WITH_SESSION(test_command_when_it_has_an_unreadable_value_then_it_alone_is_refused),
        WITH_SESSION(test_rpc_when_the_session_ends_then_the_call_is_forgotten),
        WITH_SESSION(test_rpc_when_too_many_wait_then_111),
        WITH_SESSION(test_connect_when_the_token_names_channels_then_answered_when_they_have_started),
        WITH_SESSION(test_connect_when_it_gives_positions_then_the_named_channels_recover),
        WITH_SESSION(test_connect_when_a_named_project_is_gone_then_without_it),
        WITH_SESSION(test_connect_when_the_database_fails_then_100_and_it_comes_again),
        WITH_SESSION(test_connect_when_the_token_names_more_than_there_may_be_then_3505),
        WITH_SESSION(test_named_channel_when_its_stream_is_lost_then_3010),
        WITH_SESSION(test_refresh_when_the_new_token_names_others_then_pushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
