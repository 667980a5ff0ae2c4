#include "gateway/process/check.h"

#include <ev.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/broker/topology.h"
#include "gateway/net/listen.h"
#include "gateway/process/process.h"
#include "gateway/wiring.h"

static const double PATIENCE_S = 10;
static const double QUEUES_PATIENCE_S = 30; /* a connection for each difference of a queue */

/* ---- the broker ---- */

struct inquiry {
    struct ev_loop *loop;
    const struct config *config;
    size_t urls_left; /* each is tried once */
    bool with_queues, is_answered;
    char why[TOPOLOGY_SENTENCE_SIZE];
};

/* The server's words name the queue. */
static void print_other_shapes(const struct broker *broker)
{
    const char *example, *difference;
    size_t count = broker_differing_queues(broker, &example);
    for (size_t i = 0; i < count; i++)
        if ((difference = broker_differing_shape(broker, i)))
            puts(difference);
}

static void on_recorded(void *arg)
{
    struct inquiry *inquiry = arg;
    inquiry->is_answered = true;
    ev_break(inquiry->loop, EVBREAK_ALL);
}

static void on_up(void *ctx, struct broker *broker)
{
    struct inquiry *inquiry = ctx;
    if (inquiry->with_queues)
        topology_declare_all(broker, inquiry->config);
    else
        topology_declare_partitions(broker, inquiry->config);
    broker_after_declarations(broker, on_recorded, inquiry);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    (void)broker;
    struct inquiry *inquiry = ctx;
    bool disagrees = topology_disagrees(why, inquiry->config, inquiry->why);
    if (!disagrees)
        snprintf(inquiry->why, sizeof(inquiry->why), "CORTEX_AMQP_URL: %s", why);
    /* The queue that the server named is kept, and the others follow at once. */
    bool is_refusal = inquiry->with_queues && strncmp(why, "406 ", 4) == 0 && strstr(why, " for queue '") &&
                      !strstr(why, "'" TOPOLOGY_PARTITIONS_QUEUE "'");
    if (disagrees || (!is_refusal && --inquiry->urls_left == 0))
        ev_break(inquiry->loop, EVBREAK_ALL);
}

static void on_patience_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static bool broker_lets_us_in(struct ev_loop *loop, const struct config *config, bool with_queues)
{
    static const struct broker_callbacks callbacks = {.on_up = on_up, .on_down = on_down};
    const struct broker_options options = {.url = config->amqp_url,
                                           .name = "cortex-gateway check",
                                           .keeps_shapes = true,
                                           .unconfirmed_max = 1,
                                           .unconfirmed_bytes = BROKER_BODY_MAX};
    struct inquiry inquiry = {.loop = loop,
                              .config = config,
                              .with_queues = with_queues,
                              .why = "CORTEX_AMQP_URL: the broker does not answer"};
    struct broker *broker;
    if (broker_new(loop, &options, &callbacks, &inquiry, &broker))
        return false;
    inquiry.urls_left = broker_url_count(broker);
    ev_timer patience;
    ev_timer_init(&patience, on_patience_over, with_queues ? QUEUES_PATIENCE_S : PATIENCE_S, 0);
    ev_timer_start(loop, &patience);
    ev_run(loop, 0);
    ev_timer_stop(loop, &patience);
    if (inquiry.is_answered && with_queues)
        print_other_shapes(broker);
    broker_free(broker);
    if (!inquiry.is_answered)
        fprintf(stderr, "%s\n", inquiry.why);
    return inquiry.is_answered;
}

/* ---- without a connection ---- */

/* The parts read their settings as they are made, and say in the log what is wrong with them. */
static bool parts_can_be_made(struct ev_loop *loop, const struct config *config, struct token_keys *keys)
{
    struct gateway gateway = {.config = config, .keys = keys, .loop = loop};
    enum err err = gateway_open(&gateway, -1);
    gateway_close(&gateway);
    if (err)
        fprintf(stderr, "The gateway cannot be made with these settings: %s\n", err_info(err)->name);
    return !err;
}

static bool settings_are_right(struct ev_loop *loop, const struct config *config)
{
    char why[256] = "";
    struct token_keys *keys = NULL;
    if (!*config->database_url) {
        fputs("CORTEX_DATABASE_URL is not set.\n", stderr);
        return false;
    }
    if (listen_check(config->listen, why) || token_keys_load(config, &keys, why)) {
        fprintf(stderr, "%s\n", why);
        return false;
    }
    bool is_right = parts_can_be_made(loop, config, keys);
    token_keys_free(keys);
    return is_right;
}

int check_run(enum check_depth depth)
{
    struct config config;
    log_init("gateway.check", LOG_ERROR);
    if (config_check(&config, stderr))
        return 1;
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    bool is_right = loop && settings_are_right(loop, &config) &&
                    (depth == CHECK_SETTINGS || broker_lets_us_in(loop, &config, depth == CHECK_QUEUES));
    if (loop)
        ev_loop_destroy(loop);
    config_done(&config);
    return is_right ? 0 : 1;
}
