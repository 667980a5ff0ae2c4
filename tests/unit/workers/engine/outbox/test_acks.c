/* Which deliveries are acked, by what became of their commands, over a real RabbitMQ: what was not acked comes again on
 * the next connection. */
#include "tests/unit/common/broker/amqp_fixture.h"
#include "workers/engine/outbox/acks.h"

enum { PARTITION = 3, COUNT = 5 };

/* How many commands each delivery brings. */
static const size_t commands_of[COUNT] = {1, 3, 1, 64, 2};

static struct acks *acks;
static struct client *client;
static uint32_t epoch;
static uint64_t tags[COUNT]; /* by the number of the message */

static void on_up(struct client *c)
{
    declare_queue(c);
    broker_consume(c->broker, c->queue, "c", COUNT, false, false);
}

static void on_delivery(struct client *c, const struct broker_delivery *delivery)
{
    int n = number_of(delivery);
    c->messages[n].deliveries++;
    epoch = delivery->epoch;
    tags[n] = delivery->tag;
    acks_add(acks, delivery->epoch, delivery->tag, PARTITION, commands_of[n]);
}

static int setup(void **state)
{
    loop_setup(state);
    client = client_new(server_url(), on_up);
    client->on_delivery = on_delivery;
    acks = acks_new(client->broker);
    eventually(client->ups == 1);
    publish_many(client, 0, COUNT, SLICE("x"));
    eventually(client->delivered == COUNT);
    return 0;
}

static int teardown(void **state)
{
    client_free(client);
    acks_free(acks);
    return loop_teardown(state);
}

static void settle(int n, size_t commands)
{
    for (size_t i = 0; i < commands; i++)
        acks_done(acks, epoch, tags[n]);
}

/* Sends the acks, loses the connection, and waits until these messages came again, and no others. */
static void assert_come_again(const char *numbers)
{
    int before[COUNT], count = (int)strlen(numbers);
    acks_flush(acks);
    for (int n = 0; n < COUNT; n++)
        before[n] = client->messages[n].deliveries;
    int marks = client->marks;
    declare_queue(client); /* the server answers in order, so it has read the acks by then */
    broker_after_declarations(client->broker, client_on_mark, client);
    eventually(client->marks > marks);
    client->delivered = 0;
    broker_reconnect(client->broker, "to see what comes again");
    acks_forget(acks);
    eventually(client->delivered == count);
    let_pass_ms(100);
    for (int n = 0; n < COUNT; n++)
        assert_int_equal(client->messages[n].deliveries - before[n], strchr(numbers, '0' + n) != NULL);
}

static void test_acks_when_one_command_of_a_delivery_is_open_then_it_is_not_acked(void **state)
{
    (void)state;
    assert_int_equal(acks_open(acks), 1 + 3 + 1 + 64 + 2);
    settle(0, 1);
    settle(1, 2);
    settle(2, 1);
    acks_flush(acks);
    assert_int_equal(acks_open(acks), 1 + 64 + 2);
    assert_int_equal(acks_unacked(acks)[PARTITION], 4);                       /* 2 waits for 1 */
    assert_int_equal(acks_unacked_commands(acks)[PARTITION], 3 + 1 + 64 + 2); /* until they are acked */
    settle(1, 1);
    settle(3, 64);
    acks_flush(acks);
    assert_int_equal(acks_unacked(acks)[PARTITION], 1);
    assert_int_equal(acks_unacked_commands(acks)[PARTITION], 2);
    settle(4, 1);
    assert_come_again("4");
    assert_int_equal(acks_open(acks), 2);
}

static void test_acks_when_a_command_of_the_oldest_is_held_then_those_behind_it_are_acked(void **state)
{
    (void)state;
    settle(0, 1);
    settle(1, 2);
    acks_hold(acks, epoch, tags[1]); /* the third of its commands backs off */
    settle(2, 1);
    settle(3, 63);
    settle(4, 2);
    acks_flush(acks);
    assert_int_equal(acks_unacked(acks)[PARTITION], 2);
    assert_int_equal(acks_open(acks), 1 + 1);
    assert_come_again("13");
}

static void test_acks_when_one_command_is_rejected_then_its_delivery_is_once_all_are_settled(void **state)
{
    (void)state;
    settle(0, 1);
    acks_reject(acks, epoch, tags[1]);
    settle(1, 1);
    acks_flush(acks);
    assert_int_equal(acks_unacked(acks)[PARTITION], 4);
    settle(1, 1);
    acks_flush(acks);
    assert_int_equal(acks_unacked(acks)[PARTITION], 3);
    assert_come_again("234");
}

static void test_acks_when_the_connection_is_gone_then_what_comes_late_counts_for_nothing(void **state)
{
    (void)state;
    uint32_t before = epoch;
    uint64_t tag = tags[3];
    assert_come_again("01234");
    acks_done(acks, before, tag);
    acks_reject(acks, before, tag);
    acks_hold(acks, before, tag);
    assert_int_equal(acks_open(acks), 1 + 3 + 1 + 64 + 2);
    assert_int_equal(acks_unacked(acks)[PARTITION], COUNT);
    assert_int_equal(acks_unacked_commands(acks)[PARTITION], 1 + 3 + 1 + 64 + 2);
}

static void test_acks_when_parcels_come_then_the_average_follows_and_is_said(void **state)
{
    (void)state;
    assert_true(acks_has_parcels(acks));
    unsigned before = acks_percent_a_delivery(acks);
    assert_in_range(before, 101, 300);
    struct acks *others = acks_new(client->broker);
    assert_int_equal(acks_percent_a_delivery(others), 100);
    assert_false(acks_has_parcels(others));
    for (uint64_t tag = 1; tag <= 1000; tag++)
        acks_add(others, epoch, tag, PARTITION, 1);
    assert_int_equal(acks_percent_a_delivery(others), 100);
    assert_false(acks_has_parcels(others));
    for (uint64_t tag = 1001; tag <= 2000; tag++)
        acks_add(others, epoch, tag, PARTITION, 8);
    assert_in_range(acks_percent_a_delivery(others), 790, 800);
    assert_true(acks_has_parcels(others));
    acks_free(others);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_acks_when_one_command_of_a_delivery_is_open_then_it_is_not_acked),
        TEST(test_acks_when_a_command_of_the_oldest_is_held_then_those_behind_it_are_acked),
        TEST(test_acks_when_one_command_is_rejected_then_its_delivery_is_once_all_are_settled),
        TEST(test_acks_when_the_connection_is_gone_then_what_comes_late_counts_for_nothing),
        TEST(test_acks_when_parcels_come_then_the_average_follows_and_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
