/* The exchanges and queues, against a real RabbitMQ with a vhost of the tests. */
#include "common/broker/topology.h"
#include "tests/unit/common/broker/amqp_fixture.h"

/* The default settings, because every other test declares the same queues with them. */
static struct config config;

static int setup(void **state)
{
    char why[256];
    assert_int_equal(config_load(&config, why), ERR_OK);
    return loop_setup(state);
}

static int teardown(void **state)
{
    config_done(&config);
    return loop_teardown(state);
}

static void declare(struct client *client)
{
    topology_declare_all(client->broker, &config);
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void declare_and_read_dead_letters(struct client *client)
{
    declare(client);
    broker_consume(client->broker, "dead.projects", "tests", 0, false, false);
}

static void test_command_queue_when_the_name_does_not_fit_then_cut(void **state)
{
    (void)state;
    char name[32], small[8];
    topology_command_queue("projects", 7, name, sizeof(name));
    topology_command_queue("projects", 7, small, sizeof(small));
    assert_string_equal(name, "commands.projects.07");
    assert_string_equal(small, "command");
}

static void test_command_key_when_it_fits_then_its_length_else_zero(void **state)
{
    (void)state;
    char key[27];
    assert_int_equal(topology_command_key("projects", 7, SLICE("project.create"), key, sizeof(key)), 26);
    assert_string_equal(key, "projects.07.project.create");
    assert_int_equal(topology_command_key("projects", 63, SLICE("project.creates"), key, sizeof(key)), 0);
}

static void test_partition_when_companies_are_many_then_spread_evenly(void **state)
{
    (void)state;
    enum { COMPANIES = 8000, PARTITIONS = 8 };
    int counts[PARTITIONS] = {0};
    for (int i = 0; i < COMPANIES; i++) {
        struct uuid company = uuid_v7();
        counts[topology_partition(&company, PARTITIONS)]++;
    }
    for (int i = 0; i < PARTITIONS; i++) /* six standard deviations */
        assert_in_range(counts[i], COMPANIES / PARTITIONS - 180, COMPANIES / PARTITIONS + 180);
}

static void test_declare_when_done_twice_then_accepted_again(void **state)
{
    (void)state;
    struct client *first = client_new(server_url(), declare), *second = client_new(server_url(), declare);
    eventually(first->marks == 1 && second->marks == 1);
    assert_int_equal(first->downs + second->downs, 0);
    client_free(first);
    client_free(second);
}

/* The record of this vhost is the default's. */
static void declare_with_another_number(struct client *client)
{
    struct config other = config;
    other.partitions = config.partitions + 8;
    topology_declare_all(client->broker, &other);
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void test_declare_when_another_number_of_partitions_is_recorded_then_refused_with_both_numbers(
    void **state)
{
    (void)state;
    char sentence[TOPOLOGY_SENTENCE_SIZE];
    struct client *first = client_new(server_url(), declare);
    eventually(first->marks == 1);
    struct client *second = client_new(server_url(), declare_with_another_number);
    eventually(second->downs > 0);
    struct config other = config;
    other.partitions = config.partitions + 8;
    assert_true(topology_disagrees(second->why, &other, sentence));
    assert_non_null(strstr(sentence, "CORTEX_PARTITIONS is 16 here, and 8 is recorded"));
    assert_int_equal(second->marks, 0);
    client_free(first);
    client_free(second);
}

static void test_disagrees_when_the_connection_ends_for_another_reason_then_false(void **state)
{
    (void)state;
    char sentence[TOPOLOGY_SENTENCE_SIZE];
    assert_false(topology_disagrees("the server closed the connection", &config, sentence));
    assert_false(topology_disagrees("406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue "
                                    "'commands.projects.00' in vhost '/': received '9' but current is '8'",
                                    &config, sentence));
}

static void declare_with_other_limits(struct client *client)
{
    struct config other = config;
    other.queue_max_length = config.queue_max_length / 2;
    other.delivery_limit = config.delivery_limit + 1;
    topology_declare_all(client->broker, &other);
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void test_declare_when_limits_have_changed_then_the_queues_are_used_as_they_are(void **state)
{
    (void)state;
    struct client *first = client_new(server_url(), declare);
    eventually(first->marks == 1);
    struct client *second = client_new(server_url(), declare_with_other_limits);
    eventually(second->marks == 1);
    assert_non_null(broker_queue_difference(second->broker, "commands.projects.00"));
    assert_non_null(broker_queue_difference(second->broker, "dead.projects"));
    assert_int_equal(topology_queue_limit(second->broker, "dead.projects", 7), config.queue_max_length);
    assert_int_equal(topology_queue_limit(first->broker, "dead.projects", 7), 7);
    client_free(first);
    client_free(second);
}

static struct slice marker; /* of this run; the queues may hold messages of another run */

static enum err publish(struct client *client, int n, const char *exchange, const char *key)
{
    const struct broker_message message = {
        .exchange = slice_of(exchange),
        .routing_key = slice_of(key),
        .message_id = SLICE("1"),
        .persistent = true,
        .mandatory = true,
        .body = marker,
    };
    return broker_publish(client->broker, &message, note_confirm, &client->messages[n]);
}

static void test_publish_when_the_pool_exists_then_routed_else_unroutable(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), declare);
    eventually(client->marks == 1);
    assert_int_equal(publish(client, 0, EXCHANGE_COMMANDS, "nopool.00.project.create"), ERR_OK);
    assert_int_equal(publish(client, 1, EXCHANGE_DEAD, "nopool.00.project.create"), ERR_OK);
    eventually(client->confirmed == 2);
    assert_int_equal(publish(client, 2, EXCHANGE_COMMANDS, "projects.99.project.create"), ERR_OK);
    eventually(client->confirmed == 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(client->messages[i].err, ERR_UNROUTABLE);
    client_free(client);
}

static bool is_ours(const struct broker_delivery *d)
{
    return slice_equal(d->body, marker);
}

static int rejections, dead, most_deliveries;

static void reject(struct client *client, const struct broker_delivery *d)
{
    if (is_ours(d))
        rejections++;
    if (d->delivery_count > most_deliveries)
        most_deliveries = (int)d->delivery_count;
    bool comes_again = is_ours(d) && slice_is(d->routing_key, "projects.07.test.again");
    broker_reject(client->broker, d->epoch, d->tag, comes_again);
}

static void note_dead(struct client *client, const struct broker_delivery *d)
{
    if (is_ours(d)) {
        dead++;
        assert_true(slice_is(d->exchange, EXCHANGE_DEAD));
    }
    broker_ack(client->broker, d->epoch, d->tag, false);
}

static void consume_commands(struct client *client)
{
    declare(client);
    broker_consume(client->broker, "commands.projects.07", "tests", 0, false, false);
}

static void test_reject_when_final_or_over_the_delivery_limit_then_in_the_dead_letters(void **state)
{
    (void)state;
    struct uuid uuid = uuid_v7();
    char text[UUID_TEXT_LEN + 1];
    uuid_format(&uuid, text);
    marker = slice_of(text);
    rejections = dead = most_deliveries = 0;
    struct client *worker = client_new(server_url(), consume_commands);
    struct client *reader = client_new(server_url(), declare_and_read_dead_letters);
    worker->on_delivery = reject;
    reader->on_delivery = note_dead;
    eventually(worker->marks == 1 && reader->marks == 1);
    assert_int_equal(publish(worker, 0, EXCHANGE_COMMANDS, "projects.07.test.once"), ERR_OK);
    eventually(dead == 1);
    assert_int_equal(rejections, 1);
    assert_int_equal(publish(worker, 1, EXCHANGE_COMMANDS, "projects.07.test.again"), ERR_OK);
    eventually(dead == 2);
    assert_int_equal(rejections, 1 + 1 + config.delivery_limit);
    assert_int_equal(most_deliveries, config.delivery_limit);
    client_free(worker);
    client_free(reader);
}

/* Rows of `deferred` keep the slot, so with a changed function they would not be found any more. */
static void test_slot_when_asked_again_then_always_the_same(void **state)
{
    (void)state;
    struct uuid company = {{0}};
    assert_int_equal(topology_slot(&company), 0x706c);
    company.octet[15] = 1;
    assert_int_equal(topology_slot(&company), 0x7f1b);
}

/* Gateways and workers of several versions must agree on it. */
static void test_event_slot_when_asked_again_then_always_the_same(void **state)
{
    (void)state;
    char text[TOPOLOGY_SLOT_SIZE];
    struct uuid company = {{2}};
    assert_int_equal(topology_event_slot(&company), 0xfa7);
    topology_event_slot_format(topology_event_slot(&company), text);
    assert_string_equal(text, "fa7");
    topology_event_slot_format(0xa, text);
    assert_string_equal(text, "00a");
    topology_event_slot_format(TOPOLOGY_EVENT_SLOTS - 1, text);
    assert_string_equal(text, "fff");
}

static void test_event_slot_when_there_are_many_companies_then_all_have_their_share(void **state)
{
    (void)state;
    enum { EACH = 100 };
    static unsigned counts[TOPOLOGY_EVENT_SLOTS];
    for (size_t i = 0; i < TOPOLOGY_EVENT_SLOTS * EACH; i++) {
        const struct uuid company = uuid_v7();
        counts[topology_event_slot(&company)]++;
    }
    for (size_t i = 0; i < TOPOLOGY_EVENT_SLOTS; i++)
        assert_in_range(counts[i], EACH / 3, EACH * 3);
}

static void test_reply_key_when_it_is_none_then_nobody_is_answered(void **state)
{
    (void)state;
    assert_true(slice_is(topology_reply_key(SLICE("reply.1")), "reply.1"));
    assert_true(slice_is(topology_peer_key(SLICE("reply.1")), "reply.1"));
    assert_true(slice_is(topology_reply_key(SLICE("slots.p-1")), "slots.p-1"));
    assert_null(topology_peer_key(SLICE("slots.p-1")).data);
    static const char *const others[] = {"reply.",         "slots.",  "reply",     "",
                                         "gateways.slots", "Reply.x", "amq.gen-x", "xreply.y"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_null(topology_reply_key(slice_of(others[i])).data);
    assert_null(topology_reply_key(SLICE_NONE).data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_slot_when_asked_again_then_always_the_same),
        cmocka_unit_test(test_reply_key_when_it_is_none_then_nobody_is_answered),
        cmocka_unit_test(test_event_slot_when_there_are_many_companies_then_all_have_their_share),
        cmocka_unit_test(test_command_queue_when_the_name_does_not_fit_then_cut),
        cmocka_unit_test(test_slot_when_asked_again_then_always_the_same),
        cmocka_unit_test(test_command_key_when_it_fits_then_its_length_else_zero),
        cmocka_unit_test(test_partition_when_companies_are_many_then_spread_evenly),
        cmocka_unit_test(test_declare_when_done_twice_then_accepted_again),
        cmocka_unit_test(
            test_declare_when_another_number_of_partitions_is_recorded_then_refused_with_both_numbers),
        cmocka_unit_test(test_disagrees_when_the_connection_ends_for_another_reason_then_false),
        cmocka_unit_test(test_declare_when_limits_have_changed_then_the_queues_are_used_as_they_are),
        cmocka_unit_test(test_publish_when_the_pool_exists_then_routed_else_unroutable),
        cmocka_unit_test(test_reject_when_final_or_over_the_delivery_limit_then_in_the_dead_letters),
    };
    return cmocka_run_group_tests_name("topology", tests, setup, teardown);
}
