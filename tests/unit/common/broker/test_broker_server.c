/* The AMQP client against a fake server, which sends what no RabbitMQ sends: confirms in any order, input
 * octet by octet, and garbage. Nothing of it may crash the client, and after each case the client must work
 * again. */
#include "tests/unit/common/broker/amqp_proxy.h"

static struct buf wire; /* what the server is about to say */

static void put(const void *data, size_t size)
{
    assert_true(buf_append(&wire, data, size));
}

static void put_number(uint64_t value, int octets)
{
    for (int i = octets - 1; i >= 0; i--)
        put(&(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static void put_short(const char *text)
{
    put_number(strlen(text), 1);
    put(text, strlen(text));
}

static void put_frame(int type, int channel, const void *payload, size_t size)
{
    put_number((uint64_t)type, 1);
    put_number((uint64_t)channel, 2);
    put_number(size, 4);
    put(payload, size);
    put_number(0xce, 1);
}

/* Methods are built in a buffer of their own, then framed. */
static struct buf begin_method(int class_id, int method_id)
{
    struct buf outer = wire;
    buf_init(&wire, PROXY_BUFFER_MAX);
    put_number((uint64_t)class_id, 2);
    put_number((uint64_t)method_id, 2);
    return outer;
}

static void end_method(struct buf outer, int channel)
{
    struct buf method = wire;
    wire = outer;
    put_frame(1, channel, buf_data(&method), buf_len(&method));
    buf_done(&method);
}

static void put_handshake(void)
{
    struct buf outer = begin_method(10, 10); /* start */
    put_number(0x0009, 2);
    put_number(0, 4);
    put("\0\0\0\16AMQPLAIN PLAIN\0\0\0\5en_US", 4 + 14 + 4 + 5);
    end_method(outer, 0);
    outer = begin_method(10, 30); /* tune */
    put_number(2047, 2);
    put_number(131072, 4);
    put_number(60, 2);
    end_method(outer, 0);
    outer = begin_method(10, 41); /* open-ok */
    put_short("");
    end_method(outer, 0);
    outer = begin_method(20, 11); /* channel.open-ok */
    put_number(0, 4);
    end_method(outer, 1);
    end_method(begin_method(85, 11), 1); /* confirm.select-ok */
}

static void put_settle(int method_id, uint64_t tag, int bits)
{
    struct buf outer = begin_method(60, method_id);
    put_number(tag, 8);
    put_number((uint64_t)bits, 1);
    end_method(outer, 1);
}
enum { ACK = 80, NACK = 120, SINGLE = 0, MULTIPLE = 1 };

static void put_deliver(uint64_t tag)
{
    struct buf outer = begin_method(60, 60);
    put_short("tests");
    put_number(tag, 8);
    put_number(0, 1);
    put_short("an exchange");
    put_short("a key");
    end_method(outer, 1);
}

static void put_header(uint64_t body_size, const void *properties, size_t size)
{
    char payload[4096];
    struct buf outer = wire;
    buf_init(&wire, sizeof(payload));
    put_number(60, 2);
    put_number(0, 2);
    put_number(body_size, 8);
    put(properties, size);
    size_t len = buf_len(&wire);
    memcpy(payload, buf_data(&wire), len);
    buf_done(&wire);
    wire = outer;
    put_frame(2, 1, payload, len);
}

/* Bit by bit of the flags: a message id and nothing else. */
static const char ID_7[] = "\0\200\1\67";

static void put_return(const char *key, const char *id)
{
    char properties[64];
    int size = snprintf(properties, sizeof(properties), "%c%c%c%s", 0, 0x80, (char)strlen(id), id);
    struct buf outer = begin_method(60, 50);
    put_number(312, 2);
    put_short("NO_ROUTE");
    put_short("");
    put_short(key);
    end_method(outer, 1);
    put_header(0, properties, (size_t)size);
}

static void say(struct proxy *server)
{
    proxy_send(server, buf_slice(&wire));
    buf_clear(&wire);
}

static struct proxy *server;
static struct client *client;

static int met; /* connections so far */

/* Waits for a new connection whose client has sent the protocol header. */
static void await_connection(void)
{
    eventually(server->accepted > met && server->linked && server->flows[TO_SERVER].passed >= 8);
    met = server->accepted;
}

static void say_slowly(void)
{
    while (buf_len(&wire) > 0) {
        proxy_send(server, (struct slice){buf_data(&wire), 1});
        buf_consume(&wire, 1);
        for (int turn = 0; turn < 2; turn++)
            ev_run(loop, EVRUN_NOWAIT);
    }
}

/* A client whose connection to the fake server is up, and has sent `count` messages. */
static void meet(int count)
{
    await_connection();
    put_handshake();
    say(server);
    int ups = client->ups;
    eventually(client->ups == ups + 1);
    publish_many(client, 0, count, SLICE("x"));
    eventually(broker_unsent_bytes(client->broker) == 0);
}

static int setup(void **state)
{
    loop_setup(state);
    buf_init(&wire, PROXY_BUFFER_MAX);
    server = proxy_new(NULL);
    met = 0;
    struct broker_options options = client_options(server->url);
    options.reconnect_min_ms = 1;
    options.reconnect_max_ms = 2;
    client = client_new_with(&options, NULL);
    return 0;
}

static int teardown(void **state)
{
    client_free(client);
    proxy_free(server);
    buf_done(&wire);
    return loop_teardown(state);
}

/* The client must have ended this connection, and be able to use the next. */
static void assert_given_up(const char *why)
{
    eventually(client->downs > 0);
    if (!strstr(client->why, why))
        fail_msg("\"%s\" is not about \"%s\"", client->why, why);
    buf_clear(&wire);
    meet(0);
    client->downs = 0;
}

/* ---- confirms ---- */

static void test_confirm_when_single_multiple_and_out_of_order_then_each_message_has_its_own(void **state)
{
    (void)state;
    meet(10);
    put_settle(ACK, 3, SINGLE);
    put_settle(ACK, 2, SINGLE);
    put_settle(NACK, 6, SINGLE);
    put_settle(ACK, 5, MULTIPLE);  /* 1, 4, 5 */
    put_settle(NACK, 8, MULTIPLE); /* 7, 8 */
    put_settle(ACK, 0, MULTIPLE);  /* whatever is left */
    say(server);
    eventually(client->confirmed == 10);
    for (int n = 0; n < 10; n++) {
        bool nacked = n >= 5 && n <= 7;
        assert_int_equal(client->messages[n].confirms, 1);
        assert_int_equal(client->messages[n].err, nacked ? ERR_QUEUE_FULL : ERR_OK);
    }
    assert_int_equal(broker_unconfirmed(client->broker), 0);
    assert_int_equal(client->downs, 0);
}

static void test_confirm_when_repeated_then_nothing_happens_twice(void **state)
{
    (void)state;
    meet(4);
    put_settle(ACK, 2, SINGLE);
    put_settle(ACK, 2, SINGLE);
    put_settle(ACK, 3, MULTIPLE);
    put_settle(NACK, 1, SINGLE);
    put_settle(ACK, 4, MULTIPLE);
    say(server);
    eventually(client->confirmed == 4);
    assert_each_confirmed_once(client, 4);
}

static void test_confirm_when_gaps_are_sent_again_then_tags_count_from_the_first_gap(void **state)
{
    (void)state;
    meet(6);
    put_settle(ACK, 2, SINGLE);
    put_settle(ACK, 5, SINGLE);
    say(server);
    eventually(client->confirmed == 2);
    proxy_cut(server);
    eventually(client->downs == 1);
    meet(0);
    eventually(broker_unsent_bytes(client->broker) == 0);
    put_settle(NACK, 3, SINGLE); /* messages 0, 2, 3, 5 are now 1 to 4 */
    put_settle(ACK, 4, MULTIPLE);
    say(server);
    eventually(client->confirmed == 6);
    for (int n = 0; n < 6; n++) {
        assert_int_equal(client->messages[n].confirms, 1);
        assert_int_equal(client->messages[n].err, n == 3 ? ERR_QUEUE_FULL : ERR_OK);
    }
}

static void test_return_when_cut_before_the_confirm_and_routed_the_second_time_then_ok(void **state)
{
    (void)state;
    meet(3);
    put_return(client->queue, "2"); /* in the order of the server's choice */
    put_return(client->queue, "0");
    put_return(client->queue, "9"); /* of nothing that was sent */
    put_settle(ACK, 1, SINGLE);
    say(server);
    eventually(client->confirmed == 1);
    assert_int_equal(client->messages[0].err, ERR_UNROUTABLE);
    proxy_cut(server);
    eventually(client->downs == 1);
    meet(0);
    eventually(broker_unsent_bytes(client->broker) == 0);
    put_settle(ACK, 2, MULTIPLE);
    say(server);
    eventually(client->confirmed == 3);
    assert_int_equal(client->messages[1].err, ERR_OK);
    assert_int_equal(client->messages[2].err, ERR_OK);
}

/* ---- declarations ---- */

enum { QOS_OK = 11, CONSUME_OK = 21, CANCEL_OK = 31, BIND_OK = 21 };

static void put_consumer_answer(int method_id, const char *tag)
{
    struct buf outer = begin_method(60, method_id);
    put_short(tag);
    end_method(outer, 1);
}

static void consume_then_bind(void)
{
    broker_consume(client->broker, "a queue", "tests", 1, false, false);
    broker_after_declarations(client->broker, client_on_mark, client);
    broker_bind(client->broker, "a queue", "an exchange", "a key");
    broker_after_declarations(client->broker, client_on_mark, client);
}

static void test_declarations_when_consume_is_answered_late_then_done_once_all_are_answered(void **state)
{
    (void)state;
    meet(1);
    consume_then_bind();
    end_method(begin_method(60, QOS_OK), 1);
    end_method(begin_method(50, BIND_OK), 1);
    put_settle(ACK, 1, SINGLE); /* that the server got so far */
    say(server);
    eventually(client->confirmed == 1);
    assert_int_equal(client->marks, 0);
    put_consumer_answer(CONSUME_OK, "tests");
    say(server);
    eventually(client->marks == 2);
    assert_int_equal(client->downs, 0);
}

static void test_consume_when_two_are_answered_the_other_way_round_then_each_is_done_when_answered(
    void **state)
{
    (void)state;
    meet(1);
    consume_then_bind();
    broker_consume(client->broker, "another queue", "others", 1, false, false);
    broker_after_declarations(client->broker, client_on_mark, client);
    end_method(begin_method(60, QOS_OK), 1);
    end_method(begin_method(50, BIND_OK), 1);
    end_method(begin_method(60, QOS_OK), 1);
    put_consumer_answer(CONSUME_OK, "others");
    put_settle(ACK, 1, SINGLE);
    say(server);
    eventually(client->confirmed == 1);
    assert_int_equal(client->marks, 0);
    put_consumer_answer(CONSUME_OK, "tests");
    say(server);
    eventually(client->marks == 3);
    put_consumer_answer(CONSUME_OK, "strangers");
    say(server);
    assert_given_up("answers nothing");
}

static void count_delivery(struct client *c, const struct broker_delivery *d)
{
    (void)d;
    assert_int_equal(c->marks, 0);
}

static void test_cancel_when_deliveries_are_under_way_then_they_come_before_its_end_and_none_after_it(
    void **state)
{
    (void)state;
    meet(1);
    client->on_delivery = count_delivery;
    broker_consume(client->broker, "a queue", "tests", 1, false, false);
    broker_cancel(client->broker, "tests", client_on_mark,
                  client); /* not sent before its beginning is known */
    end_method(begin_method(60, QOS_OK), 1);
    put_consumer_answer(CONSUME_OK, "tests");
    for (uint64_t tag = 1; tag <= 2; tag++) {
        put_deliver(tag);
        put_header(0, ID_7, 4);
    }
    say(server);
    eventually(client->delivered == 2 && broker_unsent_bytes(client->broker) == 0);
    put_consumer_answer(CANCEL_OK, "tests");
    put_deliver(3); /* which no server should do */
    put_header(0, ID_7, 4);
    put_settle(ACK, 1, SINGLE);
    say(server);
    eventually(client->confirmed == 1);
    assert_int_equal(client->delivered, 2);
    assert_int_equal(client->marks, 1);
    assert_int_equal(client->downs, 0);
}

static void test_declarations_when_answered_out_of_order_otherwise_then_given_up(void **state)
{
    (void)state;
    meet(0);
    consume_then_bind();
    end_method(begin_method(50, BIND_OK), 1); /* before qos-ok, which comes from the channel itself */
    say(server);
    assert_given_up("answers nothing");
    assert_int_equal(client->marks, 0);
}

/* ---- confirms that cannot be ---- */

static void test_confirm_when_the_message_was_not_sent_then_the_connection_is_given_up(void **state)
{
    (void)state;
    static const struct {
        uint64_t tag;
        int bits;
    } wrong[] = {{1, SINGLE}, {0, SINGLE}, {1, MULTIPLE}, {UINT64_MAX, SINGLE}, {UINT64_MAX, MULTIPLE}};
    meet(0);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        put_settle(ACK, wrong[i].tag, wrong[i].bits);
        say(server);
        assert_given_up("confirmed message");
    }
}

/* ---- input in pieces ---- */

static void note_body(struct client *c, const struct broker_delivery *d)
{
    assert_true(slice_is(d->body, "hello"));
    assert_true(slice_is(d->exchange, "an exchange"));
    assert_true(slice_is(d->routing_key, "a key"));
    assert_int_equal(number_of(d), 7);
    c->messages[7].deliveries++;
}

static void put_conversation(void)
{
    put_settle(ACK, 1, SINGLE);
    put_frame(8, 0, NULL, 0);
    put_deliver(1);
    put_header(5, ID_7, 4);
    put_frame(3, 1, "he", 2);
    put_frame(8, 0, NULL, 0); /* a heartbeat may come between the frames of a message */
    put_frame(3, 1, "", 0);
    put_frame(3, 1, "llo", 3);
    put_settle(ACK, 2, SINGLE);
}

static void test_input_when_it_comes_octet_by_octet_then_understood(void **state)
{
    (void)state;
    client->on_delivery = note_body;
    await_connection();
    put_handshake();
    publish_many(client, 0, 2, SLICE("x"));
    say_slowly();
    eventually(client->ups == 1 && broker_unsent_bytes(client->broker) == 0);
    broker_consume(client->broker, "a queue", "tests", 1, false, false);
    put_conversation();
    say_slowly();
    eventually(client->confirmed == 2);
    assert_int_equal(client->messages[7].deliveries, 1);
    assert_int_equal(client->downs, 0);
}

static void test_input_when_cut_at_every_octet_then_given_up_and_taken_up_again(void **state)
{
    (void)state;
    client->on_delivery = note_body;
    put_conversation();
    size_t whole = buf_len(&wire);
    buf_clear(&wire);
    for (size_t size = 1; size < whole; size += 3) {
        meet(2);
        int downs = client->downs;
        put_conversation();
        proxy_send(server, (struct slice){buf_data(&wire), size});
        buf_clear(&wire);
        for (int turn = 0; turn < 3; turn++)
            ev_run(loop, EVRUN_NOWAIT);
        assert_int_equal(client->downs, downs);
        proxy_cut(server);
        eventually(client->downs > downs);
    }
}

/* ---- garbage ---- */

static void put_nested_tables(int depth)
{
    static char properties[65536];
    size_t size = 0;
    /* flags: headers; then a table that holds a table that holds …, as deep as it goes */
    properties[size++] = 0x20;
    properties[size++] = 0;
    for (int i = 0; i < depth; i++) {
        uint32_t rest = htobe32((uint32_t)((depth - i - 1) * 7));
        memcpy(properties + size, &rest, 4);
        size += 4;
        if (i + 1 < depth) {
            memcpy(properties + size, "\1nF", 3);
            size += 3;
        }
    }
    struct buf outer = wire;
    buf_init(&wire, PROXY_BUFFER_MAX);
    put_number(60, 2);
    put_number(0, 2);
    put_number(0, 8);
    put(properties, size);
    struct buf header = wire;
    wire = outer;
    put_frame(2, 1, buf_data(&header), buf_len(&header));
    buf_done(&header);
}

static void test_delivery_when_its_headers_nest_deep_then_they_are_stepped_over(void **state)
{
    (void)state;
    meet(0);
    broker_consume(client->broker, "a queue", "tests", 1, false, false);
    put_deliver(1);
    put_nested_tables(9000);
    say(server);
    eventually(client->delivered == 1);
    assert_int_equal(client->downs, 0);
}

static void test_delivery_when_its_body_is_larger_than_the_bound_then_rejected_unseen(void **state)
{
    (void)state;
    meet(0);
    broker_consume(client->broker, "a queue", "tests", 1, false, false);
    eventually(broker_unsent_bytes(client->broker) == 0);
    static char part[131064];
    uint64_t size = BROKER_BODY_MAX + 1;
    put_deliver(1);
    put_header(size, ID_7, 4);
    for (; size > 0; size -= size < sizeof(part) ? size : sizeof(part))
        put_frame(3, 1, part, size < sizeof(part) ? size : sizeof(part));
    int64_t passed = server->flows[TO_SERVER].passed;
    say(server);
    eventually(server->flows[TO_SERVER].passed >= passed + 21); /* basic.reject */
    assert_int_equal(client->delivered, 0);
    assert_int_equal(client->downs, 0);
}

struct garbage {
    const char *why; /* NULL: any reason */
    const char *octets;
    size_t size;
};
#define GARBAGE(why, octets)            \
    {                                   \
        why, octets, sizeof(octets) - 1 \
    }

static void test_input_when_malformed_after_the_handshake_then_given_up(void **state)
{
    (void)state;
    static const struct garbage cases[] = {
        GARBAGE("does not speak AMQP", "HTTP/1.1 400 Bad Request\r\n\r\n"),
        GARBAGE("does not speak AMQP", "\377\377\377\377\377\377\377\377"),
        GARBAGE("does not speak AMQP", "\1\0\1\377\377\377\377"), /* 4 GB */
        GARBAGE("does not speak AMQP", "\1\0\1\0\2\0\0"),         /* frame_max and 8 more */
        GARBAGE("does not speak AMQP", "\4\0\0\0\0\0\0\316"),     /* no such type */
        GARBAGE("without its end", "\10\0\0\0\0\0\0\0"),          /* no frame-end */
        GARBAGE("out of place", "\1\0\1\0\0\0\0\316"),            /* method frames shorter than their id */
        GARBAGE("out of place", "\1\0\1\0\0\0\3\0\74\0\316"),     /* … */
        GARBAGE("out of place", "\1\0\1\0\0\0\4\0\74\0\50\316"),  /* basic.publish, from a server */
        GARBAGE("out of place", "\1\0\1\0\0\0\4\377\377\377\377\316"), /* no such method */
        GARBAGE("out of place",
                "\1\0\0\0\0\0\15\0\74\0\120\0\0\0\0\0\0\0\1\0\316"), /* basic.ack on channel 0 */
        GARBAGE("out of place", "\1\0\2\0\0\0\15\0\74\0\120\0\0\0\0\0\0\0\1\0\316"), /* … on channel 2 */
        GARBAGE("malformed", "\1\0\1\0\0\0\4\0\74\0\120\316"), /* basic.ack without its tag */
        GARBAGE("malformed", "\1\0\1\0\0\0\14\0\74\0\120\0\0\0\0\0\0\0\1\316"), /* … without its bits */
        GARBAGE("malformed", "\1\0\1\0\0\0\5\0\74\0\36\377\316"),   /* basic.cancel, longer than its frame */
        GARBAGE("answers nothing", "\1\0\1\0\0\0\4\0\62\0\25\316"), /* queue.bind-ok */
        GARBAGE("out of turn", "\1\0\1\0\0\0\4\0\125\0\13\316"),    /* confirm.select-ok, again */
        GARBAGE("out of place",
                "\2\0\1\0\0\0\16\0\74\0\0\0\0\0\0\0\0\0\0\0\0\316"), /* header without a method */
        GARBAGE("out of place", "\3\0\1\0\0\0\1x\316"),              /* body without a header */
    };
    meet(0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put(cases[i].octets, cases[i].size);
        say(server);
        assert_given_up(cases[i].why);
    }
}

static void test_delivery_when_malformed_then_given_up(void **state)
{
    (void)state;
    static const struct garbage headers[] = {
        GARBAGE("malformed properties", "\0\200"),                /* a message id that is not there */
        GARBAGE("malformed properties", "\0\200\377abc"),         /* longer than the frame */
        GARBAGE("malformed properties", "\0\1\0\0"),              /* more flags than properties */
        GARBAGE("malformed properties", "\377\376"),              /* everything, and nothing of it there */
        GARBAGE("malformed properties", "\40\0\0\0\0\5"),         /* a table without its octets */
        GARBAGE("malformed properties", "\40\0\377\377\377\377"), /* … of 4 GB */
        GARBAGE("malformed properties", "\40\0\0\0\0\3\1a?"),     /* a value of no kind */
        GARBAGE("malformed properties", "\40\0\0\0\0\7\1aS\0\0\0\1"), /* a text that leaves its table */
        GARBAGE("malformed properties", "\40\0\0\0\0\4\1al\0"),       /* a short number */
        GARBAGE("malformed properties", "\40\0\0\0\0\1\5"),           /* a name that leaves its table */
    };
    meet(0);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        put_deliver(1);
        put_header(0, headers[i].octets, headers[i].size);
        say(server);
        assert_given_up(headers[i].why);
    }
    put_deliver(1);
    put_deliver(2); /* a method where a header is due */
    say(server);
    assert_given_up("out of place");
    put_deliver(1);
    put_header(2, ID_7, 4);
    put_frame(3, 1, "long", 4);
    say(server);
    assert_given_up("longer body");
    put_deliver(1);
    put_frame(2, 1, "\0\74\0\0", 4); /* a header frame shorter than its fixed part */
    say(server);
    assert_given_up("out of place");
    assert_int_equal(client->delivered, 0);
}

static void test_handshake_when_malformed_then_given_up(void **state)
{
    (void)state;
    static const struct garbage cases[] = {
        GARBAGE("does not speak AMQP", "AMQP\0\1\0\0"), /* 1.0 */
        GARBAGE("does not speak AMQP", "SSH-2.0-OpenSSH_9.2\r\n"),
        GARBAGE("does not speak AMQP", "\1\0\0\0\0\100\0"),                     /* 16 KB before tuning */
        GARBAGE("out of turn", "\1\0\0\0\0\0\5\0\12\0\51\0\316"),               /* open-ok first */
        GARBAGE("malformed", "\1\0\0\0\0\0\6\0\12\0\12\0\11\316"),              /* start, cut short */
        GARBAGE("before the channel was open", "\1\0\1\0\0\0\4\0\74\0\74\316"), /* basic.deliver */
        GARBAGE("PLAIN", "\1\0\0\0\0\0\30\0\12\0\12\0\11\0\0\0\0\0\0\0\5PLAYN\0\0\0\1C\316"),
        GARBAGE("0-9-1", "\1\0\0\0\0\0\30\0\12\0\12\1\0\0\0\0\0\0\0\0\5PLAIN\0\0\0\1C\316"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        await_connection();
        put(cases[i].octets, cases[i].size);
        say(server);
        assert_given_up(cases[i].why);
        proxy_cut(server);
        eventually(client->downs == 1);
        client->downs = 0;
    }
}

/* The answer to connection.close cannot be written then, and the reason of the server is still the one
 * reported. */
static void test_close_when_the_connection_is_reset_behind_it_then_the_servers_reason_is_reported_once(
    void **state)
{
    (void)state;
    meet(0);
    struct buf outer = begin_method(10, 50); /* connection.close */
    put_number(320, 2);
    put_short("CONNECTION_FORCED bye");
    put_number(0, 4);
    end_method(outer, 0);
    say(server);
    const struct linger at_once = {.l_onoff = 1};
    assert_int_equal(
        setsockopt(server->flows[TO_SERVER].from, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    proxy_cut(server);
    eventually(client->downs > 0);
    assert_int_equal(client->downs, 1);
    assert_string_equal(client->why, "320 CONNECTION_FORCED bye");
}

static void test_input_when_random_then_never_a_crash(void **state)
{
    (void)state;
    uint32_t random = 12345;
    for (int round = 0; round < 300; round++) {
        await_connection();
        if (round % 3) {
            put_handshake();
            put_conversation();
            put_deliver(9);
            put_header(3, "\160\0\0\0\0\12\1aS\0\0\0\3abc\1\2", 16);
        }
        size_t size = buf_len(&wire);
        if (size == 0)
            for (int i = 0; i < 64; i++)
                put_number(random = random * 1664525 + 1013904223, 4);
        for (int flips = 0; size > 0 && flips < 3; flips++) {
            random = random * 1664525 + 1013904223;
            wire.data[wire.begin + (random >> 8) % size] = (char)random;
        }
        say(server);
        for (int turn = 0; turn < 3; turn++)
            ev_run(loop, EVRUN_NOWAIT);
        proxy_cut(server);
    }
    await_connection();
    int ups = client->ups;
    put_handshake();
    say(server);
    eventually(client->ups == ups + 1);
}

#define SERVER_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_confirm_when_single_multiple_and_out_of_order_then_each_message_has_its_own),
        SERVER_TEST(test_confirm_when_repeated_then_nothing_happens_twice),
        SERVER_TEST(test_confirm_when_gaps_are_sent_again_then_tags_count_from_the_first_gap),
        SERVER_TEST(test_return_when_cut_before_the_confirm_and_routed_the_second_time_then_ok),
        SERVER_TEST(test_declarations_when_consume_is_answered_late_then_done_once_all_are_answered),
        SERVER_TEST(test_consume_when_two_are_answered_the_other_way_round_then_each_is_done_when_answered),
        SERVER_TEST(
            test_cancel_when_deliveries_are_under_way_then_they_come_before_its_end_and_none_after_it),
        SERVER_TEST(test_declarations_when_answered_out_of_order_otherwise_then_given_up),
        SERVER_TEST(test_confirm_when_the_message_was_not_sent_then_the_connection_is_given_up),
        SERVER_TEST(test_input_when_it_comes_octet_by_octet_then_understood),
        SERVER_TEST(test_input_when_cut_at_every_octet_then_given_up_and_taken_up_again),
        SERVER_TEST(test_delivery_when_its_headers_nest_deep_then_they_are_stepped_over),
        SERVER_TEST(test_delivery_when_its_body_is_larger_than_the_bound_then_rejected_unseen),
        SERVER_TEST(test_delivery_when_malformed_then_given_up),
        SERVER_TEST(test_input_when_malformed_after_the_handshake_then_given_up),
        SERVER_TEST(test_handshake_when_malformed_then_given_up),
        SERVER_TEST(
            test_close_when_the_connection_is_reset_behind_it_then_the_servers_reason_is_reported_once),
        SERVER_TEST(test_input_when_random_then_never_a_crash),
    };
    return cmocka_run_group_tests_name("broker and a fake server", tests, NULL, NULL);
}
