/* What waits in a pool, as its manager counts it: messages by a real RabbitMQ, and what workers say they bring. */
#include "common/broker/topology.h"
#include "tests/unit/common/broker/amqp_fixture.h"
#include "workers/fleet/manager/load.h"

enum { PARTITIONS = 3, SILENT_MS = 2000 };

static struct client *client;
static struct manager_load *load;
static char pool[64];

static void on_up(struct client *c)
{
    char name[TOPOLOGY_NAME_SIZE];
    const struct broker_header arguments[] = {
        {.name = SLICE("x-expires"), .is_integer = true, .integer = 60000}};
    for (unsigned i = 0; i < PARTITIONS; i++) {
        topology_command_queue(pool, i, name, sizeof(name));
        broker_declare_queue(
            c->broker, &(struct broker_queue){.name = name, .arguments = arguments, .argument_count = 1});
    }
}

static int setup(void **state)
{
    static struct config config = {.partitions = PARTITIONS, .member_silent_ms = SILENT_MS};
    struct uuid id = uuid_v7();
    char text[UUID_TEXT_LEN + 1];
    loop_setup(state);
    uuid_format(&id, text);
    snprintf(pool, sizeof(pool), "test-%s", text);
    client = client_new(server_url(), on_up);
    load = manager_load_new(&config, pool);
    eventually(client->ups == 1);
    return 0;
}

static int teardown(void **state)
{
    client_free(client);
    manager_load_free(load);
    return loop_teardown(state);
}

/* `messages` of them go into the queue of the partition. */
static void queue(unsigned partition, int messages)
{
    char name[TOPOLOGY_NAME_SIZE];
    int before = client->confirmed;
    topology_command_queue(pool, partition, name, sizeof(name));
    for (int n = 0; n < messages; n++)
        assert_int_equal(publish_to(client, before + n, name, SLICE("x")), ERR_OK);
    eventually(client->confirmed == before + messages);
}

static void hear(const char *host, uint64_t holding, size_t open, unsigned percent, int64_t now_ms)
{
    struct member_announcement said = {
        .id = uuid_v7(),
        .pid = 7,
        .reads_parcels = true,
        .report = {.is_able = true, .holding = holding, .open = open, .percent_a_delivery = percent}};
    struct buf text;
    snprintf(said.host, sizeof(said.host), "%s", host);
    buf_init(&text, MEMBER_MESSAGE_MAX);
    member_write(&text, &said);
    assert_true(manager_load_hear(load, buf_slice(&text), now_ms));
    buf_done(&text);
}

static bool counts(int64_t ready)
{
    manager_load_ask(load, client->broker);
    return manager_load_sum(load).ready == ready;
}

static void test_load_when_workers_get_parcels_then_their_queues_hold_as_many_times_as_many_commands(
    void **state)
{
    (void)state;
    queue(0, 10);
    queue(1, 4);
    queue(2, 2);
    eventually(counts(10 + 4 + 2)); /* nobody has said anything */
    hear("a", 0x1, 5, 640, 0);
    hear("b", 0x2, 7, 100, 0);
    assert_int_equal(manager_load_sum(load).ready, 64 + 4 + 2); /* 2 is nobody's */
    assert_int_equal(manager_load_sum(load).open, 12);
    hear("c", 0x4, 0, 150, SILENT_MS);
    assert_int_equal(manager_load_sum(load).ready, 64 + 4 + 3);
    manager_load_expire(load, SILENT_MS + 1);
    assert_int_equal(manager_load_sum(load).ready, 10 + 4 + 3); /* a is gone, and with it what it said */
}

static void test_load_when_a_worker_of_the_version_before_says_no_number_then_each_message_is_one(
    void **state)
{
    (void)state;
    queue(0, 3);
    assert_true(manager_load_hear(
        load,
        SLICE("{\"id\":\"0199aaaa-0000-7000-8000-000000000001\",\"host\":\"old\",\"pid\":8,\"sent\":1,"
              "\"able\":true,\"holding\":[0],\"open\":2,\"oldest_ms\":0,\"parked\":0}"),
        0));
    eventually(counts(3));
    assert_false(manager_load_worker(load, 0)->reads_parcels);
    hear("lies", 0x1, 0, 4000000000u, 0); /* more than any worker can mean: as if it were not said */
    assert_int_equal(manager_load_sum(load).ready, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_load_when_workers_get_parcels_then_their_queues_hold_as_many_times_as_many_commands, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_load_when_a_worker_of_the_version_before_says_no_number_then_each_message_is_one, setup,
            teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
