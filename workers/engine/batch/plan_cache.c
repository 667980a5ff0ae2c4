#include "workers/engine/batch/plan_cache.h"

static const double PERIOD_S = 15;

static const struct db_statement discard = {"plan_cache.discard", "DISCARD PLANS"};

struct plan_cache {
    struct ev_loop *loop;
    struct db *db;
    ev_timer timer;
    bool is_due;
};

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct plan_cache *cache = CONTAINER_OF(timer, struct plan_cache, timer);
    cache->is_due = true; /* the worker looks before the loop sleeps */
}

void plan_cache_discard(struct plan_cache *cache)
{
    if (!cache->is_due)
        return;
    cache->is_due = false;
    db_send(cache->db, &discard, NULL, 0, NULL, NULL);
    db_sync(cache->db, NULL, NULL);
}

struct plan_cache *plan_cache_new(struct ev_loop *loop, struct db *db)
{
    struct plan_cache *cache = xcalloc(1, sizeof(*cache));
    cache->loop = loop;
    cache->db = db;
    ev_timer_init(&cache->timer, on_timer, PERIOD_S, PERIOD_S);
    ev_timer_start(loop, &cache->timer);
    return cache;
}

void plan_cache_free(struct plan_cache *cache)
{
    if (!cache)
        return;
    ev_timer_stop(cache->loop, &cache->timer);
    free(cache);
}
