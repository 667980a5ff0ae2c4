#include "workers/upkeep.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"

static const double PERIOD_S = 3600;
static const double PAUSE_S = 0.2; /* between two small deletes */
static const double AGAIN_S = 10;  /* after an error */

enum { DAYS_AHEAD = 7, ROWS_A_STEP = 500 };

static const struct db_statement make_partitions = {
    "upkeep.partitions",
    "SELECT events_partitions_ahead($1::integer)",
};

/* One process at a time is enough. */
static const struct db_statement expire_inbox = {
    "upkeep.inbox",
    "WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('cortex.inbox_expiry')) AS "
    "is_ours),"
    " old AS (SELECT company_id, command_id FROM inbox WHERE (SELECT is_ours FROM turn)"
    "  AND at < now() - make_interval(days => $1::integer) ORDER BY at LIMIT $2::integer)"
    " DELETE FROM inbox AS x USING old WHERE x.company_id = old.company_id AND x.command_id = old.command_id"
    " RETURNING 1",
};

enum step { STEP_PARTITIONS, STEP_INBOX };

struct upkeep {
    struct ev_loop *loop;
    struct db *db;
    int64_t inbox_days;
    void (*on_due)(void *ctx);
    void *ctx;
    enum step step;
    bool is_due, is_running;
    bool has_failed;
    int expired; /* rows of the last step */
    ev_timer timer;
};

static void wait_s(struct upkeep *u, double s)
{
    ev_timer_stop(u->loop, &u->timer);
    ev_timer_set(&u->timer, s, 0);
    ev_timer_start(u->loop, &u->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct upkeep *u = CONTAINER_OF(timer, struct upkeep, timer);
    u->is_due = true;
    u->on_due(u->ctx);
}

/* Several processes need not come at the same second. */
static double next_hour(void)
{
    return PERIOD_S * (0.9 + (double)arc4random_uniform(200) / 1000);
}

static void on_result(void *arg, struct db_result *result)
{
    struct upkeep *u = arg;
    u->has_failed = db_result_error(result) != ERR_OK;
    u->expired = db_rows(result);
    if (u->has_failed)
        log_warn("upkeep.failed", LOG_S("error", err_info(db_result_error(result))->name),
                 LOG_S("message", db_result_message(result)));
}

static void on_sync(void *arg, enum err err)
{
    struct upkeep *u = arg;
    u->is_running = false;
    if (err == ERR_SHUTTING_DOWN)
        return;
    if (err || u->has_failed) {
        wait_s(u, AGAIN_S);
    } else if (u->step == STEP_PARTITIONS) {
        u->step = STEP_INBOX;
        wait_s(u, PAUSE_S);
    } else if (u->expired == ROWS_A_STEP) {
        wait_s(u, PAUSE_S);
    } else {
        u->step = STEP_PARTITIONS;
        wait_s(u, next_hour());
    }
}

void upkeep_run(struct upkeep *u)
{
    char first[24], rows[24];
    int len =
        snprintf(first, sizeof(first), "%" PRId64, u->step == STEP_PARTITIONS ? DAYS_AHEAD : u->inbox_days);
    struct slice params[2] = {{first, (size_t)len}, SLICE_NONE};
    len = snprintf(rows, sizeof(rows), "%d", ROWS_A_STEP);
    params[1] = (struct slice){rows, (size_t)len};
    u->is_due = false;
    u->is_running = true;
    if (u->step == STEP_PARTITIONS)
        db_send(u->db, &make_partitions, params, 1, on_result, u);
    else
        db_send(u->db, &expire_inbox, params, 2, on_result, u);
    db_sync(u->db, on_sync, u);
}

bool upkeep_is_due(const struct upkeep *u)
{
    return u->is_due && !u->is_running;
}

struct upkeep *upkeep_new(struct ev_loop *loop, struct db *db, int64_t inbox_days, void (*on_due)(void *ctx),
                          void *ctx)
{
    struct upkeep *u = xcalloc(1, sizeof(*u));
    u->loop = loop;
    u->db = db;
    u->inbox_days = inbox_days;
    u->on_due = on_due;
    u->ctx = ctx;
    ev_timer_init(&u->timer, on_timer, 0, 0);
    ev_timer_start(loop, &u->timer);
    return u;
}

void upkeep_free(struct upkeep *u)
{
    if (!u)
        return;
    ev_timer_stop(u->loop, &u->timer);
    free(u);
}
