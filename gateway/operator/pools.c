/* The pools page of operators. One of a pool's managers reports the pool's state, for all its managers
 * (workers/fleet/manager/show.h). How many of its commands are deferred or dead is counted in PostgreSQL:
 *
 *   count ─▶ ask a manager ─▶ the view with the counts in it ─┬─ one pool ─▶ answer
 *                ▲                                            └─ a list ──┐
 *                └──────────────────── the next pool ◀────────────────────┘
 *
 * Operators look when something is wrong. So when the database or a manager does not answer, the list is
 * answered without its part. */

#include "gateway/operator/pools.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/broker/topology.h"
#include "common/msg/format.h"
#include "common/msg/problem.h"
#include "gateway/bus/control.h"
#include "gateway/http/etag.h"
#include "gateway/http/schema_input.h"
#include "gateway/operator/pool_request.h"
#include "gateway/resources/query.h"

enum { KEY_SIZE = 96, POOLS_MAX = 32 };

/* In the call's arena. */
struct survey {
    struct slice names[POOLS_MAX];
    struct slice counts[POOLS_MAX]; /* an object; SLICE_NONE: not known */
    size_t count, at;
    bool is_list;
    struct slice request; /* to the manager */
    bool is_act;          /* it changes the pool, and is recorded under this id */
    struct uuid act;
    struct slice shown; /* the list's entries so far */
};

/* clang-format off */
/* The count stops at a million, so that a look at a full pool stays cheap. */
#define COUNT(table, where) \
    "(SELECT count(*) FROM (SELECT FROM " table " WHERE pool = p.name" where " LIMIT 1000000) AS some_rows)"

static const struct db_statement count_waiting = {
    "read.pool_counts",
    "SELECT json_build_object("
    "  'deferred', json_build_object("
    "    'parked', " COUNT("deferred", " AND reason = 'turn'") ","
    "    'retry', " COUNT("deferred", " AND reason = 'retry'") ","
    "    'scheduled', " COUNT("deferred", " AND reason = 'schedule'") "),"
    "  'dead_letters', " COUNT("dead_letter", "") ","
    "  'feed', feed_view(p.name))::text"
    " FROM unnest(string_to_array($1, ' ')) WITH ORDINALITY AS p (name, place)"
    " ORDER BY p.place"};
/* clang-format on */

/* ---- texts ---- */

static struct slice join(struct arena *arena, struct slice a, const char *between, struct slice b,
                         const char *end)
{
    size_t size = a.len + strlen(between) + b.len + strlen(end) + 1;
    char *text = arena_alloc(arena, size);
    if (!text)
        return SLICE_NONE;
    int len = snprintf(text, size, "%.*s%s%.*s%s", (int)a.len, a.data, between, (int)b.len, b.data, end);
    return (struct slice){text, (size_t)len};
}

static struct slice inside(struct slice object)
{
    return (struct slice){object.data + 1, object.len - 2};
}

/* Joins two objects into one. */
static struct slice merge(struct arena *arena, struct slice view, struct slice counts)
{
    static const struct slice unknown = SLICE("{\"deferred\":null,\"dead_letters\":null,\"feed\":null}");
    struct slice known = counts.data ? counts : unknown;
    return join(arena, (struct slice){view.data, view.len - 1}, ",", inside(known), "}");
}

/* The view of a pool that has no managers, or whose managers do not answer. */
static struct slice unknown_view(struct arena *arena, struct slice name)
{
    return join(arena, SLICE("{\"name\":\""), "", name,
                "\",\"wanted\":null,\"why\":null,\"resized_at\":null,\"changed_at\":null,\"autoscale\":null,"
                "\"waiting\":null,"
                "\"problems\":[\"No manager of this pool answers: the pool does not run, or the broker "
                "cannot be reached "
                "from it.\"],\"managers\":[]}");
}

/* ---- requests to the managers ---- */

static void ask_next(struct call *call, struct survey *survey);

static void respond(struct call *call, struct slice body)
{
    if (body.data)
        call_respond(call, 200, "application/json", body);
    else
        call_fail(call, ERR_BODY_TOO_LARGE, "The view of the pools is too large to be shown.");
}

static bool is_view(const struct control_answer *answer)
{
    return (!answer->err || answer->err == ERR_VERSION_CONFLICT) && answer->body.len > 2 &&
           answer->body.data[0] == '{';
}

static void add_to_list(struct call *call, struct survey *survey, const struct control_answer *answer)
{
    struct slice view =
        is_view(answer) ? answer->body : unknown_view(&call->arena, survey->names[survey->at]);
    if (view.data)
        view = merge(&call->arena, view, survey->counts[survey->at]);
    if (view.data)
        survey->shown = join(&call->arena, survey->shown, survey->at > 0 ? "," : "", view, "");
    survey->at++;
    if (view.data && survey->shown.data)
        ask_next(call, survey);
    else
        respond(call, SLICE_NONE);
}

static void record(struct call *call, const struct survey *survey, struct slice outcome)
{
    CLEANUP(json_cleanup) json_t *size = json_loadb(survey->request.data, survey->request.len, 0, NULL);
    json_object_del(size, "at");
    json_object_del(size, "if");
    CLEANUP(json_cleanup)
    json_t *request =
        json_pack("{s:s%, s:O}", "subject", survey->names[0].data, survey->names[0].len, "body", size);
    control_record_act(call, &survey->act, SLICE("pool.resize"), request, outcome);
}

static bool is_pool(struct slice name)
{
    const char *pool;
    for (size_t i = 0; (pool = topology_pool_at(i)); i++)
        if (slice_is(name, pool))
            return true;
    return false;
}

/* "1796053703685.9f86d081884c7d65": when the pool's size was last changed, which If-Match means, and a hash of what is
 * shown, which changes all the time. */
static void set_etag(struct call *call, struct slice view, struct slice shown)
{
    char hash[ETAG_SIZE], text[2 * ETAG_SIZE];
    CLEANUP(json_cleanup) json_t *json = json_loadb(view.data, view.len, 0, NULL);
    const char *changed_at = json_string_value(json_object_get(json, "changed_at"));
    int64_t version = 0;
    if (!changed_at || !msg_format_read_time(slice_of(changed_at), &version))
        version = 0;
    int len =
        snprintf(text, sizeof(text), "\"%lld.%s", (long long)version, etag_of_content(shown, hash).data + 1);
    call_set_etag(call, (struct slice){text, (size_t)len});
}

static void show(struct call *call, struct survey *survey, const struct control_answer *answer)
{
    struct slice shown = merge(&call->arena, answer->body, survey->counts[0]);
    if (shown.data)
        set_etag(call, answer->body, shown);
    if (answer->err)
        call_fail(call, answer->err, NULL);
    else
        respond(call, shown);
}

static void on_view(struct call *call, const struct control_answer *answer, void *context)
{
    struct survey *survey = context;
    if (survey->is_act)
        record(call, survey, slice_of(err_info(answer->err)->slug));
    if (survey->is_list)
        add_to_list(call, survey, answer);
    else if (is_view(answer))
        show(call, survey, answer);
    else if (answer->err == ERR_UNROUTABLE && !is_pool(survey->names[0]))
        call_fail(call, ERR_NOT_FOUND, "There is no such pool.");
    else
        control_answer_call(call, answer, NULL);
}

static void ask_next(struct call *call, struct survey *survey)
{
    char key[KEY_SIZE];
    if (survey->at == survey->count) {
        respond(call, join(&call->arena, SLICE("{\"data\":["), "", survey->shown, "]}"));
        return;
    }
    snprintf(key, sizeof(key), "manager.%.*s", (int)survey->names[survey->at].len,
             survey->names[survey->at].data);
    control_request(call, key, SLICE_NONE, survey->request, on_view, survey);
}

static void on_counts(struct call *call, struct db_result *result, void *context)
{
    struct survey *survey = context;
    for (size_t i = 0; result && i < survey->count && i < (size_t)db_rows(result); i++)
        survey->counts[i] = arena_copy(&call->arena, db_text(result, (int)i, 0));
    ask_next(call, survey);
}

/* The names are joined by spaces. They are words (router_is_word), so none has a space in it. */
static void start(struct call *call, struct survey *survey)
{
    struct slice names = survey->names[0];
    for (size_t i = 1; names.data && i < survey->count; i++)
        names = join(&call->arena, names, " ", survey->names[i], "");
    if (names.data)
        query_try_as_operator(call, &count_waiting, &names, 1, on_counts, survey);
    else
        respond(call, SLICE_NONE);
}

static void start_one(struct call *call, struct slice request, bool is_act)
{
    struct survey *survey = arena_calloc(&call->arena, 1, sizeof(*survey));
    if (!survey) {
        respond(call, SLICE_NONE);
        return;
    }
    *survey = (struct survey){
        .names = {call->params[0]}, .count = 1, .request = request, .is_act = is_act, .act = uuid_v7()};
    if (is_act)
        record(call, survey, SLICE("begun"));
    start(call, survey);
}

/* ---- the routes ---- */

void pools_show(struct call *call)
{
    struct survey *survey = arena_calloc(&call->arena, 1, sizeof(*survey));
    if (!survey) {
        respond(call, SLICE_NONE);
        return;
    }
    *survey = (struct survey){.is_list = true, .request = SLICE("{}"), .shown = SLICE("")};
    for (const char *name; survey->count < POOLS_MAX && (name = topology_pool_at(survey->count));)
        survey->names[survey->count++] = slice_of(name);
    start(call, survey);
}

void pool_show(struct call *call)
{
    start_one(call, SLICE("{}"), false);
}

static void refuse_empty(struct call *call)
{
    struct msg_problems problems = {.arena = &call->arena};
    msg_problem_add(&problems, &(struct msg_place){.name = "wanted"}, "must be given, or min and max");
    call_fail_fields(call, ERR_VALIDATION, NULL, &problems);
}

/* A worker beyond the partitions would have nothing to do. */
static bool fits_partitions(struct call *call, const json_t *size)
{
    static const char *const members[] = {"wanted", "min", "max"};
    struct msg_problems problems = {.arena = &call->arena};
    int64_t partitions = call->gateway->config->partitions;
    char detail[160];
    snprintf(detail, sizeof(detail),
             "must not be more than %lld: the pool has so many partitions (CORTEX_PARTITIONS), and each is "
             "worked on by one worker",
             (long long)partitions);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_integer_value(json_object_get(size, members[i])) > partitions)
            msg_problem_add(&problems, &(struct msg_place){.name = members[i]}, detail);
    if (problems.first)
        call_fail_fields(call, ERR_VALIDATION, NULL, &problems);
    return !problems.first;
}

void pool_resize(struct call *call)
{
    CLEANUP(json_cleanup) json_t *size = NULL, *conditions = NULL;
    if (!schema_input_read(call, "pool_size", &size))
        return;
    if (json_object_size(size) == 0) {
        refuse_empty(call);
        return;
    }
    if (!fits_partitions(call, size) || !pool_request_read_conditions(call, &conditions))
        return;
    json_object_set_new(size, "at", json_integer(clock_wall_ms()));
    if (conditions)
        json_object_set(size, "if", conditions);
    CLEANUP_FREE char *body = json_dumps(size, JSON_COMPACT);
    struct slice request = arena_copy(&call->arena, slice_of(body));
    if (request.data)
        start_one(call, request, true);
    else
        respond(call, SLICE_NONE);
}
