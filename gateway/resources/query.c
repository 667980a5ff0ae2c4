#include "gateway/resources/query.h"

#include <assert.h>

#include "gateway/http/router.h"

struct query {
    struct call *call; /* NULL: its client has gone */
    query_on_rows *on_rows;
    void *context;
    bool is_optional; /* on_rows gets NULL when the database fails */
};

static void on_gone(struct call *call)
{
    struct query *query = call->waiter;
    query->call = NULL;
}

static void log_failure(const struct call *call, struct db_result *result)
{
    log_at(err_info(db_result_error(result))->level, "read.failed",
           LOG_S("error", err_info(db_result_error(result))->name),
           LOG_S("sqlstate", db_result_sqlstate(result)), LOG_S("message", db_result_message(result)),
           LOG_S("correlation", call->correlation_id));
}

static void on_result(void *arg, struct db_result *result)
{
    CLEANUP_FREE struct query *query = arg;
    struct call *call = query->call;
    if (!call)
        return;
    call->on_gone = NULL;
    call->waiter = NULL;
    if (!db_result_error(result)) {
        query->on_rows(call, result, query->context);
        return;
    }
    log_failure(call, result);
    if (query->is_optional)
        query->on_rows(call, NULL, query->context);
    else
        call_fail(call, db_result_error(result), NULL);
}

static struct query *query_new(struct call *call, query_on_rows *on_rows, void *context)
{
    struct query *query = xcalloc(1, sizeof(*query));
    *query = (struct query){.call = call, .on_rows = on_rows, .context = context};
    return query;
}

/* Takes over the query. */
static void send(struct query *taken, struct slice company, const struct db_statement *statement,
                 const struct slice *params, size_t param_count)
{
    CLEANUP_FREE struct query *query = taken;
    struct call *call = query->call;
    enum err err =
        db_pool_query(call->gateway->reads, company, statement, params, param_count, on_result, query);
    if (err && query->is_optional) {
        query->on_rows(call, NULL, query->context);
    } else if (err) {
        call_fail(call, err, NULL);
    } else {
        call->on_gone = on_gone;
        call->waiter = TAKE(query);
    }
}

void query_start(struct call *call, const struct db_statement *statement, const struct slice *params,
                 size_t param_count, query_on_rows *on_rows, void *context)
{
    char company[UUID_TEXT_LEN + 1];
    struct slice all[DB_PARAMS_MAX];
    uuid_format(&call->identity.company, company);
    all[0] = (struct slice){company, UUID_TEXT_LEN};
    for (size_t i = 0; i < param_count; i++)
        all[i + 1] = params[i];
    send(query_new(call, on_rows, context), all[0], statement, all, param_count + 1);
}

void query_start_as_operator(struct call *call, const struct db_statement *statement,
                             const struct slice *params, size_t param_count, query_on_rows *on_rows,
                             void *context)
{
    assert(call->route->access == ACCESS_OPERATOR);
    send(query_new(call, on_rows, context), DB_POOL_OPERATOR, statement, params, param_count);
}

void query_try_as_operator(struct call *call, const struct db_statement *statement,
                           const struct slice *params, size_t param_count, query_on_rows *on_rows,
                           void *context)
{
    assert(call->route->access == ACCESS_OPERATOR);
    struct query *query = query_new(call, on_rows, context);
    query->is_optional = true;
    send(query, DB_POOL_OPERATOR, statement, params, param_count);
}
