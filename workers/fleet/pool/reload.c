/* SIGHUP: the settings are read again, and the workers are replaced one by one, the new one first.
 *
 *   NONE ── the settings parse ──▶ PROVING ── a worker is ready with them ──▶ REPLACING ── the last has left ──▶ NONE
 *                                     └── it died, or took longer than reload_ms: they are refused, the old workers stay
 *
 * All workers go on working meanwhile. A worker that leaves finishes what it has and hands over its
 * partitions. */

#include <string.h>

#include "common/process/service.h"
#include "workers/fleet/pool/private.h"

static void set_state(struct pool *pool, enum reload_state state)
{
    static const char *const names[] = {
        [RELOAD_NONE] = "none", [RELOAD_PROVING] = "proving", [RELOAD_REPLACING] = "replacing"};
    log_debug("pool.reload_state", LOG_S("from", names[pool->reload.state]), LOG_S("to", names[state]));
    pool->reload.state = state;
}

static void finish(struct pool *pool)
{
    set_state(pool, RELOAD_NONE);
    pool->is_ready = service_ready(); /* if it was not taken, the next tick sends it again */
    if (pool->reload.again)
        pool_reload(pool);
}

static void stop_trial(struct pool *pool)
{
    ev_timer_stop(pool->loop, &pool->reload.limit);
    pool->reload.fresh = NULL;
}

static void free_config(struct config *config)
{
    if (config)
        config_done(config);
    free(config);
}

static void refuse_settings(struct pool *pool, const char *why)
{
    struct pool_child *fresh = pool->reload.fresh;
    log_error("pool.settings_refused", LOG_S("why", why),
              LOG_S("hint", "the workers go on with the old settings"));
    stop_trial(pool);
    if (fresh)
        pool_child_stop(fresh, POOL_GRACE_MS);
    free_config(TAKE(pool->reload.proof));
    set_state(pool, RELOAD_REPLACING); /* the round before this one may be unfinished */
}

static void on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct pool *pool = CONTAINER_OF(timer, struct pool, reload.limit);
    if (pool->is_child)
        return;
    refuse_settings(pool, "no worker became ready with them in time");
    pool->is_changed = true;
}

/* A size that operators have set stays, unless the new settings differ from the old ones in it. */
static void wish_for_size(struct pool *pool, const struct config *now)
{
    const struct config *before = pool->config;
    if (now->worker_processes != before->worker_processes)
        pool->wish.wanted = (int32_t)now->worker_processes;
    if (now->autoscale_min != before->autoscale_min)
        pool->wish.min = (int32_t)now->autoscale_min;
    if (now->autoscale_max != before->autoscale_max)
        pool->wish.max = (int32_t)now->autoscale_max;
}

/* From now on every process is started with the new settings, the manager too. */
static void accept(struct pool *pool)
{
    struct config *before = pool->loaded;
    wish_for_size(pool, pool->reload.proof);
    config_apply_to_log(pool->reload.proof);
    pool->config = pool->loaded = TAKE(pool->reload.proof);
    free_config(before);
    set_state(pool, RELOAD_REPLACING);
    pool_child_stop(&pool->manager, POOL_GRACE_MS);
}

static struct pool_child *find_old(struct pool *pool)
{
    for (int i = 0; i < POOL_CHILDREN_MAX; i++) {
        struct pool_child *child = &pool->workers[i];
        if (pool_child_is_kept(child) && child->generation != pool->generation)
            return child;
    }
    return NULL;
}

/* The new worker exceeds the share until an old one leaves for it. */
static void bring_in(struct pool *pool)
{
    pool->reload.fresh = pool_unused_child(pool);
    if (pool->reload.fresh)
        pool_child_start_after(pool->reload.fresh, 0);
}

static void replace_one(struct pool *pool)
{
    pool->reload.old = find_old(pool);
    pool->reload.fresh = NULL;
    if (pool->reload.old)
        pool_child_stop(pool->reload.old, pool->config->drain_ms + POOL_GRACE_MS);
}

static void step_trial(struct pool *pool)
{
    struct pool_child *fresh = pool->reload.fresh;
    if (!fresh) {
        bring_in(pool);
    } else if (fresh->process.state == CHILD_NONE) {
        pool->reload.fresh = NULL;
        refuse_settings(pool, "the first worker with them did not live");
    } else if (child_is_ready(&fresh->process)) {
        stop_trial(pool);
        accept(pool);
        pool->generation = fresh->generation;
        replace_one(pool);
    }
}

static void step_round(struct pool *pool)
{
    struct pool_child *fresh = pool->reload.fresh;
    if (fresh && child_is_ready(&fresh->process))
        replace_one(pool);
    else if (fresh && pool_child_is_kept(fresh))
        return;
    if (pool->reload.old && pool->reload.old->process.state == CHILD_LEAVING)
        return;
    if (find_old(pool)) {
        bring_in(pool);
        return;
    }
    log_info("pool.reloaded", LOG_I("workers", pool->share));
    finish(pool);
}

void pool_reload_step(struct pool *pool)
{
    if (pool->is_leaving)
        return;
    if (pool->reload.state == RELOAD_PROVING)
        step_trial(pool);
    if (pool->reload.state == RELOAD_REPLACING)
        step_round(pool);
}

static enum err load(struct config **ret_config, char why[256])
{
    struct config *config = xcalloc(1, sizeof(*config));
    enum err err = config_load(config, why);
    if (err)
        free_config(config);
    else
        *ret_config = config;
    return err;
}

void pool_reload(struct pool *pool)
{
    char why[256];
    pool->reload.again = pool->reload.state == RELOAD_PROVING;
    if (pool->is_leaving || pool->reload.again)
        return;
    if (load(&pool->reload.proof, why)) {
        log_error("pool.settings_refused", LOG_S("why", why),
                  LOG_S("hint", "the workers go on with the old settings"));
        return;
    }
    log_info("pool.reloading");
    service_reloading();
    pool->reload.fresh = NULL;
    set_state(pool, RELOAD_PROVING);
    ev_timer_init(&pool->reload.limit, on_limit, (double)pool->reload.proof->reload_ms / 1000, 0);
    ev_timer_start(pool->loop, &pool->reload.limit);
    pool->is_changed = true;
}

void pool_reload_done(struct pool *pool)
{
    ev_timer_stop(pool->loop, &pool->reload.limit);
    free_config(TAKE(pool->reload.proof));
    free_config(TAKE(pool->loaded));
}
