/* What a gateway process binds for the companies that it watches, against a real RabbitMQ behind a proxy that
 * breaks the connection between them. CORTEX_TEST_AMQP_URL names the broker. */

#include "common/broker/event_parcel.h"
#include "common/broker/topology.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/control.h"
#include "gateway/bus/events.h"
#include "gateway/bus/peers.h"
#include "gateway/bus/upgrade.h"
#include "tests/unit/common/broker/amqp_proxy.h"

enum {
    COMPANIES = 60000, /* one connection's output holds the bindings of 35,500 */
    BY_COMPANY = 1500, /* several times what is in flight at once */
    OTHERS = 50,
    LAST_SEQ = 999, /* of the event that only shows that those before it have come */
};

struct stage {
    struct gateway gateway;
    struct config config;
    struct proxy *proxy;
    struct client *worker; /* which publishes */
    struct uuid companies[COMPANIES];
    struct uuid heard[OTHERS]; /* companies of the events that came */
    size_t heard_count, watched, bound, bound_again;
    bool last_came;
};

/* ---- the gateway ---- */

static struct stage *stage;

static void on_event(struct gateway *gateway, const struct event *event)
{
    (void)gateway;
    if (event->seq == LAST_SEQ) {
        stage->last_came = true;
        return;
    }
    if (stage->heard_count < OTHERS)
        stage->heard[stage->heard_count] = event->company;
    stage->heard_count++;
}

static void on_watched(struct gateway *gateway, const struct uuid *company)
{
    (void)gateway, (void)company;
    stage->watched++;
}

static void on_bound(struct gateway *gateway, bool is_again)
{
    (void)gateway;
    *(is_again ? &stage->bound_again : &stage->bound) += 1;
}

static const char *const no_keys[] = {NULL};
static const struct events_announcement no_announcements[] = {{.type = SLICE_NONE}};
static const struct events_listeners listeners = {
    .keys = no_keys,
    .slot_keys = no_keys,
    .announcements = no_announcements,
    .on_event = on_event,
    .on_watched = on_watched,
    .on_bound = on_bound,
};

static void declare_exchanges(struct client *client)
{
    topology_declare_exchanges(client->broker, &(const struct config){0});
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void name_keys(struct gateway *gateway)
{
    struct uuid id = uuid_v7();
    char text[UUID_TEXT_LEN + 1];
    uuid_format(&id, text);
    snprintf(gateway->reply_key, sizeof(gateway->reply_key), TOPOLOGY_PARCELS_REPLY "%s", text);
    snprintf(gateway->peer_key, sizeof(gateway->peer_key), "reply.%s", text);
}

/* Only the connection of the events goes through the proxy. */
static int setup(void **state)
{
    char why[256];
    loop_setup(state);
    stage = xcalloc(1, sizeof(*stage));
    CLEANUP_FREE char *url = xstrdup(server_url());
    setenv("CORTEX_AMQP_URL", url, 1);
    setenv("CORTEX_PRESENCE_BEAT_MS", "200", 1);
    assert_int_equal(config_load(&stage->config, why), ERR_OK);
    stage->gateway = (struct gateway){.loop = loop, .config = &stage->config};
    name_keys(&stage->gateway);
    stage->gateway.control = control_new(&stage->gateway);
    stage->gateway.peers = peers_new(&stage->gateway);
    assert_int_equal(commands_new(&stage->gateway, &stage->gateway.commands), ERR_OK);
    stage->proxy = proxy_new(server_url());
    const char *straight = stage->config.amqp_url;
    stage->config.amqp_url = stage->proxy->url;
    assert_int_equal(events_new(&stage->gateway, &listeners, &stage->gateway.events), ERR_OK);
    stage->config.amqp_url = straight;
    stage->worker = client_new(server_url(), declare_exchanges);
    for (size_t i = 0; i < COMPANIES; i++)
        stage->companies[i] = uuid_v7();
    eventually(stage->worker->marks == 1 && stage->bound == 1);
    assert_true(events_ready(stage->gateway.events));
    return 0;
}

static int teardown(void **state)
{
    client_free(stage->worker);
    commands_free(stage->gateway.commands);
    events_free(stage->gateway.events);
    control_free(stage->gateway.control);
    peers_free(stage->gateway.peers);
    proxy_free(stage->proxy);
    config_done(&stage->config);
    free(stage);
    return loop_teardown(state);
}

static void watch(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        events_watch(stage->gateway.events, &stage->companies[i]);
}

static void unwatch(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        events_unwatch(stage->gateway.events, &stage->companies[i]);
}

/* ---- the worker ---- */

static void publish_message(const struct broker_message *message)
{
    int before = stage->worker->confirmed;
    assert_int_equal(
        broker_publish(stage->worker->broker, message, note_confirm, &stage->worker->messages[0]), ERR_OK);
    eventually(stage->worker->confirmed > before);
}

static struct event event_of(const struct uuid *company)
{
    return (struct event){
        .command_id = uuid_v7(),
        .company = *company,
        .type = SLICE("project.updated"),
        .http_status = 200,
        .seq = 1,
        .body = SLICE("{}"),
    };
}

static void publish(const struct uuid *company, enum event_keys keys)
{
    struct envelope_scratch scratch;
    struct broker_message message;
    struct event event = event_of(company);
    assert_int_equal(envelope_write_event(&event, keys, &scratch, &message), ERR_OK);
    publish_message(&message);
}

static void publish_by_slot(const struct uuid *company)
{
    publish(company, EVENT_KEYS_SLOT);
}

/* As a worker of the version before does. */
static void publish_by_company(const struct uuid *company)
{
    struct envelope_scratch scratch;
    struct broker_message message;
    struct event event = event_of(company);
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_BOTH, &scratch, &message), ERR_OK);
    message.cc_count = 1;
    publish_message(&message);
}

static void announce_member(const char *body)
{
    const struct broker_message message = {.exchange = SLICE(EXCHANGE_CONTROL),
                                           .routing_key = SLICE("member.projects"),
                                           .content_type = SLICE("application/json"),
                                           .body = slice_of(body)};
    publish_message(&message);
}

/* What was published before has arrived, or never will: messages come in the order in which they were
 * published. */
static void await_all(void)
{
    struct event last = event_of(&stage->companies[0]);
    struct envelope_scratch scratch;
    struct broker_message message;
    last.reply_to = slice_of(stage->gateway.reply_key);
    last.seq = LAST_SEQ;
    assert_int_equal(envelope_write_event(&last, EVENT_KEYS_SLOT, &scratch, &message), ERR_OK);
    message.routing_key = SLICE("nobody.binds.this");
    stage->last_came = false;
    publish_message(&message);
    eventually(stage->last_came);
}

static void expect_heard(const struct uuid *const *companies, size_t count)
{
    await_all();
    assert_int_equal(stage->heard_count, count);
    for (size_t i = 0; i < count; i++)
        assert_true(uuid_equal(&stage->heard[i], companies[i]));
    stage->heard_count = 0;
}

/* Until what is published like this does not come any more. */
static void await_silence(void (*publish_one)(const struct uuid *company))
{
    int64_t limit = clock_monotonic_ms() + WAIT_LIMIT_S * 1000;
    for (;;) {
        publish_one(&stage->companies[0]);
        await_all();
        if (stage->heard_count == 0)
            return;
        assert_true(clock_monotonic_ms() < limit);
        stage->heard_count = 0;
        let_pass_ms(50);
    }
}

/* Watches the first company until the process has listened long enough and binds slots alone. */
static void watch_until_by_slot(void)
{
    watch(0, 1);
    eventually(stage->watched == 1);
    let_pass_ms(
        UPGRADE_LISTEN_MS); /* before that, silence may only mean that the binding is still on its way */
    await_silence(publish_by_company);
}

/* As a worker of the version before parcels does. */
static void publish_to_slots(const struct uuid *company)
{
    struct envelope_scratch scratch;
    struct broker_message message;
    struct event event = event_of(company);
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_SLOT, &scratch, &message), ERR_OK);
    message.exchange = SLICE(EXCHANGE_SLOTS);
    publish_message(&message);
}

/* A worker of the version before says each second that it lives. */
static bool says_slots;
static void on_second(struct ev_loop *l, ev_timer *timer, int events)
{
    (void)l, (void)timer, (void)events;
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_CONTROL),
        .routing_key = SLICE("member.projects"),
        .body = says_slots ? SLICE("{\"id\":\"0199aaaa-0000-7000-8000-000000000001\",\"slots\":true}")
                           : SLICE("{\"id\":\"0199aaaa-0000-7000-8000-000000000001\"}"),
    };
    assert_int_equal(broker_publish(stage->worker->broker, &message, NULL, NULL), ERR_OK);
}

/* ---- the tests ---- */

static void test_reconnect_when_60000_companies_are_watched_then_all_are_bound_again(void **state)
{
    (void)state;
    const struct uuid *const heard[] = {&stage->companies[0], &stage->companies[COMPANIES - 1]};
    watch_until_by_slot();
    watch(1, COMPANIES);
    eventually(stage->watched == COMPANIES);
    for (int round = 1; round <= 2; round++) {
        publish(heard[0], EVENT_KEYS_SLOT);
        publish(heard[1], EVENT_KEYS_SLOT);
        expect_heard(heard, 2);
        if (round == 2)
            break;
        proxy_cut(stage->proxy);
        eventually(!events_ready(stage->gateway.events));
        eventually(stage->bound_again == 1);
        assert_int_equal(stage->proxy->accepted, 2); /* one connection did it */
    }
    unwatch(0, COMPANIES);
    await_silence(publish_by_slot);
}

static void test_worker_of_the_version_before_when_heard_then_companies_are_bound_until_it_is_silent(
    void **state)
{
    (void)state;
    const struct uuid *const heard[] = {&stage->companies[0], &stage->companies[BY_COMPANY - 1]};
    watch_until_by_slot();
    watch(1, BY_COMPANY);
    eventually(stage->watched == BY_COMPANY);
    announce_member("{\"id\":\"0199aaaa-0000-7000-8000-000000000001\",\"host\":\"a\",\"pid\":2,"
                    "\"slots\":true,\"to_gateways\":true}");
    announce_member("{\"host\":\"a\",\"pid\":2,\"gone\":true}");
    publish_by_company(heard[0]);
    expect_heard(heard, 0);
    ev_timer second;
    ev_timer_init(&second, on_second, 0, 1);
    ev_timer_start(loop, &second);
    eventually(stage->bound_again == 1); /* whatever came before has been missed */
    publish_by_company(heard[0]);
    publish_by_company(heard[1]);
    expect_heard(heard, 2);
    publish(heard[0], EVENT_KEYS_BOTH); /* bound twice, heard once */
    publish(heard[1], EVENT_KEYS_SLOT);
    expect_heard(heard, 2);
    ev_timer_stop(loop, &second);
    await_silence(publish_by_company);
    publish(heard[0], EVENT_KEYS_BOTH);
    publish(heard[1], EVENT_KEYS_SLOT);
    expect_heard(heard, 2);
    unwatch(0, BY_COMPANY);
}

/* It publishes on `events.slots`, where others listen who get no parcels. */
static void
test_worker_of_the_version_before_parcels_when_heard_then_slots_are_bound_there_until_it_is_silent(
    void **state)
{
    (void)state;
    const struct uuid *const heard[] = {&stage->companies[0], &stage->companies[BY_COMPANY - 1]};
    watch(0, BY_COMPANY);
    eventually(stage->watched == BY_COMPANY);
    let_pass_ms(UPGRADE_LISTEN_MS);
    await_silence(publish_to_slots);
    ev_timer second;
    says_slots = true;
    ev_timer_init(&second, on_second, 0, 1);
    ev_timer_start(loop, &second);
    eventually(stage->bound_again == 1); /* whatever came before has been missed */
    publish_to_slots(heard[0]);
    publish_to_slots(heard[1]);
    expect_heard(heard, 2);
    publish(heard[0], EVENT_KEYS_BOTH); /* bound twice, heard once */
    publish(heard[1], EVENT_KEYS_SLOT);
    expect_heard(heard, 2);
    ev_timer_stop(loop, &second);
    says_slots = false;
    await_silence(publish_to_slots);
    publish(heard[0], EVENT_KEYS_BOTH);
    publish(heard[1], EVENT_KEYS_SLOT);
    expect_heard(heard, 2);
    unwatch(0, BY_COMPANY);
}

/* ---- parcels ---- */

static void begin_parcel(struct buf *body, size_t count)
{
    char head[PARCEL_HEAD_SIZE];
    buf_init(body, 1 << 20);
    parcel_write_head(head, count);
    buf_append(body, head, sizeof(head));
}

static void publish_parcel(struct slice body, const struct event *of)
{
    static struct event_parcel_keys keys;
    event_parcel_clear_keys(&keys);
    event_parcel_add_key(&keys, of);
    const struct broker_message message = event_parcel_write(body, &keys);
    publish_message(&message);
}

static void test_parcel_when_it_comes_then_each_of_its_events_is_heard(void **state)
{
    (void)state;
    const struct uuid *const heard[] = {&stage->companies[0], &stage->companies[1], &stage->companies[0]};
    const struct event first = event_of(heard[0]);
    CLEANUP(buf_done) struct buf body;
    watch(0, 1);
    eventually(stage->watched == 1);
    begin_parcel(&body, ARRAY_LEN(heard));
    for (size_t i = 0; i < ARRAY_LEN(heard); i++) {
        struct event event = event_of(heard[i]);
        assert_int_equal(event_parcel_add(&body, &event), ERR_OK);
    }
    publish_parcel(buf_slice(&body), &first);
    expect_heard(heard, ARRAY_LEN(heard));
    unwatch(0, 1);
}

/* Cut, or with a count that lies, it is no parcel; an entry that cannot be read costs itself alone. */
static void test_parcel_when_it_is_broken_then_what_can_be_read_is_heard(void **state)
{
    (void)state;
    const struct uuid *const heard[] = {&stage->companies[0]};
    const struct event event = event_of(heard[0]);
    static const char broken[] = "\xc6\0\0\0\x01\xc0";
    CLEANUP(buf_done) struct buf body;
    watch(0, 1);
    eventually(stage->watched == 1);
    begin_parcel(&body, 2);
    buf_append(&body, broken, sizeof(broken) - 1);
    assert_int_equal(event_parcel_add(&body, &event), ERR_OK);
    publish_parcel((struct slice){buf_data(&body), buf_len(&body) - 1}, &event);
    publish_parcel(SLICE(""), &event);
    expect_heard(heard, 0);
    publish_parcel(buf_slice(&body), &event);
    expect_heard(heard, 1);
    parcel_write_head(body.data + body.begin, 3);
    publish_parcel(buf_slice(&body), &event);
    expect_heard(heard, 0);
    unwatch(0, 1);
}

static void test_watch_when_it_begins_and_ends_in_one_turn_then_the_last_word_holds(void **state)
{
    (void)state;
    const struct uuid *const heard[] = {&stage->companies[1]};
    for (int i = 0; i < 1000; i++) {
        watch(0, 2);
        unwatch(0, i < 999 ? 2 : 1);
    }
    eventually(stage->watched == 1);
    publish(&stage->companies[0], EVENT_KEYS_BOTH);
    publish(&stage->companies[1], EVENT_KEYS_BOTH);
    expect_heard(heard, 1);
    unwatch(1, 2);
}

/* By the slot they come to the same queue; who drops the other's events is the hub (test_hub.c). */
static void test_event_of_another_company_in_the_slot_then_comes_under_its_own_name(void **state)
{
    (void)state;
    size_t other = 1;
    while (topology_event_slot(&stage->companies[other]) != topology_event_slot(&stage->companies[0]))
        other++;
    const struct uuid *const heard[] = {&stage->companies[other]};
    watch(0, 1);
    eventually(stage->watched == 1);
    publish(&stage->companies[other], EVENT_KEYS_SLOT);
    expect_heard(heard, 1);
    unwatch(0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_reconnect_when_60000_companies_are_watched_then_all_are_bound_again, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_worker_of_the_version_before_when_heard_then_companies_are_bound_until_it_is_silent, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_worker_of_the_version_before_parcels_when_heard_then_slots_are_bound_there_until_it_is_silent,
            setup, teardown),
        cmocka_unit_test_setup_teardown(test_parcel_when_it_comes_then_each_of_its_events_is_heard, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_parcel_when_it_is_broken_then_what_can_be_read_is_heard, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_watch_when_it_begins_and_ends_in_one_turn_then_the_last_word_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_event_of_another_company_in_the_slot_then_comes_under_its_own_name, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
