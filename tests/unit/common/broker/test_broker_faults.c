/* The AMQP client against a real RabbitMQ, behind a proxy that breaks the connection between them. */
#include "tests/unit/common/broker/amqp_proxy.h"

static void declare_own_queue(struct client *client)
{
    declare_queue(client);
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void consume_own_queue(struct client *client)
{
    declare_queue(client);
    broker_consume(client->broker, client->queue, "tests", 50, false, false);
    broker_after_declarations(client->broker, client_on_mark, client);
}

/* Reads the queue without the proxy until it has seen each message below `count`. */
static void assert_queue_has_all(struct client *publisher, int count)
{
    struct client *reader = client_new(server_url(), NULL);
    snprintf(reader->queue, sizeof(reader->queue), "%s", publisher->queue);
    reader->on_up = consume_own_queue;
    reader->on_delivery = note_and_ack;
    eventually(count_delivered(reader, count) == count);
    client_free(reader);
}

static char body[300];
static const struct slice BODY = {body, sizeof(body)};

/* A message has about 400 octets here, so the cuts fall into methods, headers, bodies and ends of frames,
 * early and late. */
static void test_publish_when_cut_in_the_middle_of_a_frame_then_nothing_is_lost_and_each_is_confirmed_once(
    void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_new(proxy->url, declare_own_queue);
    enum { ROUNDS = 20, PER_ROUND = 100 };
    eventually(client->marks == 1);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t passed = proxy->flows[TO_SERVER].passed;
        proxy->cut_after[TO_SERVER] = passed + 1 + round * 1931;
        publish_many(client, round * PER_ROUND, (round + 1) * PER_ROUND, BODY);
        eventually(client->ups == round + 2 && client->confirmed == (round + 1) * PER_ROUND);
    }
    assert_each_confirmed_once(client, ROUNDS * PER_ROUND);
    assert_int_equal(broker_unconfirmed(client->broker), 0);
    assert_int_equal(broker_epoch(client->broker), ROUNDS + 1);
    assert_queue_has_all(client, ROUNDS * PER_ROUND);
    client_free(client);
    proxy_free(proxy);
}

static void test_publish_when_the_confirms_are_cut_off_then_sent_again_and_each_is_confirmed_once(
    void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_new(proxy->url, declare_own_queue);
    eventually(client->marks == 1);
    proxy_hold(proxy, TO_CLIENT, true);
    publish_many(client, 0, 1000, BODY);
    eventually(broker_unsent_bytes(client->broker) == 0);
    assert_int_equal(client->confirmed, 0);
    publish_many(client, 1000, 1100, BODY); /* accepted, not even written when the cut comes */
    proxy_cut(proxy);
    proxy_hold(proxy, TO_CLIENT, false);
    eventually(client->confirmed == 1100);
    assert_each_confirmed_once(client, 1100);
    assert_queue_has_all(client, 1100);
    client_free(client);
    proxy_free(proxy);
}

/* A message may come twice, but each number must first come after the number before it. */
static void note_in_order(struct client *client, const struct broker_delivery *d)
{
    int n = number_of(d);
    assert_true(n == 0 || client->messages[n - 1].deliveries > 0);
    note_and_ack(client, d);
}

static void test_publish_when_sent_again_then_the_order_is_kept(void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_new(proxy->url, declare_own_queue);
    publish_many(client, 0, 500, BODY); /* before the first connection */
    eventually(client->confirmed >= 100);
    proxy_cut(proxy);
    eventually(client->confirmed == 500);
    struct client *reader = client_new(server_url(), NULL);
    snprintf(reader->queue, sizeof(reader->queue), "%s", client->queue);
    reader->on_up = consume_own_queue;
    reader->on_delivery = note_in_order;
    eventually(count_delivered(reader, 500) == 500);
    client_free(reader);
    client_free(client);
    proxy_free(proxy);
}

static void test_publish_when_unroutable_and_cut_before_the_confirm_then_unroutable_once(void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_new(proxy->url, declare_own_queue);
    eventually(client->marks == 1);
    proxy_hold(proxy, TO_CLIENT, true);
    for (int n = 0; n < 100; n++)
        assert_int_equal(publish_to(client, n, n % 2 ? client->queue : "no.such.queue", BODY), ERR_OK);
    eventually(broker_unsent_bytes(client->broker) == 0);
    proxy_cut(proxy);
    proxy_hold(proxy, TO_CLIENT, false);
    eventually(client->confirmed == 100);
    for (int n = 0; n < 100; n++) {
        assert_int_equal(client->messages[n].confirms, 1);
        assert_int_equal(client->messages[n].err, n % 2 ? ERR_OK : ERR_UNROUTABLE);
    }
    client_free(client);
    proxy_free(proxy);
}

static void test_publish_when_the_new_connection_takes_smaller_frames_then_sent_again_in_those(void **state)
{
    (void)state;
    static char large[100000];
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)(i * 31 + i / 253);
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_new(proxy->url, declare_own_queue);
    eventually(client->marks == 1);
    proxy_hold(proxy, TO_SERVER, true);
    publish_many(client, 0, 5, (struct slice){large, sizeof(large)});
    publish_many(client, 5, 10, BODY);
    let_pass_ms(20);
    proxy->frame_max = 8192; /* RabbitMQ closes the connection when a frame is larger */
    proxy_cut(proxy);
    proxy_hold(proxy, TO_SERVER, false);
    eventually(client->confirmed == 10);
    publish_many(client, 10, 12, (struct slice){large, sizeof(large)});
    eventually(client->confirmed == 12);
    assert_each_confirmed_once(client, 12);
    assert_int_equal(client->downs, 1);
    assert_queue_has_all(client, 12);
    client_free(client);
    proxy_free(proxy);
}

/* ---- consuming ---- */

static void test_consume_when_cut_in_the_middle_of_a_frame_then_every_message_comes(void **state)
{
    (void)state;
    struct client *publisher = client_new(server_url(), declare_own_queue);
    publish_many(publisher, 0, 1000, BODY);
    eventually(publisher->confirmed == 1000);
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_new(proxy->url, NULL);
    snprintf(client->queue, sizeof(client->queue), "%s", publisher->queue);
    client->on_up = consume_own_queue;
    client->on_delivery = note_and_ack;
    for (int round = 1; round <= 10; round++) {
        eventually(client->marks == round);
        if (proxy->linked)
            proxy->cut_after[TO_CLIENT] = proxy->flows[TO_CLIENT].passed + 1 + round * 3371;
        eventually(client->downs == round || count_delivered(client, 1000) == 1000);
        if (client->downs < round)
            break;
    }
    assert_true(client->downs > 0);
    proxy->cut_after[TO_CLIENT] = NEVER;
    eventually(count_delivered(client, 1000) == 1000);
    client_free(client);
    proxy_free(proxy);
    client_free(publisher);
}

struct kept {
    uint32_t epoch;
    uint64_t tag;
};
static struct kept kept[16];

static void keep(struct client *client, const struct broker_delivery *d)
{
    kept[client->delivered - 1] = (struct kept){d->epoch, d->tag};
    client->messages[number_of(d)].deliveries++;
    assert_int_equal(d->redelivered, client->delivered > 5);
}

static void test_ack_when_the_epoch_is_stale_then_ignored_and_the_message_comes_again(void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_new(proxy->url, consume_own_queue);
    client->on_delivery = keep;
    publish_many(client, 0, 5, BODY);
    eventually(client->delivered == 5 && client->confirmed == 5);
    proxy_cut(proxy);
    broker_ack(client->broker, kept[4].epoch, kept[4].tag,
               true); /* the break may not be noticed yet; the ack is lost either way */
    eventually(client->delivered == 10);
    broker_ack(client->broker, kept[4].epoch, kept[4].tag, true);
    broker_reject(client->broker, kept[4].epoch, kept[4].tag, false);
    let_pass_ms(50);
    proxy_cut(proxy);
    eventually(client->delivered == 15); /* were one of the stale acks sent, fewer would come */
    assert_int_equal(client->downs, 2);
    broker_ack(client->broker, kept[14].epoch, kept[14].tag, true);
    let_pass_ms(50);
    proxy_cut(proxy);
    eventually(client->marks == 4);
    let_pass_ms(50);
    assert_int_equal(client->delivered, 15);
    client_free(client);
    proxy_free(proxy);
}

static void test_cancel_when_the_server_sends_it_then_the_connection_is_made_again(void **state)
{
    (void)state;
    static const char cancel[] = "\1\0\1\0\0\0\13\0\74\0\36\5tests\0\316"; /* 60.30, no-wait off */
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_new(proxy->url, consume_own_queue);
    eventually(client->marks == 1);
    proxy_send(proxy, (struct slice){cancel, sizeof(cancel) - 1});
    eventually(client->marks == 2);
    assert_string_equal(client->why, "the server cancelled consumer tests");
    client_free(client);
    proxy_free(proxy);
}

static void test_close_when_the_server_sends_it_then_its_text_is_reported(void **state)
{
    (void)state;
    static const char close_frame[] =
        "\1\0\0\0\0\0\40\0\12\0\62\1\100\25CONNECTION_FORCED bye\0\0\0\0\316"; /* 10.50, 320 */
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_new(proxy->url, declare_own_queue);
    eventually(client->marks == 1);
    proxy_send(proxy, (struct slice){close_frame, sizeof(close_frame) - 1});
    eventually(client->marks == 2);
    assert_string_equal(client->why, "320 CONNECTION_FORCED bye");
    client_free(client);
    proxy_free(proxy);
}

/* ---- a server that stops reading, or everything ---- */

static const char BLOCKED[] = "\1\0\0\0\0\0\10\0\12\0\74\3low\316"; /* connection.blocked */
static const char UNBLOCKED[] = "\1\0\0\0\0\0\4\0\12\0\75\316";

static struct client *client_with_fast_heartbeat(struct proxy *proxy)
{
    struct broker_options options = client_options(proxy->url);
    options.heartbeat_s = 2;
    options.unconfirmed_max = 100;
    return client_new_with(&options, declare_own_queue);
}

static void test_publish_when_blocked_then_accepted_up_to_the_window_and_sent_when_unblocked(void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_with_fast_heartbeat(proxy);
    eventually(client->marks == 1);
    proxy_send(proxy, (struct slice){BLOCKED, sizeof(BLOCKED) - 1});
    eventually(client->blocks == 1);
    assert_true(broker_is_blocked(client->broker));
    assert_true(broker_is_up(client->broker));
    publish_many(client, 0, 100, BODY);
    assert_int_equal(publish_to(client, 100, client->queue, BODY), ERR_BROKER_BUSY);
    let_pass_ms(
        3500); /* three and a half heartbeats, on which nothing is published and the connection lives */
    assert_int_equal(client->downs, 0);
    assert_int_equal(client->confirmed, 0);
    assert_true(broker_unsent_bytes(client->broker) > 100 * sizeof(body));
    proxy_send(proxy, (struct slice){UNBLOCKED, sizeof(UNBLOCKED) - 1});
    eventually(client->confirmed == 100);
    assert_int_equal(client->unblocks, 1);
    assert_false(broker_is_blocked(client->broker));
    assert_each_confirmed_once(client, 100);
    client_free(client);
    proxy_free(proxy);
}

static void test_publish_when_cut_while_blocked_then_sent_on_the_next_connection(void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_with_fast_heartbeat(proxy);
    eventually(client->marks == 1);
    proxy_send(proxy, (struct slice){BLOCKED, sizeof(BLOCKED) - 1});
    eventually(client->blocks == 1);
    publish_many(client, 0, 50, BODY);
    proxy_cut(proxy);
    eventually(client->confirmed == 50);
    assert_false(broker_is_blocked(client->broker));
    assert_each_confirmed_once(client, 50);
    client_free(client);
    proxy_free(proxy);
}

static void test_heartbeat_when_idle_then_the_connection_stays(void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_with_fast_heartbeat(proxy);
    eventually(client->marks == 1);
    int64_t passed = proxy->flows[TO_SERVER].passed;
    let_pass_ms(6000);
    assert_int_equal(client->downs, 0);
    assert_in_range(proxy->flows[TO_SERVER].passed - passed, 3 * 8,
                    12 * 8); /* a few heartbeats of 8 octets */
    client_free(client);
    proxy_free(proxy);
}

static void test_heartbeat_when_the_server_is_silent_then_down_and_up_again(void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_with_fast_heartbeat(proxy);
    eventually(client->marks == 1);
    proxy_hold(proxy, TO_CLIENT, true);
    int64_t since = clock_monotonic_us();
    eventually(client->downs == 1);
    assert_true(clock_monotonic_us() - since > 1500000);
    assert_non_null(strstr(client->why, "two heartbeats"));
    proxy_hold(proxy, TO_CLIENT, false);
    eventually(client->marks == 2);
    client_free(client);
    proxy_free(proxy);
}

/* Publishes far more than the socket buffers take. What they do not take is kept within bounds, and nothing
 * waits. */
static struct client *client_with_a_full_socket(struct proxy *proxy, int count)
{
    static char large[60000];
    struct client *client = client_new(proxy->url, declare_own_queue);
    eventually(client->marks == 1);
    proxy_hold(proxy, TO_SERVER, true);
    int64_t since = clock_monotonic_us();
    publish_many(client, 0, count, (struct slice){large, sizeof(large)});
    for (int turn = 0; turn < 10; turn++)
        ev_run(loop, EVRUN_ONCE);
    assert_true(clock_monotonic_us() - since < 5000000);
    assert_true(broker_unsent_bytes(client->broker) > 0);
    return client;
}

static void test_publish_when_the_server_does_not_read_then_the_loop_goes_on_and_all_is_sent_later(
    void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_with_a_full_socket(proxy, 500);
    proxy_hold(proxy, TO_SERVER, false);
    eventually(client->confirmed == 500);
    assert_each_confirmed_once(client, 500);
    assert_int_equal(broker_unsent_bytes(client->broker), 0);
    assert_int_equal(client->downs, 0);
    client_free(client);
    proxy_free(proxy);
}

static void test_publish_when_cut_with_a_message_partly_written_then_sent_again_from_its_beginning(
    void **state)
{
    (void)state;
    struct proxy *proxy = proxy_new(server_url());
    struct client *client = client_with_a_full_socket(proxy, 200);
    proxy_cut(proxy);
    proxy_hold(proxy, TO_SERVER, false);
    eventually(client->confirmed == 200);
    assert_each_confirmed_once(client, 200);
    assert_int_equal(client->downs, 1);
    client_free(client);
    proxy_free(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_publish_when_cut_in_the_middle_of_a_frame_then_nothing_is_lost_and_each_is_confirmed_once),
        cmocka_unit_test(
            test_publish_when_the_confirms_are_cut_off_then_sent_again_and_each_is_confirmed_once),
        cmocka_unit_test(test_publish_when_sent_again_then_the_order_is_kept),
        cmocka_unit_test(test_publish_when_unroutable_and_cut_before_the_confirm_then_unroutable_once),
        cmocka_unit_test(test_publish_when_the_new_connection_takes_smaller_frames_then_sent_again_in_those),
        cmocka_unit_test(test_consume_when_cut_in_the_middle_of_a_frame_then_every_message_comes),
        cmocka_unit_test(test_ack_when_the_epoch_is_stale_then_ignored_and_the_message_comes_again),
        cmocka_unit_test(test_cancel_when_the_server_sends_it_then_the_connection_is_made_again),
        cmocka_unit_test(test_close_when_the_server_sends_it_then_its_text_is_reported),
        cmocka_unit_test(test_publish_when_blocked_then_accepted_up_to_the_window_and_sent_when_unblocked),
        cmocka_unit_test(test_publish_when_cut_while_blocked_then_sent_on_the_next_connection),
        cmocka_unit_test(test_heartbeat_when_idle_then_the_connection_stays),
        cmocka_unit_test(test_heartbeat_when_the_server_is_silent_then_down_and_up_again),
        cmocka_unit_test(
            test_publish_when_cut_with_a_message_partly_written_then_sent_again_from_its_beginning),
        cmocka_unit_test(
            test_publish_when_the_server_does_not_read_then_the_loop_goes_on_and_all_is_sent_later),
    };
    return cmocka_run_group_tests_name("broker faults", tests, loop_setup, loop_teardown);
}
