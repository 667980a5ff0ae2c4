#include "workers/engine/resource/schema_check.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/msg/needs.h"
#include "common/msg/sum_sql.h"

static const double AGAIN_S = 1, PERIOD_S = 60;

static const struct db_statement needs_statement = {"schema_check", needs_sql};
static const struct db_statement migration_statement = {"schema_check.migration", needs_migration_sql};

enum state { UNKNOWN, COMPLETE, LACKING };

struct schema_check {
    struct ev_loop *loop;
    struct db *db;
    void (*on_changed)(void *ctx);
    void *ctx;
    enum state state;
    ev_timer timer;
    bool is_due, is_asking;
    struct needs needs;
    char problem[NEEDS_SENTENCE_SIZE]; /* of the last answer; "": nothing is missing */
    bool has_answer;                   /* to both questions that are under way */
    db_on_sync *on_answer;
    void *arg;
};

/* ---- the answers ---- */

static void on_needs(void *arg, struct db_result *result)
{
    struct schema_check *check = arg;
    char sentence[NEEDS_SENTENCE_SIZE];
    check->has_answer = db_result_error(result) == ERR_OK;
    if (!check->has_answer || db_text(result, 0, 0).len + db_text(result, 0, 1).len == 0)
        return;
    needs_say_lacking(sentence, db_text(result, 0, 0), db_text(result, 0, 1));
    snprintf(check->problem, sizeof(check->problem), "%s", sentence);
}

static void on_migration(void *arg, struct db_result *result)
{
    struct schema_check *check = arg;
    enum err err = db_result_error(result);
    bool is_unreadable = err && needs_migration_is_unreadable(db_result_sqlstate(result));
    check->has_answer = check->has_answer && (!err || is_unreadable);
    bool is_missing = is_unreadable || (!err && !slice_is(db_text(result, 0, 0), "t"));
    if (is_missing && !check->problem[0])
        snprintf(check->problem, sizeof(check->problem), "%s", needs_migration_lacks);
}

static void look_in(struct schema_check *check, double seconds)
{
    ev_timer_stop(check->loop, &check->timer);
    ev_timer_set(&check->timer, seconds, 0.);
    ev_timer_start(check->loop, &check->timer);
}

static void conclude(struct schema_check *check)
{
    enum state before = check->state;
    check->state = check->problem[0] ? LACKING : COMPLETE;
    if (check->state == before)
        return;
    if (check->state == LACKING)
        log_error("schema.missing", LOG_S("why", check->problem));
    else
        log_info("schema.complete");
    check->on_changed(check->ctx);
}

static void on_answered(void *arg, enum err err)
{
    struct schema_check *check = arg;
    db_on_sync *on_answer = check->on_answer;
    check->is_asking = false;
    check->on_answer = NULL;
    if (err == ERR_SHUTTING_DOWN)
        return;
    if (check->has_answer)
        conclude(check);
    look_in(check, check->has_answer && check->state == COMPLETE ? PERIOD_S : AGAIN_S);
    if (on_answer)
        on_answer(check->arg, err);
}

/* ---- the questions ---- */

void schema_check_ask(struct schema_check *check, db_on_sync *on_answer, void *arg)
{
    struct slice params[NEEDS_PARAMS];
    check->is_asking = true;
    check->is_due = check->has_answer = false;
    check->problem[0] = '\0';
    check->on_answer = on_answer;
    check->arg = arg;
    needs_params(&check->needs, params);
    db_send(check->db, &needs_statement, params, ARRAY_LEN(params), on_needs, check);
    db_send(check->db, &migration_statement, NULL, 0, on_migration, check);
    db_sync(check->db, on_answered, check);
}

void schema_check_run(struct schema_check *check)
{
    if (check->is_due && !check->is_asking)
        schema_check_ask(check, NULL, NULL);
}

void schema_check_renew(struct schema_check *check)
{
    check->is_due = true;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct schema_check *check = CONTAINER_OF(timer, struct schema_check, timer);
    check->is_due = true; /* the worker looks before the loop sleeps */
}

/* ---- the outside ---- */

bool schema_check_is_complete(const struct schema_check *check)
{
    return check->state == COMPLETE;
}

bool schema_check_is_lacking(const struct schema_check *check)
{
    return check->state == LACKING;
}

static const char *right_of(enum resource_verb verb)
{
    return verb == RESOURCE_CREATE ? "INSERT" : verb == RESOURCE_DELETE ? "DELETE" : "UPDATE";
}

/* The resources whose sums follow from this one. */
static void add_followers(struct needs *needs, const struct msg_resource *resource)
{
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        if (sum_keeps(*at, resource))
            for (const struct msg_sum *sum = (*at)->sums; sum->column; sum++)
                needs_add(needs, (*at)->table, sum->column, "UPDATE");
}

static void add_commands(struct needs *needs, const struct handlers *handlers)
{
    const struct handler *handler;
    for (size_t i = 0; (handler = handlers_at(handlers, i)); i++) {
        needs_add(needs, handler->statement.resource->table, "company_id",
                  right_of(handler->statement.plan->verb));
        add_followers(needs, handler->statement.resource);
    }
}

/* The role of a pool may read its own resources, those that their commands read, and those that its exports are made
 * of. */
static bool is_read(const struct msg_resource *resource, const char *pool)
{
    const struct msg_resource *exports = msg_resource_by_name(SLICE("export"));
    bool reads = strcmp(resource->pool, pool) == 0 ||
                 (msg_resource_is_exported(resource) && strcmp(exports->pool, pool) == 0);
    for (const struct msg_resource *const *at = msg_resources; *at && !reads; at++)
        reads = strcmp((*at)->pool, pool) == 0 && msg_resource_reads(*at, resource);
    return reads;
}

static void add_resources(struct needs *needs, const char *pool)
{
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        if (is_read(*at, pool))
            needs_add_resources(needs, (const struct msg_resource *const[]){*at, NULL});
}

struct schema_check *schema_check_new(struct ev_loop *loop, struct db *db, const char *pool,
                                      const struct handlers *handlers, void (*on_changed)(void *ctx),
                                      void *ctx)
{
    struct schema_check *check = xcalloc(1, sizeof(*check));
    check->loop = loop;
    check->db = db;
    check->on_changed = on_changed;
    check->ctx = ctx;
    check->is_due = true;
    needs_init(&check->needs);
    add_resources(&check->needs, pool);
    add_commands(&check->needs, handlers);
    ev_timer_init(&check->timer, on_timer, 0., 0.);
    return check;
}

void schema_check_free(struct schema_check *check)
{
    if (!check)
        return;
    ev_timer_stop(check->loop, &check->timer);
    needs_done(&check->needs);
    free(check);
}
