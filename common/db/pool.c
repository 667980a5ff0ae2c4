/* A query waits, is sent in a transaction of its connection, and is answered:
 *
 *   db_pool_query ─▶ WAITING ──(end of the turn, an idle connection)──▶ RUNNING ─▶ on_result
 *                      ▲                                                  │
 *                      ├──── skipped, or its connection broke: once more ─┤
 *                      └──── a replica has no such row: in the primary's ─┘
 *
 * A connection has one transaction on its way at a time. Queries that come meanwhile gather and go together
 * in the next one, so transactions grow with the load, and no query waits behind a slow one while another
 * connection is idle. When nobody waits for the rest of a transaction, it is cancelled.
 *
 * While other companies read, a company is charged with the time that its expensive queries took, and rests. */

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/uuid.h"
#include "common/db/private.h"
#include "common/db/readers.h"
#include "common/db/turns.h"

#include <stdio.h>
#include <sys/queue.h>

enum {
    GATHER_MIN = 8,  /* queries that share a transaction before another connection is used */
    GATHER_MAX = 64, /* queries in one transaction */
    TRIES_MAX = 2,
    LOOK_WEIGHT = 8, /* a query that looks at rows takes so many times as long as one by a key, say */
};

enum pool_lane { LANE_CHEAP, LANE_EXPENSIVE, LANE_COUNT };
static const enum pool_lane lane_of_kind[] =
    {
        [DB_QUERY_CHEAP] = LANE_CHEAP,
        [DB_QUERY_LOOK] = LANE_CHEAP, /* of a company that rests: LANE_EXPENSIVE */
        [DB_QUERY_EXPENSIVE] = LANE_EXPENSIVE,
        [DB_QUERY_STEP] = LANE_EXPENSIVE,
        [DB_QUERY_HURRIED] = LANE_CHEAP,
};
enum { KIND_COUNT = ARRAY_LEN(lane_of_kind) };

static const struct db_statement set_company = {"pool.company",
                                                "SELECT set_config('cortex.company', $1, true)"};
/* When one transaction has queries of both kinds, both settings change between them. */
static const struct db_statement set_operator = {
    "pool.operator",
    "SELECT set_config('cortex.company', '', true), set_config('cortex.operator', 'on', true)"};
static const struct db_statement leave_operator = {
    "pool.leave_operator",
    "SELECT set_config('cortex.company', $1, true), set_config('cortex.operator', '', true)"};

struct pool_query {
    struct turn turn;
    TAILQ_ENTRY(pool_query) living; /* while on_result is owed */
    struct db_pool *pool;
    struct pool_connection *connection; /* NULL: it waits */
    const struct db_statement *statement;
    struct db_statement own; /* a copy of one without a name */
    db_on_result *on_result;
    void *arg;
    double deadline;
    enum db_query_kind kind;
    enum pool_lane lane;
    unsigned tries;
    bool expects_row;
    bool alone;                  /* another query of its transaction failed, so it runs again alone */
    bool abandoned;              /* nobody waits for its answer: dropped, or its deadline has passed */
    struct uuid key;             /* by which it takes turns: its company, or that of operators */
    char company[UUID_TEXT_LEN]; /* or DB_POOL_OPERATOR */
    size_t company_len;
    size_t param_count;
    struct slice params[];
};
TAILQ_HEAD(query_list, pool_query);

struct pool_connection {
    struct db_pool *pool;
    struct db *db;
    enum pool_lane lane;
    bool is_busy;   /* a transaction is on its way */
    size_t awaited; /* of its queries, those that have no answer and somebody who waits for it */
    size_t weight;  /* of all its queries: by this they share the charge for its time */
    double sent_at;
};

/* The queries of one kind, ordered by deadline. */
struct patience {
    double seconds;
    struct query_list living;
};

struct db_pool {
    struct ev_loop *loop;
    ev_prepare prepare;
    ev_timer timer; /* fires at the earliest deadline, or before it */
    ev_timer wake;  /* fires when a company has rested */
    struct turns lanes[LANE_COUNT];
    struct readers readers, heard; /* who sends cheap queries: to this pool, to other processes */
    struct patience patience[KIND_COUNT];
    struct db_pool *primary;
    size_t count;
    size_t queue_max;
    bool is_closing;
    size_t connection_count;
    struct pool_connection connections[];
};

/* ---- the life of a query ---- */

static struct turns *turns_of(const struct pool_query *q)
{
    return &q->pool->lanes[q->lane];
}

static void free_query(struct pool_query *q)
{
    q->pool->count--;
    free(q);
}

/* In front when it has waited already. */
static void enqueue(struct pool_query *q)
{
    q->lane = lane_of_kind[q->kind];
    if (q->kind == DB_QUERY_LOOK && turns_rests(&q->pool->lanes[LANE_EXPENSIVE], &q->key))
        q->lane = LANE_EXPENSIVE;
    turns_add(turns_of(q), &q->turn, &q->key, q->tries > 0);
}

static void live(struct pool_query *q)
{
    struct query_list *living = &q->pool->patience[q->kind].living;
    struct pool_query *before = TAILQ_LAST(living, query_list);
    while (before && before->deadline > q->deadline) /* only what comes from a replica is late */
        before = TAILQ_PREV(before, query_list, living);
    if (before)
        TAILQ_INSERT_AFTER(living, before, q, living);
    else
        TAILQ_INSERT_HEAD(living, q, living);
}

static void stop_living(struct pool_query *q)
{
    TAILQ_REMOVE(&q->pool->patience[q->kind].living, q, living);
}

/* Nobody waits for its answer any more. */
static void abandon(struct pool_query *q)
{
    struct pool_connection *connection = q->connection;
    stop_living(q);
    q->abandoned = true;
    if (!connection) {
        turns_remove(turns_of(q), &q->turn);
        free_query(q);
    } else if (--connection->awaited == 0) {
        db_cancel(connection->db); /* it is freed once the database has answered */
    }
}

void db_pool_drop(struct pool_query *q)
{
    abandon(q);
}

static bool deserves_another_try(const struct pool_query *q, enum err err)
{
    return (err == ERR_DATABASE_CONFLICT || err == ERR_DATABASE_UNAVAILABLE) && q->tries < TRIES_MAX &&
           !q->pool->is_closing;
}

static bool may_be_late(const struct pool_query *q, const struct db_result *result)
{
    const struct db_pool *primary = q->pool->primary;
    return q->expects_row && primary && !db_result_error(result) && db_rows(result) == 0 &&
           !primary->is_closing && db_pool_is_up(primary);
}

static void arm(struct db_pool *pool);

static void ask_primary(struct pool_query *q)
{
    stop_living(q);
    q->pool->count--;
    q->pool = q->pool->primary;
    q->pool->count++;
    q->tries = 0;
    live(q);
    enqueue(q);
    arm(q->pool);
}

static bool is_charged(const struct pool_query *q)
{
    return q->lane == LANE_EXPENSIVE || q->kind == DB_QUERY_LOOK;
}

static bool has_others(const struct db_pool *pool, const struct uuid *company, double now)
{
    return readers_has_other(&pool->readers, company, now) || readers_has_other(&pool->heard, company, now);
}

/* The answers of a transaction come together, so nobody knows what each query took. */
static size_t weight_of(const struct pool_query *q)
{
    return is_charged(q) ? LOOK_WEIGHT : 1;
}

static void charge(struct pool_query *q, const struct pool_connection *connection, struct db_result *result)
{
    struct db_pool *pool = q->pool;
    struct turns *turns = &pool->lanes[LANE_EXPENSIVE];
    double now = clock_monotonic_s(),
           took = (now - connection->sent_at) * LOOK_WEIGHT / (double)connection->weight;
    db_result_set_took(result, took);
    if (turns->share < 1 && has_others(pool, &q->key, now))
        turns_charge(turns, &q->key, took, now);
}

static void on_answer(void *arg, struct db_result *result)
{
    struct pool_query *q = arg;
    struct pool_connection *connection = TAKE(q->connection);
    enum err err = db_result_error(result);
    if (is_charged(q))
        charge(q, connection, result);
    turns_end(turns_of(q), &q->turn);
    if (q->abandoned) {
        free_query(q);
        return;
    }
    connection->awaited--;
    if (deserves_another_try(q, err)) {
        q->alone = err == ERR_DATABASE_CONFLICT;
        enqueue(q);
    } else if (may_be_late(q, result)) {
        ask_primary(q);
    } else {
        stop_living(q);
        q->on_result(q->arg, result);
        free_query(q);
    }
}

static void on_end_of_transaction(void *arg, enum err err)
{
    (void)err; /* each query has got its own error */
    struct pool_connection *connection = arg;
    connection->is_busy = false;
}

/* ---- transactions ---- */

static bool is_operator(struct slice company)
{
    return slice_equal(company, DB_POOL_OPERATOR);
}

/* Sets whose rows are read next. `before`: whose rows the transaction has read so far; SLICE_NONE: none. */
static void say_who_reads(struct db *db, struct slice company, struct slice before)
{
    if (is_operator(company))
        db_send(db, &set_operator, NULL, 0, NULL, NULL);
    else
        db_send(db, is_operator(before) ? &leave_operator : &set_company, &company, 1, NULL, NULL);
}

static void send_query(struct pool_connection *connection, struct pool_query *q, struct slice *company)
{
    struct slice own = {q->company, q->company_len};
    turns_take(turns_of(q), &q->turn);
    q->connection = connection;
    q->tries++;
    connection->awaited++;
    connection->weight += weight_of(q);
    if (!slice_equal(own, *company)) {
        say_who_reads(connection->db, own, *company);
        *company = own;
    }
    db_send(connection->db, q->statement, q->params, q->param_count, on_answer, q);
}

static struct pool_query *next_of(const struct turns *turns)
{
    struct turn *turn = turns_next(turns);
    return turn ? CONTAINER_OF(turn, struct pool_query, turn) : NULL;
}

/* Sends up to `count` of the queries that wait, or one that must run alone. At least one may run. */
static void send_transaction(struct pool_connection *connection, size_t count)
{
    const struct turns *turns = &connection->pool->lanes[connection->lane];
    struct slice company = SLICE_NONE;
    struct pool_query *q;
    size_t sent = 0;
    connection->weight = 0;
    connection->sent_at = clock_monotonic_s();
    while (sent < count && (q = next_of(turns)) && !(q->alone && sent > 0)) {
        bool is_alone = q->alone;
        send_query(connection, q, &company);
        sent++;
        if (is_alone)
            break;
    }
    connection->is_busy = true;
    db_sync(connection->db, on_end_of_transaction, connection);
}

static bool is_idle(const struct pool_connection *connection)
{
    return !connection->is_busy && db_is_up(connection->db) && !db_is_cancelling(connection->db);
}

static size_t share_of(const struct pool_connection *connection, size_t idle)
{
    if (connection->lane == LANE_EXPENSIVE)
        return 1;
    size_t share = (connection->pool->lanes[LANE_CHEAP].waiting + idle - 1) / idle;
    return share < GATHER_MIN ? GATHER_MIN : share > GATHER_MAX ? GATHER_MAX : share;
}

static void serve_lane(struct db_pool *pool, enum pool_lane lane)
{
    const struct turns *turns = &pool->lanes[lane];
    size_t idle = 0;
    for (size_t i = 0; i < pool->connection_count && turns_next(turns); i++)
        idle += pool->connections[i].lane == lane && is_idle(&pool->connections[i]);
    for (size_t i = 0; i < pool->connection_count && turns_next(turns) && idle > 0; i++) {
        struct pool_connection *connection = &pool->connections[i];
        if (connection->lane != lane || !is_idle(connection))
            continue;
        send_transaction(connection, share_of(connection, idle));
        idle--;
    }
}

static void wake(struct db_pool *pool);

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    struct db_pool *pool = CONTAINER_OF(watcher, struct db_pool, prepare);
    wake(pool);
    for (enum pool_lane lane = 0; lane < LANE_COUNT; lane++)
        serve_lane(pool, lane);
}

/* ---- time ---- */

static void on_wake(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop, (void)watcher, (void)events; /* on_prepare does it */
}

/* Puts the companies that have rested in line again, and sets the timer for the next one. */
static void wake(struct db_pool *pool)
{
    struct turns *turns = &pool->lanes[LANE_EXPENSIVE];
    if (!turns_owe(turns))
        return;
    double now = clock_monotonic_s();
    turns_wake(turns, now);
    double at = turns_next_wake(turns);
    ev_timer_stop(pool->loop, &pool->wake);
    if (at == 0)
        return;
    ev_timer_set(&pool->wake, at > now ? at - now : 0, 0);
    ev_timer_start(pool->loop, &pool->wake);
}

static bool lane_is_up(const struct db_pool *pool, enum pool_lane lane)
{
    for (size_t i = 0; i < pool->connection_count; i++)
        if (pool->connections[i].lane == lane && db_is_up(pool->connections[i].db))
            return true;
    return false;
}

/* Answers in place of the database, which is late. */
static void answer_late(struct pool_query *q)
{
    enum err err = q->connection                  ? ERR_TIMEOUT
                   : lane_is_up(q->pool, q->lane) ? ERR_DATABASE_BUSY
                                                  : ERR_DATABASE_UNAVAILABLE;
    db_on_result *on_result = q->on_result;
    void *arg = q->arg;
    struct db_result *result = db_result_new_error(err);
    abandon(q);
    on_result(arg, result);
    db_result_release(result);
}

static const struct pool_query *first_due(const struct db_pool *pool)
{
    const struct pool_query *first = NULL;
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        const struct pool_query *q = TAILQ_FIRST(&pool->patience[kind].living);
        if (q && (!first || q->deadline < first->deadline))
            first = q;
    }
    return first;
}

/* Sets the timer; one that is set already fires no later than the new query's deadline, or is moved. */
static void arm(struct db_pool *pool)
{
    const struct pool_query *first = first_due(pool);
    if (!first)
        return;
    double left = first->deadline - clock_monotonic_s();
    left = left > 0 ? left : 0;
    if (ev_is_active(&pool->timer) && ev_timer_remaining(pool->loop, &pool->timer) <= left + 0.001)
        return;
    ev_timer_stop(pool->loop, &pool->timer);
    ev_timer_set(&pool->timer, left, 0);
    ev_timer_start(pool->loop, &pool->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop, (void)events;
    struct db_pool *pool = CONTAINER_OF(watcher, struct db_pool, timer);
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        struct pool_query *q;
        while ((q = TAILQ_FIRST(&pool->patience[kind].living)) && q->deadline <= clock_monotonic_s())
            answer_late(q);
    }
    arm(pool);
}

static void on_up(void *ctx, struct db *db)
{
    (void)db;
    const struct pool_connection *connection = ctx;
    log_info("reads.up", LOG_I("connection", connection - connection->pool->connections));
}

static void on_down(void *ctx, struct db *db, const char *why)
{
    (void)db;
    const struct pool_connection *connection = ctx;
    log_warn("reads.down", LOG_I("connection", connection - connection->pool->connections),
             LOG_S("why", why));
}

static enum err open_connection(struct db_pool *pool, const struct db_options *options, enum pool_lane lane)
{
    static const struct db_callbacks callbacks = {.on_up = on_up, .on_down = on_down};
    struct pool_connection *connection = &pool->connections[pool->connection_count];
    connection->pool = pool;
    connection->lane = lane;
    enum err err = db_new(pool->loop, options, &callbacks, connection, &connection->db);
    pool->connection_count += err == ERR_OK;
    return err;
}

static enum err open_connections(struct db_pool *pool, const struct db_pool_options *options, size_t cheap,
                                 size_t expensive)
{
    enum err err = ERR_OK;
    struct db_options db = options->db;
    for (size_t i = 0; i < cheap && !err; i++)
        err = open_connection(pool, &db, LANE_CHEAP);
    if (options->expensive_timeout_ms > 0 &&
        (db.statement_timeout_ms <= 0 || options->expensive_timeout_ms < db.statement_timeout_ms))
        db.statement_timeout_ms = options->expensive_timeout_ms;
    for (size_t i = 0; i < expensive && !err; i++)
        err = open_connection(pool, &db, LANE_EXPENSIVE);
    return err;
}

enum err db_pool_new(struct ev_loop *loop, const struct db_pool_options *options, struct db_pool **ret_pool)
{
    size_t cheap = (size_t)options->connections;
    size_t expensive = options->expensive_connections > 0 ? (size_t)options->expensive_connections : 1;
    struct db_pool *pool = xcalloc(1, sizeof(*pool) + (cheap + expensive) * sizeof(pool->connections[0]));
    pool->loop = loop;
    pool->primary = options->primary;
    pool->queue_max = (size_t)options->queue_max;
    /* Another company finds a connection, however many expensive queries one has. */
    turns_init(&pool->lanes[LANE_CHEAP], options->company_max > 0 ? (size_t)options->company_max : SIZE_MAX,
               1);
    turns_init(&pool->lanes[LANE_EXPENSIVE], expensive > 1 ? expensive - 1 : 1,
               options->expensive_share > 0 ? (double)options->expensive_share / 100 : 1);
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        TAILQ_INIT(&pool->patience[kind].living);
        pool->patience[kind].seconds = (double)options->deadline_ms / 1000;
    }
    if (options->deadline_ms > DB_STEP_MS)
        pool->patience[DB_QUERY_STEP].seconds = (double)DB_STEP_MS / 1000;
    if (options->deadline_ms > DB_HURRIED_MS)
        pool->patience[DB_QUERY_HURRIED].seconds = (double)DB_HURRIED_MS / 1000;
    ev_timer_init(&pool->timer, on_timer, 0, 0);
    ev_init(&pool->wake, on_wake);
    ev_prepare_init(&pool->prepare, on_prepare);
    ev_set_priority(&pool->prepare,
                    EV_MINPRI + 1); /* after all watchers that may query, before the connections flush */
    ev_prepare_start(loop, &pool->prepare);
    ev_unref(loop);
    enum err err = open_connections(pool, options, cheap, expensive);
    if (err) {
        db_pool_free(pool);
        return err;
    }
    *ret_pool = pool;
    return ERR_OK;
}

void db_pool_free(struct db_pool *pool)
{
    if (!pool)
        return;
    pool->is_closing = true;
    for (size_t i = 0; i < pool->connection_count; i++)
        db_free(pool->connections[i].db);
    for (enum pool_lane lane = 0; lane < LANE_COUNT; lane++) {
        struct turn *turn;
        while ((turn = turns_any(&pool->lanes[lane]))) {
            struct pool_query *q = CONTAINER_OF(turn, struct pool_query, turn);
            struct db_result *result = db_result_new_error(ERR_SHUTTING_DOWN);
            turns_remove(&pool->lanes[lane], turn);
            stop_living(q);
            q->on_result(q->arg, result);
            db_result_release(result);
            free_query(q);
        }
        turns_done(&pool->lanes[lane]);
    }
    ev_timer_stop(pool->loop, &pool->timer);
    ev_timer_stop(pool->loop, &pool->wake);
    ev_ref(pool->loop);
    ev_prepare_stop(pool->loop, &pool->prepare);
    free(pool);
}

bool db_pool_is_up(const struct db_pool *pool)
{
    return lane_is_up(pool, LANE_CHEAP);
}

/* Allocates the query, its parameters and their bytes, and the statement when it has no name, in one piece. */
static struct pool_query *new_query(const struct db_statement *statement, const struct slice *params,
                                    size_t param_count)
{
    size_t sql_size = statement->name ? 0 : strlen(statement->sql) + 1;
    size_t size = sizeof(struct pool_query) + param_count * sizeof(*params);
    size_t at = size;
    for (size_t i = 0; i < param_count; i++)
        size += params[i].len;
    struct pool_query *q = xmalloc(size + sql_size);
    *q = (struct pool_query){.statement = statement, .param_count = param_count};
    if (sql_size > 0) {
        q->own.sql = memcpy((char *)q + size, statement->sql, sql_size);
        q->statement = &q->own;
    }
    for (size_t i = 0; i < param_count; i++) {
        q->params[i] = SLICE_NONE;
        if (!params[i].data)
            continue;
        q->params[i] = (struct slice){memcpy((char *)q + at, params[i].data, params[i].len), params[i].len};
        at += params[i].len;
    }
    return q;
}

/* No company has this id: it is not of a version that we make. */
static const struct uuid operators = {{0xff}};

enum err db_pool_query(struct db_pool *pool, const struct db_query *query, struct pool_query **ret_query)
{
    struct uuid key = operators;
    if (!is_operator(query->company) && !uuid_parse(query->company, &key))
        return ERR_BAD_REQUEST;
    if (query->is_fresh && pool->primary && db_pool_is_up(pool->primary))
        pool = pool->primary;
    if (pool->is_closing)
        return ERR_SHUTTING_DOWN;
    /* A quarter of the queue is left to the other companies. */
    if (pool->count >= pool->queue_max ||
        turns_held(&pool->lanes[lane_of_kind[query->kind]], &key) >= pool->queue_max - pool->queue_max / 4)
        return ERR_DATABASE_BUSY;
    struct pool_query *q = new_query(query->statement, query->params, query->param_count);
    q->pool = pool;
    q->kind = query->kind;
    q->expects_row = query->expects_row;
    q->on_result = query->on_result;
    q->arg = query->arg;
    double now = clock_monotonic_s();
    q->deadline = now + pool->patience[q->kind].seconds;
    q->key = key;
    if (lane_of_kind[q->kind] == LANE_CHEAP)
        readers_note(&pool->readers, &key, now);
    memcpy(q->company, query->company.data, query->company.len);
    q->company_len = query->company.len;
    pool->count++;
    live(q);
    enqueue(q);
    arm(pool);
    if (ret_query)
        *ret_query = q;
    return ERR_OK;
}

size_t db_pool_readers(const struct db_pool *pool, struct uuid ret_companies[2])
{
    return readers_copy(&pool->readers, ret_companies, clock_monotonic_s());
}

void db_pool_hear(struct db_pool *pool, const struct uuid *company)
{
    readers_note(&pool->heard, company, clock_monotonic_s());
}
