/* The AMQP client against a real RabbitMQ. Faults of the connection: test_broker_faults.c; of the server:
 * test_broker_server.c. */
#include "tests/unit/common/broker/amqp_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void test_new_when_the_url_does_not_parse_then_bad_request(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "http://host/",
        "amqps://host/",
        "amqp://host:port/",
        "amqp://host:99999/",
        "amqp://host/vhost/more",
        "amqp://[::1",
        "amqp://host/%zz",
        "amqp://guest:guest@127.0.0.1/,",
        "amqp://guest:guest@127.0.0.1/,nonsense",
    };
    static const struct broker_callbacks callbacks = {0};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct broker_options options = client_options(urls[i]);
        struct broker *broker = NULL;
        assert_int_equal(broker_new(loop, &options, &callbacks, NULL, &broker), ERR_BAD_REQUEST);
        assert_null(broker);
    }
}

/* ---- publishing ---- */

static void consume_own_queue(struct client *client)
{
    declare_queue(client);
    broker_consume(client->broker, client->queue, "tests", 0, false, false);
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void check_everything(struct client *client, const struct broker_delivery *d)
{
    assert_int_equal(d->tag, 1);
    assert_int_equal(d->epoch, broker_epoch(client->broker));
    assert_false(d->redelivered);
    assert_int_equal(d->delivery_count, 0);
    assert_true(slice_is(d->consumer_tag, "tests"));
    assert_true(slice_is(d->exchange, ""));
    assert_true(slice_is(d->routing_key, client->queue));
    assert_true(slice_is(d->content_type, "text/plain"));
    assert_true(slice_is(d->message_id, "the id"));
    assert_true(slice_is(d->correlation_id, "the request"));
    assert_true(slice_is(d->reply_to, "the asker"));
    assert_true(slice_is(d->type, "greeting"));
    assert_int_equal(d->timestamp, 1700000000);
    assert_true(slice_is(d->body, "hello"));
    assert_int_equal(d->header_count, 4);
    assert_true(slice_is(broker_delivery_header(d, "text")->text, "words"));
    assert_int_equal(broker_delivery_header(d, "empty")->text.len, 0);
    assert_true(broker_delivery_header(d, "negative")->is_integer);
    assert_int_equal(broker_delivery_header(d, "negative")->integer, -5);
    assert_int_equal(broker_delivery_header(d, "largest")->integer, INT64_MAX);
    assert_null(broker_delivery_header(d, "absent"));
    assert_null(broker_delivery_header(d, "CC")); /* a list: not shown */
}

static void test_publish_when_routed_then_confirmed_and_delivered_as_sent(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), consume_own_queue);
    client->on_delivery = check_everything;
    eventually(client->marks == 1);
    const struct slice nobody = SLICE("nobody");
    const struct broker_header headers[] = {
        {.name = SLICE("text"), .text = SLICE("words")},
        {.name = SLICE("empty"), .text = SLICE("")},
        {.name = SLICE("absent"), .text = SLICE_NONE},
        {.name = SLICE("negative"), .is_integer = true, .integer = -5},
        {.name = SLICE("largest"), .is_integer = true, .integer = INT64_MAX},
    };
    const struct broker_message message = {
        .exchange = SLICE(""),
        .routing_key = slice_of(client->queue),
        .cc = &nobody,
        .cc_count = 1,
        .content_type = SLICE("text/plain"),
        .message_id = SLICE("the id"),
        .correlation_id = SLICE("the request"),
        .reply_to = SLICE("the asker"),
        .type = SLICE("greeting"),
        .timestamp = 1700000000,
        .persistent = true,
        .mandatory = true,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = SLICE("hello"),
    };
    assert_int_equal(broker_publish(client->broker, &message, note_confirm, &client->messages[0]), ERR_OK);
    assert_int_equal(broker_unconfirmed(client->broker), 1);
    assert_int_equal(client->confirmed, 0);
    eventually(client->confirmed == 1 && client->delivered == 1);
    assert_each_confirmed_once(client, 1);
    assert_int_equal(broker_unconfirmed(client->broker), 0);
    assert_int_equal(broker_unsent_bytes(client->broker), 0);
    client_free(client);
}

static void test_publish_with_cc_when_the_second_key_is_bound_then_it_arrives_there(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), consume_own_queue);
    eventually(client->marks == 1);
    const struct slice queue = slice_of(client->queue);
    const struct broker_message message = {
        .exchange = SLICE(""),
        .routing_key = SLICE("nowhere"),
        .cc = &queue,
        .cc_count = 1,
        .mandatory = true,
    };
    assert_int_equal(broker_publish(client->broker, &message, note_confirm, &client->messages[0]), ERR_OK);
    eventually(client->confirmed == 1 && client->delivered == 1);
    assert_each_confirmed_once(client, 1);
    client_free(client);
}

enum { HUGE = 1000003 };
static char huge[HUGE];

static void check_huge(struct client *client, const struct broker_delivery *d)
{
    assert_int_equal(d->body.len, sizeof(huge));
    assert_memory_equal(d->body.data, huge, sizeof(huge));
    note_and_ack(client, d);
}

static void test_publish_when_the_body_is_larger_than_a_frame_then_it_arrives_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(huge); i++)
        huge[i] = (char)(i * 7 + i / 251);
    struct client *client = client_new(server_url(), consume_own_queue);
    client->on_delivery = check_huge;
    eventually(client->marks == 1);
    publish_many(client, 0, 3, (struct slice){huge, sizeof(huge)});
    eventually(client->confirmed == 3 && client->delivered == 3);
    assert_each_confirmed_once(client, 3);
    client_free(client);
}

static void test_publish_when_the_body_has_every_size_around_a_frame_then_each_arrives(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), consume_own_queue);
    client->on_delivery = note_and_ack;
    eventually(client->marks == 1);
    int n = 0;
    for (size_t frames = 1; frames <= 2; frames++)
        for (size_t size = frames * (131072 - 8) - 2; size <= frames * (131072 - 8) + 2; size++)
            assert_int_equal(publish_to(client, n++, client->queue, (struct slice){huge, size}), ERR_OK);
    assert_int_equal(publish_to(client, n++, client->queue, SLICE("")), ERR_OK);
    eventually(client->confirmed == n && client->delivered == n);
    assert_each_confirmed_once(client, n);
    client_free(client);
}

static void test_publish_when_something_is_too_long_for_amqp_then_refused(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), NULL);
    static char text[200000];
    memset(text, 'x', sizeof(text));
    const struct slice long_key = {text, 256}, long_header = {text, sizeof(text)};
    struct broker_message message = {.routing_key = long_key};
    assert_int_equal(broker_publish(client->broker, &message, NULL, NULL), ERR_BAD_REQUEST);
    message = (struct broker_message){.message_id = long_key};
    assert_int_equal(broker_publish(client->broker, &message, NULL, NULL), ERR_BAD_REQUEST);
    struct broker_header header = {.name = long_key, .text = SLICE("")};
    message = (struct broker_message){.headers = &header, .header_count = 1};
    assert_int_equal(broker_publish(client->broker, &message, NULL, NULL), ERR_BAD_REQUEST);
    header = (struct broker_header){.name = SLICE("name"), .text = long_header};
    assert_int_equal(broker_publish(client->broker, &message, NULL, NULL), ERR_HEADERS_TOO_LARGE);
    message = (struct broker_message){.body = {text, BROKER_BODY_MAX + 1}};
    assert_int_equal(broker_publish(client->broker, &message, NULL, NULL), ERR_BODY_TOO_LARGE);
    assert_int_equal(broker_unconfirmed(client->broker), 0);
    client_free(client);
}

static void test_publish_when_no_queue_is_bound_then_each_of_those_is_unroutable_and_no_other(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), consume_own_queue);
    eventually(client->marks == 1);
    enum { COUNT = 300 };
    for (int n = 0; n < COUNT; n++)
        assert_int_equal(publish_to(client, n, n % 3 ? client->queue : "no.such.queue", SLICE("?")), ERR_OK);
    eventually(client->confirmed == COUNT);
    for (int n = 0; n < COUNT; n++) {
        assert_int_equal(client->messages[n].confirms, 1);
        assert_int_equal(client->messages[n].err, n % 3 ? ERR_OK : ERR_UNROUTABLE);
    }
    client_free(client);
}

static void declare_queue_of_one(struct client *client)
{
    const struct broker_header arguments[] = {
        {.name = SLICE("x-max-length"), .is_integer = true, .integer = 1},
        {.name = SLICE("x-overflow"), .text = SLICE("reject-publish")},
    };
    const struct broker_queue queue = {
        .name = client->queue,
        .exclusive = true,
        .arguments = arguments,
        .argument_count = ARRAY_LEN(arguments),
    };
    broker_declare_queue(client->broker, &queue);
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void test_publish_when_the_queue_is_full_then_queue_full(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), declare_queue_of_one);
    eventually(client->marks == 1);
    publish_many(client, 0, 1, SLICE("fits"));
    eventually(client->confirmed == 1);
    publish_many(client, 1, 4, SLICE("does not"));
    eventually(client->confirmed == 4);
    assert_each_confirmed_once(client, 1);
    for (int n = 1; n < 4; n++) {
        assert_int_equal(client->messages[n].confirms, 1);
        assert_int_equal(client->messages[n].err, ERR_QUEUE_FULL);
    }
    client_free(client);
}

static void test_publish_when_the_window_is_full_then_busy_and_no_confirm_for_it(void **state)
{
    (void)state;
    struct broker_options options = client_options(server_url());
    options.unconfirmed_max = 5;
    struct client *client = client_new_with(&options, declare_queue);
    publish_many(client, 0, 5, SLICE("taken while the connection is not up yet"));
    assert_int_equal(publish_to(client, 5, client->queue, SLICE("one too many")), ERR_BROKER_BUSY);
    assert_int_equal(broker_unconfirmed(client->broker), 5);
    eventually(client->confirmed == 5);
    assert_int_equal(publish_to(client, 6, client->queue, SLICE("room again")), ERR_OK);
    eventually(client->confirmed == 6);
    assert_int_equal(client->messages[5].confirms, 0);
    assert_each_confirmed_once(client, 5);
    client_free(client);
}

static void test_publish_when_the_bytes_of_the_window_are_used_up_then_busy(void **state)
{
    (void)state;
    struct broker_options options = client_options(server_url());
    options.unconfirmed_bytes = 10000;
    struct client *client = client_new_with(&options, declare_queue);
    static char body[4990];
    const struct slice half = {body, sizeof(body)};
    assert_int_equal(publish_to(client, 0, client->queue, half), ERR_OK);
    assert_int_equal(publish_to(client, 1, client->queue, half),
                     ERR_BROKER_BUSY); /* the frames are more than the body */
    assert_int_equal(publish_to(client, 2, client->queue, SLICE("small")), ERR_OK);
    eventually(client->confirmed == 2);
    assert_int_equal(publish_to(client, 1, client->queue, half), ERR_OK);
    eventually(client->confirmed == 3);
    client_free(client);
}

static struct client *chain;
static int chained;
static void publish_two_more(void *arg, enum err err)
{
    note_confirm(arg, err);
    for (int i = 0; i < 2 && chained < MESSAGES_MAX; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", chained);
        const struct broker_message message = {.routing_key = slice_of(chain->queue),
                                               .message_id = slice_of(id)};
        assert_int_equal(broker_publish(chain->broker, &message, publish_two_more, &chain->messages[chained]),
                         ERR_OK);
        chained++;
    }
}

static void test_publish_when_the_callback_publishes_again_then_the_ring_grows_and_all_are_confirmed(
    void **state)
{
    (void)state;
    chain = client_new(server_url(), declare_queue);
    chained = 1;
    const struct broker_message message = {.routing_key = slice_of(chain->queue)};
    assert_int_equal(broker_publish(chain->broker, &message, publish_two_more, &chain->messages[0]), ERR_OK);
    eventually(chain->confirmed == MESSAGES_MAX);
    assert_each_confirmed_once(chain, MESSAGES_MAX);
    client_free(chain);
}

static void test_free_when_messages_are_unconfirmed_then_each_ends_shutting_down(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), NULL);
    publish_many(client, 0, 100, SLICE("never sent"));
    broker_free(client->broker);
    for (int n = 0; n < 100; n++) {
        assert_int_equal(client->messages[n].confirms, 1);
        assert_int_equal(client->messages[n].err, ERR_SHUTTING_DOWN);
    }
    free(client);
}

/* ---- consuming ---- */

/* Acks 1, 3, 2 one by one, then everything up to 6, and rejects 7 (to be dropped) and 8 (to come again). */
static void settle_in_every_way(struct client *client, const struct broker_delivery *d)
{
    struct broker *b = client->broker;
    client->messages[number_of(d)].deliveries++;
    if (client->delivered == 9) {
        assert_true(d->redelivered);
        assert_int_equal(number_of(d), 7);
        broker_ack(b, d->epoch, d->tag, false);
        client->marks++;
    }
    if (client->delivered != 8)
        return;
    broker_ack(b, d->epoch, 1, false);
    broker_ack(b, d->epoch, 3, false);
    broker_ack(b, d->epoch, 2, false);
    broker_ack(b, d->epoch, 6, true);
    broker_reject(b, d->epoch, 7, false);
    broker_reject(b, d->epoch, 8, true);
}

static void assert_nothing_is_left(struct client *client)
{
    struct client *other = client_new(server_url(), NULL);
    snprintf(other->queue, sizeof(other->queue), "%s", client->queue);
    other->on_up = consume_own_queue;
    eventually(other->marks == 1);
    let_pass_ms(100);
    assert_int_equal(other->delivered, 0);
    assert_int_equal(other->downs, 0);
    client_free(other);
}

static void test_ack_when_single_multiple_out_of_order_and_rejected_then_each_is_settled_once(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), consume_own_queue);
    client->on_delivery = settle_in_every_way;
    eventually(client->marks == 1);
    publish_many(client, 0, 8, SLICE("x"));
    eventually(client->marks == 2);
    let_pass_ms(50);
    assert_int_equal(client->downs, 0);
    broker_free(client->broker);
    assert_nothing_is_left(client);
    free(client);
}

static void test_ack_when_in_order_then_gathered_and_nothing_is_left(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), consume_own_queue);
    client->on_delivery = note_and_ack;
    eventually(client->marks == 1);
    publish_many(client, 0, 2000, SLICE("x"));
    eventually(client->delivered == 2000);
    let_pass_ms(20);
    assert_int_equal(client->downs, 0);
    broker_free(client->broker);
    assert_nothing_is_left(client);
    free(client);
}

static void test_consume_when_messages_wait_unacked_then_prefetch_bounds_them(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), declare_queue);
    publish_many(client, 0, 20, SLICE("x"));
    eventually(client->confirmed == 20);
    broker_consume(client->broker, client->queue, "tests", 7, false, false);
    eventually(client->delivered == 7);
    let_pass_ms(100);
    assert_int_equal(client->delivered, 7);
    client_free(client);
}

static void test_cancel_when_one_of_two_ends_then_the_other_goes_on_and_the_tag_is_free_again(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), consume_own_queue);
    struct client *other = client_new(server_url(), declare_queue);
    client->on_delivery = note_and_ack;
    eventually(client->marks == 1 && other->ups == 1);
    broker_consume(client->broker, other->queue, "second", 0, false, false);
    broker_cancel(client->broker, "second", client_on_mark, client);
    broker_cancel(client->broker, "second", client_on_mark, client); /* it is ending already */
    broker_cancel(client->broker, "nobody", client_on_mark, client);
    eventually(client->marks == 2);
    publish_many(client, 0, 10, SLICE("x"));
    publish_many(other, 10, 20, SLICE("x"));
    eventually(client->confirmed == 10 && other->confirmed == 10 && client->delivered == 10);
    let_pass_ms(50);
    assert_int_equal(count_delivered(client, 20), 10);
    broker_consume(client->broker, other->queue, "second", 0, false, false);
    eventually(count_delivered(client, 20) == 20);
    assert_int_equal(client->downs, 0);
    assert_int_equal(client->marks, 2);
    client_free(client);
    client_free(other);
}

static void test_reconnect_when_deliveries_are_unacked_then_they_come_again_in_order(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), consume_own_queue);
    eventually(client->marks == 1);
    publish_many(client, 0, 5, SLICE("x"));
    eventually(client->delivered == 5 && client->confirmed == 5);
    client->on_delivery = note_and_ack;
    broker_reconnect(client->broker, "to see it again");
    assert_int_equal(client->downs, 0); /* not from inside the call */
    eventually(client->delivered == 10);
    assert_int_equal(client->downs, 1);
    assert_string_equal(client->why, "to see it again");
    assert_int_equal(count_delivered(client, 5), 5);
    client_free(client);
}

/* ---- declarations ---- */

static int order[8], ordered;
static void note_first(void *arg)
{
    (void)arg;
    order[ordered++] = 1;
}
static void note_second(void *arg)
{
    order[ordered++] = 2;
    broker_after_declarations(arg, note_first, NULL);
}

static void test_after_declarations_when_several_wait_then_called_in_order_from_the_loop(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), NULL);
    eventually(client->ups == 1);
    ordered = 0;
    broker_after_declarations(client->broker, note_first, NULL);
    assert_int_equal(ordered, 0); /* nothing was pending, and still not from inside the call */
    broker_declare_exchange(client->broker, "test.events", BROKER_TOPIC);
    broker_declare_exchange(client->broker, "test.fanout", BROKER_FANOUT);
    broker_declare_exchange(client->broker, "test.direct", BROKER_DIRECT);
    broker_after_declarations(client->broker, note_second, client->broker);
    eventually(ordered == 3);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[2], 1);
    client_free(client);
}

/* RabbitMQ answers basic.consume past the channel, so the answers to what follows may come before it. */
static void consume_between_declarations(struct client *client)
{
    for (int i = 0; i < 20; i++) {
        char queue[80];
        snprintf(queue, sizeof(queue), "%s.%d", client->queue, i);
        broker_declare_queue(client->broker, &(struct broker_queue){.name = queue, .exclusive = true});
        broker_consume(client->broker, queue, queue, 10, false, false);
        broker_bind(client->broker, queue, "amq.topic", queue);
    }
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void test_consume_when_declarations_follow_at_once_then_all_are_answered(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), consume_between_declarations);
    eventually(client->marks == 1);
    for (int i = 0; i < 20; i++) {
        char tag[80];
        snprintf(tag, sizeof(tag), "%s.%d", client->queue, i);
        broker_cancel(client->broker, tag, NULL, NULL);
    }
    broker_declare_exchange(client->broker, "amq.topic", BROKER_TOPIC);
    broker_after_declarations(client->broker, client_on_mark, client);
    eventually(client->marks == 2);
    assert_int_equal(client->downs, 0);
    client_free(client);
}

static void bind_and_consume(struct client *client)
{
    const struct broker_queue queue = {.name = client->queue, .exclusive = true};
    broker_declare_exchange(client->broker, "test.events", BROKER_TOPIC);
    broker_declare_queue(client->broker, &queue);
    broker_bind(client->broker, client->queue, "test.events", client->queue);
    broker_consume(client->broker, client->queue, "tests", 0, true, true);
}

static enum err publish_event(struct client *client, int n)
{
    const struct broker_message message = {
        .exchange = SLICE("test.events"),
        .routing_key = slice_of(client->queue),
        .mandatory = true,
    };
    return broker_publish(client->broker, &message, note_confirm, &client->messages[n]);
}

static void test_bind_when_undone_then_events_stop(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), bind_and_consume);
    eventually(client->ups == 1);
    assert_int_equal(publish_event(client, 0), ERR_OK);
    eventually(client->delivered == 1);
    broker_unbind(client->broker, client->queue, "test.events", client->queue);
    assert_int_equal(publish_event(client, 1), ERR_OK);
    eventually(client->confirmed == 2);
    assert_int_equal(client->messages[0].err, ERR_OK);
    assert_int_equal(client->messages[1].err, ERR_UNROUTABLE);
    assert_int_equal(client->delivered, 1);
    client_free(client);
}

static void declare_what_is_refused(struct client *client)
{
    broker_declare_exchange(client->broker, "amq.topic", client->ups < 3 ? BROKER_FANOUT : BROKER_TOPIC);
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void test_declare_when_refused_then_the_servers_text_is_reported_and_it_is_tried_again(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), declare_what_is_refused);
    eventually(client->downs == 2);
    assert_non_null(strstr(client->why, "406 PRECONDITION_FAILED"));
    assert_int_equal(client->marks, 0);
    eventually(client->marks == 1);
    assert_int_equal(client->ups, 3);
    client_free(client);
}

static int64_t limit_wanted, expiry_wanted = 60000;
static const char *limited_queue, *limited_type = "quorum";

static void declare_limited(struct client *client)
{
    const struct broker_header arguments[] = {
        {.name = SLICE("x-queue-type"), .text = slice_of(limited_type)},
        {.name = SLICE("x-expires"), .is_integer = true, .integer = expiry_wanted},
        {.name = SLICE("x-max-length"), .is_integer = true, .integer = limit_wanted},
    };
    const struct broker_queue queue = {.name = limited_queue,
                                       .durable = true,
                                       .keeps_limits = true,
                                       .arguments = arguments,
                                       .argument_count = ARRAY_LEN(arguments)};
    broker_declare_queue(client->broker, &queue);
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void test_declare_when_a_limit_differs_then_the_queue_is_used_as_it_is(void **state)
{
    (void)state;
    char name[64], id[UUID_TEXT_LEN + 1];
    struct uuid unique = uuid_v7();
    uuid_format(&unique, id);
    snprintf(name, sizeof(name), "limited.%s", id);
    limited_queue = name;
    limit_wanted = 10;
    struct client *first = client_new(server_url(), declare_limited);
    eventually(first->marks == 1);
    assert_null(broker_queue_difference(first->broker, name));
    limit_wanted = 20;
    struct client *second = client_new(server_url(), declare_limited);
    eventually(second->marks == 1);
    assert_int_equal(second->downs, 1);
    assert_int_equal(second->ups, 2);
    assert_non_null(strstr(broker_queue_difference(second->broker, name), "x-max-length"));
    broker_reconnect(second->broker, "once more");
    eventually(second->marks == 2);
    assert_int_equal(second->downs, 2);
    client_free(first);
    client_free(second);
}

/* RabbitMQ names the limits first. */
static void test_declare_when_only_shapes_are_looked_at_then_limits_do_not_hide_another_shape(void **state)
{
    (void)state;
    char name[64], id[UUID_TEXT_LEN + 1];
    for (int i = 0; i < 2; i++) {
        struct uuid unique = uuid_v7();
        uuid_format(&unique, id);
        snprintf(name, sizeof(name), "shaped.%s", id);
        limited_queue = name;
        limit_wanted = 10;
        expiry_wanted = 60000;
        limited_type = i == 0 ? "quorum" : "classic";
        struct client *first = client_new(server_url(), declare_limited);
        eventually(first->marks == 1);
        limit_wanted = 20;
        expiry_wanted = 61000;
        limited_type = "quorum";
        struct broker_options options = client_options(server_url());
        options.keeps_shapes = true;
        struct client *second = client_new_with(&options, declare_limited);
        eventually(second->marks == 1);
        const char *example, *shape;
        assert_int_equal(broker_differing_queues(second->broker, &example), 1);
        shape = broker_differing_shape(second->broker, 0);
        assert_true(i == 0 ? !shape : shape && strstr(shape, "x-queue-type") && strstr(shape, name));
        client_free(first);
        client_free(second);
    }
}

struct seen {
    int times;
    uint32_t waiting, consumers;
};

static void note_seen(void *arg, uint32_t waiting, uint32_t consumers)
{
    struct seen *seen = arg;
    *seen = (struct seen){seen->times + 1, waiting, consumers};
}

static void declare_and_consume_limited(struct client *client)
{
    declare_limited(client);
    broker_consume(client->broker, limited_queue, "tests", 0, false, false);
}

static void test_look_at_queue_when_it_has_a_consumer_then_both_are_counted(void **state)
{
    (void)state;
    char name[64], id[UUID_TEXT_LEN + 1];
    struct uuid unique = uuid_v7();
    struct seen seen = {0};
    uuid_format(&unique, id);
    snprintf(name, sizeof(name), "looked.%s", id);
    limited_queue = name;
    limit_wanted = 10;
    struct client *client = client_new(server_url(), declare_limited);
    eventually(client->marks == 1);
    const struct broker_message message = {.routing_key = slice_of(name), .body = SLICE("1")};
    assert_int_equal(broker_publish(client->broker, &message, note_confirm, &client->messages[0]), ERR_OK);
    eventually(client->confirmed == 1);
    broker_look_at_queue(client->broker, name, note_seen, &seen);
    eventually(seen.times == 1);
    assert_int_equal(seen.waiting, 1);
    assert_int_equal(seen.consumers, 0);
    struct client *consumer = client_new(server_url(), declare_and_consume_limited);
    eventually(consumer->delivered == 1);
    broker_look_at_queue(client->broker, name, note_seen, &seen);
    eventually(seen.times == 2);
    assert_int_equal(seen.waiting, 0);
    assert_int_equal(seen.consumers, 1);
    client_free(consumer);
    client_free(client);
}

static void test_ack_when_the_tag_is_unknown_then_the_servers_text_is_reported(void **state)
{
    (void)state;
    struct client *client = client_new(server_url(), NULL);
    eventually(client->ups == 1);
    broker_ack(client->broker, broker_epoch(client->broker), 77, false);
    eventually(client->downs == 1);
    assert_non_null(strstr(client->why, "unknown delivery tag 77"));
    client_free(client);
}

/* ---- connecting ---- */

static struct url_text {
    char text[512];
} server_url_with(const char *user_and_password, const char *host, const char *vhost)
{
    const char *url = server_url();
    const char *at = strchr(url, '@'), *after_host = at + 1 + strcspn(at + 1, ":/");
    const char *port_end = after_host + strcspn(after_host, "/");
    struct url_text changed;
    int user_len = (int)(at - url - 7);
    snprintf(changed.text, sizeof(changed.text), "amqp://%.*s@%.*s%.*s%s",
             user_and_password ? (int)strlen(user_and_password) : user_len,
             user_and_password ? user_and_password : url + 7,
             host ? (int)strlen(host) : (int)(after_host - at - 1), host ? host : at + 1,
             (int)(port_end - after_host), after_host, vhost ? vhost : port_end);
    return changed;
}

static void test_connect_when_the_password_is_wrong_then_reported(void **state)
{
    (void)state;
    struct client *client = client_new(server_url_with("guest:wrong", NULL, NULL).text, NULL);
    eventually(client->downs > 0);
    assert_non_null(strstr(client->why, "403 ACCESS_REFUSED"));
    assert_false(broker_is_up(client->broker));
    assert_int_equal(client->ups, 0);
    client_free(client);
}

static void test_connect_when_there_is_no_such_vhost_then_reported(void **state)
{
    (void)state;
    struct client *client = client_new(server_url_with(NULL, NULL, "/no%2fsuch").text, NULL);
    eventually(client->downs > 0);
    assert_non_null(strstr(client->why, "530 NOT_ALLOWED"));
    assert_non_null(strstr(client->why, "no/such"));
    client_free(client);
}

/* A port that nobody listens on, held so that nobody else takes it. */
static int unused_port(int *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void test_connect_when_nobody_listens_then_reported_and_tried_again(void **state)
{
    (void)state;
    int port, fd = unused_port(&port);
    char url[128];
    snprintf(url, sizeof(url), "amqp://guest:guest@127.0.0.1:%d/", port);
    struct client *client = client_new(url, NULL);
    eventually(client->downs >= 3);
    assert_non_null(strstr(client->why, "Connection refused"));
    client_free(client);
    close(fd);
}

static void test_connect_when_several_urls_are_given_then_it_begins_at_any_of_them(void **state)
{
    (void)state;
    enum { CLIENTS = 40 };
    int port, fd = unused_port(&port), began_well = 0;
    char urls[512];
    snprintf(urls, sizeof(urls), "amqp://guest:guest@127.0.0.1:%d/,%s", port, server_url());
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = client_new(urls, NULL);
        eventually(client->ups == 1);
        began_well += client->downs == 0;
        client_free(client);
    }
    assert_in_range(began_well, 1, CLIENTS - 1); /* by chance it fails once in 2^39 times */
    close(fd);
}

static void test_connect_when_some_urls_fail_then_another_is_taken(void **state)
{
    (void)state;
    int port, fd = unused_port(&port);
    char urls[512];
    snprintf(urls, sizeof(urls),
             "amqp://guest:guest@127.0.0.1:%d/,amqp://guest:guest@no-such-host.invalid/,%s", port,
             server_url());
    struct client *client = client_new(urls, NULL);
    eventually(client->ups == 1);
    assert_in_range(client->downs, 0, 2);
    client_free(client);
    close(fd);
}

static void test_connect_when_the_host_has_a_name_then_it_is_resolved(void **state)
{
    (void)state;
    struct client *client = client_new(server_url_with(NULL, "localhost", NULL).text, NULL);
    eventually(client->ups == 1);
    client_free(client);
}

static void test_connect_when_the_name_is_unknown_then_reported(void **state)
{
    (void)state;
    struct client *client = client_new("amqp://guest:guest@no-such-host.invalid/", NULL);
    eventually(client->downs > 0);
    assert_non_null(strstr(client->why, "looking up no-such-host.invalid"));
    client_free(client);
}

static void test_free_when_a_name_is_being_resolved_then_nothing_is_left(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct client *client = client_new("amqp://guest:guest@no-such-host.invalid/", NULL);
        ev_run(loop, EVRUN_ONCE);
        client_free(client);
    }
    let_pass_ms(100); /* an answer that is late finds the question cancelled */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_when_the_url_does_not_parse_then_bad_request),
        cmocka_unit_test(test_publish_when_routed_then_confirmed_and_delivered_as_sent),
        cmocka_unit_test(test_publish_with_cc_when_the_second_key_is_bound_then_it_arrives_there),
        cmocka_unit_test(test_publish_when_the_body_is_larger_than_a_frame_then_it_arrives_whole),
        cmocka_unit_test(test_publish_when_the_body_has_every_size_around_a_frame_then_each_arrives),
        cmocka_unit_test(test_publish_when_something_is_too_long_for_amqp_then_refused),
        cmocka_unit_test(test_publish_when_no_queue_is_bound_then_each_of_those_is_unroutable_and_no_other),
        cmocka_unit_test(test_publish_when_the_queue_is_full_then_queue_full),
        cmocka_unit_test(test_publish_when_the_window_is_full_then_busy_and_no_confirm_for_it),
        cmocka_unit_test(test_publish_when_the_bytes_of_the_window_are_used_up_then_busy),
        cmocka_unit_test(
            test_publish_when_the_callback_publishes_again_then_the_ring_grows_and_all_are_confirmed),
        cmocka_unit_test(test_free_when_messages_are_unconfirmed_then_each_ends_shutting_down),
        cmocka_unit_test(test_ack_when_single_multiple_out_of_order_and_rejected_then_each_is_settled_once),
        cmocka_unit_test(test_ack_when_in_order_then_gathered_and_nothing_is_left),
        cmocka_unit_test(test_consume_when_messages_wait_unacked_then_prefetch_bounds_them),
        cmocka_unit_test(test_cancel_when_one_of_two_ends_then_the_other_goes_on_and_the_tag_is_free_again),
        cmocka_unit_test(test_reconnect_when_deliveries_are_unacked_then_they_come_again_in_order),
        cmocka_unit_test(test_after_declarations_when_several_wait_then_called_in_order_from_the_loop),
        cmocka_unit_test(test_consume_when_declarations_follow_at_once_then_all_are_answered),
        cmocka_unit_test(test_bind_when_undone_then_events_stop),
        cmocka_unit_test(test_declare_when_refused_then_the_servers_text_is_reported_and_it_is_tried_again),
        cmocka_unit_test(test_declare_when_a_limit_differs_then_the_queue_is_used_as_it_is),
        cmocka_unit_test(test_declare_when_only_shapes_are_looked_at_then_limits_do_not_hide_another_shape),
        cmocka_unit_test(test_look_at_queue_when_it_has_a_consumer_then_both_are_counted),
        cmocka_unit_test(test_ack_when_the_tag_is_unknown_then_the_servers_text_is_reported),
        cmocka_unit_test(test_connect_when_the_password_is_wrong_then_reported),
        cmocka_unit_test(test_connect_when_there_is_no_such_vhost_then_reported),
        cmocka_unit_test(test_connect_when_nobody_listens_then_reported_and_tried_again),
        cmocka_unit_test(test_connect_when_several_urls_are_given_then_it_begins_at_any_of_them),
        cmocka_unit_test(test_connect_when_some_urls_fail_then_another_is_taken),
        cmocka_unit_test(test_connect_when_the_host_has_a_name_then_it_is_resolved),
        cmocka_unit_test(test_connect_when_the_name_is_unknown_then_reported),
        cmocka_unit_test(test_free_when_a_name_is_being_resolved_then_nothing_is_left),
    };
    return cmocka_run_group_tests_name("broker", tests, loop_setup, loop_teardown);
}
