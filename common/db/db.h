#pragma once
/* PostgreSQL in pipeline mode on a libev loop. Only this room includes libpq.
 *
 *   db_send, db_send, db_ask ───▶ output ─(one flush per turn of the loop)─▶ PostgreSQL
 *   on_result, on_result     ◀─── results in the order of the statements ◀─────┘
 *
 * A `struct db` is one connection, which is made again when it breaks: with a back-off with jitter, over
 * several hosts, by target_session_attrs; name servers are asked on the loop. All statements between two
 * db_sync calls are one implicit transaction. It commits at the sync, or rolls back when one of them failed;
 * the statements after the failed one are skipped (db_result_skipped).
 *
 * What must hold: every db_send ends in exactly one on_result and every db_sync in exactly one on_sync, in
 * order. When the connection breaks they get ERR_DATABASE_UNAVAILABLE. Callbacks run from the loop, never
 * from inside db_send.
 */

#include <ev.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/base/uuid.h"

struct db;
struct db_result;

/* A constant with a name that is unique in the process. Each connection prepares it when it first uses it, and keeps
 * it. One without a name is sent as a whole each time: it must last until it is answered, and costs some tenths of a
 * millisecond more. */
struct db_statement {
    const char *name; /* NULL: it is not prepared */
    const char *sql;
};

enum { DB_PARAMS_MAX = 64, DB_NUMBER_SIZE = 24 };

/* Makes a parameter of a number; its text lives in `text`. */
static inline struct slice db_number(int64_t number, char text[DB_NUMBER_SIZE])
{
    int len = snprintf(text, DB_NUMBER_SIZE, "%" PRId64, number);
    return (struct slice){text, (size_t)len};
}

struct db_options {
    const char *url;
    const char *role;             /* set on connecting; NULL or "": none */
    const char *application_name; /* seen in pg_stat_activity */
    int64_t statement_timeout_ms; /* 0: that of the server */
    bool read_only;               /* any host serves; otherwise one that accepts writes */
    bool primary;                 /* with read_only: still only a host that accepts writes */
};

struct db_callbacks {
    void (*on_up)(void *ctx, struct db *db);
    /* Also called after each failed round over all hosts. */
    void (*on_down)(void *ctx, struct db *db, const char *why);
};

enum err db_new(struct ev_loop *loop, const struct db_options *options, const struct db_callbacks *callbacks,
                void *ctx, struct db **ret_db) MUST_CHECK;
/* Calls outstanding callbacks with ERR_SHUTTING_DOWN; never call it from one of them. */
void db_free(struct db *db);
bool db_is_up(const struct db *db);
size_t db_outstanding(const struct db *db); /* statements sent and not yet answered */
/* Asks the server to cancel what it runs for this connection, from outside of it. The statements end as always:
 * with TIMEOUT when they were cancelled. Whatever is sent before db_is_cancelling is false may be cancelled, too. */
void db_cancel(struct db *db);
bool db_is_cancelling(const struct db *db);

/* The result is never NULL and borrowed for the call; db_result_hold keeps it. */
typedef void db_on_result(void *arg, struct db_result *result);
typedef void db_on_sync(void *arg, enum err err);

/* Sends a statement. The parameters are in text form and copied; SLICE_NONE is SQL NULL. They must not
 * contain a NUL, which PostgreSQL text cannot have: what follows it is lost. on_result may be NULL. */
void db_send(struct db *db, const struct db_statement *statement, const struct slice *params,
             size_t param_count, db_on_result *on_result, void *arg);
/* The same, with those parameters in the binary form whose bit of `binary` is set. */
void db_send_binary(struct db *db, const struct db_statement *statement, const struct slice *params,
                    size_t param_count, uint64_t binary, db_on_result *on_result, void *arg);
/* Asks the server to answer what was sent so far without ending the transaction. */
void db_ask(struct db *db);
/* Ends the implicit transaction. on_sync gets OK when it is committed, or else the first error in it. */
void db_sync(struct db *db, db_on_sync *on_sync, void *arg);

/* OK, DATABASE_CONFLICT (40001, 40P01), DATABASE_LOCKED (55P03), TIMEOUT (57014), … */
enum err db_result_error(const struct db_result *result);
const char *db_result_sqlstate(const struct db_result *result);   /* "" when there is none */
const char *db_result_message(const struct db_result *result);    /* for the log, never for clients */
const char *db_result_constraint(const struct db_result *result); /* "" when there is none */
const char *db_result_table(const struct db_result *result);      /* that of the constraint; likewise */
/* Whether it was not run, because an earlier statement of its transaction failed. */
bool db_result_skipped(const struct db_result *result);
/* The seconds from sending a query of a pool until its answer: of those that are not plainly cheap; 0: not known. */
double db_result_took(const struct db_result *result);
int db_rows(const struct db_result *result);
/* SLICE_NONE is SQL NULL; other data has a NUL behind it. row < db_rows, and col is a column of the
 * statement. */
struct slice db_text(const struct db_result *result, int row, int col);
int64_t db_int(const struct db_result *result, int row, int col); /* 0 for NULL */
/* The bytes of a column without a copy; they keep the result alive. */
struct bytes *db_share(struct db_result *result, int row, int col);
/* Makes an answer of our own, in place of one from the database. */
struct db_result *db_result_new_error(enum err err);
struct db_result *db_result_hold(struct db_result *result);
void db_result_release(struct db_result *result);

/* A pool for reads. A query is one statement that reads; before it the pool sets `cortex.company`, by which
 * row-level security chooses the rows. Each company has its turn, and at most so many queries that run at once.
 *
 * The pool has two lanes with connections of their own. Cheap queries gather: those of one turn of the loop share
 * a transaction. One that was skipped because another one of its transaction failed runs again alone. An expensive
 * query has a transaction of its own and less time. The server is asked to cancel what nobody waits for any more.
 *
 * While other companies send cheap queries, a company's expensive ones get `expensive_share` of the time of one
 * connection: it rests in between. What it has not used gathers for a while, so only who asks a lot has to rest.
 */
struct db_pool;
struct db_pool_options {
    struct db_options db;
    int64_t connections;
    int64_t expensive_connections; /* 0: one */
    int64_t expensive_timeout_ms;  /* of an expensive statement; 0: that of the others */
    int64_t expensive_share;       /* percent; 0: 100 */
    int64_t company_max;           /* most cheap queries of one company that run at once; 0: no limit */
    int64_t queue_max;             /* most queries that wait or run */
    /* Of one query, waiting included; past it on_result gets TIMEOUT or DATABASE_UNAVAILABLE. */
    int64_t deadline_ms;
    /* The pool's server is a replica, which may be late. The primary outlives this pool. NULL: it is the primary itself. */
    struct db_pool *primary;
};
enum err db_pool_new(struct ev_loop *loop, const struct db_pool_options *options,
                     struct db_pool **ret_pool) MUST_CHECK;
void db_pool_free(struct db_pool *pool);
/* Which companies have sent cheap queries lately, at most the last two: copies them, and returns how many. */
size_t db_pool_readers(const struct db_pool *pool, struct uuid ret_companies[2]);
/* This company sends cheap queries to the pool of another process. */
void db_pool_hear(struct db_pool *pool, const struct uuid *company);
bool db_pool_is_up(const struct db_pool *pool); /* at least one connection for cheap queries */
/* In place of a company: the query reads the rows of every company, as an operator may (cortex.operator). */
#define DB_POOL_OPERATOR SLICE("operator")

enum db_query_kind {
    DB_QUERY_CHEAP, /* a few rows by a key or an index */
    DB_QUERY_LOOK, /* a cheap one that reads more rows than it returns; that of a company that rests is expensive */
    DB_QUERY_EXPENSIVE, /* reads more rows than it returns, or long ones */
    DB_QUERY_STEP,      /* an expensive one that can be done without: DB_STEP_MS instead of deadline_ms */
    DB_QUERY_HURRIED, /* a cheap one whose asker has waited long enough: DB_HURRIED_MS instead of deadline_ms */
};
enum { DB_STEP_MS = 1000, DB_HURRIED_MS = 400 };

struct db_query {
    enum db_query_kind kind;
    bool is_fresh;        /* of the primary, as long as that is up, since a replica may be late */
    bool expects_row;     /* when a replica has no row, the primary is asked, as long as that is up */
    struct slice company; /* the 36 characters of a UUID, or DB_POOL_OPERATOR */
    const struct db_statement *statement; /* copied when it has no name */
    const struct slice *params;           /* copied */
    size_t param_count;
    db_on_result *on_result;
    void *arg;
};
struct pool_query;
/* Queues a query. ret_query, which may be NULL, lives until on_result is called. ERR_DATABASE_BUSY: the queue is
 * full, or three quarters of it are this company's; on_result is not called. */
enum err db_pool_query(struct db_pool *pool, const struct db_query *query,
                       struct pool_query **ret_query) MUST_CHECK;
/* Nobody waits for the answer any more: on_result is not called. */
void db_pool_drop(struct pool_query *query);
