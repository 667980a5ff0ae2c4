#include "common/broker/event_parcel.h"
#include "tests/unit/workers/engine/worker_process_fixture.h"
#include "workers/engine/outbox/others.h"
#include "workers/engine/outbox/outbox.h"

enum { COUNT = 40 };

/* An outbox over a connection of its own. */
struct sender {
    struct broker *broker;
    struct gateways *gateways;
    struct outbox *outbox;
    bool is_up;
    size_t published;
    struct uuid order[COUNT];
};

static void on_sender_up(void *ctx, struct broker *broker)
{
    struct sender *sender = ctx;
    topology_declare_exchanges(broker, &(const struct config){0});
    sender->is_up = true;
}

static void on_sender_down(void *ctx, struct broker *broker, const char *why)
{
    (void)ctx, (void)broker, (void)why;
}

static void on_sender_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    (void)ctx, (void)broker, (void)delivery;
}

static void on_published(void *ctx, struct command *command)
{
    struct sender *sender = ctx;
    assert_true(sender->published < COUNT);
    sender->order[sender->published++] = command->envelope.id;
    command_free(command);
}

static void sender_start(struct sender *sender, struct hall *hall, int64_t window)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_sender_up, .on_down = on_sender_down, .on_delivery = on_sender_delivery};
    const struct broker_options options = {.url = hall->config.amqp_url,
                                           .name = "unit test",
                                           .unconfirmed_max = window,
                                           .unconfirmed_bytes = 1 << 20};
    *sender = (struct sender){0};
    assert_int_equal(broker_new(hall->loop, &options, &callbacks, sender, &sender->broker), ERR_OK);
    sender->gateways = gateways_new(sender->broker, &hall->config, "projects");
    sender->outbox = outbox_new(hall->loop, sender->broker, sender->gateways, on_published, sender);
}

static void sender_stop(struct sender *sender)
{
    broker_free(sender->broker);
    outbox_free(sender->outbox);
    gateways_free(sender->gateways);
}

/* Committed commands, out of the engine's keeping: projects, and a refusal as every fourth. */
static void make_commands(struct hall *hall, struct command **commands, size_t count)
{
    struct engine *e = hall->engine;
    for (size_t i = 0; i < count; i++) {
        struct request request = {.type = "project.create", .json = "{\"name\":\"X\"}"};
        if (i % 4 == 3)
            request = (struct request){.type = "project.delete", .subject = uuid_v7()};
        commands[i] = make_command(e, &request);
        commands[i]->envelope.reply_to = arena_copy(&commands[i]->arena, slice_of(hall->reply_key));
        commands[i]->envelope.correlation_id = arena_copy(&commands[i]->arena, SLICE("c"));
    }
    run_commands(e, commands, count);
    while (e->settled_count > 0)
        take_settled(e, 0);
}

static void test_outbox_when_the_window_is_small_tells_everything_in_order(void **state)
{
    struct hall *hall = *state;
    struct sender sender;
    struct command *commands[COUNT];
    struct uuid ids[COUNT];
    make_commands(hall, commands, COUNT);
    sender_start(&sender, hall, 1);
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = commands[i]->envelope.id;
        outbox_send(sender.outbox, commands[i]);
    }
    assert_int_equal(outbox_waiting(sender.outbox), COUNT - 1);
    assert_int_equal(outbox_unpublished(sender.outbox), COUNT);
    eventually(hall, sender.published == COUNT && hall->reply_count == COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(uuid_equal(&sender.order[i], &ids[i]));
        assert_true(uuid_equal(&hall->replies[i].event.command_id, &ids[i]));
    }
    assert_int_equal(outbox_unpublished(sender.outbox), 0);
    sender_stop(&sender);
}

static void test_outbox_when_a_refusal_has_nobody_waiting_is_told_at_once(void **state)
{
    struct hall *hall = *state;
    struct sender sender;
    struct command *command;
    make_commands(hall, &command, 1);
    command->effects = NULL;
    command->status = ERR_NOT_FOUND;
    command->envelope.reply_to = SLICE("");
    sender_start(&sender, hall, 10);
    outbox_send(sender.outbox, command);
    assert_int_equal(sender.published, 1);
    sender_stop(&sender);
}

/* ---- several at once ---- */

#define ALL_READ_PARCELS "{\"slots\":true,\"parcels\":true,\"for_ms\":60000}"

/* What comes to a queue of a connection of its own: events, and the messages that brought them. */
struct listener {
    struct hall *hall;
    struct broker *broker;
    const char *exchange, *key;
    char queue[64];
    bool is_ready;
    size_t messages, parcels, count;
    struct uuid commands[3 * COUNT];
    int64_t seqs[3 * COUNT];
};

static void on_listener_ready(void *arg)
{
    ((struct listener *)arg)->is_ready = true;
}

static void on_listener_up(void *ctx, struct broker *broker)
{
    struct listener *listener = ctx;
    topology_declare_exchanges(broker, &(const struct config){0});
    broker_declare_queue(broker, &(struct broker_queue){.name = listener->queue, .exclusive = true});
    broker_bind(broker, listener->queue, listener->exchange, listener->key);
    if (strcmp(listener->exchange, EXCHANGE_GATEWAYS) == 0) /* a refusal that is alone comes there */
        broker_bind(broker, listener->queue, EXCHANGE_EVENTS, listener->key);
    broker_consume(broker, listener->queue, "listener", 0, true, true);
    broker_after_declarations(broker, on_listener_ready, listener);
}

static void note_event(struct listener *listener, const struct event *event)
{
    assert_true(listener->count < ARRAY_LEN(listener->commands));
    listener->commands[listener->count] = event->command_id;
    listener->seqs[listener->count++] = event->seq;
}

static void on_listener_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    (void)broker;
    struct listener *listener = ctx;
    struct parcel parcel;
    struct event event;
    listener->messages++;
    if (!event_parcel_is(delivery)) {
        assert_int_equal(envelope_read_event(delivery, &event), ERR_OK);
        note_event(listener, &event);
        return;
    }
    listener->parcels++;
    assert_int_equal(parcel_open(delivery->body, &parcel), ERR_OK);
    while (parcel.count > 0) {
        assert_int_equal(event_parcel_read_entry(parcel_take(&parcel), &event), ERR_OK);
        note_event(listener, &event);
    }
}

static void listener_start(struct listener *listener, struct hall *hall, const char *exchange,
                           const char *key)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_listener_up, .on_down = on_sender_down, .on_delivery = on_listener_delivery};
    const struct broker_options options = {.url = hall->config.amqp_url,
                                           .name = "unit test: listener",
                                           .unconfirmed_max = 1,
                                           .unconfirmed_bytes = 1};
    *listener = (struct listener){.hall = hall, .exchange = exchange, .key = key};
    struct uuid id = uuid_v7();
    snprintf(listener->queue, sizeof(listener->queue), "listener.%s", uuid_text(&id));
    assert_int_equal(broker_new(hall->loop, &options, &callbacks, listener, &listener->broker), ERR_OK);
    eventually(hall, listener->is_ready);
}

static void say_that_all_read_parcels(struct sender *sender)
{
    const struct broker_delivery said = {.consumer_tag = SLICE("gateways"), .body = SLICE(ALL_READ_PARCELS)};
    assert_true(gateways_delivery(sender->gateways, &said));
}

/* For gateways that read parcels: their reply keys say so. */
static void address(struct command **commands, size_t count, const char *const *reply_keys, size_t keys)
{
    for (size_t i = 0; i < count; i++)
        commands[i]->envelope.reply_to =
            arena_copy(&commands[i]->arena, slice_of(reply_keys[i * keys / count]));
}

static const char *slot_pattern(const struct hall *hall)
{
    static char pattern[16];
    topology_event_slot_format(topology_event_slot(&hall->engine->company), pattern);
    strcat(pattern, ".#");
    return pattern;
}

static void send_all(struct sender *sender, struct command **commands, size_t count)
{
    for (size_t i = 0; i < count; i++)
        outbox_send(sender->outbox, commands[i]);
}

#define FIRST_GATEWAY  "slots.p-0199aaaa-0000-7000-8000-000000000001"
#define SECOND_GATEWAY "slots.p-0199aaaa-0000-7000-8000-000000000002"
static const char *const one_gateway[] = {FIRST_GATEWAY}, *const two_gateways[] = {FIRST_GATEWAY,
                                                                                   SECOND_GATEWAY};

static void test_outbox_when_gateways_read_parcels_then_each_gets_its_replies_in_one_message(void **state)
{
    struct hall *hall = *state;
    struct sender sender;
    static struct listener first, second, watching;
    struct command *commands[COUNT];
    struct uuid ids[COUNT];
    make_commands(hall, commands, COUNT);
    address(commands, COUNT, two_gateways, 2);
    for (size_t i = 0; i < COUNT; i++)
        ids[i] = commands[i]->envelope.id;
    listener_start(&first, hall, EXCHANGE_GATEWAYS, FIRST_GATEWAY);
    listener_start(&second, hall, EXCHANGE_GATEWAYS, SECOND_GATEWAY);
    listener_start(&watching, hall, EXCHANGE_GATEWAYS, slot_pattern(hall));
    sender_start(&sender, hall, 1000);
    say_that_all_read_parcels(&sender);
    send_all(&sender, commands, COUNT);
    eventually(hall, sender.published == COUNT);
    eventually(hall, first.count == COUNT / 2 && second.count == COUNT / 2 && watching.count == COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(uuid_equal(&watching.commands[i], &ids[i])); /* refusals of the same parcels, too */
        assert_true(
            uuid_equal(i < COUNT / 2 ? &first.commands[i] : &second.commands[i - COUNT / 2], &ids[i]));
    }
    assert_int_equal(first.messages, 1);
    assert_int_equal(second.messages, 1);
    assert_int_equal(watching.parcels, 2);
    assert_int_equal(outbox_unpublished(sender.outbox), 0);
    broker_free(first.broker);
    broker_free(second.broker);
    broker_free(watching.broker);
    sender_stop(&sender);
}

static void test_outbox_when_others_have_bound_then_they_get_single_events_each_once(void **state)
{
    struct hall *hall = *state;
    struct sender sender;
    static struct listener others, gateway;
    char pattern[64];
    const size_t events = COUNT - COUNT / 4;
    snprintf(pattern, sizeof(pattern), "*.%s.#", uuid_text(&hall->engine->company));
    listener_start(&others, hall, EXCHANGE_SLOTS, pattern);
    listener_start(&gateway, hall, EXCHANGE_GATEWAYS, slot_pattern(hall));
    sender_start(&sender, hall, 1000);
    say_that_all_read_parcels(&sender);
    /* The first time it is found out that there are others; the second time it is known; the last one is alone. */
    for (size_t round = 1; round <= 3; round++) {
        struct command *commands[COUNT];
        size_t count = round < 3 ? COUNT : 1;
        make_commands(hall, commands, count);
        address(commands, count, one_gateway, 1);
        others.count = sender.published = 0;
        send_all(&sender, commands, count);
        size_t expected = round < 3 ? events : 1;
        eventually(hall, sender.published == count && others.count >= expected);
        let_pass_ms(hall, 50);
        assert_int_equal(others.count, expected);
        for (size_t i = 1; i < others.count; i++)
            assert_true(others.seqs[i] == others.seqs[i - 1] + 1);
    }
    assert_int_equal(others.parcels, 0);
    assert_int_equal(gateway.count, 2 * COUNT + 1);
    assert_int_equal(gateway.parcels, 2);
    broker_free(others.broker);
    broker_free(gateway.broker);
    sender_stop(&sender);
}

static void test_outbox_when_others_have_bound_one_type_then_they_get_that_type_alone(void **state)
{
    struct hall *hall = *state;
    struct sender sender;
    static struct listener others;
    struct command *commands[COUNT];
    make_commands(hall, commands, COUNT);
    address(commands, COUNT, one_gateway, 1);
    listener_start(&others, hall, EXCHANGE_SLOTS, "*.*.project.deleted");
    sender_start(&sender, hall, 1000);
    say_that_all_read_parcels(&sender);
    commands[COUNT - 2]->effects->type = SLICE("project.deleted");
    struct uuid last = commands[COUNT - 2]->envelope.id;
    send_all(&sender, commands, COUNT);
    eventually(hall, sender.published == COUNT && others.count > 0);
    let_pass_ms(hall, 50);
    assert_int_equal(others.count, 1);
    assert_true(uuid_equal(&others.commands[0], &last));
    broker_free(others.broker);
    sender_stop(&sender);
}

/* Of many companies, each of which is asked about for itself, and then not for a while. */
static void test_others_when_nobody_has_bound_then_it_is_remembered_for_a_while(void **state)
{
    (void)state;
    const struct uuid first = uuid_v7(), second = uuid_v7();
    struct others *others = others_new();
    int64_t now = clock_monotonic_ms();
    others_note_returned(others, &first, SLICE("0a3.project.created"), now);
    assert_true(others_were_asked(others, &first, SLICE("0a3.project.created")));
    assert_false(others_were_asked(others, &first, SLICE("0a3.project.deleted")));
    assert_false(others_were_asked(others, &second, SLICE("0a3.project.created")));
    others_note_returned(others, &second, SLICE("0a3.project.created"), now - OTHERS_ASKED_MS);
    assert_false(others_were_asked(others, &second, SLICE("0a3.project.created")));
    assert_false(others_are_there(others));
    others_note_delivered(others);
    assert_true(others_are_there(others));
    others_free(others);
}

/* A process that ends before the end of the turn: whoever gets the commands next publishes it all. */
static void test_outbox_when_it_ends_with_something_gathered_frees_it(void **state)
{
    struct hall *hall = *state;
    struct sender sender;
    struct command *commands[COUNT];
    make_commands(hall, commands, COUNT);
    address(commands, COUNT, one_gateway, 1);
    sender_start(&sender, hall, 1000);
    say_that_all_read_parcels(&sender);
    send_all(&sender, commands, COUNT / 2);
    ev_run(hall->loop, EVRUN_NOWAIT); /* these are with the broker, which is not connected yet */
    send_all(&sender, commands + COUNT / 2, COUNT / 2);
    sender_stop(&sender);
    assert_int_equal(sender.published, 0);
}

/* The window has room for a part of them only. */
static void test_outbox_when_the_window_is_small_tells_all_in_parcels(void **state)
{
    struct hall *hall = *state;
    struct sender sender;
    static struct listener gateway;
    struct command *commands[COUNT];
    make_commands(hall, commands, COUNT);
    address(commands, COUNT, one_gateway, 1);
    listener_start(&gateway, hall, EXCHANGE_GATEWAYS, FIRST_GATEWAY);
    sender_start(&sender, hall, 7);
    say_that_all_read_parcels(&sender);
    send_all(&sender, commands, COUNT);
    eventually(hall, sender.published == COUNT && gateway.count == COUNT);
    assert_true(gateway.messages < COUNT);
    broker_free(gateway.broker);
    sender_stop(&sender);
}

/* A queue that takes one message and then refuses: the broker nacks what is routed to it. */
static void test_outbox_when_the_broker_refuses_tells_again_until_it_takes_it(void **state)
{
    struct hall *hall = *state;
    struct sender sender;
    struct command *commands[2];
    const struct broker_header arguments[] = {
        {.name = SLICE("x-max-length"), .is_integer = true, .integer = 1},
        {.name = SLICE("x-overflow"), .text = SLICE("reject-publish")},
    };
    make_commands(hall, commands, 2);
    hall->is_ready = false;
    broker_declare_queue(hall->broker, &(struct broker_queue){.name = hall->reply_key,
                                                              .exclusive = true,
                                                              .arguments = arguments,
                                                              .argument_count = ARRAY_LEN(arguments)});
    broker_bind(hall->broker, hall->reply_key, EXCHANGE_EVENTS, hall->reply_key);
    broker_after_declarations(hall->broker, on_hall_ready, hall);
    eventually(hall, hall->is_ready);
    sender_start(&sender, hall, 10);
    outbox_send(sender.outbox, commands[0]);
    eventually(hall, sender.published == 1);
    outbox_send(sender.outbox, commands[1]);
    let_pass_ms(hall, 300);
    assert_int_equal(sender.published, 1);
    broker_consume(hall->broker, hall->reply_key, "full", 0, false, false);
    eventually(hall, sender.published == 2);
    sender_stop(&sender);
}

static void test_outbox_when_it_ends_with_work_left_frees_it(void **state)
{
    struct hall *hall = *state;
    struct sender sender;
    struct command *commands[3];
    make_commands(hall, commands, 3);
    sender_start(&sender, hall, 1); /* one is with the broker, which is not connected yet; two wait */
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        outbox_send(sender.outbox, commands[i]);
    sender_stop(&sender);
    assert_int_equal(sender.published, 0);
}

int main(void)
{
    if (apply_migrations() != 0)
        return 1;
#define TEST(test) cmocka_unit_test_setup_teardown(test, hall_setup, hall_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_outbox_when_the_window_is_small_tells_everything_in_order),
        TEST(test_outbox_when_a_refusal_has_nobody_waiting_is_told_at_once),
        TEST(test_outbox_when_gateways_read_parcels_then_each_gets_its_replies_in_one_message),
        TEST(test_outbox_when_others_have_bound_then_they_get_single_events_each_once),
        TEST(test_outbox_when_others_have_bound_one_type_then_they_get_that_type_alone),
        cmocka_unit_test(test_others_when_nobody_has_bound_then_it_is_remembered_for_a_while),
        TEST(test_outbox_when_it_ends_with_something_gathered_frees_it),
        TEST(test_outbox_when_the_window_is_small_tells_all_in_parcels),
        TEST(test_outbox_when_the_broker_refuses_tells_again_until_it_takes_it),
        TEST(test_outbox_when_it_ends_with_work_left_frees_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
