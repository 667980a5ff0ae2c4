#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "gateway/hub/private.h"

#include "tests/unit/gateway/hub/scripted.h"

#define PROJECT "0199aaaa-0000-7000-8000-00000000000a"
#define OTHER   "0199bbbb-0000-7000-8000-00000000000b"

static struct config config;
static struct gateway gateway;
static struct uuid company, stranger;

/* A client that writes down what it hears: "[5]" started, "[5+]" recovered, "[5-]" not recovered, "6" an event,
 * "!403" refused, "lost". Parts that came as one piece of bytes are joined by a comma. */
struct client {
    struct subscriber subscriber;
    struct buf heard;
    size_t backlog, most; /* most: that there ever was */
    bool leaves;          /* unsubscribes at the next event, as a full socket does */
    bool gathers;         /* what it hears is added to the backlog */
};

static int encodings; /* pieces of bytes made */

static struct client *client_of(struct subscriber *subscriber)
{
    return CONTAINER_OF(subscriber, struct client, subscriber);
}

static void hear(struct client *client, struct slice what)
{
    if (buf_len(&client->heard) > 0)
        buf_append_char(&client->heard, ' ');
    buf_append_slice(&client->heard, what);
    if (client->gathers)
        client->backlog += what.len;
    if (client->backlog > client->most)
        client->most = client->backlog;
}

static struct bytes *encode(const struct channel *channel, const struct publication *const *publications,
                            size_t count)
{
    char text[SCRIPT_TEXT * 8];
    size_t len = 0;
    (void)channel;
    encodings++;
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld", i > 0 ? "," : "",
                                (long long)publications[i]->seq);
    return bytes_copy((struct slice){text, len});
}

static void on_started(struct subscriber *subscriber, const struct hub_start *start)
{
    char text[SCRIPT_TEXT * 8];
    size_t len = (size_t)snprintf(text, sizeof(text), "[%lld%s]", (long long)start->offset,
                                  !start->recover    ? ""
                                  : start->recovered ? "+"
                                                     : "-");
    for (size_t i = 0; i < start->publication_count; i++)
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, ",%lld", (long long)start->publications[i]->seq);
    hear(client_of(subscriber), (struct slice){text, len});
}

static void on_publications(struct subscriber *subscriber, struct bytes *encoded)
{
    struct client *client = client_of(subscriber);
    hear(client, encoded->slice);
    if (client->leaves)
        hub_unsubscribe(subscriber);
}

static void on_refused(struct subscriber *subscriber, enum err err)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "!%d", err_info(err)->http_status);
    hear(client_of(subscriber), (struct slice){text, (size_t)len});
}

static void on_lost(struct subscriber *subscriber)
{
    hear(client_of(subscriber), SLICE("lost"));
}

static size_t backlog(const struct subscriber *subscriber)
{
    return CONTAINER_OF(subscriber, const struct client, subscriber)->backlog;
}

static const struct subscriber_protocol recording = {.encode = encode,
                                                     .on_started = on_started,
                                                     .on_publications = on_publications,
                                                     .on_refused = on_refused,
                                                     .on_lost = on_lost,
                                                     .backlog = backlog};

static void client_init(struct client *client)
{
    *client = (struct client){.subscriber = {.protocol = &recording}};
    buf_init(&client->heard, 1 << 20);
}

static void client_done(struct client *client)
{
    hub_unsubscribe(&client->subscriber);
    buf_done(&client->heard);
}

static void assert_heard(struct client *client, const char *expected)
{
    buf_append_char(&client->heard, '\0');
    assert_string_equal(buf_data(&client->heard), expected);
    client->heard.end--;
}

/* The same, however the events were cut into pieces. */
static void assert_heard_in_pieces(struct client *client, const char *expected)
{
    for (size_t i = client->heard.begin; i < client->heard.end; i++)
        if (client->heard.data[i] == ',')
            client->heard.data[i] = ' ';
    assert_heard(client, expected);
}

static struct hub_request ask_company(void)
{
    return (struct hub_request){
        .company = company, .kind = CHANNEL_COMPANY, .id = company, .role = MSG_ROLE_COMPANY_ADMIN};
}

static struct hub_request ask_project(const char *id)
{
    struct hub_request request = {
        .company = company, .kind = CHANNEL_PROJECT, .role = MSG_ROLE_COMPANY_ADMIN};
    assert_true(uuid_parse(slice_of(id), &request.id));
    return request;
}

static struct hub_request since(struct hub_request request, const char *epoch, int64_t offset)
{
    request.recover = true;
    request.epoch = slice_of(epoch);
    request.offset = offset;
    return request;
}

static void subscribe(struct client *client, struct hub_request request)
{
    hub_subscribe(gateway.hub, &client->subscriber, &request);
}

static void event_of(int64_t seq, const char *project)
{
    char body[SCRIPT_TEXT];
    script_body(seq, body);
    struct event event = {.company = company, .seq = seq, .status = ERR_OK, .body = slice_of(body)};
    event.has_project = uuid_parse(slice_of(project), &event.project);
    hub_on_event(gateway.hub, &event);
}

static void event(int64_t seq)
{
    event_of(seq, "");
}

static void turn(void)
{
    script_turn(&gateway);
}

/* Subscribed to its company at that position, with nothing outstanding. */
static void subscribe_at(struct client *client, const char *seq)
{
    client_init(client);
    subscribe(client, ask_company());
    if (script_find("hub.position"))
        script_row("hub.position", "e1", seq);
}

static bool events_asked(void)
{
    return script_find("hub.events") != NULL;
}

static bool position_asked(void)
{
    return script_find("hub.position") != NULL;
}

static int set_up(void **state)
{
    (void)state;
    config = (struct config){.max_output_bytes = 1 << 20,
                             .recover_max = 1000,
                             .recent_bytes = 1 << 20,
                             .gap_wait_ms = 1,
                             .gap_limit_ms = 300,
                             .position_check_ms = 3600000};
    gateway = (struct gateway){.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV), .config = &config};
    gateway.hub = hub_new(&gateway);
    company = uuid_v7();
    stranger = uuid_v7();
    watched = unwatched = encodings = 0;
    asked_refusal = ERR_OK;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hub_free(gateway.hub);
    script_shut_down(); /* answers that come after the hub find nobody */
    ev_loop_destroy(gateway.loop);
    return 0;
}

/* Who may have what. */

static void test_subscribe_when_of_another_company_then_refused(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    struct hub_request request = ask_company();
    request.id = stranger;
    subscribe(&client, request);
    assert_heard(&client, "!403");
    assert_null(asked_first);
    assert_int_equal(watched, 0);
    client_done(&client);
}

static void test_subscribe_when_the_project_is_not_ours_then_refused_and_asked_again_next_time(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    for (int i = 0; i < 2; i++) {
        subscribe(&client, ask_project(PROJECT));
        struct asked *asked = script_expect("hub.projects");
        char text[UUID_TEXT_LEN + 1];
        uuid_format(&company, text);
        assert_string_equal(asked->params[0], text);
        assert_string_equal(asked->params[1], "{" PROJECT "}");
        script_nothing("hub.projects");
        turn();
    }
    assert_heard(&client, "!403 !403");
    client_done(&client);
}

static void test_subscribe_when_many_ask_for_one_project_then_the_database_is_asked_once(void **state)
{
    (void)state;
    struct client clients[3];
    for (int i = 0; i < 3; i++) {
        client_init(&clients[i]);
        subscribe(&clients[i], ask_project(PROJECT));
    }
    script_row("hub.position", "e1", "7");
    script_row("hub.projects", "1", "");
    assert_null(asked_first);
    for (int i = 0; i < 3; i++) {
        assert_heard(&clients[i], "[7]");
        client_done(&clients[i]);
    }
    assert_int_equal(watched, 1);
}

static void test_subscribe_when_the_company_is_unknown_then_refused(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, ask_company());
    script_nothing("hub.position");
    assert_heard(&client, "!404");
    client_done(&client);
}

static void test_subscribe_when_the_database_fails_then_refused_for_now(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, ask_company());
    script_fail("hub.position", ERR_DATABASE_UNAVAILABLE);
    asked_refusal = ERR_DATABASE_BUSY;
    subscribe(&client, ask_company());
    asked_refusal = ERR_OK;
    subscribe(&client, ask_company());
    script_row("hub.position", "e1", "3");
    assert_heard(&client, "!503 !503 [3]");
    client_done(&client);
}

/* Order. */

static void test_events_when_they_come_before_the_position_then_nothing_is_lost_or_repeated(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, ask_company());
    event(9);
    event(7);
    event(8);
    script_row("hub.position", "e1", "7");
    turn();
    event(9);
    event(10);
    turn();
    assert_heard(&client, "[9] 10");
    client_done(&client);
}

static void test_events_when_of_one_turn_then_one_piece_shared_by_all(void **state)
{
    (void)state;
    struct client clients[10];
    for (int i = 0; i < 10; i++)
        subscribe_at(&clients[i], "0");
    for (int64_t seq = 1; seq <= 5; seq++)
        event(seq);
    turn();
    event(6);
    turn();
    for (int i = 0; i < 10; i++) {
        assert_heard(&clients[i], "[0] 1,2,3,4,5 6");
        client_done(&clients[i]);
    }
    assert_int_equal(encodings, 2);
}

static void test_events_when_overtaken_then_waited_for(void **state)
{
    (void)state;
    struct client client;
    config.gap_wait_ms = 60000;
    subscribe_at(&client, "0");
    event(2);
    event(3);
    turn();
    assert_heard(&client, "[0]");
    event(1);
    turn();
    assert_heard(&client, "[0] 1,2,3");
    assert_null(asked_first);
    client_done(&client);
}

static void test_events_when_one_does_not_come_then_read_from_the_database(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "4");
    event(8);
    script_wait(&gateway, events_asked);
    struct asked *asked = script_expect("hub.events");
    assert_string_equal(asked->params[1], "4");
    assert_string_equal(asked->params[2], "7");
    event(9);
    script_events(1, 9, "");
    turn();
    assert_heard(&client, "[4] 5,6,7,8,9");
    client_done(&client);
}

static void test_events_when_the_missing_cannot_be_read_yet_then_tried_again(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "0");
    event(2);
    script_wait(&gateway, events_asked);
    script_fail("hub.events", ERR_DATABASE_UNAVAILABLE);
    script_wait(&gateway, events_asked);
    script_nothing("hub.events");
    script_wait(&gateway, events_asked);
    script_events(1, 2, "");
    turn();
    assert_heard(&client, "[0] 1,2");
    client_done(&client);
}

static struct tenant *watched_tenant;

static bool gap_timer_has_fired(void)
{
    return !ev_is_active(&watched_tenant->gap);
}

static void test_events_when_a_gap_opens_while_another_is_read_then_it_is_read_too(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "0");
    watched_tenant = client.subscriber.channel->tenant;
    event(2);
    script_wait(&gateway, events_asked);
    event(1);
    event(5);
    script_wait(&gateway, gap_timer_has_fired);
    script_events(1, 5, "");
    script_wait(&gateway, events_asked);
    assert_string_equal(script_expect("hub.events")->params[1], "2");
    script_events(1, 5, "");
    turn();
    assert_heard_in_pieces(&client, "[0] 1 2 3 4 5");
    client_done(&client);
}

static void test_events_when_the_missing_is_gone_for_good_then_lost(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "0");
    event(4);
    script_wait(&gateway, events_asked);
    script_events(3, 3, ""); /* 1 and 2 were dropped */
    assert_heard(&client, "[0] lost");
    subscribe(&client, since(ask_company(), "e1", 0));
    script_row("hub.position", "e1", "4");
    script_events(3, 4, "");
    assert_heard(&client, "[0] lost [4-]");
    client_done(&client);
}

static struct client *waiting_client;

static bool is_lost(void)
{
    struct client *client = waiting_client;
    if (events_asked())
        script_fail("hub.events", ERR_DATABASE_UNAVAILABLE);
    return buf_len(&client->heard) >= 4 &&
           memcmp(buf_data(&client->heard) + buf_len(&client->heard) - 4, "lost", 4) == 0;
}

static void test_events_when_the_missing_cannot_be_read_for_too_long_then_lost(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "0");
    waiting_client = &client;
    config.gap_limit_ms = 20;
    event(2);
    script_wait(&gateway, is_lost);
    assert_heard(&client, "[0] lost");
    client_done(&client);
}

static void test_events_when_many_are_missing_then_read_in_pages(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "0");
    hub_on_watched(gateway.hub, &company);
    script_row("hub.position", "e1", "300");
    for (int page = 0; page < 3; page++) {
        script_wait(&gateway, events_asked);
        script_events(1, 300, "");
    }
    turn();
    assert_null(asked_first);
    assert_int_equal(client.subscriber.channel->tenant->stream.last, 300);
    assert_int_equal(client.subscriber.channel->tenant->flushed, 300);
    client_done(&client);
}

static void test_watched_when_events_came_between_position_and_binding_then_read(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "5");
    hub_on_watched(gateway.hub, &company);
    script_row("hub.position", "e1", "6");
    script_wait(&gateway, events_asked);
    script_events(1, 6, "");
    turn();
    assert_heard(&client, "[5] 6");
    client_done(&client);
}

static void test_gap_when_the_broker_was_away_then_what_was_missed_is_read_in_order(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "5");
    event(6);
    turn();
    hub_on_reconnect(gateway.hub);
    event(9);
    script_wait(&gateway, position_asked);
    script_row("hub.position", "e1", "10");
    script_wait(&gateway, events_asked);
    script_events(1, 10, "");
    script_wait(&gateway, events_asked);
    script_events(1, 10, "");
    turn();
    assert_heard_in_pieces(&client, "[5] 6 7 8 9 10");
    client_done(&client);
}

static void test_gap_when_the_epoch_has_changed_then_lost(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "5");
    hub_on_reconnect(gateway.hub);
    script_wait(&gateway, position_asked);
    script_row("hub.position", "e2", "2");
    assert_heard(&client, "[5] lost");
    client_done(&client);
}

/* The statement runs on the primary, or on a replica, which may be late. */
static void position_of(const char *epoch, const char *seq, bool is_replica)
{
    struct db_result *result = xcalloc(1, sizeof(*result));
    result->rows = 1;
    snprintf(result->text[0][0], SCRIPT_TEXT, "%s", epoch);
    snprintf(result->text[0][1], SCRIPT_TEXT, "%s", seq);
    snprintf(result->text[0][2], SCRIPT_TEXT, "%s", is_replica ? "t" : "f");
    script_answer(script_expect("hub.position"), result);
    free(result);
}

static void test_gap_when_the_sequence_has_gone_back_then_lost_unless_a_replica_says_so(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "5");
    event(6);
    turn();
    hub_on_reconnect(gateway.hub);
    script_wait(&gateway, position_asked);
    position_of("e1", "3", true);
    assert_heard(&client, "[5] 6");
    hub_on_reconnect(gateway.hub);
    script_wait(&gateway, position_asked);
    position_of("e1", "5", false);
    assert_heard(&client, "[5] 6 lost");
    client_done(&client);
}

/* The event came after the question, and the answer was written before it. */
static void test_gap_when_an_event_overtakes_the_position_then_the_sequence_has_not_gone_back(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "5");
    hub_on_reconnect(gateway.hub);
    script_wait(&gateway, position_asked);
    event(6);
    turn();
    position_of("e1", "5", false);
    assert_heard(&client, "[5] 6");
    client_done(&client);
}

static void test_recover_when_the_sequence_has_gone_back_then_who_asks_is_answered_and_the_others_are_lost(
    void **state)
{
    (void)state;
    struct client live, client;
    subscribe_at(&live, "50");
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 70));
    position_of("e1", "8", false);
    assert_heard(&live, "[50] lost");
    assert_heard(&client, "");
    position_of("e1", "8", false);
    position_of("e1", "8", false);
    assert_heard(&client, "[8-]");
    client_done(&live);
    client_done(&client);
}

static void test_events_when_bodies_have_newlines_then_they_become_blanks(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "0");
    struct event spread = {.company = company, .seq = 1, .body = SLICE("{\n\"seq\":\r\n1}")};
    hub_on_event(gateway.hub, &spread);
    const struct stream *stream = &client.subscriber.channel->tenant->stream;
    assert_true(slice_is(stream_recent(stream, 1)->body->slice, "{ \"seq\":  1}"));
    client_done(&client);
}

/* Projects. */

static void test_events_when_of_projects_then_each_channel_has_its_own(void **state)
{
    (void)state;
    struct client all, one, other;
    subscribe_at(&all, "0");
    client_init(&one);
    client_init(&other);
    subscribe(&one, ask_project(PROJECT));
    script_row("hub.projects", "1", "");
    subscribe(&other, ask_project(OTHER));
    script_row("hub.projects", "1", "");
    event_of(1, PROJECT);
    event_of(2, OTHER);
    event_of(3, PROJECT);
    event_of(4, "");
    turn();
    event_of(5, OTHER);
    turn();
    assert_heard(&all, "[0] 1,2,3,4 5");
    assert_heard(&one, "[0] 1,3");
    assert_heard(&other, "[0] 2 5");
    client_done(&all);
    client_done(&one);
    client_done(&other);
}

/* Roles whose rights have conditions. The encoder writes numbers alone as events, so what is seen is told from the body's
 * length: "3" an event, "3-" its number. */

#define ANN "00000000-0000-4000-8000-00000000000a"
#define BOB "00000000-0000-4000-8000-00000000000b"

static struct bytes *encode_seen(const struct channel *channel, const struct publication *const *publications,
                                 size_t count)
{
    char text[SCRIPT_TEXT * 8];
    size_t len = 0;
    (void)channel;
    encodings++;
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(
            text + len, sizeof(text) - len, "%s%lld%s", i > 0 ? "," : "", (long long)publications[i]->seq,
            memmem(publications[i]->body->slice.data, publications[i]->body->slice.len, "type", 4) ? ""
                                                                                                   : "-");
    return bytes_copy((struct slice){text, len});
}

static struct subscriber_protocol seeing;

static void see_as(struct client *client, const char *user)
{
    struct hub_request request = ask_company();
    client_init(client);
    seeing = recording;
    seeing.encode = encode_seen;
    client->subscriber.protocol = &seeing;
    request.role = MSG_ROLE_OPERATIVE;
    assert_true(uuid_parse(slice_of(user), &request.user));
    subscribe(client, request);
}

static void typed_event(int64_t seq, const char *type, const char *project, const char *data)
{
    char body[SCRIPT_TEXT * 2];
    snprintf(body, sizeof(body), "{\"type\":\"%s\",\"seq\":%lld,\"data\":%s}", type, (long long)seq, data);
    struct event event = {.company = company, .seq = seq, .status = ERR_OK, .body = slice_of(body)};
    event.has_project = uuid_parse(slice_of(project), &event.project);
    hub_on_event(gateway.hub, &event);
}

static void
test_company_when_roles_have_conditions_then_one_encoding_for_who_sees_it_and_one_for_who_does_not(
    void **state)
{
    (void)state;
    struct client all, ann, again, bob;
    subscribe_at(&all, "0");
    see_as(&ann, ANN);
    see_as(&again, ANN);
    script_row("hub.ties", PROJECT, "2");
    assert_null(script_find("hub.ties")); /* the user's sessions share the answer */
    see_as(&bob, BOB);
    script_row("hub.ties", OTHER, "2");
    encodings = 0;
    typed_event(1, "task.created", PROJECT, "{}");
    turn();
    assert_int_equal(encodings, 3);
    typed_event(2, "task.created", OTHER, "{}");
    typed_event(3, "client.created", "", "{}");
    typed_event(4, "company.updated", "", "{}");
    turn();
    assert_int_equal(encodings, 6);
    assert_heard(&all, "[0] 1 2,3,4");
    assert_heard(&ann, "[0] 1 3-,4");
    assert_heard(&again, "[0] 1 3-,4");
    assert_heard(&bob, "[0] 1- 2,3-,4");
    assert_null(script_find("hub.ties")); /* no event costs a query */
    client_done(&all);
    client_done(&ann);
    client_done(&again);
    client_done(&bob);
}

static void test_company_when_a_membership_changes_then_its_user_is_held_back_until_it_is_known(void **state)
{
    (void)state;
    struct client all, ann, bob;
    const char *epoch;
    int64_t offset;
    subscribe_at(&all, "0");
    see_as(&ann, ANN);
    script_row("hub.ties", PROJECT, "2");
    see_as(&bob, BOB);
    script_row("hub.ties", OTHER, "2");
    typed_event(1, "project_member.deleted", PROJECT, "{\"version\":1}");
    turn();
    typed_event(2, "task.created", PROJECT, "{}");
    typed_event(3, "company.updated", "", "{}");
    turn();
    assert_heard(&all, "[0] 1 2,3");
    assert_heard(&bob, "[0] 1- 2-,3");
    assert_heard(&ann, "[0]");
    assert_true(hub_position(&ann.subscriber, &epoch, &offset));
    assert_int_equal(offset, 0);
    typed_event(4, "project_member.created", OTHER,
                "{\"user_id\":\"" ANN "\"}"); /* while the answer is on its way */
    turn();
    script_row("hub.ties", PROJECT, "2");
    assert_heard(&ann, "[0]");
    script_row("hub.ties", OTHER, "2");
    assert_heard(&ann, "[0] 2-,3,4");
    typed_event(5, "task.created", OTHER, "{}");
    turn();
    assert_heard(&ann, "[0] 2-,3,4 5");
    assert_true(hub_position(&ann.subscriber, &epoch, &offset));
    assert_int_equal(offset, 5);
    client_done(&all);
    client_done(&ann);
    client_done(&bob);
}

static void
test_company_when_the_ties_cannot_be_read_again_then_its_user_gets_nothing_and_is_lost_when_too_late(
    void **state)
{
    (void)state;
    struct client ann, late;
    see_as(&ann, ANN);
    script_row("hub.position", "e1", "0");
    script_row("hub.ties", PROJECT, "2");
    typed_event(1, "project_member.deleted", PROJECT, "{\"version\":1}");
    turn();
    script_fail("hub.ties", ERR_DATABASE_UNAVAILABLE);
    see_as(&late, ANN); /* asks again */
    config.recent_bytes = 0;
    typed_event(2, "task.created", PROJECT, "{}");
    typed_event(3, "task.created", PROJECT, "{}");
    turn();
    typed_event(4, "task.created", PROJECT, "{}");
    turn();
    assert_heard(&ann, "[0]");
    assert_heard(&late, "");
    script_row("hub.ties", OTHER, "2");
    assert_heard(&ann, "[0] lost");
    assert_heard(&late, "[4]");
    client_done(&ann);
    client_done(&late);
}

/* Recovery. */

static void test_recover_when_nothing_was_missed_then_recovered_with_nothing(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 8));
    script_row("hub.position", "e1", "8");
    event(9);
    turn();
    assert_heard(&client, "[8+] 9");
    client_done(&client);
}

static void test_recover_when_recent_then_from_memory(void **state)
{
    (void)state;
    struct client witness, client;
    subscribe_at(&witness, "5");
    for (int64_t seq = 6; seq <= 9; seq++)
        event_of(seq, seq % 2 ? PROJECT : "");
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 6));
    assert_heard(&witness, "[5] 6,7,8,9"); /* first, so that both go on from the same place */
    assert_heard(&client, "[6+],7,8,9");
    struct client project;
    client_init(&project);
    subscribe(&project, since(ask_project(PROJECT), "e1", 6));
    script_row("hub.projects", "1", "");
    assert_heard(&project, "[6+],7,9");
    event(10);
    turn();
    assert_heard(&client, "[6+],7,8,9 10");
    assert_null(asked_first);
    client_done(&witness);
    client_done(&client);
    client_done(&project);
}

static void test_recover_when_older_than_memory_then_from_the_database_and_on(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 3));
    script_row("hub.position", "e1", "6");
    event(7);
    turn();
    struct asked *asked = script_expect("hub.events");
    assert_string_equal(asked->params[1], "3");
    script_events(1, 7, "");
    turn();
    event(8);
    turn();
    assert_heard(&client, "[3+],4,5,6 7 8");
    client_done(&client);
}

static void test_recover_when_a_project_was_quiet_then_its_offset_moves_on(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_project(PROJECT), "e1", 3));
    script_row("hub.position", "e1", "6");
    script_row("hub.projects", "1", "");
    script_events_of_projects(1, 6, 6, 1000, PROJECT);
    assert_heard(&client, "[6+]");
    client_done(&client);
}

static void test_recover_when_a_project_s_events_are_older_than_memory_then_only_they_are_read(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_project(PROJECT), "e1", 3));
    script_row("hub.position", "e1", "900");
    script_row("hub.projects", "1", "");
    assert_string_equal(script_expect("hub.events_of_projects")->params[4], "{" PROJECT "}");
    script_events_of_projects(1, 900, 900, 300, PROJECT);
    assert_heard(&client, "[3+],300,600,900");
    assert_int_equal(client.subscriber.state, SUBSCRIBER_LIVE);
    client_done(&client);
}

static void test_recover_when_a_project_s_first_missed_event_is_no_longer_kept_then_not(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_project(PROJECT), "e1", 3));
    script_row("hub.position", "e1", "900");
    script_row("hub.projects", "1", "");
    script_events_of_projects(5, 900, 900, 300, PROJECT);
    assert_heard(&client, "[900-]");
    client_done(&client);
}

static void test_recover_when_the_database_is_behind_then_a_project_s_rest_is_read_again(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_project(PROJECT), "e1", 3));
    script_row("hub.position", "e1", "900");
    script_row("hub.projects", "1", "");
    script_events_of_projects(1, 900, 700, 300, PROJECT);
    assert_string_equal(script_expect("hub.events_of_projects")->params[1], "700");
    script_events_of_projects(1, 900, 900, 300, PROJECT);
    assert_heard(&client, "[3+],300,600 900");
    client_done(&client);
}

/* The company has gone further than recover_max, which is 1000. */
static void test_recover_when_the_company_has_gone_far_then_what_the_project_missed_counts(void **state)
{
    (void)state;
    static const struct {
        const char *missed, *heard;
    } cases[] = {{"1000", "[3+],2000"}, {"1001", "[2000-]"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct client client;
        client_init(&client);
        subscribe(&client, since(ask_project(PROJECT), "e1", 3));
        if (script_find("hub.position"))
            script_row("hub.position", "e1", "2000");
        if (script_find("hub.projects"))
            script_row("hub.projects", "1", "");
        assert_string_equal(script_expect("hub.count_of_projects")->params[2], "1001");
        script_row("hub.count_of_projects", cases[i].missed, "");
        if (script_find("hub.events_of_projects"))
            script_events_of_projects(1, 2000, 2000, 2000, PROJECT);
        assert_heard(&client, cases[i].heard);
        assert_int_equal(client.subscriber.state, SUBSCRIBER_LIVE);
        client_done(&client);
    }
}

/* Several projects as one channel. */

static struct uuid set_of_two[2];

static struct hub_request ask_set(void)
{
    struct hub_request request = {.company = company, .role = MSG_ROLE_COMPANY_ADMIN};
    assert_int_equal(channel_parse_list(SLICE("project:" OTHER ",project:" PROJECT), set_of_two, 2, &request),
                     ERR_OK);
    assert_int_equal(request.kind, CHANNEL_PROJECTS);
    return request;
}

static void test_set_when_its_projects_have_events_then_all_of_them_in_one_order(void **state)
{
    (void)state;
    struct client set, again, one;
    subscribe_at(&one, "0");
    client_init(&set);
    client_init(&again);
    subscribe(&set, ask_set());
    subscribe(&again, ask_set());
    assert_string_equal(script_expect("hub.projects")->params[1], "{" PROJECT "," OTHER "}");
    script_row("hub.projects", "2", "");
    assert_null(asked_first);
    encodings = 0;
    event_of(1, PROJECT);
    event_of(2, "");
    event_of(3, OTHER);
    event_of(4, PROJECT);
    turn();
    assert_heard(&set, "[0] 1,3,4");
    assert_heard(&again, "[0] 1,3,4");
    assert_int_equal(encodings, 2); /* once for the company, once for both sets */
    const char *epoch;
    int64_t offset;
    event_of(5, "");
    turn();
    assert_true(hub_position(&set.subscriber, &epoch, &offset));
    assert_int_equal(offset, 5);
    assert_string_equal(epoch, "e1");
    client_done(&set);
    client_done(&again);
    client_done(&one);
}

static void test_set_when_one_of_its_projects_is_not_ours_then_refused(void **state)
{
    (void)state;
    struct client set;
    client_init(&set);
    subscribe(&set, ask_set());
    script_row("hub.projects", "1", "");
    assert_heard(&set, "!403");
    client_done(&set);
}

static void test_channel_list_when_parsed_then_one_channel_or_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *names;
        enum err err;
        enum channel_kind kind;
        size_t projects;
    } cases[] = {
        {"project:" PROJECT, ERR_OK, CHANNEL_PROJECT, 1},
        {"project:" PROJECT ",project:" PROJECT, ERR_OK, CHANNEL_PROJECT, 1},
        {"project:" PROJECT ",project:" OTHER ",project:" PROJECT, ERR_OK, CHANNEL_PROJECTS, 2},
        {"project:" PROJECT ",company:" OTHER, ERR_OK, CHANNEL_COMPANY, 0},
        {"company:" OTHER ",company:" OTHER, ERR_OK, CHANNEL_COMPANY, 0},
        {"company:" OTHER ",company:" PROJECT, ERR_FORBIDDEN, CHANNEL_COMPANY, 0},
        {"", ERR_BAD_REQUEST, CHANNEL_COMPANY, 0},
        {",", ERR_BAD_REQUEST, CHANNEL_COMPANY, 0},
        {"project:" PROJECT ",", ERR_BAD_REQUEST, CHANNEL_COMPANY, 0},
        {",project:" PROJECT, ERR_BAD_REQUEST, CHANNEL_COMPANY, 0},
        {"project:" PROJECT " ,project:" OTHER, ERR_BAD_REQUEST, CHANNEL_COMPANY, 0},
        {"task:" PROJECT, ERR_BAD_REQUEST, CHANNEL_COMPANY, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uuid projects[3];
        struct hub_request request = {.company = company, .role = MSG_ROLE_COMPANY_ADMIN};
        assert_int_equal(channel_parse_list(slice_of(cases[i].names), projects, 3, &request), cases[i].err);
        if (cases[i].err)
            continue;
        assert_int_equal(request.kind, cases[i].kind);
        assert_int_equal(request.project_count, cases[i].projects);
    }
    struct uuid projects[1];
    struct hub_request request = {.company = company, .role = MSG_ROLE_COMPANY_ADMIN};
    assert_int_equal(channel_parse_list(SLICE("project:" PROJECT ",project:" OTHER), projects, 1, &request),
                     ERR_BAD_REQUEST);
}

static void test_recover_when_much_was_missed_then_in_pages_as_the_socket_takes_them(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 0));
    script_row("hub.position", "e1", "300");
    script_events(1, 300, "");
    client.backlog = (size_t)config.max_output_bytes;
    script_events(1, 300, "");
    assert_null(asked_first);
    client.backlog = 0;
    script_wait(&gateway, events_asked);
    script_events(1, 300, "");
    script_events(1, 300, "");
    char expected[4096];
    size_t len = (size_t)snprintf(expected, sizeof(expected), "[0+]");
    for (int seq = 1; seq <= 300; seq++)
        len += (size_t)snprintf(expected + len, sizeof(expected) - len, "%s%d",
                                seq % HUB_PAGE == 1 && seq > 1 ? " " : ",", seq);
    assert_heard(&client, expected);
    assert_int_equal(client.subscriber.state, SUBSCRIBER_LIVE);
    client_done(&client);
}

/* A socket that takes everything, but only between the turns: it is never made to hold more than it may. */
static void recover_as_it_drains(struct client *client, struct hub_request request)
{
    client_init(client);
    client->gathers = true;
    subscribe(client, request);
    if (script_find("hub.projects"))
        script_row("hub.projects", "1", "");
    for (int turns = 0; client->subscriber.state != SUBSCRIBER_LIVE && turns < 1000; turns++) {
        if (events_asked())
            script_events(1, 300, "");
        if (script_find("hub.events_of_projects"))
            script_events_of_projects(1, 300, 300, 2, PROJECT);
        client->backlog = 0;
        ev_sleep(0.001);
        turn();
    }
    assert_int_equal(client->subscriber.state, SUBSCRIBER_LIVE);
    assert_true(client->most > 0);
    assert_true(client->most <= (size_t)config.max_output_bytes);
}

/* "[0+]" and every so-manieth event up to the 300th. */
static void assert_recovered(struct client *client, int step)
{
    char expected[2048];
    size_t len = (size_t)snprintf(expected, sizeof(expected), "[0+]");
    for (int seq = step; seq <= 300; seq += step)
        len += (size_t)snprintf(expected + len, sizeof(expected) - len, " %d", seq);
    assert_heard_in_pieces(client, expected);
}

static void test_recover_when_memory_has_more_than_a_socket_may_hold_then_as_it_drains(void **state)
{
    (void)state;
    struct client witness, all, some;
    subscribe_at(&witness, "0");
    for (int64_t seq = 1; seq <= 300; seq++)
        event_of(seq, seq % 2 ? "" : PROJECT);
    turn();
    config.max_output_bytes = 400; /* of the 1092 octets that a client hears */
    recover_as_it_drains(&all, since(ask_company(), "e1", 0));
    assert_recovered(&all, 1);
    recover_as_it_drains(&some, since(ask_project(PROJECT), "e1", 0));
    assert_recovered(&some, 2);
    client_done(&witness);
    client_done(&all);
    client_done(&some);
}

static void test_recover_when_the_database_has_more_than_a_socket_may_hold_then_as_it_drains(void **state)
{
    (void)state;
    struct client witness, client;
    subscribe_at(&witness, "300");
    config.max_output_bytes = 400;
    recover_as_it_drains(&client, since(ask_company(), "e1", 0));
    assert_recovered(&client, 1);
    client_done(&witness);
    client_done(&client);
}

static void test_recover_when_the_socket_takes_part_of_a_page_then_only_so_much_is_read_next(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    client.gathers = true;
    config.max_output_bytes = 400;
    subscribe(&client, since(ask_company(), "e1", 0));
    script_row("hub.position", "e1", "300");
    script_events(1, 300, "");
    assert_null(asked_first);
    client.backlog = 0;
    script_wait(&gateway, events_asked);
    const struct asked *asked = script_expect("hub.events");
    int64_t taken = strtoll(asked->params[1], NULL, 10), limit = strtoll(asked->params[3], NULL, 10);
    assert_true(taken > 0 && taken < HUB_PAGE);
    assert_int_equal(limit, taken);
    client_done(&client);
}

static void test_recover_when_the_socket_is_full_already_then_nothing_is_added(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 0));
    script_row("hub.position", "e1", "3");
    client.backlog = (size_t)config.max_output_bytes; /* of other channels, while the database was asked */
    script_events(1, 3, "");
    assert_heard(&client, "");
    client.backlog = 0;
    script_wait(&gateway, events_asked);
    script_events(1, 3, "");
    assert_heard(&client, "[0+],1,2,3");
    client_done(&client);
}

static void test_recover_when_too_much_was_missed_then_not(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 3));
    script_row("hub.position", "e1", "1004");
    assert_heard(&client, "[1004-]");
    client_done(&client);
}

static void test_recover_when_of_another_epoch_then_not(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_company(), "e0", 3));
    script_row("hub.position", "e1", "4");
    assert_heard(&client, "[4-]");
    client_done(&client);
}

static void test_recover_when_the_events_were_dropped_then_not(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 3));
    script_row("hub.position", "e1", "9");
    script_events(6, 9, "");
    assert_heard(&client, "[9-]");
    client_done(&client);
}

static void test_recover_when_the_database_fails_then_refused_for_now(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 3));
    script_row("hub.position", "e1", "9");
    script_fail("hub.events", ERR_TIMEOUT);
    assert_heard(&client, "!503");
    client_done(&client);
}

static void test_recover_when_the_client_is_ahead_of_us_then_it_hears_only_what_is_newer(void **state)
{
    (void)state;
    struct client witness, client;
    subscribe_at(&witness, "5");
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 7));
    assert_heard(&client, "");
    script_row("hub.position", "e1", "8");
    assert_heard(&client, "[7+]");
    event(6);
    event(7);
    event(8);
    turn();
    assert_heard(&witness, "[5] 6,7,8");
    assert_heard(&client, "[7+] 8");
    client_done(&witness);
    client_done(&client);
}

static void test_recover_when_the_client_is_ahead_of_the_database_then_not(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, since(ask_company(), "e1", 70));
    script_row("hub.position", "e1", "8");
    assert_heard(&client, "");
    script_row("hub.position", "e1", "8");
    assert_heard(&client, "[8-]");
    client_done(&client);
}

/* Coming and going. */

static void test_unsubscribe_when_answers_are_on_their_way_then_nobody_asks_for_them(void **state)
{
    (void)state;
    struct client client;
    client_init(&client);
    subscribe(&client, ask_project(PROJECT));
    hub_unsubscribe(&client.subscriber);
    turn();
    assert_null(script_find("hub.projects"));
    script_row("hub.position", "e1", "9");
    subscribe(&client, since(ask_company(), "e1", 3));
    hub_unsubscribe(&client.subscriber);
    assert_null(script_find("hub.events"));
    assert_heard(&client, "");
    client_done(&client);
}

static void test_unsubscribe_when_inside_a_delivery_then_the_others_get_it_all_the_same(void **state)
{
    (void)state;
    struct client clients[5];
    for (int i = 0; i < 5; i++)
        subscribe_at(&clients[i], "0");
    clients[0].leaves = clients[2].leaves = clients[4].leaves = true;
    event(1);
    turn();
    event(2);
    turn();
    for (int i = 0; i < 5; i++) {
        assert_heard(&clients[i], i % 2 ? "[0] 1 2" : "[0] 1");
        client_done(&clients[i]);
    }
}

static void test_tenant_when_its_last_subscriber_has_left_then_it_lingers_and_recovers_from_memory(
    void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "0");
    event(1);
    turn();
    hub_unsubscribe(&client.subscriber);
    turn();
    event(2);
    turn();
    subscribe(&client, since(ask_company(), "e1", 1));
    assert_heard(&client, "[0] 1 [1+],2");
    assert_int_equal(watched, 1);
    assert_int_equal(unwatched, 0);
    client_done(&client);
}

static bool is_unwatched(void)
{
    return unwatched > 0;
}

static void test_tenant_when_nobody_has_come_back_then_it_is_let_go(void **state)
{
    (void)state;
    struct client client;
    config.position_check_ms = 1;
    subscribe_at(&client, "0");
    struct tenant *tenant = client.subscriber.channel->tenant;
    hub_unsubscribe(&client.subscriber);
    turn();
    assert_true(tenant->empty_since > 0.);
    tenant->empty_since -= TENANT_LINGER_MS / 1000. + 1.;
    script_wait(&gateway, is_unwatched);
    assert_int_equal(gateway.hub->tenants.count, 0);
    subscribe(&client, ask_company());
    assert_int_equal(watched, 2);
    client_done(&client);
}

static void test_hub_when_freed_first_then_subscribers_may_leave_later(void **state)
{
    (void)state;
    struct client client;
    subscribe_at(&client, "0");
    hub_free(gateway.hub);
    assert_int_equal(client.subscriber.state, SUBSCRIBER_OUT);
    client_done(&client);
    gateway.hub = hub_new(&gateway);
}

static void test_channel_name_when_not_canonical_then_no_channel(void **state)
{
    (void)state;
    enum channel_kind kind;
    struct uuid id;
    char name[CHANNEL_NAME_SIZE];
    assert_true(channel_parse(SLICE("project:" PROJECT), &kind, &id));
    assert_int_equal(kind, CHANNEL_PROJECT);
    channel_format(kind, &id, name);
    assert_string_equal(name, "project:" PROJECT);
    static const char *const bad[] = {"",
                                      "project:",
                                      "project:" PROJECT "x",
                                      "Project:" PROJECT,
                                      "task:" PROJECT,
                                      "project:0199AAAA-0000-7000-8000-00000000000a",
                                      PROJECT,
                                      "company:0199aaaa00007000800000000000000a"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(channel_parse(slice_of(bad[i]), &kind, &id));
}

#define WITH_HUB(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HUB(test_subscribe_when_of_another_company_then_refused),
        WITH_HUB(test_subscribe_when_the_project_is_not_ours_then_refused_and_asked_again_next_time),
        WITH_HUB(test_subscribe_when_many_ask_for_one_project_then_the_database_is_asked_once),
        WITH_HUB(test_subscribe_when_the_company_is_unknown_then_refused),
        WITH_HUB(test_subscribe_when_the_database_fails_then_refused_for_now),
        WITH_HUB(test_events_when_they_come_before_the_position_then_nothing_is_lost_or_repeated),
        WITH_HUB(test_events_when_of_one_turn_then_one_piece_shared_by_all),
        WITH_HUB(test_events_when_overtaken_then_waited_for),
        WITH_HUB(test_events_when_one_does_not_come_then_read_from_the_database),
        WITH_HUB(test_events_when_the_missing_cannot_be_read_yet_then_tried_again),
        WITH_HUB(test_events_when_a_gap_opens_while_another_is_read_then_it_is_read_too),
        WITH_HUB(test_events_when_the_missing_is_gone_for_good_then_lost),
        WITH_HUB(test_events_when_the_missing_cannot_be_read_for_too_long_then_lost),
        WITH_HUB(test_events_when_many_are_missing_then_read_in_pages),
        WITH_HUB(test_watched_when_events_came_between_position_and_binding_then_read),
        WITH_HUB(test_gap_when_the_broker_was_away_then_what_was_missed_is_read_in_order),
        WITH_HUB(test_gap_when_the_epoch_has_changed_then_lost),
        WITH_HUB(test_events_when_bodies_have_newlines_then_they_become_blanks),
        WITH_HUB(test_events_when_of_projects_then_each_channel_has_its_own),
        WITH_HUB(
            test_company_when_roles_have_conditions_then_one_encoding_for_who_sees_it_and_one_for_who_does_not),
        WITH_HUB(test_company_when_a_membership_changes_then_its_user_is_held_back_until_it_is_known),
        WITH_HUB(
            test_company_when_the_ties_cannot_be_read_again_then_its_user_gets_nothing_and_is_lost_when_too_late),
        WITH_HUB(test_recover_when_nothing_was_missed_then_recovered_with_nothing),
        WITH_HUB(test_recover_when_recent_then_from_memory),
        WITH_HUB(test_recover_when_older_than_memory_then_from_the_database_and_on),
        WITH_HUB(test_recover_when_a_project_was_quiet_then_its_offset_moves_on),
        WITH_HUB(test_recover_when_a_project_s_events_are_older_than_memory_then_only_they_are_read),
        WITH_HUB(test_recover_when_a_project_s_first_missed_event_is_no_longer_kept_then_not),
        WITH_HUB(test_recover_when_the_database_is_behind_then_a_project_s_rest_is_read_again),
        WITH_HUB(test_recover_when_the_company_has_gone_far_then_what_the_project_missed_counts),
        WITH_HUB(test_set_when_its_projects_have_events_then_all_of_them_in_one_order),
        WITH_HUB(test_set_when_one_of_its_projects_is_not_ours_then_refused),
        WITH_HUB(test_channel_list_when_parsed_then_one_channel_or_an_error),
        WITH_HUB(test_recover_when_much_was_missed_then_in_pages_as_the_socket_takes_them),
        WITH_HUB(test_recover_when_memory_has_more_than_a_socket_may_hold_then_as_it_drains),
        WITH_HUB(test_recover_when_the_database_has_more_than_a_socket_may_hold_then_as_it_drains),
        WITH_HUB(test_recover_when_the_socket_takes_part_of_a_page_then_only_so_much_is_read_next),
        WITH_HUB(test_recover_when_the_socket_is_full_already_then_nothing_is_added),
        WITH_HUB(test_recover_when_too_much_was_missed_then_not),
        WITH_HUB(test_gap_when_the_sequence_has_gone_back_then_lost_unless_a_replica_says_so),
        WITH_HUB(test_gap_when_an_event_overtakes_the_position_then_the_sequence_has_not_gone_back),
        WITH_HUB(
            test_recover_when_the_sequence_has_gone_back_then_who_asks_is_answered_and_the_others_are_lost),
        WITH_HUB(test_recover_when_of_another_epoch_then_not),
        WITH_HUB(test_recover_when_the_events_were_dropped_then_not),
        WITH_HUB(test_recover_when_the_database_fails_then_refused_for_now),
        WITH_HUB(test_recover_when_the_client_is_ahead_of_us_then_it_hears_only_what_is_newer),
        WITH_HUB(test_recover_when_the_client_is_ahead_of_the_database_then_not),
        WITH_HUB(test_unsubscribe_when_answers_are_on_their_way_then_nobody_asks_for_them),
        WITH_HUB(test_unsubscribe_when_inside_a_delivery_then_the_others_get_it_all_the_same),
        WITH_HUB(test_tenant_when_its_last_subscriber_has_left_then_it_lingers_and_recovers_from_memory),
        WITH_HUB(test_tenant_when_nobody_has_come_back_then_it_is_let_go),
        WITH_HUB(test_hub_when_freed_first_then_subscribers_may_leave_later),
        cmocka_unit_test(test_channel_name_when_not_canonical_then_no_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
