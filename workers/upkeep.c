#include "workers/upkeep.h"

#include "common/log.h"

static const double PAUSE_S = 0.2; /* between two steps of one chore */
static const double AGAIN_S = 10;  /* after an error */

enum { DAYS_AHEAD = 7, ROWS_A_STEP = 500 };

enum chore_kind { CHORE_PARTITIONS, CHORE_EVENTS, CHORE_INBOX, CHORE_PLANS, CHORE_COUNT };

/* A prepared statement keeps its plan until the statistics of its tables change, and those of a new table are made when it
 * has a million rows already. A new plan looks at the tables' sizes as they are. */
static const struct chore {
    struct db_statement statement;
    size_t param_count;
    double period_s;
} chores[CHORE_COUNT] = {
    [CHORE_PARTITIONS] = {{"upkeep.partitions", "SELECT events_partitions_ahead($1::integer)"}, 1, 3600},
    [CHORE_EVENTS] =
        {{"upkeep.events", "SELECT events_drop_before(now() - make_interval(days => $1::integer))"}, 1, 3600},
    /* One process at a time is enough. */
    [CHORE_INBOX] = {{"upkeep.inbox",
                      "WITH turn AS MATERIALIZED"
                      " (SELECT pg_try_advisory_xact_lock(hashtext('cortex.inbox_expiry')) AS is_ours),"
                      " old AS (SELECT company_id, command_id FROM inbox WHERE (SELECT is_ours FROM turn)"
                      " AND at < now() - make_interval(days => $1::integer) ORDER BY at LIMIT $2::integer)"
                      " DELETE FROM inbox AS x USING old"
                      " WHERE x.company_id = old.company_id AND x.command_id = old.command_id RETURNING 1"},
                     2,
                     3600},
    [CHORE_PLANS] = {{"upkeep.plans", "DISCARD PLANS"}, 0, 15},
};

/* A chore of this process. */
struct turn {
    struct upkeep *upkeep;
    enum chore_kind kind;
    ev_timer timer;
    bool is_due, has_failed;
    int rows; /* of the last answer */
};

struct upkeep {
    struct ev_loop *loop;
    struct db *db;
    char days_ahead[DB_NUMBER_SIZE], event_days[DB_NUMBER_SIZE], inbox_days[DB_NUMBER_SIZE],
        rows[DB_NUMBER_SIZE];
    struct slice params[CHORE_COUNT][2];
    struct turn turns[CHORE_COUNT];
};

static void wait_s(struct turn *turn, double s)
{
    ev_timer_stop(turn->upkeep->loop, &turn->timer);
    ev_timer_set(&turn->timer, s, 0);
    ev_timer_start(turn->upkeep->loop, &turn->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    CONTAINER_OF(timer, struct turn, timer)->is_due = true; /* before the loop sleeps, the worker looks */
}

/* Several processes need not come at the same second. */
static double jittered(double s)
{
    return s * (0.9 + (double)arc4random_uniform(200) / 1000);
}

static void on_result(void *arg, struct db_result *result)
{
    struct turn *turn = arg;
    enum err err = db_result_error(result);
    turn->has_failed = err != ERR_OK;
    turn->rows = db_rows(result);
    if (turn->has_failed && err != ERR_SHUTTING_DOWN)
        log_warn("upkeep.failed", LOG_S("chore", chores[turn->kind].statement.name),
                 LOG_S("error", err_info(err)->name), LOG_S("message", db_result_message(result)));
}

static void on_sync(void *arg, enum err err)
{
    struct turn *turn = arg;
    if (err == ERR_SHUTTING_DOWN)
        return;
    if (err || turn->has_failed)
        wait_s(turn, jittered(AGAIN_S));
    else if (turn->rows == ROWS_A_STEP)
        wait_s(turn, PAUSE_S);
    else
        wait_s(turn, jittered(chores[turn->kind].period_s));
}

void upkeep_run(struct upkeep *u)
{
    for (int kind = 0; kind < CHORE_COUNT; kind++) {
        struct turn *turn = &u->turns[kind];
        if (!turn->is_due)
            continue;
        turn->is_due = false;
        db_send(u->db, &chores[kind].statement, u->params[kind], chores[kind].param_count, on_result, turn);
        db_sync(u->db, on_sync, turn);
    }
}

bool upkeep_is_due(const struct upkeep *u)
{
    for (int kind = 0; kind < CHORE_COUNT; kind++)
        if (u->turns[kind].is_due)
            return true;
    return false;
}

struct upkeep *upkeep_new(struct ev_loop *loop, struct db *db, int64_t inbox_days, int64_t event_days)
{
    struct upkeep *u = xcalloc(1, sizeof(*u));
    u->loop = loop;
    u->db = db;
    u->params[CHORE_PARTITIONS][0] = db_number(DAYS_AHEAD, u->days_ahead);
    u->params[CHORE_EVENTS][0] = db_number(event_days, u->event_days);
    u->params[CHORE_INBOX][0] = db_number(inbox_days, u->inbox_days);
    u->params[CHORE_INBOX][1] = db_number(ROWS_A_STEP, u->rows);
    for (int kind = 0; kind < CHORE_COUNT; kind++) {
        struct turn *turn = &u->turns[kind];
        turn->upkeep = u;
        turn->kind = (enum chore_kind)kind;
        ev_timer_init(&turn->timer, on_timer, 0, 0);
        ev_timer_start(loop, &turn->timer);
    }
    return u;
}

void upkeep_free(struct upkeep *u)
{
    if (!u)
        return;
    for (int kind = 0; kind < CHORE_COUNT; kind++)
        ev_timer_stop(u->loop, &u->turns[kind].timer);
    free(u);
}
