#include "gateway/resources/query.h"

#include <assert.h>

#include "gateway/bus/writers.h"
#include "gateway/http/router.h"

struct query {
    struct call *call;
    struct pool_query *waiting;
    query_on_rows *on_rows;
    void *context;
    bool is_optional; /* on_rows gets NULL when the database fails */
};

static void on_gone(struct call *call)
{
    CLEANUP_FREE struct query *query = call->waiter;
    db_pool_drop(query->waiting);
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

static const struct {
    enum db_query_kind kind;
    bool expects_row, is_fresh;
} needs[] = {
    [QUERY_ROW] = {.kind = DB_QUERY_CHEAP, .expects_row = true},
    [QUERY_LIST] = {.kind = DB_QUERY_CHEAP},
    [QUERY_EXPENSIVE] = {.kind = DB_QUERY_EXPENSIVE},
    [QUERY_FRESH] = {.kind = DB_QUERY_CHEAP, .is_fresh = true},
    [QUERY_AT_ONCE] = {.kind = DB_QUERY_HURRIED, .is_fresh = true},
};

/* Takes over the query. `asked` says what to ask, but not for whom. */
static void send(struct query *taken, struct db_query *asked)
{
    CLEANUP_FREE struct query *query = taken;
    struct call *call = query->call;
    asked->on_result = on_result;
    asked->arg = query;
    enum err err = db_pool_query(call->gateway->reads, asked, &query->waiting);
    if (err && query->is_optional) {
        query->on_rows(call, NULL, query->context);
    } else if (err) {
        call_fail(call, err, NULL);
    } else {
        call->on_gone = on_gone;
        call->waiter = TAKE(query);
    }
}

void query_start(struct call *call, enum query_need need, const struct db_statement *statement,
                 const struct slice *params, size_t param_count, query_on_rows *on_rows, void *context)
{
    char company[UUID_TEXT_LEN + 1];
    struct slice all[DB_PARAMS_MAX];
    uuid_format(&call->identity.company, company);
    all[0] = (struct slice){company, UUID_TEXT_LEN};
    for (size_t i = 0; i < param_count; i++)
        all[i + 1] = params[i];
    send(query_new(call, on_rows, context),
         &(struct db_query){.kind = needs[need].kind,
                            .is_fresh = needs[need].is_fresh ||
                                        writers_know(call->gateway->writers, &call->identity.user),
                            .expects_row = needs[need].expects_row,
                            .company = all[0],
                            .statement = statement,
                            .params = all,
                            .param_count = param_count + 1});
}

static void send_as_operator(struct query *query, const struct db_statement *statement,
                             const struct slice *params, size_t param_count)
{
    assert(query->call->route->access == ACCESS_OPERATOR);
    send(query, &(struct db_query){.kind = DB_QUERY_EXPENSIVE,
                                   .is_fresh = true,
                                   .company = DB_POOL_OPERATOR,
                                   .statement = statement,
                                   .params = params,
                                   .param_count = param_count});
}

void query_start_as_operator(struct call *call, const struct db_statement *statement,
                             const struct slice *params, size_t param_count, query_on_rows *on_rows,
                             void *context)
{
    send_as_operator(query_new(call, on_rows, context), statement, params, param_count);
}

void query_try_as_operator(struct call *call, const struct db_statement *statement,
                           const struct slice *params, size_t param_count, query_on_rows *on_rows,
                           void *context)
{
    struct query *query = query_new(call, on_rows, context);
    query->is_optional = true;
    send_as_operator(query, statement, params, param_count);
}
