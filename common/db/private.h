#pragma once
/* Inside the PostgreSQL client: what the db_*.c files share. Nobody else includes this, or libpq.
 *
 *   db.c             the public face: new, free, send, ask, sync; the states and what ends a connection
 *   connect.c     hosts and addresses tried in turn, back-off, the session's settings
 *   pipeline.c    what was sent and waits for its answer, in order; reading and writing
 *   statements.c  which statements are prepared on the present connection
 *   result.c      one answer, and what its SQLSTATE means to us
 *   pool.c        several connections for reads
 */

#include <libpq-fe.h>

#include "common/base/buf.h"
#include "common/db/db.h"
#include "common/net/resolve.h"

/* States:  DOWN ──▶ RESOLVING ──▶ CONNECTING ──▶ SETTING_UP ──▶ UP
 *            ▲          │              │              │          │
 *            └──────────┴──── next address, host, or back-off ───┘   */
enum db_state { DB_DOWN, DB_RESOLVING, DB_CONNECTING, DB_SETTING_UP, DB_UP };

struct db_host {
    char *host; /* NULL: the default socket */
    char *hostaddr;
    char *port; /* NULL: the default */
};

/* How the connection is made: the URL taken apart, and where we are in trying. */
struct db_target {
    PQconninfoOption *parameters; /* of the URL */
    char *session_attrs;
    struct db_host *hosts;
    size_t host_count, host_at;
    unsigned rounds_failed; /* over all hosts, since the last connection that lasted */
    bool second_choice;     /* prefer-standby: this round takes any server */
    struct resolve *resolve;
    char (*addresses)[64]; /* of the present host, when it had to be looked up */
    size_t address_count, address_at;
};

struct db_entry {
    enum { ENTRY_PREPARE, ENTRY_STATEMENT, ENTRY_SYNC } kind;
    bool sent; /* on the present connection; the others are at the front and wait for their failure only */
    unsigned generation; /* of a PREPARE: see statements.c */
    const struct db_statement *statement;
    union {
        db_on_result *on_result;
        db_on_sync *on_sync;
    };
    void *arg;
};

/* First in, first out; entry n of the life of the db is ring[n % capacity]. */
struct db_pipeline {
    struct db_entry *ring;
    size_t capacity; /* a power of two */
    uint64_t head, tail;
    size_t statements;               /* of the entries */
    uint64_t asked;                  /* entries before it have been asked for by a flush or a sync */
    enum err transaction_err;        /* first failure of the transaction whose answers are coming */
    struct db_result *prepare_error; /* of the statement whose answer comes next */
};

struct db_prepared {
    const struct db_statement *statement;
    enum { PREPARED_NOT, PREPARED_SENT, PREPARED_READY } state;
    unsigned generation;
    uint64_t transaction;
};

struct db_statements {
    struct db_prepared *slots; /* open addressing by the statement's address */
    size_t capacity, count;
};

struct db {
    struct ev_loop *loop;
    struct db_callbacks callbacks;
    void *ctx;
    char *role, *application_name;
    int64_t statement_timeout_ms;
    bool read_only;

    enum db_state state;
    PGconn *conn;
    struct db_target target;
    ev_io io;
    ev_timer timer;     /* DOWN: back-off; on the way up: the limit of that step; UP: the watchdog */
    ev_timer wake;      /* at once: something to end or to deliver was found inside a db_* call */
    ev_prepare prepare; /* flushes what this turn has gathered */
    double up_since, heard_at;
    bool unflushed;
    struct buf scratch; /* parameters with a NUL behind each */
    const char *fault;  /* why the connection must end, found where it could not be ended */
    char why[512];

    struct db_pipeline pipeline;
    struct db_statements statements;
    uint64_t transaction;  /* counts db_sync calls */
    bool in_transaction;   /* db_send was called since the last db_sync */
    bool transaction_lost; /* …and part of it had no connection: the rest must not run on the next one */
};

struct db_result {
    uint32_t references;
    enum err err;
    bool skipped;
    PGresult *pg; /* NULL for answers that we made ourselves */
    char message[];
};

/* db.c */
/* The only function that changes the state. after_s: of the timer that belongs to the new state; 0: none. */
void db_set_state(struct db *db, enum db_state state, double after_s);
void db_up(struct db *db);
void db_watch(struct db *db,
              int events); /* of the connection's socket, which may be another one than before */
/* Ends the connection or the attempt, fails what waits and plans the next attempt. From the loop only. */
void db_down(struct db *db, const char *why);
void db_fault(struct db *db, const char *why); /* the same, at the next turn */

/* connect.c */
enum err db_target_init(struct db *db, const char *url) MUST_CHECK;
void db_target_done(struct db *db);
void db_connect_now(struct db *db);                     /* the present host and address */
void db_connect_event(struct db *db);                   /* the socket is ready */
void db_connect_failed(struct db *db, const char *why); /* plans the next address or host, or the back-off */

/* pipeline.c */
void db_pipeline_push(struct db_pipeline *pipeline, const struct db_entry *entry);
void db_pipeline_read(struct db *db); /* takes what has arrived and calls back */
void db_pipeline_flush(
    struct db *db); /* writes; watches the socket for both when it does not take everything */
/* Answers everything that waits at this moment, in order. */
void db_pipeline_fail(struct db *db, enum err err, const char *why);
void db_pipeline_fail_unsent(struct db *db);
/* Something was asked for and has not been answered. */
static inline bool db_pipeline_awaits(const struct db_pipeline *pipeline)
{
    return pipeline->asked > pipeline->head;
}
void db_pipeline_done(struct db_pipeline *pipeline);

/* statements.c */
enum { DB_PREPARED_NAME_MAX = 96 };
struct db_prepared *db_statements_get(struct db_statements *statements, const struct db_statement *statement);
void db_prepared_name(const struct db_prepared *prepared, char name[DB_PREPARED_NAME_MAX]);
void db_statements_answered(struct db_statements *statements, const struct db_entry *entry, bool ok);
void db_statements_forget(struct db_statements *statements, const struct db_statement *statement);
void db_statements_clear(struct db_statements *statements); /* a new connection knows none */
void db_statements_done(struct db_statements *statements);

/* result.c */
struct db_result *db_result_wrap(PGresult *pg);                      /* takes it */
struct db_result *db_result_make(enum err err, const char *message); /* copied */
