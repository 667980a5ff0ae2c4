#pragma once
/* What the tests of whole workers share: a gateway's side of the broker (publishes commands, hears replies and events), and workers, in this process or in processes of their own. */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/broker/topology.h"
#include "tests/unit/workers/engine/worker_fixture.h"
#include "workers/engine/worker.h"

enum { HEARD_MAX = 4096, WAIT_S = 60 };

/* A message from `events`. */
struct heard {
    struct event event;
    struct arena arena; /* of its texts */
};

struct hall {
    struct engine *engine; /* for its company and its commands; its batch stays idle */
    struct ev_loop *loop;
    ev_timer ticker;
    struct config config;
    struct broker *broker;
    char reply_key[64], queue[64];
    bool is_ready;
    struct heard events[HEARD_MAX], replies[HEARD_MAX];
    size_t event_count, reply_count;
    size_t confirmed, published;
    struct worker *worker; /* of this process */
};

#define eventually(hall, condition)                                 \
    do {                                                            \
        int64_t limit_ = clock_monotonic_us() + WAIT_S * 1000000LL; \
        while (!(condition)) {                                      \
            if (clock_monotonic_us() > limit_)                      \
                fail_msg("never became true: %s", #condition);      \
            ev_run((hall)->loop, EVRUN_ONCE);                       \
        }                                                           \
    } while (0)

/* For what must not happen. */
static inline void let_pass_ms(struct hall *hall, int ms)
{
    int64_t end = clock_monotonic_us() + ms * 1000LL;
    while (clock_monotonic_us() < end)
        ev_run(hall->loop, EVRUN_ONCE);
}

/* ---- hearing ---- */

static inline void keep_heard(struct heard *heard, const struct event *event)
{
    arena_init(&heard->arena, 1024, 0);
    heard->event = *event;
    heard->event.type = arena_copy(&heard->arena, event->type);
    heard->event.body = arena_copy(&heard->arena, event->body);
    heard->event.correlation_id = arena_copy(&heard->arena, event->correlation_id);
}

/* The queue of a gateway is bound for its own replies and for its companies' events: a message may be both. */
static inline void hear_event(struct hall *hall, const struct broker_delivery *delivery)
{
    struct event event;
    assert_int_equal(envelope_read_event(delivery, &event), ERR_OK);
    assert_true(hall->event_count < HEARD_MAX && hall->reply_count < HEARD_MAX);
    if (event.status == ERR_OK)
        keep_heard(&hall->events[hall->event_count++], &event);
    if (event.correlation_id.len > 0)
        keep_heard(&hall->replies[hall->reply_count++], &event);
}

static inline void on_hall_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct hall *hall = ctx;
    hear_event(hall, delivery);
    broker_ack(broker, delivery->epoch, delivery->tag, false);
}

static inline void on_hall_ready(void *arg)
{
    ((struct hall *)arg)->is_ready = true;
}

static inline void on_hall_up(void *ctx, struct broker *broker)
{
    struct hall *hall = ctx;
    char key[64];
    topology_declare_all(broker, &hall->config);
    broker_declare_queue(broker,
                         &(struct broker_queue){.name = hall->queue, .exclusive = true, .auto_delete = true});
    snprintf(key, sizeof(key), "%s.#", uuid_text(&hall->engine->company));
    broker_bind(broker, hall->queue, EXCHANGE_EVENTS, key);
    broker_bind(broker, hall->queue, EXCHANGE_EVENTS, hall->reply_key);
    broker_consume(broker, hall->queue, "events", 0, false, true);
    broker_after_declarations(broker, on_hall_ready, hall);
}

static inline void on_hall_down(void *ctx, struct broker *broker, const char *why)
{
    (void)ctx, (void)broker;
    fprintf(stderr, "the own connection of the test: %s\n", why);
    fail();
}

/* ---- the hall ---- */

static inline void on_hall_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

static inline const char *test_amqp_url(void)
{
    const char *url = getenv("CORTEX_TEST_AMQP_URL");
    if (!url)
        url = getenv("CORTEX_AMQP_URL");
    if (!url)
        fail_msg("CORTEX_TEST_AMQP_URL must name a RabbitMQ for this test, as in "
                 "amqp://guest:guest@127.0.0.1:5672/test");
    return url;
}

static inline int hall_setup(void **state)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_hall_up, .on_down = on_hall_down, .on_delivery = on_hall_delivery};
    char why[256];
    struct uuid id = uuid_v7();
    struct hall *hall = xcalloc(1, sizeof(*hall));
    hall->engine = engine_new();
    hall->loop = hall->engine->loop;
    ev_timer_init(&hall->ticker, on_hall_tick, 0.005, 0.005);
    ev_timer_start(hall->loop, &hall->ticker);
    setenv("CORTEX_AMQP_URL", test_amqp_url(), 1);
    setenv("CORTEX_DATABASE_URL", test_url(), 1);
    setenv("CORTEX_DATABASE_ROLE", "cortex_projects", 1);
    assert_int_equal(config_load(&hall->config, why), ERR_OK);
    snprintf(hall->reply_key, sizeof(hall->reply_key), "reply.%s", uuid_text(&id));
    snprintf(hall->queue, sizeof(hall->queue), "test.%s", uuid_text(&id));
    const struct broker_options options = {.url = hall->config.amqp_url,
                                           .name = "unit test",
                                           .unconfirmed_max = 10000,
                                           .unconfirmed_bytes = 64 << 20};
    assert_int_equal(broker_new(hall->loop, &options, &callbacks, hall, &hall->broker), ERR_OK);
    eventually(hall, hall->is_ready);
    *state = hall;
    return 0;
}

static inline void stop_worker(struct hall *hall)
{
    worker_free(TAKE(hall->worker));
}

static inline int hall_teardown(void **state)
{
    struct hall *hall = *state;
    stop_worker(hall);
    broker_free(hall->broker);
    for (size_t i = 0; i < hall->event_count; i++)
        arena_done(&hall->events[i].arena);
    for (size_t i = 0; i < hall->reply_count; i++)
        arena_done(&hall->replies[i].arena);
    ev_timer_stop(hall->loop, &hall->ticker);
    config_done(&hall->config);
    engine_free(hall->engine);
    free(hall);
    return 0;
}

/* ---- commands ---- */

static inline void on_hall_confirm(void *arg, enum err err)
{
    assert_int_equal(err, ERR_OK);
    ((struct hall *)arg)->confirmed++;
}

static inline void publish_message(struct hall *hall, const struct broker_message *message)
{
    assert_int_equal(broker_publish(hall->broker, message, on_hall_confirm, hall), ERR_OK);
    hall->published++;
}

/* Returns the command's id, which is its correlation id, too. */
static inline struct uuid publish_request(struct hall *hall, const struct request *request)
{
    struct buf body;
    struct envelope_scratch scratch;
    struct broker_message message;
    buf_init(&body, 1 << 20);
    struct envelope envelope = make_envelope(hall->engine, request, &body);
    envelope.correlation_id = slice_of(uuid_text(&envelope.id));
    envelope.reply_to = slice_of(hall->reply_key);
    assert_int_equal(
        envelope_write_command(&envelope, "projects", hall->config.partitions, &scratch, &message), ERR_OK);
    publish_message(hall, &message);
    buf_done(&body);
    return envelope.id;
}

#define PUBLISH(hall, ...) publish_request((hall), &(struct request){__VA_ARGS__})

static inline void all_confirmed(struct hall *hall)
{
    eventually(hall, hall->confirmed == hall->published);
}

static inline const struct event *reply_to(struct hall *hall, const struct uuid *id)
{
    for (size_t i = 0; i < hall->reply_count; i++)
        if (uuid_equal(&hall->replies[i].event.command_id, id))
            return &hall->replies[i].event;
    return NULL;
}

static inline bool is_dead(const struct uuid *id)
{
    return strcmp(ask_sqlf("SELECT count(*) FROM dead_letter WHERE command_id = '%s'", uuid_text(id)), "1") ==
           0;
}

static inline int unreadable_dead_letters(void)
{
    return atoi(ask_sqlf("SELECT count(*) FROM dead_letter WHERE command_id IS NULL"));
}

/* ---- workers ---- */

static inline void start_worker(struct hall *hall)
{
    assert_int_equal(worker_new(hall->loop, &hall->config, "projects", &hall->worker), ERR_OK);
}

/* In a process of its own, which inherits nothing that it uses. */
static inline pid_t fork_worker(struct hall *hall)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(worker_run(&hall->config, "projects", -1));
    }
    return pid;
}

static inline void kill_worker(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}
