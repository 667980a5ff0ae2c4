#pragma once
/* A call that waits for rows. When the client goes away first the answer is dropped; when the database fails
 * the call gets the problem document. */

#include "common/db/db.h"
#include "gateway/http/call.h"

/* `result` is borrowed and free of errors; the call must be answered, or wait for another query.
 * context: lives in the call's arena. */
typedef void query_on_rows(struct call *call, struct db_result *result, void *context);

/* Asks for the company of the call's token, with that company as $1 before `params`. Answers the call itself
 * when it cannot ask. */
void query_start(struct call *call, const struct db_statement *statement, const struct slice *params,
                 size_t param_count, query_on_rows *on_rows, void *context);

/* As query_start_as_operator, for a call that can be answered without the rows: `result` is NULL when they cannot be had. */
void query_try_as_operator(struct call *call, const struct db_statement *statement,
                           const struct slice *params, size_t param_count, query_on_rows *on_rows,
                           void *context);

/* Asks as an operator, for a route that only operators may call; the parameters are `params` alone. */
void query_start_as_operator(struct call *call, const struct db_statement *statement,
                             const struct slice *params, size_t param_count, query_on_rows *on_rows,
                             void *context);
