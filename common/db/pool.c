/* A query waits, is sent in a transaction of its connection, and is answered:
 *
 *   db_pool_query ─▶ WAITING ──(end of the turn, an idle connection)──▶ RUNNING ─▶ on_result
 *                      ▲                                                  │
 *                      └──── skipped, or its connection broke: once more ─┘
 *
 * A connection has one transaction on its way at a time. Queries that come meanwhile gather and go together
 * in the next one, so transactions grow with the load, and no query waits behind a slow one while another
 * connection is idle. */

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/uuid.h"
#include "common/db/db.h"

#include <stdio.h>
#include <sys/queue.h>

enum {
    GATHER_MIN = 8,  /* queries that share a transaction before another connection is used */
    GATHER_MAX = 64, /* queries in one transaction */
    TRIES_MAX = 2,
};

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
    TAILQ_ENTRY(pool_query) waiting; /* while it is not sent */
    TAILQ_ENTRY(pool_query) living;  /* while on_result is owed; ordered by deadline */
    struct db_pool *pool;
    const struct db_statement *statement;
    db_on_result *on_result;
    void *arg;
    double deadline;
    unsigned tries;
    bool running;
    bool alone;                  /* another query of its transaction failed, so it runs again alone */
    bool abandoned;              /* its deadline has passed, and on_result was called */
    char company[UUID_TEXT_LEN]; /* or DB_POOL_OPERATOR */
    size_t company_len;
    size_t param_count;
    struct slice params[];
};
TAILQ_HEAD(query_list, pool_query);

struct pool_connection {
    struct db_pool *pool;
    struct db *db;
    bool is_busy; /* a transaction is on its way */
};

struct db_pool {
    struct ev_loop *loop;
    ev_prepare prepare;
    ev_timer timer; /* fires at the earliest deadline, or before it */
    struct query_list waiting, living;
    size_t waiting_count, count;
    size_t queue_max;
    double deadline_s;
    bool is_closing;
    size_t connection_count;
    struct pool_connection connections[];
};

static void free_query(struct pool_query *q)
{
    q->pool->count--;
    free(q);
}

static void enqueue(struct pool_query *q)
{
    struct db_pool *pool = q->pool;
    q->running = false;
    pool->waiting_count++;
    if (q->tries > 0)
        TAILQ_INSERT_HEAD(&pool->waiting, q, waiting); /* in front, because it has waited already */
    else
        TAILQ_INSERT_TAIL(&pool->waiting, q, waiting);
}

static void dequeue(struct pool_query *q)
{
    q->pool->waiting_count--;
    TAILQ_REMOVE(&q->pool->waiting, q, waiting);
}

static bool deserves_another_try(const struct pool_query *q, enum err err)
{
    return (err == ERR_DATABASE_CONFLICT || err == ERR_DATABASE_UNAVAILABLE) && q->tries < TRIES_MAX &&
           !q->abandoned && !q->pool->is_closing;
}

static void on_answer(void *arg, struct db_result *result)
{
    struct pool_query *q = arg;
    enum err err = db_result_error(result);
    if (deserves_another_try(q, err)) {
        q->alone = err == ERR_DATABASE_CONFLICT;
        enqueue(q);
        return;
    }
    if (!q->abandoned) {
        TAILQ_REMOVE(&q->pool->living, q, living);
        q->on_result(q->arg, result);
    }
    free_query(q);
}

static void on_end_of_transaction(void *arg, enum err err)
{
    (void)err; /* each query has got its own error */
    struct pool_connection *connection = arg;
    connection->is_busy = false;
}

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
    dequeue(q);
    q->running = true;
    q->tries++;
    if (!slice_equal(own, *company)) {
        say_who_reads(connection->db, own, *company);
        *company = own;
    }
    db_send(connection->db, q->statement, q->params, q->param_count, on_answer, q);
}

/* Sends up to `count` of the queries that wait, or one that must run alone. */
static void send_transaction(struct pool_connection *connection, size_t count)
{
    struct db_pool *pool = connection->pool;
    struct slice company = SLICE_NONE;
    struct pool_query *q;
    size_t sent = 0;
    while (sent < count && (q = TAILQ_FIRST(&pool->waiting)) && !(q->alone && sent > 0)) {
        send_query(connection, q, &company);
        sent++;
        if (q->alone)
            break;
    }
    connection->is_busy = true;
    db_sync(connection->db, on_end_of_transaction, connection);
}

static bool is_idle(const struct pool_connection *connection)
{
    return !connection->is_busy && db_is_up(connection->db);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    struct db_pool *pool = CONTAINER_OF(watcher, struct db_pool, prepare);
    size_t idle = 0;
    for (size_t i = 0; i < pool->connection_count && pool->waiting_count > 0; i++)
        idle += is_idle(&pool->connections[i]);
    for (size_t i = 0; i < pool->connection_count && pool->waiting_count > 0 && idle > 0; i++) {
        if (!is_idle(&pool->connections[i]))
            continue;
        size_t share = (pool->waiting_count + idle - 1) / idle;
        share = share < GATHER_MIN ? GATHER_MIN : share > GATHER_MAX ? GATHER_MAX : share;
        send_transaction(&pool->connections[i], share);
        idle--;
    }
}

/* Answers in place of the database, which is late. */
static void answer_late(struct pool_query *q)
{
    enum err err = q->running               ? ERR_TIMEOUT
                   : db_pool_is_up(q->pool) ? ERR_DATABASE_BUSY
                                            : ERR_DATABASE_UNAVAILABLE;
    struct db_result *result = db_result_new_error(err);
    TAILQ_REMOVE(&q->pool->living, q, living);
    q->abandoned = true;
    q->on_result(q->arg, result);
    db_result_release(result);
    if (q->running)
        return; /* it is freed once the database has answered */
    dequeue(q);
    free_query(q);
}

static void arm(struct db_pool *pool)
{
    const struct pool_query *first = TAILQ_FIRST(&pool->living);
    if (!first || ev_is_active(&pool->timer))
        return;
    double left = first->deadline - clock_monotonic_s();
    ev_timer_set(&pool->timer, left > 0 ? left : 0, 0);
    ev_timer_start(pool->loop, &pool->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop, (void)events;
    struct db_pool *pool = CONTAINER_OF(watcher, struct db_pool, timer);
    struct pool_query *q;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see that TAILQ_REMOVE took the first out */
    while ((q = TAILQ_FIRST(&pool->living)) && q->deadline <= clock_monotonic_s())
        answer_late(q);
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

enum err db_pool_new(struct ev_loop *loop, const struct db_pool_options *options, struct db_pool **ret_pool)
{
    size_t count = (size_t)options->connections;
    struct db_pool *pool = xcalloc(1, sizeof(*pool) + count * sizeof(pool->connections[0]));
    pool->loop = loop;
    pool->queue_max = (size_t)options->queue_max;
    pool->deadline_s = (double)options->deadline_ms / 1000;
    TAILQ_INIT(&pool->waiting);
    TAILQ_INIT(&pool->living);
    ev_timer_init(&pool->timer, on_timer, 0, 0);
    ev_prepare_init(&pool->prepare, on_prepare);
    ev_set_priority(&pool->prepare,
                    EV_MINPRI + 1); /* after all watchers that may query, before the connections flush */
    ev_prepare_start(loop, &pool->prepare);
    ev_unref(loop);
    static const struct db_callbacks callbacks = {.on_up = on_up, .on_down = on_down};
    for (; pool->connection_count < count; pool->connection_count++) {
        struct pool_connection *connection = &pool->connections[pool->connection_count];
        connection->pool = pool;
        enum err err = db_new(loop, &options->db, &callbacks, connection, &connection->db);
        if (err) {
            db_pool_free(pool);
            return err;
        }
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
    struct pool_query *q;
    while ((q = TAILQ_FIRST(&pool->waiting))) {
        struct db_result *result = db_result_new_error(ERR_SHUTTING_DOWN);
        dequeue(q); /* NOLINT(clang-analyzer-unix.Malloc): likewise */
        TAILQ_REMOVE(&pool->living, q, living);
        q->on_result(q->arg, result);
        db_result_release(result);
        free_query(q);
    }
    ev_timer_stop(pool->loop, &pool->timer);
    ev_ref(pool->loop);
    ev_prepare_stop(pool->loop, &pool->prepare);
    free(pool);
}

bool db_pool_is_up(const struct db_pool *pool)
{
    for (size_t i = 0; i < pool->connection_count; i++)
        if (db_is_up(pool->connections[i].db))
            return true;
    return false;
}

/* Allocates the query, its parameters and their bytes in one piece. */
static struct pool_query *new_query(const struct slice *params, size_t param_count)
{
    size_t size = sizeof(struct pool_query) + param_count * sizeof(*params);
    size_t at = size;
    for (size_t i = 0; i < param_count; i++)
        size += params[i].len;
    struct pool_query *q = xmalloc(size);
    *q = (struct pool_query){.param_count = param_count};
    for (size_t i = 0; i < param_count; i++) {
        q->params[i] = SLICE_NONE;
        if (!params[i].data)
            continue;
        q->params[i] = (struct slice){memcpy((char *)q + at, params[i].data, params[i].len), params[i].len};
        at += params[i].len;
    }
    return q;
}

enum err db_pool_query(struct db_pool *pool, struct slice company, const struct db_statement *statement,
                       const struct slice *params, size_t param_count, db_on_result *on_result, void *arg)
{
    if (company.len != UUID_TEXT_LEN && !is_operator(company))
        return ERR_BAD_REQUEST;
    if (pool->is_closing)
        return ERR_SHUTTING_DOWN;
    if (pool->count >= pool->queue_max)
        return ERR_DATABASE_BUSY;
    struct pool_query *q = new_query(params, param_count);
    q->pool = pool;
    q->statement = statement;
    q->on_result = on_result;
    q->arg = arg;
    q->deadline = clock_monotonic_s() + pool->deadline_s;
    memcpy(q->company, company.data, company.len);
    q->company_len = company.len;
    pool->count++;
    TAILQ_INSERT_TAIL(&pool->living, q, living);
    enqueue(q);
    arm(pool);
    return ERR_OK;
}
