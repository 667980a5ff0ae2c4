#include "common/db/private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/utf8.h"

#include <assert.h>
#include <stdio.h>

static const double WATCHDOG_S = 1;
static const int64_t ANSWER_GRACE_MS = 5000; /* past the limit of the statement: then the server hangs */

static const char *const state_names[] = {
    [DB_DOWN] = "down",
    [DB_RESOLVING] = "resolving",
    [DB_CONNECTING] = "connecting",
    [DB_SETTING_UP] = "setting_up",
    [DB_UP] = "up",
};

void db_set_state(struct db *db, enum db_state state, double after_s)
{
    if (state != db->state)
        log_debug("db.state", LOG_S("name", db->application_name), LOG_S("from", state_names[db->state]),
                  LOG_S("to", state_names[state]));
    db->state = state;
    ev_timer_stop(db->loop, &db->timer);
    ev_timer_set(&db->timer, after_s, 0);
    if (after_s > 0)
        ev_timer_start(db->loop, &db->timer);
}

void db_watch(struct db *db, int events)
{
    ev_io_stop(db->loop, &db->io);
    ev_io_set(&db->io, PQsocket(db->conn), events);
    ev_io_start(db->loop, &db->io);
}

void db_up(struct db *db)
{
    db_watch(db, EV_READ);
    db->up_since = db->heard_at = clock_monotonic_s();
    db_pipeline_fail_unsent(db);
    db_set_state(db, DB_UP, WATCHDOG_S);
    if (db->callbacks.on_up)
        db->callbacks.on_up(db->ctx, db);
}

static void wake(struct db *db)
{
    if (!ev_is_active(&db->wake))
        ev_timer_start(db->loop, &db->wake);
}

void db_fault(struct db *db, const char *why)
{
    if (!db->fault)
        db->fault = why;
    wake(db);
}

static void close_connection(struct db *db)
{
    ev_io_stop(db->loop, &db->io);
    ev_timer_stop(db->loop, &db->cancel_again);
    cancel_forget(TAKE(db->cancel));
    db->cancelled_before = 0;
    PQfinish(db->conn);
    db->conn = NULL;
    db->fault = NULL;
    db->unflushed = false;
    db_statements_clear(&db->statements);
}

void db_down(struct db *db, const char *why)
{
    /* `why` may belong to the connection, so it is copied first. libpq ends its messages with a line feed. */
    if (why != db->why)
        snprintf(db->why, sizeof(db->why), "%s", why);
    db->why[strcspn(db->why, "\n")] = '\0';
    utf8_mend(db->why);
    bool was_up = db->state == DB_UP;
    close_connection(db);
    if (!was_up) {
        db_connect_failed(db, db->why);
        return;
    }
    db->transaction_lost = db->in_transaction;
    db_connect_failed(db, NULL);
    db_pipeline_fail(db, ERR_DATABASE_UNAVAILABLE, db->why);
    if (db->callbacks.on_down)
        db->callbacks.on_down(db->ctx, db, db->why);
}

/* Ends the connection when the server has not answered and should have cancelled the statement long ago. */
static void watch_answers(struct db *db)
{
    double limit = (double)(db->statement_timeout_ms + ANSWER_GRACE_MS) / 1000;
    if (db->statement_timeout_ms > 0 && db_pipeline_awaits(&db->pipeline) &&
        clock_monotonic_s() - db->heard_at > limit)
        db_down(db, "the server does not answer");
    else
        db_set_state(db, DB_UP, WATCHDOG_S);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct db *db = CONTAINER_OF(watcher, struct db, timer);
    switch (db->state) {
    case DB_DOWN:
        db_connect_now(db);
        break;
    case DB_RESOLVING:
        dns_cancel(TAKE(db->target.question));
        db_down(db, "the host name was not resolved in time");
        break;
    case DB_CONNECTING:
    case DB_SETTING_UP:
        db_down(db, "the server did not accept the connection in time");
        break;
    case DB_UP:
        watch_answers(db);
        break;
    }
}

static void on_io(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    struct db *db = CONTAINER_OF(watcher, struct db, io);
    if (db->state != DB_UP) {
        db_connect_event(db);
        return;
    }
    if (events & EV_WRITE)
        db_pipeline_flush(db);
    db_pipeline_read(db);
}

static void on_wake(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct db *db = CONTAINER_OF(watcher, struct db, wake);
    if (db->fault && db->conn)
        db_down(db, db->fault);
    else
        db_pipeline_fail_unsent(db);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    struct db *db = CONTAINER_OF(watcher, struct db, prepare);
    if (db->unflushed)
        db_pipeline_flush(db);
}

/* ---- cancelling ---- */

static const double CANCEL_PAUSE_S = 0.01, CANCEL_PAUSE_MAX_S = 0.5;

static bool must_be_cancelled(const struct db *db)
{
    return db->state == DB_UP && db->cancelled_before > db->pipeline.head;
}

/* The server drops a request that reaches it before the statement does. So it is asked until it has answered. */
static void on_cancelled(void *arg)
{
    struct db *db = arg;
    db->cancel = NULL;
    if (!must_be_cancelled(db))
        return;
    ev_timer_set(&db->cancel_again, db->cancel_pause, 0);
    ev_timer_start(db->loop, &db->cancel_again);
    db->cancel_pause = db->cancel_pause < CANCEL_PAUSE_MAX_S ? 2 * db->cancel_pause : CANCEL_PAUSE_MAX_S;
}

static void on_cancel_again(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop, (void)events;
    struct db *db = CONTAINER_OF(watcher, struct db, cancel_again);
    if (must_be_cancelled(db) && !db->cancel)
        db->cancel = cancel_start(db->loop, db->conn, on_cancelled, db);
}

void db_cancel(struct db *db)
{
    if (db->state != DB_UP || db_is_cancelling(db))
        return;
    db->cancelled_before = db->pipeline.tail;
    db->cancel_pause = CANCEL_PAUSE_S;
    ev_timer_stop(db->loop, &db->cancel_again);
    db->cancel = cancel_start(db->loop, db->conn, on_cancelled, db);
}

bool db_is_cancelling(const struct db *db)
{
    return db->cancel || must_be_cancelled(db);
}

enum err db_new(struct ev_loop *loop, const struct db_options *options, const struct db_callbacks *callbacks,
                void *ctx, struct db **ret_db)
{
    struct db *db = xcalloc(1, sizeof(*db));
    db->loop = loop;
    db->callbacks = callbacks ? *callbacks : (struct db_callbacks){0};
    db->ctx = ctx;
    db->read_only = options->read_only;
    db->primary = options->primary || !options->read_only;
    enum err err = db_target_init(db, options->url ? options->url : "");
    if (err) {
        free(db);
        return err;
    }
    db->role = xstrdup(options->role ? options->role : "");
    db->application_name = xstrdup(options->application_name ? options->application_name : "cortex");
    db->statement_timeout_ms = options->statement_timeout_ms;
    buf_init(&db->scratch, SIZE_MAX / 2);
    ev_init(&db->io, on_io);
    ev_init(&db->timer, on_timer);
    ev_timer_init(&db->wake, on_wake, 0, 0);
    ev_init(&db->cancel_again, on_cancel_again);
    ev_prepare_init(&db->prepare, on_prepare);
    ev_set_priority(&db->prepare, EV_MINPRI); /* after all watchers that may still send in this turn */
    ev_prepare_start(loop, &db->prepare);
    ev_unref(loop); /* this watcher must not keep the loop alive */
    db_set_state(db, DB_DOWN, 1e-6);
    *ret_db = db;
    return ERR_OK;
}

void db_free(struct db *db)
{
    if (!db)
        return;
    dns_cancel(db->target.question);
    close_connection(db);
    db_set_state(db, DB_DOWN, 0);
    db_pipeline_fail(db, ERR_SHUTTING_DOWN, "");
    assert(db_outstanding(db) == 0);
    ev_timer_stop(db->loop, &db->wake);
    ev_ref(db->loop);
    ev_prepare_stop(db->loop, &db->prepare);
    db_target_done(db);
    db_pipeline_done(&db->pipeline);
    db_statements_done(&db->statements);
    buf_done(&db->scratch);
    free(db->role);
    free(db->application_name);
    free(db);
}

bool db_is_up(const struct db *db)
{
    return db->state == DB_UP && !db->fault;
}

size_t db_outstanding(const struct db *db)
{
    return db->pipeline.statements;
}

/* The parameters as libpq wants them. It copies them. */
struct params {
    const char *values[DB_PARAMS_MAX];
    int lengths[DB_PARAMS_MAX], formats[DB_PARAMS_MAX];
};

static bool is_text(uint64_t binary, size_t i)
{
    return (binary >> i & 1) == 0;
}

/* Makes C strings of the texts. Binary values stay where they are. */
static void make_params(struct db *db, const struct slice *params, size_t count, uint64_t binary,
                        struct params *ret_params)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += is_text(binary, i) ? params[i].len + 1 : 0;
    buf_clear(&db->scratch);
    char *at = buf_reserve(&db->scratch, size + 1);
    assert(at); /* the process would have ended for lack of memory */
    for (size_t i = 0; i < count; i++) {
        ret_params->formats[i] = !is_text(binary, i);
        ret_params->lengths[i] = (int)params[i].len; /* libpq does not look at that of a text */
        ret_params->values[i] = params[i].data && is_text(binary, i) ? at : params[i].data;
        if (!params[i].data || !is_text(binary, i))
            continue;
        memcpy(at, params[i].data, params[i].len);
        at += params[i].len;
        *at++ = '\0';
    }
}

static bool send_prepare(struct db *db, struct db_prepared *prepared)
{
    if (db_prepared_serves(prepared, db->transaction))
        return true;
    db_prepared_begin(prepared, db->transaction);
    char name[DB_PREPARED_NAME_MAX];
    db_prepared_name(prepared, name);
    if (!PQsendPrepare(db->conn, name, prepared->statement->sql, 0, NULL))
        return false;
    db_pipeline_push(&db->pipeline, &(struct db_entry){.kind = ENTRY_PREPARE,
                                                       .sent = true,
                                                       .generation = prepared->generation,
                                                       .statement = prepared->statement});
    return true;
}

static bool send_statement(struct db *db, const struct db_statement *statement, const struct slice *params,
                           size_t param_count, uint64_t binary)
{
    struct params made;
    make_params(db, params, param_count, binary, &made);
    if (!statement->name)
        return PQsendQueryParams(db->conn, statement->sql, (int)param_count, NULL, made.values, made.lengths,
                                 made.formats, 0);
    struct db_prepared *prepared = db_statements_get(&db->statements, statement);
    if (!send_prepare(db, prepared))
        return false;
    char name[DB_PREPARED_NAME_MAX];
    db_prepared_name(prepared, name);
    return PQsendQueryPrepared(db->conn, name, (int)param_count, made.values, made.lengths, made.formats, 0);
}

/* Returns whether what is sent now goes over the connection. If not, it only waits for its failure. */
static bool takes(struct db *db)
{
    if (db_is_up(db) && !db->transaction_lost)
        return true;
    wake(db);
    return false;
}

void db_send_binary(struct db *db, const struct db_statement *statement, const struct slice *params,
                    size_t param_count, uint64_t binary, db_on_result *on_result, void *arg)
{
    assert(param_count <= DB_PARAMS_MAX);
    struct db_entry entry = {.kind = ENTRY_STATEMENT,
                             .sent = takes(db),
                             .statement = statement,
                             .on_result = on_result,
                             .arg = arg};
    db->in_transaction = true;
    if (!entry.sent)
        db->transaction_lost = true;
    else if (send_statement(db, statement, params, param_count, binary))
        db->unflushed = true;
    else
        db_fault(db, "libpq refused to send a statement");
    db_pipeline_push(&db->pipeline, &entry);
}

void db_send(struct db *db, const struct db_statement *statement, const struct slice *params,
             size_t param_count, db_on_result *on_result, void *arg)
{
    db_send_binary(db, statement, params, param_count, 0, on_result, arg);
}

static void ask_for_answers(struct db *db)
{
    if (!db_pipeline_awaits(&db->pipeline))
        db->heard_at = clock_monotonic_s();
    db->pipeline.asked = db->pipeline.tail;
    db->unflushed = true;
}

void db_ask(struct db *db)
{
    if (!takes(db))
        return;
    if (PQsendFlushRequest(db->conn))
        ask_for_answers(db);
    else
        db_fault(db, "libpq refused to send a flush");
}

void db_sync(struct db *db, db_on_sync *on_sync, void *arg)
{
    struct db_entry entry = {.kind = ENTRY_SYNC, .sent = takes(db), .on_sync = on_sync, .arg = arg};
    db_pipeline_push(&db->pipeline, &entry);
    db->in_transaction = db->transaction_lost = false;
    db->transaction++;
    if (!entry.sent)
        return;
    if (PQpipelineSync(db->conn)) /* libpq 15 writes at once what the socket takes */
        ask_for_answers(db);
    else
        db_fault(db, "libpq refused to send a sync");
}
