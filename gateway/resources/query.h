#pragma once
/* A query of a call, which waits for its rows. When the client goes away first, the rows are dropped. When
 * the database fails, the call gets the problem document. */

#include "common/db/db.h"
#include "gateway/http/call.h"

/* The rows have come: `result` is borrowed and without error. The function must answer the call or start
 * another query. `context` lives in the call's arena. */
typedef void query_on_rows(struct call *call, struct db_result *result, void *context);

/* What a query needs. */
enum query_need {
    QUERY_ROW,       /* one row, by its key; no row means 404 */
    QUERY_LIST,      /* a page by an index */
    QUERY_LOOK,      /* the first step of a list, which looks at few rows but may return none of them */
    QUERY_STEP,      /* as QUERY_EXPENSIVE, of a list that is read in steps: it gets less time (DB_STEP_MS) */
    QUERY_EXPENSIVE, /* reads more than it returns, or returns much: not beside other reads, and in less time */
    QUERY_FRESH_LOOK, /* as QUERY_LOOK, never from a replica that may be late */
    QUERY_FRESH,   /* what a worker has just written, whoever asks: never from a replica that may be late */
    QUERY_AT_ONCE, /* as QUERY_FRESH, for a call that has waited already */
};

/* Sends the query for the company of the call's token, with that company as $1 before `params`. Answers
 * the call itself when the query cannot be sent. */
void query_start(struct call *call, enum query_need need, const struct db_statement *statement,
                 const struct slice *params, size_t param_count, query_on_rows *on_rows, void *context);

/* The user of the call's token, as a parameter in the call's memory; SLICE_NONE: that is used up. */
struct slice query_user(struct call *call);

/* As query_start, for a call that can be answered without the rows: `result` has the error when there are none. on_gone,
 * which may be NULL, is called when the client goes away first. */
typedef void query_on_gone(void *context);
void query_try(struct call *call, enum query_need need, const struct db_statement *statement,
               const struct slice *params, size_t param_count, query_on_rows *on_rows, query_on_gone *on_gone,
               void *context);

/* As query_start_as_operator, for a call that can be answered without the rows: `result` is NULL when the
 * database fails. */
void query_try_as_operator(struct call *call, const struct db_statement *statement,
                           const struct slice *params, size_t param_count, query_on_rows *on_rows,
                           void *context);

/* Sends the query as an operator, QUERY_EXPENSIVE and never to a replica, over all companies. Only for routes that only operators may call. The
 * parameters are `params` alone. */
void query_start_as_operator(struct call *call, const struct db_statement *statement,
                             const struct slice *params, size_t param_count, query_on_rows *on_rows,
                             void *context);
