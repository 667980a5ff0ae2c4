#include "workers/engine/housekeeping/housekeeping.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/broker/broker.h"
#include "common/broker/topology.h"
#include "common/db/db.h"
#include "workers/engine/housekeeping/acts.h"
#include "workers/engine/housekeeping/dead_queue.h"
#include "workers/engine/housekeeping/operator.h"
#include "workers/engine/housekeeping/schedules.h"
#include "workers/engine/housekeeping/secret_questions.h"
#include "workers/engine/housekeeping/text_blocks.h"
#include "workers/engine/records/database.h"
#include "workers/engine/secrets/care.h"

enum {
    NAME_SIZE = 160,
    UNCONFIRMED_MAX = 1024, /* replies */
    UNCONFIRMED_BYTES = 8 << 20,
    LOCK_WAIT_MS = 500, /* for a row that another transaction holds */
    TEXT_LOOK_S = 5,
};

static const char requests[] = "requests"; /* consumer tag */

struct housekeeping {
    const struct config *config;
    const char *pool;
    struct broker *broker;
    struct db *db;
    struct operator* operator;
    struct dead_queue *dead_queue;
    struct acts *acts;
    struct schedules *schedules;
    struct text_blocks *text_blocks;
    struct secret_questions *secret_questions;
    struct secret_care *secret_care;
    bool hears; /* requests of operators, and dead letters of the broker */
    bool is_draining;
};

/* ---- the broker ---- */

static void on_hearing(void *arg)
{
    struct housekeeping *h = arg;
    h->hears = true;
    log_info("housekeeping.hears");
}

static void on_up(void *ctx, struct broker *broker)
{
    struct housekeeping *h = ctx;
    char queue[NAME_SIZE];
    topology_declare(broker, h->config, h->pool);
    if (h->is_draining)
        return;
    dead_queue_consume(h->dead_queue);
    acts_consume(h->acts);
    topology_declare_requests(broker, h->config, h->pool);
    topology_requests_queue(h->pool, queue, sizeof(queue));
    broker_consume(broker, queue, requests, 4, false, false);
    broker_after_declarations(broker, on_hearing, h);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    struct housekeeping *h = ctx;
    (void)broker;
    h->hears = false;
    log_warn("broker.down", LOG_S("connection", "housekeeping"), LOG_S("why", why));
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct housekeeping *h = ctx;
    (void)broker;
    if (slice_is(delivery->consumer_tag, requests) && secret_questions_take(h->secret_questions, delivery))
        return;
    if (slice_is(delivery->consumer_tag, requests))
        operator_take(h->operator, delivery);
    else if (slice_is(delivery->consumer_tag, ACTS_TAG))
        acts_take(h->acts, delivery);
    else
        dead_queue_take(h->dead_queue, delivery);
}

static enum err connect_broker(struct housekeeping *h, struct ev_loop *loop)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_up, .on_down = on_down, .on_delivery = on_delivery};
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "cortex-worker %s: housekeeping", h->pool);
    const struct broker_options options = {
        .url = h->config->amqp_url,
        .name = name,
        .unconfirmed_max = UNCONFIRMED_MAX,
        .unconfirmed_bytes = UNCONFIRMED_BYTES,
    };
    return broker_new(loop, &options, &callbacks, h, &h->broker);
}

/* ---- the database ---- */

static void on_db_up(void *ctx, struct db *db)
{
    struct housekeeping *h = ctx;
    database_limit_lock_waits(db, LOCK_WAIT_MS);
    log_info("database.up", LOG_S("connection", "housekeeping"));
    dead_queue_run(h->dead_queue);
    secret_care_begin(h->secret_care);
}

static void on_db_down(void *ctx, struct db *db, const char *why)
{
    (void)ctx, (void)db;
    log_warn("database.down", LOG_S("connection", "housekeeping"), LOG_S("why", why));
}

static const struct db_callbacks db_callbacks = {.on_up = on_db_up, .on_down = on_db_down};

/* ---- the outside ---- */

static int64_t patience_of(const char *pool)
{
    return strcmp(pool, topology_pool_at(0)) == 0 ? 1 : HOUSEKEEPING_PATIENCE;
}

enum err housekeeping_new(struct ev_loop *loop, const struct config *config, const char *pool,
                          const struct secrets *secrets, struct housekeeping **ret_housekeeping)
{
    struct housekeeping *h = xcalloc(1, sizeof(*h));
    h->config = config;
    h->pool = pool;
    enum err err = connect_broker(h, loop);
    if (!err)
        err = database_connect(loop, config, pool, "housekeeping", &db_callbacks, h, &h->db);
    if (err) {
        housekeeping_free(h);
        return err;
    }
    h->operator= operator_new(loop, h->db, h->broker);
    h->dead_queue = dead_queue_new(loop, h->broker, h->db, pool, config->delivery_limit);
    h->acts = acts_new(loop, h->broker, h->db, pool);
    h->schedules = schedules_new(loop, h->db, config, config->schedule_poll_ms * patience_of(pool));
    h->text_blocks = text_blocks_new(loop, h->db, (double)(TEXT_LOOK_S * patience_of(pool)));
    h->secret_questions = secret_questions_new(h->db, h->broker, pool, secrets);
    h->secret_care = secret_care_new(loop, h->db, pool, secrets);
    *ret_housekeeping = h;
    return ERR_OK;
}

void housekeeping_free(struct housekeeping *h)
{
    if (!h)
        return;
    db_free(h->db);
    broker_free(h->broker);
    operator_free(h->operator);
    dead_queue_free(h->dead_queue);
    acts_free(h->acts);
    schedules_free(h->schedules);
    text_blocks_free(h->text_blocks);
    secret_questions_free(h->secret_questions);
    secret_care_free(h->secret_care);
    free(h);
}

void housekeeping_drain(struct housekeeping *h)
{
    h->is_draining = true;
    broker_cancel(h->broker, requests, NULL, NULL);
    broker_cancel(h->broker, DEAD_QUEUE_TAG, NULL, NULL);
    broker_cancel(h->broker, ACTS_TAG, NULL, NULL);
    schedules_drain(h->schedules);
    text_blocks_drain(h->text_blocks);
    secret_care_drain(h->secret_care);
}

bool housekeeping_is_idle(const struct housekeeping *h)
{
    return operator_open(h->operator) == 0 && broker_unconfirmed(h->broker) == 0 &&
           schedules_is_idle(h->schedules) && text_blocks_is_idle(h->text_blocks) &&
           secret_questions_open(h->secret_questions) == 0 && secret_care_is_idle(h->secret_care);
}

void housekeeping_changed(struct housekeeping *h)
{
    text_blocks_changed(h->text_blocks);
}

bool housekeeping_hears(const struct housekeeping *h)
{
    return h->hears;
}
