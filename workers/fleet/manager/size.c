#include "common/base/clock.h"
#include "common/base/log.h"
#include "workers/fleet/manager/private.h"

static void log_size(const struct manager *m, const char *said_by)
{
    const struct manager_load_sum load = manager_load_sum(m->load);
    const struct pool_size *size = &m->view.size;
    log_info("manager.size", LOG_I("wanted", size->wanted), LOG_I("min", size->min), LOG_I("max", size->max),
             LOG_S("why", manager_why_text(size->why)), LOG_S("said_by", said_by),
             LOG_I("waiting", load.ready + load.open + load.parked), LOG_I("oldest_ms", load.oldest_ms));
}

static void resize(struct manager *m, const struct pool_wish *wish, enum pool_why why, int64_t wall_ms)
{
    ev_timer_stop(m->loop, &m->listen);
    manager_view_set(&m->view, wish, why, wall_ms);
    log_size(m, "this manager");
    manager_changed(m);
}

static bool is_wish(const struct pool_wish *wish)
{
    return wish->wanted != POOL_UNSAID || wish->min != POOL_UNSAID || wish->max != POOL_UNSAID;
}

/* Autoscaling begins again: what it has seen belongs to another size. */
void manager_size_wish(struct manager *m, const struct pool_wish *wish, enum pool_why why, int64_t wall_ms)
{
    if (!is_wish(wish))
        return;
    m->autoscale = (struct autoscale){0};
    resize(m, wish, why, wall_ms);
}

bool manager_size_hear(struct manager *m, const struct pool_size *size)
{
    if (!manager_view_adopt(&m->view, size))
        return false;
    ev_timer_stop(m->loop, &m->listen);
    m->autoscale = (struct autoscale){0};
    log_size(m, "another manager");
    return true;
}

void manager_size_begin(struct manager *m)
{
    const struct pool_wish wish = {
        .wanted = (int32_t)m->config->worker_processes,
        .min = (int32_t)m->config->autoscale_min,
        .max = (int32_t)m->config->autoscale_max,
    };
    if (m->view.size.wanted == 0)
        resize(m, &wish, WHY_SETTINGS, clock_wall_ms());
}

/* ---- autoscaling ---- */

static struct autoscale_options options_of(const struct manager *m)
{
    const struct config *config = m->config;
    int partitions = (int)config->partitions, max = m->view.size.max, min = m->view.size.min;
    return (struct autoscale_options){
        .min = min < partitions ? min
                                : partitions, /* more workers than partitions would have nothing to consume */
        .max = max < partitions ? max : partitions,
        .depth = config->autoscale_depth,
        .age_ms = config->autoscale_age_ms,
        .hurry_ms = config->autoscale_hurry_ms,
        .calm_ms = config->autoscale_calm_ms,
    };
}

void manager_size_follow(struct manager *m)
{
    static const enum pool_why whys[] = {[AUTOSCALE_BOUNDS] = WHY_BOUNDS,
                                         [AUTOSCALE_DEPTH] = WHY_DEPTH,
                                         [AUTOSCALE_AGE] = WHY_AGE,
                                         [AUTOSCALE_CALM] = WHY_CALM};
    if (m->view.size.wanted == 0 || m->view.size.max == 0 || !manager_view_is_first(&m->view))
        return;
    const struct autoscale_options options = options_of(m);
    const struct manager_load_sum load = manager_load_sum(m->load);
    const struct autoscale_sight sight = {
        .wanted = m->view.size.wanted,
        .waiting = load.ready + load.open + load.parked,
        .oldest_ms = load.oldest_ms,
        .is_troubled = load.is_troubled,
    };
    enum autoscale_reason reason;
    int wanted = autoscale_decide(&m->autoscale, &options, &sight, clock_monotonic_ms(), &reason);
    if (wanted != sight.wanted)
        resize(m, &(struct pool_wish){wanted, POOL_UNSAID, POOL_UNSAID}, whys[reason], clock_wall_ms());
}
