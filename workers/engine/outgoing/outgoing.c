#include "workers/engine/outgoing/outgoing.h"

#include <math.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/broker/topology.h"
#include "common/db/pg_array.h"
#include "common/process/rhythm.h"
#include "workers/engine/outgoing/lanes.h"
#include "workers/engine/outgoing/sql.h"
#include "workers/engine/records/database.h"

enum {
    LOOK_MAX = 256,   /* lanes of one look */
    DUE_MAX = 64,     /* lanes of one question for what is due */
    RECORD_MAX = 512, /* outcomes of one transaction */
    HELD_MAX = 4096,  /* lanes */
    THOROUGH = 4,     /* every so many looks, holders that are gone are looked for */
    RENEW_MAX = 1024, /* lanes of one statement */
    ARRAY_MAX = 32 << 20,
    NUMBER_SIZE = 32,
    LOCK_WAIT_MS = 2000,
    COLUMNS = 5,
};

static const double LEASE_S = 60, RENEW_S = 15, LOOK_S = 1, LINGER_S = 1.5, TICK_S = 0.02;
static const double MOMENT_S = 0.005; /* so much earlier a look may be, when the loop turns anyway */
static const double STOPPED_S =
    5; /* for so long a lane that was stopped rests, unless somebody changes something */
static const double REST_S = 0.05, REST_MAX_S = 5; /* after a statement that has failed */

struct outgoing {
    struct ev_loop *loop;
    struct outgoing_options options;
    struct db *db;
    struct outgoing_sql sql;
    struct lanes lanes;
    struct act_list recording; /* outcomes that are on their way to the database */
    struct pg_array columns[COLUMNS];
    char holder[DB_NUMBER_SIZE];
    ev_prepare turn;
    ev_timer tick, rest;
    double rest_s;
    double look_at, renew_at, renewed_to; /* monotonic */
    enum err err;                         /* of the transaction under way */
    void (*on_committed)(struct outgoing *outgoing);
    struct db_result *result;
    size_t looked; /* lanes that the last look has found */
    bool is_open;  /* a transaction is on its way */
    unsigned looks;
    bool is_poked, is_alert, is_held, is_draining; /* alert: a partition is ours that was somebody else's */
};

/* ---- one transaction at a time ---- */

static void rest(struct outgoing *o)
{
    ev_timer_stop(o->loop, &o->rest);
    ev_timer_set(&o->rest, o->rest_s * (0.5 + (double)arc4random_uniform(1000) / 1000), 0);
    ev_timer_start(o->loop, &o->rest);
    o->rest_s = o->rest_s * 2 < REST_MAX_S ? o->rest_s * 2 : REST_MAX_S;
}

static void on_rest_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events; /* on_turn, which follows, goes on */
}

static void on_result(void *arg, struct db_result *result)
{
    struct outgoing *o = arg;
    enum err err = db_result_error(result);
    if (err && err != ERR_SHUTTING_DOWN && !db_result_skipped(result))
        log_at(err_info(err)->level, "outgoing.failed", LOG_S("pool", o->options.kind->pool),
               LOG_S("error", err_info(err)->name), LOG_S("message", db_result_message(result)));
    o->err = o->err ? o->err : err;
    db_result_release(o->result);
    o->result = db_result_hold(result);
}

/* What was on its way is recorded the next time: it may have been committed, and then it finds nothing to do. */
static void take_back(struct outgoing *o)
{
    struct act *act;
    while ((act = TAILQ_LAST(&o->recording, act_list))) {
        TAILQ_REMOVE(&o->recording, act, link);
        TAILQ_INSERT_HEAD(&o->lanes.ended, act, link);
        o->lanes.ended_count++;
    }
}

static void on_synced(void *arg, enum err err)
{
    struct outgoing *o = arg;
    if (err != ERR_SHUTTING_DOWN) {
        o->is_open = false;
        o->err = o->err ? o->err : err;
    }
    if (err != ERR_SHUTTING_DOWN && !o->err) {
        o->rest_s = REST_S;
        o->on_committed(o);
    } else {
        take_back(o);
    }
    if (err != ERR_SHUTTING_DOWN && o->err)
        rest(o);
    db_result_release(TAKE(o->result));
}

static void begin(struct outgoing *o)
{
    o->is_open = true;
    o->err = ERR_OK;
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_clear(&o->columns[i]);
}

static void commit(struct outgoing *o, void (*on_committed)(struct outgoing *o))
{
    o->on_committed = on_committed;
    db_sync(o->db, on_synced, o);
}

static void add_lane(struct outgoing *o, const struct lane *lane)
{
    pg_array_add_uuid(&o->columns[0], &lane->tenant->node.key);
    pg_array_add_uuid(&o->columns[1], &lane->node.key);
    pg_array_add_i64(&o->columns[2], lane->lease);
}

/* Sends the statement, behind the locks of the lanes, which everybody takes in one order. */
static void send_locked(struct outgoing *o, const struct db_statement *statement, size_t columns,
                        void (*on_committed)(struct outgoing *o))
{
    struct slice params[COLUMNS];
    for (size_t i = 0; i < columns; i++)
        params[i] = pg_array_end(&o->columns[i]);
    db_send(o->db, &outgoing_lock, params, 3, on_result, o);
    db_send(o->db, statement, params, columns, on_result, o);
    commit(o, on_committed);
}

static struct lane *lane_of(const struct outgoing *o, const struct db_result *result, int row, int column)
{
    struct uuid id;
    return uuid_parse(db_text(result, row, column), &id) ? lanes_find(&o->lanes, &id) : NULL;
}

/* ---- lanes that something is due of ---- */

static void on_looked(struct outgoing *o)
{
    double until = clock_monotonic_s() + LEASE_S - 1; /* it began when the statement did */
    o->looked = (size_t)db_rows(o->result);
    for (int row = 0; row < db_rows(o->result); row++) {
        struct uuid company, id;
        if (uuid_parse(db_text(o->result, row, 0), &company) && uuid_parse(db_text(o->result, row, 1), &id))
            (void)lanes_take(&o->lanes, &company, &id, db_int(o->result, row, 2), until);
    }
}

static void look(struct outgoing *o)
{
    const struct partition_set *set = o->options.partitions;
    char count[DB_NUMBER_SIZE], most[DB_NUMBER_SIZE], seconds[NUMBER_SIZE];
    begin(o);
    for (unsigned partition = 0; partition < set->count; partition++)
        if (partition_is_mine(set, partition))
            pg_array_add_i64(&o->columns[0], partition);
    snprintf(seconds, sizeof(seconds), "%.3f", LEASE_S);
    bool is_thorough = o->is_alert || ++o->looks % THOROUGH == 0;
    const struct slice params[] = {slice_of(o->options.kind->pool),
                                   db_number(set->count, count),
                                   pg_array_end(&o->columns[0]),
                                   slice_of(o->holder),
                                   slice_of(seconds),
                                   db_number(LOOK_MAX, most),
                                   slice_of(is_thorough ? "1" : "0")};
    o->is_poked = o->is_alert = false;
    o->look_at = clock_monotonic_s() + rhythm_after(o->loop, LOOK_S) - MOMENT_S;
    db_send(o->db, &outgoing_look, params, ARRAY_LEN(params), on_result, o);
    commit(o, on_looked);
}

/* ---- leases ---- */

/* Of the lanes that were renewed, those that are not named in the answer are somebody else's, or gone. */
static void on_renewed(struct outgoing *o)
{
    double now = clock_monotonic_s();
    struct lane *lane, *next;
    for (int row = 0; row < db_rows(o->result); row++)
        if ((lane = lane_of(o, o->result, row, 0)))
            lane->until = now + LEASE_S - 1;
    for (lane = TAILQ_FIRST(&o->lanes.all); lane; lane = next) {
        next = TAILQ_NEXT(lane, of_all);
        if (!lane->is_lost && lane->until < o->renewed_to)
            lanes_lose(&o->lanes, lane);
    }
    o->renew_at = now + RENEW_S;
}

static void renew(struct outgoing *o)
{
    char seconds[NUMBER_SIZE];
    struct lane *lane;
    begin(o);
    TAILQ_FOREACH(lane, &o->lanes.all, of_all)
    if (!lane->is_lost)
        add_lane(o, lane);
    snprintf(seconds, sizeof(seconds), "%.3f", LEASE_S);
    pg_array_add_text(&o->columns[3], slice_of(seconds));
    o->renewed_to =
        clock_monotonic_s() + LEASE_S - 2; /* what is not renewed has no lease that lasts so long */
    send_locked(o, &outgoing_renew, 4, on_renewed);
}

/* ---- lanes that rest ---- */

static bool is_over(const struct outgoing *o, const struct lane *lane, double now)
{
    bool must_go = lane->is_leaving || o->is_draining;
    if (lane->is_lost || lane->in_hand > 0)
        return false;
    return must_go || lane->is_stopped ||
           (!lane->needs_due && now - lane->busy_at > LINGER_S && lane->next - now > LINGER_S);
}

static void on_released(struct outgoing *o)
{
    struct lane *lane, *next;
    for (lane = TAILQ_FIRST(&o->lanes.all); lane; lane = next) {
        next = TAILQ_NEXT(lane, of_all);
        if (!lane->is_lost && lane->until == 0)
            lanes_forget(&o->lanes, lane);
    }
}

static void add_next(struct outgoing *o, const struct lane *lane, double now)
{
    char text[NUMBER_SIZE];
    double next = lane->is_stopped ? STOPPED_S : lane->needs_due ? 0 : lane->next - now;
    if (isinf(next)) {
        pg_array_add_null(&o->columns[3]);
        return;
    }
    snprintf(text, sizeof(text), "%.3f", next > 0 ? next : 0);
    pg_array_add_text(&o->columns[3], slice_of(text));
}

/* Returns whether there was any. Its time is set to none: nothing begins there any more. */
static bool release(struct outgoing *o)
{
    double now = clock_monotonic_s();
    size_t count = 0;
    struct lane *lane;
    TAILQ_FOREACH(lane, &o->lanes.all, of_all)
    {
        if (!is_over(o, lane, now) || count == RENEW_MAX)
            continue;
        if (count++ == 0)
            begin(o);
        add_lane(o, lane);
        add_next(o, lane, now);
        lane->until = 0;
        lane->is_leaving = true;
    }
    if (count == 0)
        return false;
    send_locked(o, &outgoing_release, 4, on_released);
    return true;
}

/* ---- what is due ---- */

static void read_lane(struct lane *lane, const struct db_result *result, int row)
{
    struct slice next = db_text(result, row, OUTGOING_NEXT);
    int64_t rate = db_int(result, row, OUTGOING_RATE);
    lane->concurrency = db_int(result, row, OUTGOING_CONCURRENCY);
    lane->failures = db_int(result, row, OUTGOING_FAILURES);
    lane->pace_s = rate > 0 ? 1 / (double)rate : 0;
    lane->next = next.data ? clock_monotonic_s() + strtod(next.data, NULL) : INFINITY;
    lane->needs_due |= slice_is(db_text(result, row, OUTGOING_LEFT), "t");
    lane->is_in_order = slice_is(db_text(result, row, OUTGOING_IN_ORDER), "t");
    if (db_text(result, row, OUTGOING_ACT).data)
        lane->busy_at = clock_monotonic_s();
}

static void queue(struct outgoing *o, struct lane *lane, const struct db_result *result, int row)
{
    struct slice columns[OUTGOING_COLUMNS_MAX];
    struct uuid id;
    if (!uuid_parse(db_text(result, row, OUTGOING_ACT), &id))
        return;
    for (int i = 0; i < OUTGOING_COLUMNS_MAX; i++)
        columns[i] = i < o->options.kind->columns ? db_text(result, row, OUTGOING_OWN + i) : SLICE_NONE;
    lanes_queue(&o->lanes, lane, &id, columns);
}

static void on_due(struct outgoing *o)
{
    for (int row = 0; row < db_rows(o->result); row++) {
        struct lane *lane = lane_of(o, o->result, row, OUTGOING_LANE);
        if (!lane)
            continue;
        read_lane(lane, o->result, row);
        queue(o, lane, o->result, row);
    }
}

static void add_in_hand(struct outgoing *o, const struct lane *lane)
{
    const struct act *act;
    TAILQ_FOREACH(act, &lane->acts, of_lane)
    pg_array_add_uuid(&o->columns[3], &act->out.id);
}

static bool ask_what_is_due(struct outgoing *o)
{
    double now = clock_monotonic_s();
    size_t count = 0;
    struct lane *lane;
    TAILQ_FOREACH(lane, &o->lanes.all, of_all)
    {
        if (lane->next <= now)
            lane->needs_due = true;
        size_t wants =
            lane->is_lost || !lane->needs_due || count == DUE_MAX ? 0 : lane_wants(&o->lanes, lane);
        if (wants == 0)
            continue;
        if (count++ == 0)
            begin(o);
        add_lane(o, lane);
        add_in_hand(o, lane);
        pg_array_add_i64(&o->columns[4], (int64_t)wants);
        lane->needs_due = false;
    }
    if (count == 0)
        return false;
    send_locked(o, &o->sql.due, COLUMNS, on_due);
    return true;
}

/* ---- outcomes ---- */

static void settle(struct outgoing *o)
{
    struct act *act;
    while ((act = TAILQ_FIRST(&o->recording))) {
        TAILQ_REMOVE(&o->recording, act, link);
        act->lane->needs_due |= act->lane->is_in_order;
        lanes_settle(act);
    }
}

/* A lane of which nothing was recorded has been lost. */
static void on_recorded(struct outgoing *o)
{
    size_t sent = 0;
    const struct act *act;
    TAILQ_FOREACH(act, &o->recording, link)
    sent++;
    if ((size_t)db_rows(o->result) < sent) {
        log_warn("outgoing.void", LOG_S("pool", o->options.kind->pool),
                 LOG_I("outcomes", (int64_t)sent - db_rows(o->result)));
        o->renew_at = 0;
    }
    settle(o);
}

/* Outcomes of lanes that were lost meanwhile are void. */
static void drop_void(struct outgoing *o)
{
    struct act *act, *next;
    for (act = TAILQ_FIRST(&o->lanes.ended); act; act = next) {
        next = TAILQ_NEXT(act, link);
        if (!act->lane->is_lost)
            continue;
        TAILQ_REMOVE(&o->lanes.ended, act, link);
        o->lanes.ended_count--;
        lanes_settle(act);
    }
}

static bool record(struct outgoing *o)
{
    drop_void(o);
    if (o->lanes.ended_count == 0)
        return false;
    begin(o);
    struct act *act;
    for (size_t i = 0; i < RECORD_MAX && (act = TAILQ_FIRST(&o->lanes.ended)); i++) {
        TAILQ_REMOVE(&o->lanes.ended, act, link);
        o->lanes.ended_count--;
        TAILQ_INSERT_TAIL(&o->recording, act, link);
        add_lane(o, act->lane);
        pg_array_add_uuid(&o->columns[3], &act->out.id);
        pg_array_add_text(&o->columns[4], act->outcome.detail);
    }
    send_locked(o, &o->sql.record, COLUMNS, on_recorded);
    return true;
}

/* ---- the turn of the loop ---- */

static bool must_look(const struct outgoing *o)
{
    return !o->is_draining && !o->is_held && o->options.partitions->mine && o->lanes.held < HELD_MAX &&
           (o->is_poked || o->looked == LOOK_MAX || clock_monotonic_s() >= o->look_at);
}

static void ask(struct outgoing *o)
{
    bool may_begin = !o->is_draining && !o->is_held;
    if (o->lanes.held > 0 && clock_monotonic_s() >= o->renew_at)
        renew(o);
    else if (!record(o) && !(may_begin && ask_what_is_due(o)) && !release(o) && must_look(o))
        look(o);
}

/* The next turn comes soon enough for what waits here, or for the next look. */
static void watch(struct outgoing *o)
{
    double s = o->lanes.held > 0 ? TICK_S : o->look_at + MOMENT_S - clock_monotonic_s();
    s = s > TICK_S ? s : TICK_S;
    if (ev_is_active(&o->tick) && ev_timer_remaining(o->loop, &o->tick) <= s)
        return;
    ev_timer_stop(o->loop, &o->tick);
    ev_timer_set(&o->tick, s, 0);
    ev_timer_start(o->loop, &o->tick);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events; /* on_turn, which follows, does what the time has come for */
}

static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)loop, (void)events;
    struct outgoing *o = CONTAINER_OF(prepare, struct outgoing, turn);
    (void)lanes_pace(&o->lanes);
    if (!o->is_held && !o->is_draining)
        lanes_begin(&o->lanes);
    if (!o->is_open && db_is_up(o->db) && !ev_is_active(&o->rest))
        ask(o);
    watch(o);
}

static void on_ended(void *ctx)
{
    (void)ctx; /* on_turn, which follows, records it */
}

/* ---- the database ---- */

static const struct db_statement set_up = {
    "outgoing.set_up",
    "SELECT set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),"
    " set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false)",
};

/* The leases name the process of the server that serves us. */
static void on_db_up(void *ctx, struct db *db)
{
    struct outgoing *o = ctx;
    db_send(db, &set_up, NULL, 0, NULL, NULL);
    db_sync(db, NULL, NULL);
    database_limit_lock_waits(db, LOCK_WAIT_MS);
    log_info("database.up", LOG_S("connection", "outgoing"));
    o->renew_at = 0;
    o->is_poked = o->is_alert = true;
}

static void on_db_down(void *ctx, struct db *db, const char *why)
{
    (void)ctx, (void)db;
    log_warn("database.down", LOG_S("connection", "outgoing"), LOG_S("why", why));
}

static const struct db_callbacks db_callbacks = {.on_up = on_db_up, .on_down = on_db_down};

/* ---- the outside ---- */

static void name_ourselves(struct outgoing *o)
{
    uint64_t holder;
    arc4random_buf(&holder, sizeof(holder));
    (void)db_number((int64_t)(holder >> 1), o->holder);
}

static size_t share_of(const struct config *config)
{
    int64_t share = config->outgoing_max * config->outgoing_share / 100;
    return share > 0 ? (size_t)share : 1;
}

enum err outgoing_new(struct ev_loop *loop, const struct outgoing_options *options,
                      struct outgoing **ret_outgoing)
{
    struct outgoing *o = xcalloc(1, sizeof(*o));
    o->loop = loop;
    o->options = *options;
    o->rest_s = REST_S;
    name_ourselves(o);
    TAILQ_INIT(&o->recording);
    lanes_init(&o->lanes);
    o->lanes.kind = options->kind;
    o->lanes.max = (size_t)options->config->outgoing_max;
    o->lanes.share_max = share_of(options->config);
    o->lanes.on_ended = on_ended;
    o->lanes.ctx = o;
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_init(&o->columns[i], ARRAY_MAX);
    outgoing_sql_init(&o->sql, options->kind);
    ev_prepare_init(&o->turn, on_turn);
    ev_timer_init(&o->tick, on_tick, 0, 0);
    ev_timer_init(&o->rest, on_rest_over, 0, 0);
    enum err err = options->kind->open(loop, options->config, options->secrets, &o->lanes.sender);
    if (!err)
        err = database_connect(loop, options->config, options->kind->pool, "outgoing", &db_callbacks, o,
                               &o->db);
    if (err) {
        outgoing_free(o);
        return err;
    }
    ev_prepare_start(loop, &o->turn);
    *ret_outgoing = o;
    return ERR_OK;
}

void outgoing_free(struct outgoing *o)
{
    if (!o)
        return;
    ev_prepare_stop(o->loop, &o->turn);
    ev_timer_stop(o->loop, &o->tick);
    ev_timer_stop(o->loop, &o->rest);
    db_free(o->db);
    db_result_release(o->result);
    if (o->lanes.sender)
        o->options.kind->close(o->lanes.sender);
    lanes_done(&o->lanes);
    outgoing_sql_done(&o->sql);
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_done(&o->columns[i]);
    free(o);
}

void outgoing_poke(struct outgoing *o)
{
    if (o)
        o->is_poked = true;
}

void outgoing_gained(struct outgoing *o)
{
    if (o)
        o->is_poked = o->is_alert = true;
}

void outgoing_lost(struct outgoing *o, unsigned partition)
{
    struct lane *lane;
    if (!o)
        return;
    TAILQ_FOREACH(lane, &o->lanes.all, of_all)
    {
        if (lane->is_lost ||
            topology_partition(&lane->tenant->node.key, o->options.partitions->count) != partition)
            continue;
        lane->is_leaving = true;
        lanes_drop_queued(&o->lanes, lane);
    }
}

void outgoing_hold(struct outgoing *o, bool is_held)
{
    if (o)
        o->is_held = is_held;
}

void outgoing_drain(struct outgoing *o)
{
    struct lane *lane;
    if (!o)
        return;
    o->is_draining = true;
    TAILQ_FOREACH(lane, &o->lanes.all, of_all)
    if (!lane->is_lost)
        lanes_drop_queued(&o->lanes, lane);
}

bool outgoing_is_idle(const struct outgoing *o)
{
    return !o || !db_is_up(o->db) || (!o->is_open && TAILQ_EMPTY(&o->lanes.all));
}
