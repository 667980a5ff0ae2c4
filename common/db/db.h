#pragma once
/* PostgreSQL in pipeline mode on a libev loop; libpq is named in db*.c only.
 *
 *   db_send, db_send, db_ask ───▶ output ─(one flush per turn of the loop)─▶ PostgreSQL
 *   on_result, on_result     ◀─── results in the order of the statements ◀─────┘
 *
 * A `struct db` is one connection that makes itself again when it breaks (back-off with jitter, several hosts,
 * target_session_attrs honoured, names resolved off the loop). All statements between two db_sync calls are one implicit
 * transaction: it commits at the sync, or rolls back when one of them failed (those after it get ERR_DATABASE_CONFLICT
 * with sqlstate "" as skipped: see db_result_skipped).
 *
 * What must hold: every db_send ends in exactly one on_result, every db_sync in exactly one on_sync, in order, also when
 * the connection breaks (then with ERR_DATABASE_UNAVAILABLE); callbacks run from the loop, never inside db_send.
 */

#include <ev.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/bytes.h"
#include "common/base/err.h"

struct db;
struct db_result;

/* Constant, with a name that is unique in the process; prepared on a connection when it is first used there. */
struct db_statement {
    const char *name;
    const char *sql;
};

enum { DB_PARAMS_MAX = 64, DB_NUMBER_SIZE = 24 };

/* A number as a parameter; it lives in `text`. */
static inline struct slice db_number(int64_t number, char text[DB_NUMBER_SIZE])
{
    int len = snprintf(text, DB_NUMBER_SIZE, "%" PRId64, number);
    return (struct slice){text, (size_t)len};
}

struct db_options {
    const char *url;
    const char *role;             /* taken on connecting; NULL or "": none */
    const char *application_name; /* seen in pg_stat_activity */
    int64_t statement_timeout_ms; /* 0: the server's */
    bool read_only;               /* any host will do; otherwise one that accepts writes */
};

struct db_callbacks {
    void (*on_up)(void *ctx, struct db *db);
    void (*on_down)(void *ctx, struct db *db,
                    const char *why); /* also after each round of attempts that failed */
};

enum err db_new(struct ev_loop *loop, const struct db_options *options, const struct db_callbacks *callbacks,
                void *ctx, struct db **ret_db) MUST_CHECK;
void db_free(
    struct db *db); /* outstanding callbacks are called with ERR_SHUTTING_DOWN; not from inside one of them */
bool db_is_up(const struct db *db);
size_t db_outstanding(const struct db *db); /* statements sent and not yet answered */

/* result: borrowed for the call (db_result_hold keeps it); never NULL. */
typedef void db_on_result(void *arg, struct db_result *result);
typedef void db_on_sync(void *arg, enum err err);

/* Parameters are in text form; SLICE_NONE is SQL NULL. Copied. They hold no NUL, which PostgreSQL's text cannot (what follows
 * one is lost). on_result may be NULL. */
void db_send(struct db *db, const struct db_statement *statement, const struct slice *params,
             size_t param_count, db_on_result *on_result, void *arg);
/* Asks the server to answer what was sent so far without ending the transaction. */
void db_ask(struct db *db);
/* Ends the implicit transaction: OK means that it is committed. On an error before the sync: that error. */
void db_sync(struct db *db, db_on_sync *on_sync, void *arg);

enum err db_result_error(
    const struct db_result *result); /* OK, DATABASE_CONFLICT (40001, 40P01, 55P03), TIMEOUT (57014), … */
const char *db_result_sqlstate(const struct db_result *result);   /* "" when there is none */
const char *db_result_message(const struct db_result *result);    /* for the log, never for clients */
const char *db_result_constraint(const struct db_result *result); /* "" when there is none */
bool db_result_skipped(
    const struct db_result *result); /* not run, because one before it in its transaction failed */
int db_rows(const struct db_result *result);
/* SLICE_NONE for SQL NULL; the data is NUL-terminated. row < db_rows, col within the statement's columns. */
struct slice db_text(const struct db_result *result, int row, int col);
int64_t db_int(const struct db_result *result, int row, int col); /* 0 for NULL */
/* The column's bytes without copying them; they keep the result alive. */
struct bytes *db_share(struct db_result *result, int row, int col);
struct db_result *db_result_new_error(
    enum err err); /* an answer without the database: who waits gets it in its place */
struct db_result *db_result_hold(struct db_result *result);
void db_result_release(struct db_result *result);

/* Reads: a few connections, each of which gathers the queries of one turn of the loop into one transaction. A query is a
 * statement that reads; the pool sets `cortex.company` for it first, as row-level security asks. A query that was skipped because a neighbour failed is
 * run again alone; one that waits longer than the bound, or finds the queue full, gets DATABASE_BUSY. */
struct db_pool;
struct db_pool_options {
    struct db_options db;
    int64_t connections;
    int64_t queue_max; /* queries waiting or running */
    int64_t
        deadline_ms; /* for one query, waiting included; then on_result gets TIMEOUT or DATABASE_UNAVAILABLE */
};
enum err db_pool_new(struct ev_loop *loop, const struct db_pool_options *options,
                     struct db_pool **ret_pool) MUST_CHECK;
void db_pool_free(struct db_pool *pool);
bool db_pool_is_up(const struct db_pool *pool); /* at least one connection */
/* In place of a company: reads what row-level security keeps for operators (cortex.operator), of every company. */
#define DB_POOL_OPERATOR SLICE("operator")
/* ERR_DATABASE_BUSY (no callback) when the queue is full. company: 36 characters of a UUID, or DB_POOL_OPERATOR. */
enum err db_pool_query(struct db_pool *pool, struct slice company, const struct db_statement *statement,
                       const struct slice *params, size_t param_count, db_on_result *on_result,
                       void *arg) MUST_CHECK;
