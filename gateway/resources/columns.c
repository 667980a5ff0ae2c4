#include "gateway/resources/columns.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/db/db.h"
#include "common/msg/msg.h"

/* NEWEST_MIGRATION comes from CMake: the name of the last file in schemas/sql. */

enum { SENTENCE_SIZE = 600, LIST_MAX = 64 * 1024, NAMES_MAX = 300 };

static const double AGAIN_S = 1, PERIOD_S = 60;

struct columns {
    struct gateway *gateway;
    ev_timer timer;
    bool is_known, is_asking;
    struct buf tables, names;    /* the columns that there must be, as two arrays of PostgreSQL */
    char problem[SENTENCE_SIZE]; /* "": nothing is missing */
};

/* A company that does not exist: nothing here belongs to a company. */
#define NO_COMPANY "00000000-0000-0000-0000-000000000000"

/* $1 tables, $2 their columns: those that are not there, and those that this role may not read. What is a view
 * (operation) is for the workers. */
static const struct db_statement columns_statement = {
    "columns",
    "WITH wanted AS (SELECT t, c, to_regclass(quote_ident(t)) AS rel"
    " FROM unnest($1::text[], $2::text[]) AS w (t, c)),"
    " found AS (SELECT t, c, rel, a.attname IS NOT NULL AS is_there,"
    " EXISTS (SELECT FROM pg_class WHERE oid = rel AND relkind IN ('r', 'p')) AS is_table"
    " FROM wanted LEFT JOIN pg_attribute AS a"
    " ON a.attrelid = rel AND a.attname = c AND a.attnum > 0 AND NOT a.attisdropped)"
    " SELECT coalesce(string_agg(t || '.' || c, ', ' ORDER BY t, c) FILTER (WHERE NOT is_there), ''),"
    " coalesce(string_agg(t || '.' || c, ', ' ORDER BY t, c) FILTER (WHERE"
    " CASE WHEN is_there AND is_table THEN NOT has_column_privilege(rel, c, 'SELECT') ELSE false END), '')"
    " FROM found",
};

/* $1: the name of the newest migration. */
static const struct db_statement migration_statement = {
    "columns.migration", "SELECT EXISTS (SELECT FROM schema_migration WHERE name = $1)"};

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

/* The table of migrations cannot be read before the migration that allows it. */
static bool is_not_allowed_yet(const struct db_result *result)
{
    const char *state = db_result_sqlstate(result);
    return strcmp(state, "42501") == 0 || strcmp(state, "42P01") == 0;
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
    else if (err == ERR_OK || is_not_allowed_yet(result))
        conclude(columns, "the migration " NEWEST_MIGRATION " has not been applied to the database; "
                          "deploy/local/migrate.sh applies it, and so does ./cortex up");
    else
        again_in(columns, AGAIN_S);
}

static void say_missing(struct columns *columns, struct slice missing, struct slice forbidden)
{
    char problem[SENTENCE_SIZE];
    bool is_missing = missing.len > 0;
    struct slice names = is_missing ? missing : forbidden;
    bool is_cut = names.len > NAMES_MAX;
    snprintf(problem, sizeof(problem), "%s %.*s%s: a migration of schemas/sql %s",
             is_missing ? "the database lacks" : "the role of this process may not read",
             is_cut ? NAMES_MAX : (int)names.len, names.data, is_cut ? " …" : "",
             is_missing ? "has not been written, or has not been applied (deploy/local/migrate.sh)"
                        : "must grant it SELECT");
    conclude(columns, problem);
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
    const struct slice migration[] = {SLICE(NEWEST_MIGRATION)};
    if (err)
        again_in(columns, AGAIN_S);
    else if (missing.len + forbidden.len > 0)
        say_missing(columns, missing, forbidden);
    else
        ask(columns, &migration_statement, migration, 1, on_migration);
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
    const struct slice params[] = {buf_slice(&columns->tables), buf_slice(&columns->names)};
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

/* ---- what there must be ---- */

static void add(struct columns *columns, const char *table, const char *column)
{
    const char *separator = buf_len(&columns->tables) > 1 ? "," : "";
    buf_printf(&columns->tables, "%s\"%s\"", separator, table);
    buf_printf(&columns->names, "%s\"%s\"", separator, column);
}

static void add_resource(struct columns *columns, const struct msg_resource *resource)
{
    add(columns, resource->table, "company_id");
    add(columns, resource->table, "version");
    for (size_t i = 0; i < resource->object->field_count; i++)
        add(columns, resource->table, resource->object->fields[i].column);
}

struct columns *columns_new(struct gateway *gateway)
{
    struct columns *columns = xcalloc(1, sizeof(*columns));
    columns->gateway = gateway;
    buf_init(&columns->tables, LIST_MAX);
    buf_init(&columns->names, LIST_MAX);
    buf_append_char(&columns->tables, '{');
    buf_append_char(&columns->names, '{');
    for (size_t i = 0; msg_resources[i]; i++)
        add_resource(columns, msg_resources[i]);
    buf_append_char(&columns->tables, '}');
    buf_append_char(&columns->names, '}');
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
    buf_done(&columns->tables);
    buf_done(&columns->names);
    free(columns);
}
