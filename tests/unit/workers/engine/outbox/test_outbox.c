#include "tests/unit/workers/engine/worker_process_fixture.h"
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
    topology_declare_events(broker);
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
    sender->gateways = gateways_new(sender->broker, &hall->config);
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
        TEST(test_outbox_when_the_broker_refuses_tells_again_until_it_takes_it),
        TEST(test_outbox_when_it_ends_with_work_left_frees_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
