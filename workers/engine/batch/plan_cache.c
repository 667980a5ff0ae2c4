#include "workers/engine/batch/plan_cache.h"

static const double PERIOD_S = 15;

static const struct db_statement discard = {"plans.discard", "DISCARD PLANS"};

struct fresh_plans {
    struct ev_loop *loop;
    struct db *db;
    ev_timer timer;
    bool is_due;
};

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    CONTAINER_OF(timer, struct fresh_plans, timer)->is_due =
        true; /* before the loop sleeps, the worker looks */
}

void fresh_plans_make(struct fresh_plans *plans)
{
    if (!plans->is_due)
        return;
    plans->is_due = false;
    db_send(plans->db, &discard, NULL, 0, NULL, NULL);
    db_sync(plans->db, NULL, NULL);
}

struct fresh_plans *fresh_plans_new(struct ev_loop *loop, struct db *db)
{
    struct fresh_plans *plans = xcalloc(1, sizeof(*plans));
    plans->loop = loop;
    plans->db = db;
    ev_timer_init(&plans->timer, on_timer, PERIOD_S, PERIOD_S);
    ev_timer_start(loop, &plans->timer);
    return plans;
}

void fresh_plans_free(struct fresh_plans *plans)
{
    if (!plans)
        return;
    ev_timer_stop(plans->loop, &plans->timer);
    free(plans);
}
