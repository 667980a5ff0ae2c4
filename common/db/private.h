#pragma once
/* What the files of the PostgreSQL client share. Only they include this header, and only they may include
 * libpq.
 *
 *   db.c          the public face (new, free, send, ask, sync), the states, and what ends a connection
 *   connect.c     tries hosts and addresses in turn, backs off, sets the session up (session.def)
 *   pipeline.c    the statements that wait for their answer, in order; reads and writes
 *   statements.c  which statements are prepared on the present connection
 *   result.c      one answer, and what its SQLSTATE means
 *   cancel.c      asks the server to cancel what a connection runs
 *   pool.c        several connections for reads
 *   turns.c       whose query is next in the pool
 *   readers.c     which companies have read lately
 */

#include <libpq-fe.h>

#include "common/base/buf.h"
#include "common/db/cancel.h"
#include "common/db/db.h"
#include "common/net/dns.h"

/* States:  DOWN ──▶ RESOLVING ──▶ CONNECTING ──▶ SETTING_UP ──▶ UP
 *            ▲          │              │              │          │
 *            └──────────┴──── next address, host, or back-off ───┘   */
enum db_state { DB_DOWN, DB_RESOLVING, DB_CONNECTING, DB_SETTING_UP, DB_UP };

struct db_host {
    char *host; /* NULL: the default socket */
    char *hostaddr;
    char *port; /* NULL: the default */
};

/* How a connection is made: the parts of the URL, and which host and address is being tried. */
struct db_target {
    PQconninfoOption *parameters; /* parsed from the URL */
    char *session_attrs;
    struct db_host *hosts;
    size_t host_count, host_at;
    unsigned rounds_failed; /* rounds over all hosts, since the last connection that lasted */
    bool second_choice;     /* for prefer-standby: this round takes any server */
    bool is_cut_short;      /* the last session ended while it was set up */
    int server_version;     /* of the last one, such as 150004; 0: there was none */
    struct dns_question *question;
    char (*addresses)[64]; /* of the present host, where its name had to be resolved */
    size_t address_count, address_at;
};

struct db_entry {
    enum { ENTRY_PREPARE, ENTRY_STATEMENT, ENTRY_SYNC } kind;
    bool sent;           /* on the present connection; an entry that is not only waits for its failure */
    unsigned generation; /* of a PREPARE; statements.c explains it */
    const struct db_statement *statement;
    union {
        db_on_result *on_result;
        db_on_sync *on_sync;
    };
    void *arg;
};

/* A queue. Entry n since the db was made is ring[n % capacity]. */
struct db_pipeline {
    struct db_entry *ring;
    size_t capacity; /* a power of two */
    uint64_t head, tail;
    size_t statements;        /* entries that are statements */
    uint64_t asked;           /* a flush or a sync has asked for the answers of all entries before it */
    enum err transaction_err; /* first failure of the transaction that is being answered */
    struct db_result *prepare_error; /* why the statement that is answered next could not be prepared */
};

/*   NOT ── PREPARE sent ──▶ SENT ── answered ──▶ READY
 *    ▲                       │ failed               │ the server has lost it
 *    └───────────────────────┴──────────────────────┘   */
enum db_prepared_state { PREPARED_NOT, PREPARED_SENT, PREPARED_READY };

struct db_prepared {
    const struct db_statement *statement;
    enum db_prepared_state state;
    unsigned generation;  /* counts the PREPAREs that were sent */
    uint64_t transaction; /* in which the last one was sent */
};

struct db_statements {
    struct db_prepared *slots; /* open addressing by the address of the statement */
    size_t capacity, count;
};

struct db {
    struct ev_loop *loop;
    struct db_callbacks callbacks;
    void *ctx;
    char *role, *application_name;
    int64_t statement_timeout_ms;
    bool read_only, primary;

    enum db_state state;
    PGconn *conn;
    struct db_target target;
    ev_io io;
    ev_timer timer;     /* DOWN: the back-off; UP: the watchdog; else the limit of the step */
    ev_timer wake;      /* fires at once: a db_* call found something to end or to deliver */
    ev_prepare prepare; /* flushes what was sent in this turn */
    double up_since, heard_at;
    bool unflushed;
    struct buf scratch; /* the texts among the parameters, each with a NUL behind it */
    const char *fault;  /* why the connection must end at the next turn; NULL: it need not */
    char why[512];

    struct cancel *cancel;     /* a request to cancel is on its way; NULL: none */
    uint64_t cancelled_before; /* the entries before this one are to be cancelled */
    ev_timer cancel_again;     /* a request that came before its statement had no effect */
    double cancel_pause;
    struct db_pipeline pipeline;
    struct db_statements statements;
    uint64_t transaction;  /* counts db_sync calls */
    bool in_transaction;   /* db_send was called since the last db_sync */
    bool transaction_lost; /* part of it had no connection, so the rest must not run on the next one */
};

struct db_result {
    uint32_t references;
    enum err err;
    bool skipped;
    double took;  /* seconds; 0: not known */
    PGresult *pg; /* NULL: an answer of our own */
    char message[];
};

/* db.c */
/* The only function that changes the state. after_s is the timer of the new state, in seconds; 0: none. */
void db_set_state(struct db *db, enum db_state state, double after_s);
void db_up(struct db *db);
void db_watch(struct db *db, int events); /* the socket of the connection, which may be a new one */
/* Ends the connection or the attempt, fails what waits, and plans the next attempt. Only called from the
 * loop. */
void db_down(struct db *db, const char *why);
void db_fault(struct db *db, const char *why); /* does the same at the next turn */

/* connect.c */
enum err db_target_init(struct db *db, const char *url) MUST_CHECK;
void db_target_done(struct db *db);
void db_connect_now(struct db *db);                     /* connects to the present host and address */
void db_connect_event(struct db *db);                   /* handles a ready socket on the way up */
void db_connect_failed(struct db *db, const char *why); /* plans the next address or host, or the back-off */

/* pipeline.c */
void db_pipeline_push(struct db_pipeline *pipeline, const struct db_entry *entry);
void db_pipeline_read(struct db *db); /* reads what has arrived and calls back */
/* Writes; watches for reading and writing when the socket does not take everything. */
void db_pipeline_flush(struct db *db);
/* Answers everything that waits at this moment with `err`, in order. */
void db_pipeline_fail(struct db *db, enum err err, const char *why);
void db_pipeline_fail_unsent(struct db *db);
/* Whether an answer was asked for and has not come. */
static inline bool db_pipeline_awaits(const struct db_pipeline *pipeline)
{
    return pipeline->asked > pipeline->head;
}
void db_pipeline_done(struct db_pipeline *pipeline);

/* statements.c */
enum { DB_PREPARED_NAME_MAX = 96 };
struct db_prepared *db_statements_get(struct db_statements *statements, const struct db_statement *statement);
/* Whether statements of this transaction may use it without another PREPARE. */
static inline bool db_prepared_serves(const struct db_prepared *prepared, uint64_t transaction)
{
    return prepared->state == PREPARED_READY ||
           (prepared->state == PREPARED_SENT && prepared->transaction == transaction);
}
/* A PREPARE is sent: begins the next generation, whose name it has to bear. */
void db_prepared_begin(struct db_prepared *prepared, uint64_t transaction);
void db_prepared_name(const struct db_prepared *prepared, char name[DB_PREPARED_NAME_MAX]);
void db_statements_answered(struct db_statements *statements, const struct db_entry *entry, bool ok);
void db_statements_forget(struct db_statements *statements, const struct db_statement *statement);
void db_statements_clear(struct db_statements *statements); /* a new connection has none prepared */
void db_statements_done(struct db_statements *statements);

/* result.c */
struct db_result *db_result_wrap(PGresult *pg);                      /* takes over pg */
struct db_result *db_result_make(enum err err, const char *message); /* copied */
void db_result_set_took(struct db_result *result, double seconds);
