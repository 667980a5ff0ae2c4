#pragma once
/* What the tests of the AMQP client share: a loop, a client that notes what happens to it, and waiting for
 * something to become true. A real server is named by CORTEX_TEST_AMQP_URL; the tests
 * leave queues behind that expire by themselves. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/uuid.h"
#include "common/broker/broker.h"

enum { MESSAGES_MAX = 4096, WAIT_LIMIT_S = 60 };

static struct ev_loop *loop;
static ev_timer ticker; /* wakes the loop, so that eventually() looks again */

struct client;
struct noted {
    struct client *client;
    int confirms; /* must end at 1 */
    enum err err;
    int deliveries;
};

struct client {
    struct broker *broker;
    char queue[64];
    int ups, downs, blocks, unblocks, marks;
    char why[512];
    void (*on_up)(struct client *client);
    void (*on_delivery)(struct client *client, const struct broker_delivery *delivery);
    int confirmed; /* on_confirm calls */
    int delivered;
    struct noted messages[MESSAGES_MAX];
};

static void on_tick(struct ev_loop *l, ev_timer *w, int events)
{
    (void)l, (void)w, (void)events;
}

#define eventually(condition)                                             \
    do {                                                                  \
        int64_t limit_ = clock_monotonic_us() + WAIT_LIMIT_S * 1000000LL; \
        while (!(condition)) {                                            \
            if (clock_monotonic_us() > limit_)                            \
                fail_msg("never became true: %s", #condition);            \
            ev_run(loop, EVRUN_ONCE);                                     \
        }                                                                 \
    } while (0)

/* For what must not happen: lets the loop turn for a while. */
static inline void let_pass_ms(int ms)
{
    int64_t end = clock_monotonic_us() + ms * 1000LL;
    while (clock_monotonic_us() < end)
        ev_run(loop, EVRUN_ONCE);
}

static inline const char *server_url(void)
{
    const char *url = getenv("CORTEX_TEST_AMQP_URL");
    if (!url)
        fail_msg("CORTEX_TEST_AMQP_URL must name a RabbitMQ for this test, as in "
                 "amqp://guest:guest@127.0.0.1:5672/test");
    return url;
}

static inline int loop_setup(void **state)
{
    (void)state;
    loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    ev_timer_init(&ticker, on_tick, 0.005, 0.005);
    ev_timer_start(loop, &ticker);
    return 0;
}

static inline int loop_teardown(void **state)
{
    (void)state;
    ev_timer_stop(loop, &ticker);
    ev_loop_destroy(loop);
    return 0;
}

static inline void client_on_up(void *ctx, struct broker *broker)
{
    struct client *client = ctx;
    client->broker = broker;
    client->ups++;
    if (client->on_up)
        client->on_up(client);
}

static inline void client_on_down(void *ctx, struct broker *broker, const char *why)
{
    struct client *client = ctx;
    (void)broker;
    client->downs++;
    snprintf(client->why, sizeof(client->why), "%s", why);
}

static inline void client_on_delivery(void *ctx, struct broker *broker,
                                      const struct broker_delivery *delivery)
{
    struct client *client = ctx;
    (void)broker;
    client->delivered++;
    if (client->on_delivery)
        client->on_delivery(client, delivery);
}

static inline void client_on_blocked(void *ctx, struct broker *broker, bool blocked)
{
    struct client *client = ctx;
    (void)broker;
    *(blocked ? &client->blocks : &client->unblocks) += 1;
}

static inline void client_on_mark(void *arg)
{
    ((struct client *)arg)->marks++;
}

static inline struct broker_options client_options(const char *url)
{
    return (struct broker_options){
        .url = url,
        .name = "unit test",
        .unconfirmed_max = MESSAGES_MAX,
        .unconfirmed_bytes = 64 << 20,
        .reconnect_min_ms = 10,
        .reconnect_max_ms = 100,
    };
}

/* on_up may be NULL. */
static inline struct client *client_new_with(const struct broker_options *options,
                                             void (*on_up)(struct client *))
{
    static const struct broker_callbacks callbacks = {
        .on_up = client_on_up,
        .on_down = client_on_down,
        .on_delivery = client_on_delivery,
        .on_blocked = client_on_blocked,
    };
    struct client *client = xcalloc(1, sizeof(*client));
    struct uuid uuid = uuid_v7();
    char text[UUID_TEXT_LEN + 1];
    uuid_format(&uuid, text);
    snprintf(client->queue, sizeof(client->queue), "test.%s", text);
    client->on_up = on_up;
    for (int i = 0; i < MESSAGES_MAX; i++)
        client->messages[i].client = client;
    assert_int_equal(broker_new(loop, options, &callbacks, client, &client->broker), ERR_OK);
    return client;
}

static inline struct client *client_new(const char *url, void (*on_up)(struct client *))
{
    struct broker_options options = client_options(url);
    return client_new_with(&options, on_up);
}

static inline void client_free(struct client *client)
{
    broker_free(client->broker);
    free(client);
}

/* A queue that survives its connection and goes away a minute after the test. */
static inline void declare_queue(struct client *client)
{
    const struct broker_header arguments[] = {
        {.name = SLICE("x-expires"), .is_integer = true, .integer = 60000},
    };
    const struct broker_queue queue = {
        .name = client->queue,
        .durable = true,
        .arguments = arguments,
        .argument_count = ARRAY_LEN(arguments),
    };
    broker_declare_queue(client->broker, &queue);
}

static inline void note_confirm(void *arg, enum err err)
{
    struct noted *noted = arg;
    noted->confirms++;
    noted->err = err;
    noted->client->confirmed++;
}

/* Message number n, straight to the queue of that name, with n as its message id. */
static inline enum err publish_to(struct client *client, int n, const char *queue, struct slice body)
{
    char id[16];
    snprintf(id, sizeof(id), "%d", n);
    const struct broker_message message = {
        .exchange = SLICE(""),
        .routing_key = slice_of(queue),
        .message_id = slice_of(id),
        .persistent = true,
        .mandatory = true,
        .body = body,
    };
    return broker_publish(client->broker, &message, note_confirm, &client->messages[n]);
}

static inline void publish_many(struct client *client, int from, int to, struct slice body)
{
    for (int n = from; n < to; n++)
        assert_int_equal(publish_to(client, n, client->queue, body), ERR_OK);
}

static inline int number_of(const struct broker_delivery *delivery)
{
    char id[16];
    snprintf(id, sizeof(id), "%.*s", (int)delivery->message_id.len, delivery->message_id.data);
    int n = atoi(id);
    assert_in_range(n, 0, MESSAGES_MAX - 1);
    return n;
}

static inline void note_and_ack(struct client *client, const struct broker_delivery *delivery)
{
    client->messages[number_of(delivery)].deliveries++;
    broker_ack(client->broker, delivery->epoch, delivery->tag, false);
}

static inline void assert_each_confirmed_once(const struct client *client, int count)
{
    for (int n = 0; n < count; n++) {
        assert_int_equal(client->messages[n].confirms, 1);
        assert_int_equal(client->messages[n].err, ERR_OK);
    }
}

/* How many of the messages below `count` were delivered at least once. */
static inline int count_delivered(const struct client *client, int count)
{
    int seen = 0;
    for (int n = 0; n < count; n++)
        seen += client->messages[n].deliveries > 0;
    return seen;
}
