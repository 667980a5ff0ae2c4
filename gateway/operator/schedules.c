/* Schedules, for operators: the list, one with the body of its command, and the actions on them. A request
 * that can be refused without the database is refused here: by its cron expression, its time zone, or its
 * command, which must fit the schema of its resource. The SQL of the actions is in
 * workers/engine/housekeeping/operator_schedules.c. */

#include "gateway/operator/schedules.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/broker/topology.h"
#include "common/msg/problem.h"
#include "common/time/cron.h"
#include "gateway/http/etag.h"
#include "gateway/http/schema_input.h"
#include "gateway/operator/pool_request.h"
#include "gateway/resources/command_body.h"
#include "gateway/resources/demands.h"
#include "gateway/resources/page.h"
#include "gateway/resources/query.h"

enum { POINTER_SIZE = 256, SCHEDULE_MAX = 64 << 20 };

/* clang-format off */
/* How the last run ended. A command's outcome stands in the inbox. A command that is neither there nor in
 * `deferred` is with a worker, or was deleted with the old rows of the inbox. */
#define OUTCOME                                                  \
    "CASE"                                                       \
    " WHEN s.run_at IS NOT NULL AND s.last_error IS NULL THEN 'running'" \
    " WHEN s.run_at IS NOT NULL THEN 'failing'"                  \
    " WHEN s.last_at IS NULL THEN NULL"                          \
    " WHEN s.company_id IS NULL THEN 'succeeded'"                \
    " WHEN i.status = 'ok' THEN 'succeeded'"                     \
    " WHEN i.status IS NOT NULL THEN 'failed'"                   \
    " WHEN d.command_id IS NOT NULL THEN 'waiting'"              \
    " ELSE 'unknown' END"

/* The members of a schedule, but for the end of the object. */
#define SCHEDULE                                                 \
    "json_build_object("                                         \
    "'name', s.name, 'company', s.company_id, 'type', s.type,"   \
    " 'cron', s.cron, 'timezone', s.timezone,"                   \
    " 'enabled', s.enabled, 'next_at', time_text(s.next_at)," \
    " 'asked_at', time_text(s.asked_at)," \
    " 'runs', s.runs,"                                           \
    " 'last', CASE WHEN s.last_at IS NOT NULL THEN json_build_object(" \
    "'at', time_text(s.last_at), 'begun_at', time_text(s.last_begun_at)," \
    " 'ended_at', time_text(coalesce(s.last_ended_at, i.at)),"              \
    " 'by', s.last_by, 'command', s.last_command,"               \
    " 'outcome', " OUTCOME ","                                   \
    " 'error', coalesce(s.last_error, nullif(i.status, 'ok'))) END," \
    " 'error', s.last_error"

#define FROM_SCHEDULE(some)                                      \
    " FROM " some " AS s"                                        \
    " LEFT JOIN inbox AS i ON i.company_id = s.company_id AND i.command_id = s.last_command" \
    " LEFT JOIN deferred AS d ON d.company_id = s.company_id AND d.command_id = s.last_command"

/* ---- the list ---- */

#define WALK                                                     \
    " FROM schedule AS s WHERE true"                             \
    PAGE_AFTER("s.created_at", "s.id", "$2", "$3")               \
    " ORDER BY s.created_at, s.id"

static const struct page_list list = {
    .statement = {"read.schedules",
                  "(SELECT " SCHEDULE ")::text, (extract(epoch FROM s.created_at) * 1000000)::bigint, s.id"
                  FROM_SCHEDULE("(SELECT s.* FROM (SELECT s.*" WALK " LIMIT " PAGE_LOOK_AT ") AS s"
                                " WHERE ($1::uuid IS NULL OR s.company_id = $1) LIMIT $4::integer)")
                  " ORDER BY s.created_at, s.id)"
                  " UNION ALL (SELECT NULL, (extract(epoch FROM s.created_at) * 1000000)::bigint, s.id" WALK
                  " OFFSET " PAGE_LOOK_AT " - 1 LIMIT 1)"
                  " LIMIT $4::integer"},
    .request = "schedule_selection",
    .filters = {"company"},
};
/* clang-format on */

void read_schedules(struct call *call)
{
    page_start_as_operator(call, &list);
}

/* ---- one ---- */

/* clang-format off */
static const struct db_statement one = {
    "read.schedule",
    "SELECT " SCHEDULE ","
    " 'actor', s.actor, 'subject', s.subject, 'parent', s.parent, 'changed_by', s.changed_by,"
    " 'asked_by', CASE WHEN s.asked_by_at = coalesce(s.asked_at, s.last_asked_at) THEN s.asked_by END,"
    " 'created_at', time_text(s.created_at), 'updated_at', time_text(s.updated_at))::text,"
    " s.type,"
    " encode(s.body, 'hex'),"
    " s.version"
    FROM_SCHEDULE("schedule")
    " WHERE s.name = $1"};
/* clang-format on */

enum { ONE_JSON, ONE_TYPE, ONE_HEX, ONE_VERSION };

/* "3.9f86d081884c7d65": the version, which a PUT changes and If-Match means, and a hash of what is shown, which each
 * run changes, too. */
static void set_etag(struct call *call, int64_t version, struct slice shown)
{
    char hash[ETAG_SIZE], text[2 * ETAG_SIZE];
    struct slice tag = etag_of_content(shown, hash);
    int len = snprintf(text, sizeof(text), "\"%lld.%s", (long long)version, tag.data + 1);
    call_set_etag(call, (struct slice){text, (size_t)len});
}

static void on_schedule(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, SCHEDULE_MAX);
    if (db_rows(result) == 0) {
        call_fail(call, ERR_NOT_FOUND, NULL);
        return;
    }
    struct slice schedule = db_text(result, 0, ONE_JSON);
    buf_append(&body, schedule.data, schedule.len - 1);
    buf_append_text(&body, ",\"body\":");
    if (!command_body_append(call, db_text(result, 0, ONE_TYPE), db_text(result, 0, ONE_HEX), &body))
        buf_append_text(&body, "null");
    buf_append_char(&body, '}');
    set_etag(call, db_int(result, 0, ONE_VERSION), buf_slice(&body));
    call_respond(call, 200, "application/json", buf_slice(&body));
}

void read_schedule(struct call *call)
{
    query_start_as_operator(call, &one, call->params, 1, on_schedule, NULL);
}

/* ---- PUT: the request, and what is added to it for the worker ---- */

struct put {
    struct call *call;
    json_t *json; /* of schedule.json; members for the worker are added to it */
    json_t *body; /* of the command; NULL: none */
    struct msg_problems problems;
    const struct msg_resource *resource;
    struct buf msgpack;
};

/* The verbs of the commands that a schedule may send: the second half of their type. */
static const struct verb {
    enum msg_verb verb;
    bool has_body, needs_subject;
    enum msg_mode mode;
} verbs[] = {
    {.verb = MSG_VERB_CREATE, .has_body = true, .mode = MSG_CREATE},
    {.verb = MSG_VERB_UPDATE, .has_body = true, .needs_subject = true, .mode = MSG_UPDATE},
    {.verb = MSG_VERB_DELETE, .needs_subject = true},
};

static struct slice text_of(const struct put *p, const char *member)
{
    return slice_of(json_string_value(json_object_get(p->json, member)));
}

static void complain(struct put *p, const char *member, const char *detail)
{
    msg_problem_add(&p->problems, &(struct msg_place){.name = member}, detail);
}

/* ---- PUT: when ---- */

static void put_default(struct put *p, const char *member, json_t *value)
{
    if (json_object_get(p->json, member))
        json_decref(value);
    else
        json_object_set_new(p->json, member, value);
}

/* Sets the first time after now, or none when the schedule is not enabled. */
static void set_next(struct put *p, const struct cron *cron, const struct time_zone *zone)
{
    char text[CLOCK_TEXT_SIZE];
    int64_t next = cron_next(cron, zone, clock_wall_ms() / 1000);
    if (next == INT64_MAX || !json_is_true(json_object_get(p->json, "enabled")))
        return;
    clock_format(next * 1000000, text);
    json_object_set_new(p->json, "next_at", json_string(text));
}

static void check_time(struct put *p)
{
    struct cron cron;
    struct time_zone *zone = NULL;
    char why[CRON_WHY_SIZE] = "";
    put_default(p, "timezone", json_string("UTC"));
    put_default(p, "enabled", json_true());
    enum err cron_err = cron_parse(text_of(p, "cron"), &cron, why);
    enum err zone_err = time_zone_open(text_of(p, "timezone"), &zone);
    if (cron_err)
        complain(p, "cron", why);
    if (zone_err)
        complain(p, "timezone", "is not a time zone of the IANA database");
    if (!cron_err && !zone_err)
        set_next(p, &cron, zone);
    time_zone_free(zone);
}

/* ---- PUT: what ---- */

static const struct verb *find_verb(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (slice_is(name, msg_verb_name(verbs[i].verb)))
            return &verbs[i];
    return NULL;
}

/* Finds the resource and the verb of a type such as "project.create". */
static const struct verb *find_command(struct put *p)
{
    struct slice type = text_of(p, "type");
    const char *dot = memchr(type.data, '.', type.len);
    size_t len = dot ? (size_t)(dot - type.data) : type.len;
    p->resource = msg_resource_by_name((struct slice){type.data, len});
    const struct verb *verb = dot ? find_verb((struct slice){dot + 1, type.len - len - 1}) : NULL;
    if (verb && p->resource && msg_resource_has(p->resource, verb->verb))
        return verb;
    complain(p, "type", "is not a command that a schedule can send");
    return NULL;
}

static void demand(struct put *p, const char *member, bool is_needed)
{
    bool is_there = json_object_get(p->json, member) != NULL;
    if (is_there != is_needed)
        complain(p, member, is_needed ? "is needed by this command" : "has no meaning for this command");
}

/* The schema of the command knows only the command's body, so each pointer gets its place in the request. */
static void point_into_body(struct call *call, struct msg_problem *first)
{
    for (struct msg_problem *problem = first; problem; problem = problem->next) {
        char pointer[POINTER_SIZE];
        snprintf(pointer, sizeof(pointer), "/body%.*s", (int)problem->pointer.len, problem->pointer.data);
        problem->pointer = arena_copy(&call->arena, slice_of(pointer));
    }
}

static void encode_body(struct put *p, const struct verb *verb)
{
    struct msg_problems problems = {.arena = &p->call->arena};
    CLEANUP(json_cleanup) json_t *nothing = json_object();
    if (!verb->has_body) {
        if (p->body)
            complain(p, "body", "has no meaning for this command");
        return;
    }
    enum err err =
        msg_from_json(p->resource->object, verb->mode, p->body ? p->body : nothing, &p->msgpack, &problems);
    demands_check(p->call->gateway->outbound, p->resource->object, p->body, &problems);
    if (!err && problems.count == 0)
        return;
    if (!p->body) {
        complain(p, "body", "is needed by this command");
        return;
    }
    point_into_body(p->call, problems.first);
    if (p->problems.last)
        p->problems.last->next = problems.first;
    else
        p->problems.first = problems.first;
    p->problems.last = problems.last;
    p->problems.count += problems.count;
}

static struct slice uuid_octets(struct put *p, const char *member, struct uuid *uuid)
{
    return uuid_parse(text_of(p, member), uuid)
               ? (struct slice){(const char *)uuid->octet, sizeof(uuid->octet)}
               : SLICE("");
}

/* Adds what a worker needs besides to send the command. */
static void complete_command(struct put *p)
{
    struct uuid company, subject, parent;
    char text[UUID_TEXT_LEN + 1];
    struct slice octets = buf_slice(&p->msgpack);
    const struct slice parts[] = {text_of(p, "type"), uuid_octets(p, "subject", &subject),
                                  uuid_octets(p, "parent", &parent), octets};
    CLEANUP(buf_done) struct buf hex;
    buf_init(&hex, 2 * octets.len + 1);
    for (size_t i = 0; i < octets.len; i++)
        buf_printf(&hex, "%02x", (unsigned char)octets.data[i]);
    if (!uuid_parse(text_of(p, "company"), &company))
        return;
    uuid_format(&p->call->identity.user, text);
    put_default(p, "actor", json_string(text));
    json_object_set_new(p->json, "role", json_string(p->call->identity.role));
    json_object_set_new(p->json, "pool", json_string(p->resource->pool));
    json_object_set_new(p->json, "slot", json_integer(topology_slot(&company)));
    json_object_set_new(p->json, "fingerprint",
                        json_integer((int64_t)msg_fingerprint(parts, ARRAY_LEN(parts))));
    json_object_set_new(p->json, "body",
                        json_stringn(buf_len(&hex) > 0 ? buf_slice(&hex).data : "", buf_len(&hex)));
}

static void check_command(struct put *p)
{
    const struct verb *verb = find_command(p);
    if (!verb)
        return;
    demand(p, "subject", verb->needs_subject);
    demand(p, "parent", p->resource->parent != NULL);
    encode_body(p, verb);
    if (p->problems.count == 0)
        complete_command(p);
}

/* Work of the system has no command: its type says everything. */
static void check_work(struct put *p)
{
    static const char *const members[] = {"actor", "subject", "parent"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_object_get(p->json, members[i]))
            complain(p, members[i], "has no meaning for work of the system");
    if (p->body)
        complain(p, "body", "has no meaning for work of the system");
}

/* ---- actions ---- */

static void on_put(struct call *call, const struct control_answer *answer, void *context)
{
    char text[ETAG_SIZE];
    CLEANUP(json_cleanup)
    json_t *kept = answer->err ? NULL : json_loadb(answer->body.data, answer->body.len, 0, NULL);
    const json_t *version = json_object_get(kept, "version");
    if (version)
        call_set_etag(call, etag_format(json_integer_value(version), text));
    control_answer_call(call, answer, context);
}

void schedule_put(struct call *call)
{
    struct put p = {.call = call, .problems = {.arena = &call->arena}};
    if (!schema_input_read_apart(call, "schedule", "body", &p.json, &p.body))
        return;
    buf_init(&p.msgpack, (size_t)call->gateway->config->max_body_bytes * 2);
    check_time(&p);
    if (json_object_get(p.json, "company"))
        check_command(&p);
    else
        check_work(&p);
    if (p.problems.count > 0)
        call_fail_fields(call, ERR_VALIDATION, NULL, &p.problems);
    else
        pool_request_send_to(call, p.json, "schedule.put", on_put);
    buf_done(&p.msgpack);
    json_decref(p.json);
    json_decref(p.body);
}

void schedule_delete(struct call *call)
{
    pool_request_submit(call, NULL, "schedule.delete");
}

void schedule_run(struct call *call)
{
    char now[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_us(), now);
    CLEANUP(json_cleanup) json_t *body = json_pack("{s:s}", "at", now);
    pool_request_send(call, body, "schedule.run");
}
