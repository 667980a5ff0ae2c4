#include "workers/fleet/manager/strays.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/broker/topology.h"

enum { LOOK_EVERY_MS = 300000, LOOK_AGAIN_MS = 5000, NAME_SIZE = 160 };

struct strays {
    struct ev_loop *loop;
    const struct config *config;
    const char *pool;
    struct broker *broker; /* of the look that is under way; NULL: none */
    bool is_over;          /* the look is; its connection is freed outside of its own callbacks */
    bool has_failed;       /* it found nothing out: another one follows soon */
    int64_t next_ms;       /* when a look is due; 0: at once */
    struct stray looked[TOPOLOGY_PARTITIONS_MAX], found[TOPOLOGY_PARTITIONS_MAX];
    size_t looked_count, found_count;
};

static void look_on(struct strays *strays);

static void on_seen(void *arg, uint32_t waiting, uint32_t consumers)
{
    struct strays *strays = arg;
    struct stray *stray = &strays->looked[strays->looked_count++];
    stray->waiting = waiting;
    stray->consumers = consumers;
    look_on(strays);
}

static void report(struct strays *strays)
{
    memcpy(strays->found, strays->looked, sizeof(strays->found));
    strays->found_count = strays->looked_count;
    for (size_t i = 0; i < strays->found_count; i++)
        if (strays->found[i].waiting > 0 && strays->found[i].consumers == 0)
            log_error(
                "queue.stray", LOG_S("queue", strays->found[i].name),
                LOG_I("waiting", strays->found[i].waiting), LOG_I("partitions", strays->config->partitions),
                LOG_S("hint", "no worker consumes it: deploy/operating.md, \"The number of partitions\""));
}

static void look_on(struct strays *strays)
{
    unsigned partition = (unsigned)strays->config->partitions + (unsigned)strays->looked_count;
    struct stray *stray = &strays->looked[strays->looked_count];
    if (partition >= TOPOLOGY_PARTITIONS_MAX) {
        strays->is_over = true;
        report(strays);
        return;
    }
    topology_command_queue(strays->pool, partition, stray->name, sizeof(stray->name));
    broker_look_at_queue(strays->broker, stray->name, on_seen, strays);
}

static void on_up(void *ctx, struct broker *broker)
{
    struct strays *strays = ctx;
    (void)broker;
    strays->looked_count = 0;
    if (!strays->is_over)
        look_on(strays);
}

/* A queue that does not exist is the end of the look; any other reason is the end of a look that found nothing out. */
static void on_down(void *ctx, struct broker *broker, const char *why)
{
    struct strays *strays = ctx;
    (void)broker;
    if (strays->is_over)
        return;
    strays->is_over = true;
    if (strncmp(why, "404 ", 4) == 0)
        report(strays);
    else
        strays->has_failed = true;
}

static void begin_look(struct strays *strays)
{
    static const struct broker_callbacks callbacks = {.on_up = on_up, .on_down = on_down};
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "cortex-worker %s: strays", strays->pool);
    const struct broker_options options = {
        .url = strays->config->amqp_url, .name = name, .unconfirmed_max = 1, .unconfirmed_bytes = 1};
    strays->is_over = strays->has_failed = false;
    if (broker_new(strays->loop, &options, &callbacks, strays, &strays->broker))
        strays->broker = NULL;
}

void strays_tick(struct strays *strays, int64_t now_ms)
{
    if (strays->broker && strays->is_over) {
        broker_free(TAKE(strays->broker));
        strays->next_ms = now_ms + (strays->has_failed ? LOOK_AGAIN_MS : LOOK_EVERY_MS);
    }
    if (!strays->broker && now_ms >= strays->next_ms)
        begin_look(strays);
}

bool strays_at(const struct strays *strays, size_t i, struct stray *ret_stray)
{
    if (i >= strays->found_count)
        return false;
    *ret_stray = strays->found[i];
    return true;
}

struct strays *strays_new(struct ev_loop *loop, const struct config *config, const char *pool)
{
    struct strays *strays = xcalloc(1, sizeof(*strays));
    strays->loop = loop;
    strays->config = config;
    strays->pool = pool;
    return strays;
}

void strays_free(struct strays *strays)
{
    if (!strays)
        return;
    if (strays->broker)
        broker_free(strays->broker);
    free(strays);
}
