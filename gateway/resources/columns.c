#include "gateway/resources/columns.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/db/db.h"
#include "common/msg/needs.h"

static const double AGAIN_S = 1, PERIOD_S = 60;

struct columns {
    struct gateway *gateway;
    ev_timer timer;
    bool is_known, is_asking;
    struct needs needs;
    char problem[NEEDS_SENTENCE_SIZE]; /* "": nothing is missing */
};

/* A company that does not exist: nothing here belongs to a company. */
#define NO_COMPANY "00000000-0000-0000-0000-000000000000"

static const struct db_statement columns_statement = {"columns", needs_sql};
static const struct db_statement migration_statement = {"columns.migration", needs_migration_sql};

static void ask(struct columns *columns, const struct db_statement *statement, const struct slice *params,
                size_t count, db_on_result *on_result);

/* ---- the answers ---- */

static void again_in(struct columns *columns, double seconds)
{
    struct ev_loop *loop = columns->gateway->loop;
    ev_timer_stop(loop, &columns->timer);
    ev_timer_set(&columns->timer, seconds, 0.);
    ev_timer_start(loop, &columns->timer);
}

/* "": nothing is missing. */
static void conclude(struct columns *columns, const char *problem)
{
    bool is_news = strcmp(columns->problem, problem) != 0;
    columns->is_known = true;
    snprintf(columns->problem, sizeof(columns->problem), "%s", problem);
    if (is_news && *problem)
        log_error("schema.missing", LOG_S("why", columns->problem));
    else if (is_news)
        log_info("schema.complete");
    again_in(columns, *problem ? AGAIN_S : PERIOD_S);
}

static void on_migration(void *arg, struct db_result *result)
{
    struct columns *columns = arg;
    enum err err = db_result_error(result);
    if (err == ERR_SHUTTING_DOWN)
        return;
    columns->is_asking = false;
    if (err == ERR_OK && slice_is(db_text(result, 0, 0), "t"))
        conclude(columns, "");
    else if (err == ERR_OK || needs_migration_is_unreadable(db_result_sqlstate(result)))
        conclude(columns, needs_migration_lacks);
    else
        again_in(columns, AGAIN_S);
}

static void on_columns(void *arg, struct db_result *result)
{
    struct columns *columns = arg;
    enum err err = db_result_error(result);
    if (err == ERR_SHUTTING_DOWN)
        return;
    columns->is_asking = false;
    struct slice missing = err ? SLICE("") : db_text(result, 0, 0);
    struct slice forbidden = err ? SLICE("") : db_text(result, 0, 1);
    char problem[NEEDS_SENTENCE_SIZE];
    if (err) {
        again_in(columns, AGAIN_S);
    } else if (missing.len + forbidden.len > 0) {
        needs_say_lacking(problem, missing, forbidden);
        conclude(columns, problem);
    } else {
        ask(columns, &migration_statement, NULL, 0, on_migration);
    }
}

/* ---- the questions ---- */

static void ask(struct columns *columns, const struct db_statement *statement, const struct slice *params,
                size_t count, db_on_result *on_result)
{
    const struct db_query query = {.kind = DB_QUERY_CHEAP,
                                   .is_fresh = true,
                                   .company = SLICE(NO_COMPANY),
                                   .statement = statement,
                                   .params = params,
                                   .param_count = count,
                                   .on_result = on_result,
                                   .arg = columns};
    columns->is_asking = db_pool_query(columns->gateway->reads, &query, NULL) == ERR_OK;
    if (!columns->is_asking)
        again_in(columns, AGAIN_S);
}

static void compare(struct columns *columns)
{
    struct slice params[NEEDS_PARAMS];
    needs_params(&columns->needs, params);
    if (!columns->is_asking)
        ask(columns, &columns_statement, params, ARRAY_LEN(params), on_columns);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    compare(CONTAINER_OF(timer, struct columns, timer));
}

const char *columns_problem(const struct columns *columns)
{
    if (!columns->is_known)
        return "the database has not been compared with the schemas yet";
    return columns->problem[0] ? columns->problem : NULL;
}

/* ---- the outside ---- */

struct columns *columns_new(struct gateway *gateway)
{
    struct columns *columns = xcalloc(1, sizeof(*columns));
    columns->gateway = gateway;
    needs_init(&columns->needs);
    needs_add_resources(&columns->needs, msg_resources);
    ev_timer_init(&columns->timer, on_timer, 0., 0.);
    compare(columns);
    return columns;
}

/* The pool of reads has been freed before, so no query is under way. */
void columns_free(struct columns *columns)
{
    if (!columns)
        return;
    ev_timer_stop(columns->gateway->loop, &columns->timer);
    needs_done(&columns->needs);
    free(columns);
}
