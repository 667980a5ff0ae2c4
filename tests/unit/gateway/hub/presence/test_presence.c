#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "gateway/hub/hub.h"
#include "gateway/hub/presence/presence.h"

#include "tests/unit/gateway/hub/scripted.h"

/* Three gateway processes in one: what one says is heard by the others, unless it is cut off. */

#define COMPANY "0199dddd-0000-7000-8000-00000000000d"

enum { PROCESSES = 3 };

static struct config config;
static struct gateway gateways[PROCESSES];
static bool cut_off[PROCESSES];
static int messages;

struct client {
    struct subscriber subscriber;
    struct member member;
    struct buf heard; /* "+a-b" */
};

/* ---- the broker ---- */

static struct gateway *current; /* who speaks */

static void route(struct slice key, struct slice body)
{
    messages++;
    size_t from = (size_t)(current - gateways);
    for (size_t i = 0; i < PROCESSES; i++) {
        bool direct = slice_is(key, gateways[i].peer_key);
        bool all = key.len < 6 || memcmp(key.data, "reply.", 6) != 0;
        if (cut_off[from] || cut_off[i] || !(direct || all) || !gateways[i].presence)
            continue;
        struct gateway *speaker = current;
        current = &gateways[i];
        presence_on_message(gateways[i].presence, body);
        current = speaker;
    }
}

static void on_announced(struct slice key, struct slice body)
{
    route(key, body);
}

/* ---- clients ---- */

static struct bytes *encode(const struct channel *channel, const struct publication *const *publications,
                            size_t count)
{
    (void)channel, (void)publications, (void)count;
    return bytes_copy(SLICE(""));
}

static void on_started(struct subscriber *subscriber, const struct hub_start *start)
{
    (void)subscriber, (void)start;
}

static void on_publications(struct subscriber *subscriber, struct bytes *encoded)
{
    buf_append_slice(&CONTAINER_OF(subscriber, struct client, subscriber)->heard, encoded->slice);
}

static void on_refused(struct subscriber *subscriber, enum err err)
{
    (void)subscriber, (void)err;
    fail();
}

static void on_lost(struct subscriber *subscriber)
{
    (void)subscriber;
}

static size_t backlog(const struct subscriber *subscriber)
{
    (void)subscriber;
    return 0;
}

static bool member(const struct subscriber *subscriber, struct member *ret_member)
{
    *ret_member = CONTAINER_OF(subscriber, const struct client, subscriber)->member;
    return true;
}

static struct bytes *encode_members(const struct channel *channel, const struct member_change *changes,
                                    size_t count)
{
    CLEANUP(buf_done) struct buf text;
    (void)channel;
    buf_init(&text, 4096);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%c%d", changes[i].joined ? '+' : '-', changes[i].member.client.octet[0]);
    return bytes_copy(buf_slice(&text));
}

static const struct subscriber_protocol recording = {.encode = encode,
                                                     .on_started = on_started,
                                                     .on_publications = on_publications,
                                                     .on_refused = on_refused,
                                                     .on_lost = on_lost,
                                                     .backlog = backlog,
                                                     .member = member,
                                                     .encode_members = encode_members};

static void join(struct client *client, int process, uint8_t number, bool listens)
{
    struct hub_request request = {.kind = CHANNEL_COMPANY, .role = MSG_ROLE_COMPANY_ADMIN};
    *client = (struct client){.subscriber = {.protocol = &recording, .join_leave = listens}};
    client->member.client.octet[0] = number;
    client->member.user.octet[0] = number;
    buf_init(&client->heard, 4096);
    assert_true(uuid_parse(SLICE(COMPANY), &request.id));
    request.company = request.id;
    current = &gateways[process];
    hub_subscribe(gateways[process].hub, &client->subscriber, &request);
    while (script_find("hub.position"))
        script_row("hub.position", "e1", "0");
    assert_int_equal(client->subscriber.state, SUBSCRIBER_LIVE);
}

static void leave(struct client *client)
{
    hub_unsubscribe(&client->subscriber);
}

static void client_done(struct client *client)
{
    leave(client);
    buf_done(&client->heard);
}

/* ---- time ---- */

static void turn_all(void)
{
    for (size_t i = 0; i < PROCESSES; i++) {
        current = &gateways[i];
        ev_run(gateways[i].loop, EVRUN_NOWAIT);
    }
}

#define eventually(condition)                              \
    do {                                                   \
        ev_tstamp end_ = ev_time() + 10.;                  \
        while (!(condition) && ev_time() < end_) {         \
            ev_sleep(0.001);                               \
            turn_all();                                    \
        }                                                  \
        if (!(condition))                                  \
            fail_msg("never became true: %s", #condition); \
    } while (0)

/* ---- asking ---- */

struct question {
    struct presence_request request;
    int count; /* -1: no answer yet */
    int numbers;
};

static void on_member(void *arg, const struct member *found)
{
    struct question *question = arg;
    question->count++;
    question->numbers += found->client.octet[0];
}

static void on_answer(struct presence_request *request)
{
    struct question *question = CONTAINER_OF(request, struct question, request);
    question->count = 0;
    presence_request_each(request, on_member, question);
}

/* How many are on the channel, by the process of that client; the sum of their numbers besides. */
static int ask(struct client *client, int process, int *ret_sum)
{
    struct question question = {.request = {.on_answer = on_answer}, .count = -1};
    current = &gateways[process];
    presence_request_start(&client->subscriber, &question.request);
    eventually(question.count >= 0);
    *ret_sum = question.numbers;
    return question.count;
}

static bool heard(struct client *client, const char *text)
{
    return slice_is(buf_slice(&client->heard), text);
}

/* ---- beginning and end ---- */

static int set_up(void **state)
{
    (void)state;
    config = (struct config){.max_output_bytes = 1 << 20,
                             .recover_max = 1000,
                             .recent_bytes = 1 << 20,
                             .gap_wait_ms = 1000,
                             .gap_limit_ms = 1000,
                             .position_check_ms = 3600000,
                             .presence_beat_ms = 100,
                             .presence_wait_ms = 20,
                             .presence_max = 100};
    announced = on_announced;
    for (size_t i = 0; i < PROCESSES; i++) {
        cut_off[i] = false;
        gateways[i] =
            (struct gateway){.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV), .config = &config};
        snprintf(gateways[i].peer_key, sizeof(gateways[i].peer_key),
                 "reply.0199aaaa-0000-7000-8000-00000000000%zu", i);
        gateways[i].hub = hub_new(&gateways[i]);
        gateways[i].presence = presence_new(&gateways[i]);
    }
    for (size_t i = 0; i < PROCESSES; i++) {
        current = &gateways[i];
        presence_on_bound(gateways[i].presence);
    }
    messages = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    announced = NULL;
    for (size_t i = 0; i < PROCESSES; i++) {
        hub_free(gateways[i].hub);
        presence_free(gateways[i].presence);
    }
    script_shut_down();
    for (size_t i = 0; i < PROCESSES; i++)
        ev_loop_destroy(gateways[i].loop);
    return 0;
}

/* ---- tests ---- */

static void test_presence_when_nobody_asks_then_nothing_is_said(void **state)
{
    struct client clients[30];
    (void)state;
    for (uint8_t i = 0; i < 30; i++)
        join(&clients[i], i % PROCESSES, i, false);
    assert_int_equal(messages, 0);
    for (size_t i = 0; i < 30; i++)
        client_done(&clients[i]);
    assert_int_equal(messages, 0);
}

static void test_presence_when_asked_then_those_of_all_processes(void **state)
{
    struct client a, b, c, d;
    int sum;
    (void)state;
    join(&a, 0, 1, false);
    join(&b, 1, 2, false);
    join(&c, 2, 4, false);
    assert_int_equal(ask(&a, 0, &sum), 3);
    assert_int_equal(sum, 7);
    join(&d, 2, 8, false); /* watched: it hears of those who come later */
    eventually(ask(&a, 0, &sum) == 4);
    leave(&b);
    eventually(ask(&a, 0, &sum) == 3);
    assert_int_equal(sum, 13);
    client_done(&a), client_done(&b), client_done(&c), client_done(&d);
}

static void test_join_leave_when_listened_to_then_each_once_in_order(void **state)
{
    struct client a, b, c;
    (void)state;
    join(&a, 0, 1, true);
    eventually(heard(&a, "+1"));
    join(&b, 1, 2, false);
    eventually(heard(&a, "+1+2"));
    join(&c, 0, 3, false);
    eventually(heard(&a, "+1+2+3"));
    leave(&b);
    leave(&c);
    eventually(buf_len(&a.heard) == 10);
    client_done(&a), client_done(&b), client_done(&c);
}

static void test_changes_when_many_come_at_once_then_few_messages(void **state)
{
    static struct client crowd[90];
    struct client a;
    int sum;
    (void)state;
    join(&a, 0, 1, false);
    assert_int_equal(ask(&a, 0, &sum), 1);
    messages = 0;
    for (uint8_t i = 0; i < 90; i++)
        join(&crowd[i], 1, (uint8_t)(i + 10), false);
    eventually(ask(&a, 0, &sum) == 91);
    assert_true(messages < 30); /* beats included */
    for (size_t i = 0; i < 90; i++)
        client_done(&crowd[i]);
    client_done(&a);
}

static void test_process_when_silent_then_those_on_it_have_left(void **state)
{
    struct client a, b;
    int sum;
    (void)state;
    join(&a, 0, 1, true);
    join(&b, 1, 2, false);
    eventually(heard(&a, "+1+2"));
    cut_off[1] = true;
    eventually(heard(&a, "+1+2-2"));
    assert_int_equal(ask(&a, 0, &sum), 1);
    cut_off[1] = false; /* it was not dead */
    current = &gateways[1];
    presence_on_bound(gateways[1].presence);
    eventually(heard(&a, "+1+2-2+2"));
    client_done(&a), client_done(&b);
}

static void test_changes_when_lost_then_the_next_state_mends_it(void **state)
{
    struct client a, b, c;
    int sum;
    (void)state;
    join(&a, 0, 1, false);
    join(&b, 1, 2, false);
    assert_int_equal(ask(&a, 0, &sum), 2);
    cut_off[0] = true;
    leave(&b);
    join(&c, 1, 4, false);
    ev_tstamp until =
        ev_time() + 0.12; /* the changes are sent and lost; shorter than a process may be silent */
    while (ev_time() < until)
        turn_all();
    cut_off[0] = false;
    current = &gateways[0];
    presence_on_bound(gateways[0].presence);
    eventually(ask(&a, 0, &sum) == 2 && sum == 5);
    client_done(&a), client_done(&b), client_done(&c);
}

static void test_members_when_more_than_are_kept_then_bounded(void **state)
{
    static struct client crowd[10];
    struct client a;
    int sum;
    (void)state;
    config.presence_max = 3;
    for (uint8_t i = 0; i < 10; i++)
        join(&crowd[i], 1, i, false);
    join(&a, 0, 1, false);
    assert_int_equal(ask(&a, 0, &sum), 4);
    for (size_t i = 0; i < 10; i++)
        client_done(&crowd[i]);
    client_done(&a);
}

static void test_messages_when_malformed_then_dropped(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"from\":\"x\",\"kind\":\"watch\"}",
        "{\"from\":\"0199aaaa-0000-7000-8000-0000000000ff\",\"kind\":\"watch\"}",
        "{\"from\":\"0199aaaa-0000-7000-8000-0000000000ff\",\"kind\":\"dance\"}",
        "{\"from\":\"0199aaaa-0000-7000-8000-0000000000ff\",\"kind\":\"changes\",\"company\":\"" COMPANY
        "\",\"members\":[1,[],[\"+\"],[\"+\",\"x\",\"y\",\"z\"]]}",
    };
    struct client a;
    int sum;
    (void)state;
    log_init("test", LOG_ERROR);
    join(&a, 0, 1, false);
    assert_int_equal(ask(&a, 0, &sum), 1);
    current = &gateways[1];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        presence_on_message(gateways[0].presence, slice_of(bad[i]));
    assert_int_equal(ask(&a, 0, &sum), 1);
    client_done(&a);
}

#define WITH_PROCESSES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PROCESSES(test_presence_when_nobody_asks_then_nothing_is_said),
        WITH_PROCESSES(test_presence_when_asked_then_those_of_all_processes),
        WITH_PROCESSES(test_join_leave_when_listened_to_then_each_once_in_order),
        WITH_PROCESSES(test_changes_when_many_come_at_once_then_few_messages),
        WITH_PROCESSES(test_process_when_silent_then_those_on_it_have_left),
        WITH_PROCESSES(test_changes_when_lost_then_the_next_state_mends_it),
        WITH_PROCESSES(test_members_when_more_than_are_kept_then_bounded),
        WITH_PROCESSES(test_messages_when_malformed_then_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
