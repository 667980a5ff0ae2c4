#include "workers/dead_queue.h"

#include <stdio.h>

#include "common/broker.h"
#include "common/log.h"
#include "common/topology.h"
#include "workers/dead_letter.h"
#include "workers/job_list.h"

static const double AGAIN_S = 1; /* after the database refused */

enum { PREFETCH = 16, NAME_SIZE = 160, REASON_SIZE = 64 };

struct dead_queue {
    struct ev_loop *loop;
    struct db *db;
    const char *pool;
    struct broker *broker;
    struct dead_letters *letters;
    struct job_list waiting;
    ev_timer again;
    bool is_stopped;
};

/* One on its way to its row. */
struct burial {
    struct dead_queue *queue;
    struct job *job;
    bool has_failed;
};

/* ---- rows ---- */

static void on_kept(void *arg, struct db_result *result)
{
    struct burial *burial = arg;
    enum err err = db_result_error(result);
    burial->has_failed = err != ERR_OK;
    if (err && err != ERR_SHUTTING_DOWN)
        log_warn("dead_queue.failed", LOG_S("error", err_info(err)->name),
                 LOG_S("message", db_result_message(result)));
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events; /* before the loop sleeps, the worker looks */
}

static void on_committed(void *arg, enum err err)
{
    CLEANUP_FREE struct burial *burial = arg;
    struct dead_queue *queue = burial->queue;
    if (!err && !burial->has_failed) {
        broker_ack(queue->broker, burial->job->epoch, burial->job->tag, false);
        job_free(burial->job);
        return;
    }
    job_list_append(&queue->waiting, burial->job);
    if (err != ERR_SHUTTING_DOWN && !ev_is_active(&queue->again)) {
        ev_timer_set(&queue->again, AGAIN_S, 0);
        ev_timer_start(queue->loop, &queue->again);
    }
}

void dead_queue_run(struct dead_queue *queue)
{
    while (queue->waiting.count > 0 && !ev_is_active(&queue->again)) {
        struct burial *burial = xcalloc(1, sizeof(*burial));
        *burial = (struct burial){.queue = queue, .job = job_list_take(&queue->waiting)};
        if (burial->job->epoch != broker_epoch(queue->broker)) { /* it comes again by itself */
            job_free(burial->job);
            free(burial);
            continue;
        }
        dead_letters_keep(queue->letters, queue->db, burial->job, burial->job->why, on_kept, burial);
        db_sync(queue->db, on_committed, burial);
    }
}

/* ---- the broker ---- */

static void on_up(void *ctx, struct broker *broker)
{
    struct dead_queue *queue = ctx;
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), EXCHANGE_DEAD ".%s", queue->pool);
    if (!queue->is_stopped)
        broker_consume(broker, name, "dead", PREFETCH, false, false);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    (void)ctx, (void)broker;
    log_warn("broker.down", LOG_S("connection", "dead letters"), LOG_S("why", why));
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct dead_queue *queue = ctx;
    const struct broker_header *reason = broker_delivery_header(delivery, "x-first-death-reason");
    struct job *job = job_new(delivery);
    (void)broker;
    bool has_reason = reason && !reason->is_integer && reason->text.len < REASON_SIZE;
    job->why = has_reason ? arena_copy(&job->arena, reason->text) : SLICE("unreadable");
    job->attempts = (unsigned)delivery->delivery_count + 1;
    job_list_append(&queue->waiting, job);
}

enum err dead_queue_new(struct ev_loop *loop, struct db *db, const struct config *config, const char *pool,
                        struct dead_queue **ret_queue)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_up, .on_down = on_down, .on_delivery = on_delivery};
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "cortex-worker %s: dead letters", pool);
    const struct broker_options options = {
        .url = config->amqp_url, .name = name, .unconfirmed_max = 1, .unconfirmed_bytes = 1};
    struct dead_queue *queue = xcalloc(1, sizeof(*queue));
    queue->loop = loop;
    queue->db = db;
    queue->pool = pool;
    queue->letters = dead_letters_new(pool);
    job_list_init(&queue->waiting);
    ev_timer_init(&queue->again, on_again, 0, 0);
    enum err err = broker_new(loop, &options, &callbacks, queue, &queue->broker);
    if (err)
        dead_queue_free(queue);
    else
        *ret_queue = queue;
    return err;
}

void dead_queue_stop(struct dead_queue *queue)
{
    queue->is_stopped = true;
    broker_cancel(queue->broker, "dead", NULL, NULL);
}

void dead_queue_free(struct dead_queue *queue)
{
    if (!queue)
        return;
    ev_timer_stop(queue->loop, &queue->again);
    if (queue->broker)
        broker_free(queue->broker);
    while (queue->waiting.count > 0)
        job_free(job_list_take(&queue->waiting));
    dead_letters_free(queue->letters);
    free(queue);
}
