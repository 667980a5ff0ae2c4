#include "workers/engine/housekeeping/housekeeping.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/broker/broker.h"
#include "common/broker/topology.h"
#include "common/db/db.h"
#include "workers/engine/housekeeping/dead_queue.h"
#include "workers/engine/housekeeping/operator.h"
#include "workers/engine/housekeeping/schedules.h"

enum {
    NAME_SIZE = 160,
    UNCONFIRMED_MAX = 1024, /* replies */
    UNCONFIRMED_BYTES = 8 << 20,
};

static const char requests[] = "requests"; /* consumer tag */

struct desk {
    const struct config *config;
    const char *pool;
    struct broker *broker;
    struct db *db;
    struct admin *admin;
    struct dead_queue *dead_queue;
    struct schedules *schedules;
    bool is_draining;
};

/* ---- the broker ---- */

/* Gone with the last worker of the pool, so that a question finds nobody instead of waiting for the next one; and nothing in
 * it outlives its asker's patience. */
static void declare_requests(struct desk *desk, char queue[NAME_SIZE])
{
    char key[NAME_SIZE];
    const struct broker_header arguments[] = {
        {.name = SLICE("x-message-ttl"), .is_integer = true, .integer = desk->config->admin_wait_ms},
        {.name = SLICE("x-max-length"), .is_integer = true, .integer = desk->config->admin_pending_max},
        {.name = SLICE("x-overflow"), .text = SLICE("reject-publish")},
    };
    snprintf(queue, NAME_SIZE, EXCHANGE_CONTROL ".%s", desk->pool);
    snprintf(key, sizeof(key), "admin.%s", desk->pool);
    broker_declare_queue(desk->broker, &(struct broker_queue){.name = queue,
                                                              .durable = true,
                                                              .auto_delete = true,
                                                              .arguments = arguments,
                                                              .argument_count = ARRAY_LEN(arguments)});
    broker_bind(desk->broker, queue, EXCHANGE_CONTROL, key);
}

static void on_up(void *ctx, struct broker *broker)
{
    struct desk *desk = ctx;
    char queue[NAME_SIZE];
    topology_declare(broker, desk->config);
    if (desk->is_draining)
        return;
    declare_requests(desk, queue);
    broker_consume(broker, queue, requests, 4, false, false);
    dead_queue_consume(desk->dead_queue);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    (void)ctx, (void)broker;
    log_warn("broker.down", LOG_S("connection", "desk"), LOG_S("why", why));
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct desk *desk = ctx;
    (void)broker;
    if (slice_is(delivery->consumer_tag, requests))
        admin_take(desk->admin, delivery);
    else
        dead_queue_take(desk->dead_queue, delivery);
}

static enum err connect_broker(struct desk *desk, struct ev_loop *loop)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_up, .on_down = on_down, .on_delivery = on_delivery};
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "cortex-worker %s: desk", desk->pool);
    const struct broker_options options = {
        .url = desk->config->amqp_url,
        .name = name,
        .unconfirmed_max = UNCONFIRMED_MAX,
        .unconfirmed_bytes = UNCONFIRMED_BYTES,
    };
    return broker_new(loop, &options, &callbacks, desk, &desk->broker);
}

/* ---- the database ---- */

static void on_db_up(void *ctx, struct db *db)
{
    struct desk *desk = ctx;
    (void)db;
    log_info("database.up", LOG_S("connection", "desk"));
    dead_queue_run(desk->dead_queue);
}

static void on_db_down(void *ctx, struct db *db, const char *why)
{
    (void)ctx, (void)db;
    log_warn("database.down", LOG_S("connection", "desk"), LOG_S("why", why));
}

static enum err connect_database(struct desk *desk, struct ev_loop *loop)
{
    static const struct db_callbacks callbacks = {.on_up = on_db_up, .on_down = on_db_down};
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "cortex-worker %s: desk", desk->pool);
    const struct db_options options = {
        .url = desk->config->database_url,
        .role = desk->config->database_role,
        .application_name = name,
        .statement_timeout_ms = desk->config->statement_timeout_ms,
    };
    return db_new(loop, &options, &callbacks, desk, &desk->db);
}

/* ---- the outside ---- */

enum err desk_new(struct ev_loop *loop, const struct config *config, const char *pool, struct desk **ret_desk)
{
    struct desk *desk = xcalloc(1, sizeof(*desk));
    desk->config = config;
    desk->pool = pool;
    enum err err = connect_broker(desk, loop);
    if (!err)
        err = connect_database(desk, loop);
    if (err) {
        desk_free(desk);
        return err;
    }
    desk->admin = admin_new(desk->db, desk->broker);
    desk->dead_queue = dead_queue_new(loop, desk->broker, desk->db, pool, config->delivery_limit);
    desk->schedules = schedules_new(loop, desk->db, config);
    *ret_desk = desk;
    return ERR_OK;
}

void desk_free(struct desk *desk)
{
    if (!desk)
        return;
    db_free(desk->db);
    broker_free(desk->broker);
    admin_free(desk->admin);
    dead_queue_free(desk->dead_queue);
    schedules_free(desk->schedules);
    free(desk);
}

void desk_drain(struct desk *desk)
{
    desk->is_draining = true;
    broker_cancel(desk->broker, requests, NULL, NULL);
    broker_cancel(desk->broker, DEAD_QUEUE_TAG, NULL, NULL);
    schedules_drain(desk->schedules);
}

bool desk_is_empty(const struct desk *desk)
{
    return admin_open(desk->admin) == 0 && broker_unconfirmed(desk->broker) == 0 &&
           schedules_is_idle(desk->schedules);
}
