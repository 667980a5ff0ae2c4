#include "gateway/resources/query.h"

#include <assert.h>

#include "gateway/bus/neighbours.h"
#include "gateway/bus/writers.h"
#include "gateway/http/router.h"

struct query {
    struct call *call;
    struct pool_query *waiting;
    query_on_rows *on_rows;
    query_on_gone *on_gone;
    void *context;
    enum {
        ON_FAILURE_ANSWER,
        ON_FAILURE_NULL,
        ON_FAILURE_ERROR
    } on_failure; /* what on_rows gets, if called */
};

static void on_call_gone(struct call *call)
{
    CLEANUP_FREE struct query *query = call->waiter;
    db_pool_drop(query->waiting);
    if (query->on_gone)
        query->on_gone(query->context);
}

static void log_failure(const struct call *call, struct db_result *result)
{
    log_at(err_info(db_result_error(result))->level, "read.failed",
           LOG_S("error", err_info(db_result_error(result))->name),
           LOG_S("sqlstate", db_result_sqlstate(result)), LOG_S("message", db_result_message(result)),
           LOG_S("correlation", call->correlation_id));
}

static void fail(struct query *query, enum err err)
{
    struct db_result *result;
    switch (query->on_failure) {
    case ON_FAILURE_ANSWER:
        call_fail(query->call, err, NULL);
        break;
    case ON_FAILURE_NULL:
        query->on_rows(query->call, NULL, query->context);
        break;
    case ON_FAILURE_ERROR:
        result = db_result_new_error(err);
        query->on_rows(query->call, result, query->context);
        db_result_release(result);
        break;
    }
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
    fail(query, db_result_error(result));
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
    [QUERY_LOOK] = {.kind = DB_QUERY_LOOK},
    [QUERY_STEP] = {.kind = DB_QUERY_STEP},
    [QUERY_EXPENSIVE] = {.kind = DB_QUERY_EXPENSIVE},
    [QUERY_FRESH_LOOK] = {.kind = DB_QUERY_LOOK, .is_fresh = true},
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
    if (err) {
        fail(query, err);
    } else {
        call->on_gone = on_call_gone;
        call->waiter = TAKE(query);
        neighbours_tell(call->gateway->neighbours);
    }
}

static void start(struct query *query, enum query_need need, const struct db_statement *statement,
                  const struct slice *params, size_t param_count)
{
    const struct call *call = query->call;
    char company[UUID_TEXT_LEN + 1];
    struct slice all[DB_PARAMS_MAX];
    uuid_format(&call->identity.company, company);
    all[0] = (struct slice){company, UUID_TEXT_LEN};
    for (size_t i = 0; i < param_count; i++)
        all[i + 1] = params[i];
    send(query, &(struct db_query){.kind = needs[need].kind,
                                   .is_fresh = needs[need].is_fresh ||
                                               writers_know(call->gateway->writers, &call->identity.user),
                                   .expects_row = needs[need].expects_row,
                                   .company = all[0],
                                   .statement = statement,
                                   .params = all,
                                   .param_count = param_count + 1});
}

void query_start(struct call *call, enum query_need need, const struct db_statement *statement,
                 const struct slice *params, size_t param_count, query_on_rows *on_rows, void *context)
{
    start(query_new(call, on_rows, context), need, statement, params, param_count);
}

struct slice query_user(struct call *call)
{
    char user[UUID_TEXT_LEN + 1];
    uuid_format(&call->identity.user, user);
    return arena_copy(&call->arena, slice_of(user));
}

void query_try(struct call *call, enum query_need need, const struct db_statement *statement,
               const struct slice *params, size_t param_count, query_on_rows *on_rows, query_on_gone *on_gone,
               void *context)
{
    struct query *query = query_new(call, on_rows, context);
    query->on_gone = on_gone;
    query->on_failure = ON_FAILURE_ERROR;
    start(query, need, statement, params, param_count);
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
    query->on_failure = ON_FAILURE_NULL;
    send_as_operator(query, statement, params, param_count);
}
