#pragma once
/* What the tests of the workers share: a company of its own with two users, and an engine (database only)
 * that runs commands given as JSON, so that a test reads like the requests that led to it. */

#include "tests/unit/common/db/db_fixture.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "workers/engine/batch/batch.h"
#include "workers/engine/resource/handlers.h"

enum { SETTLED_MAX = 512, SCHEDULED_MAX = 3, SCHEDULED_BYTES = 2000 };

struct engine {
    struct ev_loop *loop;
    struct db *db;
    struct handlers *handlers;
    struct batch *batch;
    struct uuid company, user, stranger;  /* stranger: a user of another company */
    struct command *settled[SETTLED_MAX]; /* in the order in which they came back, kept until the next run */
    struct command *ran[SETTLED_MAX];     /* the same, in the order of run_requests */
    size_t settled_count;
    unsigned troubles; /* of the whole server */
    bool is_idle;
};

/* A command as a test writes it. A member that is zero is left out, or made up. */
struct request {
    const char *type;
    const char *json; /* body */
    struct uuid id;
    struct uuid subject, parent;
    int64_t if_match;
    struct uuid company;
    int64_t not_before; /* ms */
    const char *role;   /* NULL: company_admin */
};

static const struct uuid NO_UUID;

static inline bool is_set(const struct uuid *uuid)
{
    return !uuid_equal(uuid, &NO_UUID);
}

static inline const char *uuid_text(const struct uuid *uuid)
{
    static char texts[8][UUID_TEXT_LEN + 1];
    static unsigned next;
    char *text = texts[next++ % ARRAY_LEN(texts)];
    uuid_format(uuid, text);
    return text;
}

/* ---- rows ---- */

/* Statements live as long as their connection. */
static inline const struct db_statement *keep_statement(const char *sql)
{
    static struct kept_statement {
        struct db_statement statement;
        char name[24];
        struct kept_statement *older;
    } * newest;
    static int count;
    struct kept_statement *kept = xcalloc(1, sizeof(*kept));
    snprintf(kept->name, sizeof(kept->name), "owner.%d", count++);
    kept->statement = (struct db_statement){kept->name, xstrdup(sql)};
    kept->older = newest;
    newest = kept;
    return &kept->statement;
}

/* One connection for all that a person would do with psql, as the owner of the database. */
static inline struct db_result *run_as_owner(const char *sql)
{
    static struct journal journal;
    static struct db *db;
    if (!db) {
        struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
        journal_init(&journal, loop);
        assert_int_equal(db_new(loop, &(struct db_options){.url = test_url()}, &noting, &journal, &db),
                         ERR_OK);
        journal_await(&journal, 1);
    }
    struct kept kept = {.journal = &journal};
    journal_clear(&journal);
    db_send(db, keep_statement(sql), NULL, 0, keep_result, &kept);
    db_sync(db, NULL, NULL);
    journal_await(&journal, 1);
    if (db_result_error(kept.result))
        fail_msg("%s: %s", sql, db_result_message(kept.result));
    return kept.result;
}

/* Formats like printf, and runs it. */
static inline void run_sqlf(const char *format, ...) PRINTF_LIKE(1, 2);
static inline void run_sqlf(const char *format, ...)
{
    char sql[4096];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(sql, sizeof(sql), format, arguments);
    va_end(arguments);
    assert_in_range(len, 1, sizeof(sql) - 1);
    db_result_release(run_as_owner(sql));
}

/* The first column of the first row; empty when there is no row. */
static inline const char *ask_sqlf(const char *format, ...) PRINTF_LIKE(1, 2);
static inline const char *ask_sqlf(const char *format, ...)
{
    static char answer[4096];
    char sql[4096];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(sql, sizeof(sql), format, arguments);
    va_end(arguments);
    assert_in_range(len, 1, sizeof(sql) - 1);
    struct db_result *result = run_as_owner(sql);
    struct slice text = db_rows(result) > 0 ? db_text(result, 0, 0) : SLICE_NONE;
    snprintf(answer, sizeof(answer), "%s", text.data ? text.data : "");
    db_result_release(result);
    return answer;
}

static inline struct uuid add_company(void)
{
    struct uuid id = uuid_v7();
    run_sqlf("INSERT INTO company (id, name) VALUES ('%s', 'Test')", uuid_text(&id));
    return id;
}

static inline struct uuid add_user(const struct uuid *company)
{
    struct uuid id = uuid_v7();
    run_sqlf(
        "INSERT INTO app_user (company_id, id, email, name) VALUES ('%s', '%s', '%s@example.test', 'Test')",
        uuid_text(company), uuid_text(&id), uuid_text(&id));
    return id;
}

/* ---- commands ---- */

static inline enum msg_mode mode_of(const char *type)
{
    return strstr(type, ".create") ? MSG_CREATE : MSG_UPDATE;
}

/* Writes as msgpack a body that the gateway would accept. */
static inline void encode_body(const char *type, const char *json, struct buf *body)
{
    char why[160];
    json_t *value = NULL;
    struct arena arena;
    struct msg_problems problems = {.arena = &arena};
    const struct msg_resource *resource = msg_resource_by_name((struct slice){type, strcspn(type, ".")});
    arena_init(&arena, 4096, 0);
    assert_non_null(resource);
    assert_int_equal(json_parse(slice_of(json), 32, &value, why), ERR_OK);
    if (msg_from_json(resource->object, mode_of(type), value, body, &problems) != ERR_OK)
        fail_msg("%s %s: %.*s %.*s", type, json, (int)problems.first->pointer.len,
                 problems.first->pointer.data, (int)problems.first->detail.len, problems.first->detail.data);
    json_decref(value);
    arena_done(&arena);
}

static inline struct envelope make_envelope(const struct engine *e, const struct request *request,
                                            struct buf *body)
{
    if (request->json)
        encode_body(request->type, request->json, body);
    struct envelope envelope = {
        .id = is_set(&request->id) ? request->id : uuid_v7(),
        .type = slice_of(request->type),
        .company = is_set(&request->company) ? request->company : e->company,
        .actor = e->user,
        .role = slice_of(request->role ? request->role : "company_admin"),
        .has_subject = is_set(&request->subject),
        .subject = request->subject,
        .has_parent = is_set(&request->parent),
        .parent = request->parent,
        .if_match = request->if_match,
        .timestamp = clock_wall_ms() / 1000,
        .not_before = request->not_before,
        .body = buf_slice(body),
    };
    const struct slice parts[] = {
        envelope.type, {(const char *)&envelope.subject, sizeof(envelope.subject)}, envelope.body};
    envelope.fingerprint = msg_fingerprint(parts, ARRAY_LEN(parts));
    return envelope;
}

/* Makes the command as the broker would deliver it. */
static inline struct broker_delivery delivery_of(const struct broker_message *message)
{
    return (struct broker_delivery){
        .routing_key = message->routing_key,
        .content_type = message->content_type,
        .message_id = message->message_id,
        .correlation_id = message->correlation_id,
        .reply_to = message->reply_to,
        .type = message->type,
        .timestamp = message->timestamp,
        .headers = message->headers,
        .header_count = message->header_count,
        .body = message->body,
    };
}

static inline struct command *make_command(const struct engine *e, const struct request *request)
{
    struct buf body;
    struct envelope_scratch scratch;
    struct broker_message message;
    buf_init(&body, 1 << 20);
    struct envelope envelope = make_envelope(e, request, &body);
    assert_int_equal(envelope_write_command(&envelope, "projects", 8, &scratch, &message), ERR_OK);
    struct broker_delivery delivery = delivery_of(&message);
    struct command *command = command_new(&delivery);
    buf_done(&body);
    return command;
}

/* ---- the engine ---- */

static inline void on_engine_settled(void *ctx, struct command *command)
{
    struct engine *e = ctx;
    assert_true(e->settled_count < SETTLED_MAX);
    e->settled[e->settled_count++] = command;
}

static inline void on_engine_trouble(void *ctx)
{
    ((struct engine *)ctx)->troubles++;
}

static inline void on_engine_idle(void *ctx)
{
    struct engine *e = ctx;
    e->is_idle = true;
    ev_break(e->loop, EVBREAK_ALL);
}

static inline void on_engine_up(void *ctx, struct db *db)
{
    struct engine *e = ctx;
    (void)db;
    if (e->batch)
        batch_resume(e->batch);
    ev_break(e->loop, EVBREAK_ALL);
}

static inline void on_engine_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
    fail_msg("the engine did not come to an end in 30 s");
}

/* Of the database. Workers of the version before take cortex_worker. */
static const char *engine_role = "cortex_projects";

static inline void engine_connect(struct engine *e, const char *url, int attempts)
{
    static const struct db_callbacks db_callbacks = {.on_up = on_engine_up};
    static const struct batch_callbacks callbacks = {
        .on_settled = on_engine_settled, .on_trouble = on_engine_trouble, .on_idle = on_engine_idle};
    const struct batch_options batch_options = {
        .pool = "projects",
        .retries = {.attempts = attempts, .first_ms = 1000, .max_ms = 60000},
        .scheduled_max = SCHEDULED_MAX,
        .scheduled_bytes = SCHEDULED_BYTES};
    const struct db_options options = {.url = url, .role = engine_role, .statement_timeout_ms = 10000};
    assert_int_equal(db_new(e->loop, &options, &db_callbacks, e, &e->db), ERR_OK);
    while (!db_is_up(e->db))
        ev_run(e->loop, EVRUN_ONCE);
    e->batch = batch_new(e->db, e->handlers, &batch_options, &callbacks, e);
}

static inline struct engine *engine_new(void)
{
    struct engine *e = xcalloc(1, sizeof(*e));
    e->loop = ev_loop_new(EVFLAG_AUTO);
    e->handlers = handlers_new("projects");
    engine_connect(e, test_url(), 2);
    e->company = add_company();
    e->user = add_user(&e->company);
    struct uuid other = add_company();
    e->stranger = add_user(&other);
    return e;
}

static inline void forget_settled(struct engine *e)
{
    for (size_t i = 0; i < e->settled_count; i++)
        command_free(e->settled[i]);
    e->settled_count = 0;
}

static inline void engine_disconnect(struct engine *e)
{
    db_free(TAKE(e->db));
    batch_free(TAKE(e->batch));
}

static inline void engine_free(struct engine *e)
{
    forget_settled(e);
    engine_disconnect(e);
    handlers_free(e->handlers);
    ev_loop_destroy(e->loop);
    free(e);
}

static inline int engine_setup(void **state)
{
    *state = engine_new();
    return 0;
}

static inline int engine_teardown(void **state)
{
    engine_free(*state);
    return 0;
}

/* Runs them as one batch; the results are in `settled`. */
static inline void run_commands(struct engine *e, struct command **commands, size_t count)
{
    ev_timer limit;
    forget_settled(e);
    for (size_t i = 0; i < count; i++)
        commands[i]->next = i + 1 < count ? commands[i + 1] : NULL;
    e->is_idle = false;
    batch_start(e->batch, commands[0]);
    ev_now_update(e->loop);
    ev_timer_init(&limit, on_engine_limit, 30, 0);
    ev_timer_start(e->loop, &limit);
    while (!e->is_idle)
        ev_run(e->loop, EVRUN_ONCE);
    ev_timer_stop(e->loop, &limit);
    assert_int_equal(e->settled_count, count);
}

static inline struct command *run_request(struct engine *e, const struct request *request)
{
    struct command *command = make_command(e, request);
    run_commands(e, &command, 1);
    return e->settled[0];
}

#define DO(e, ...) run_request((e), &(struct request){__VA_ARGS__})

/* Takes a command from the engine; the test owns it then. */
static inline struct command *take_settled(struct engine *e, size_t at)
{
    struct command *command = e->settled[at];
    e->settled_count--;
    memmove(&e->settled[at], &e->settled[at + 1], (e->settled_count - at) * sizeof(struct command *));
    return command;
}

static inline void run_requests(struct engine *e, const struct request *requests, size_t count)
{
    struct command *commands[SETTLED_MAX];
    for (size_t i = 0; i < count; i++)
        commands[i] = make_command(e, &requests[i]);
    run_commands(e, commands, count);
    memcpy(e->ran, commands, count * sizeof(*commands));
}

/* ---- results ---- */

static inline void assert_status(const struct command *command, enum err status)
{
    if (command->status != status)
        fail_msg("%s instead of %s: %.*s", err_info(command->status)->name, err_info(status)->name,
                 (int)command->refusal.len, command->refusal.data);
    assert_int_equal(command->outcome, err_info(status)->fate == FATE_DEAD ? COMMAND_DEAD : COMMAND_DONE);
    assert_int_equal(command->effects != NULL, status == ERR_OK);
}

static inline void assert_refusal(const struct command *command, enum err status, const char *pointer)
{
    assert_status(command, status);
    assert_int_equal(command->http_status, err_info(status)->http_status);
    char quoted[64];
    snprintf(quoted, sizeof(quoted), "\"pointer\":\"%s\"", pointer ? pointer : "");
    bool has_pointer = memmem(command->refusal.data, command->refusal.len, quoted, strlen(quoted)) != NULL;
    if (pointer && !has_pointer)
        fail_msg("no %s in %.*s", pointer, (int)command->refusal.len, command->refusal.data);
}

static inline size_t count_effects(const struct command *command)
{
    size_t count = 0;
    for (const struct effect *effect = command->effects; effect; effect = effect->next)
        count++;
    return count;
}

/* A member of an effect's entity as text: strings bare, the rest as JSON. */
static inline const char *member(const struct effect *effect, const char *name)
{
    static char texts[8][512];
    static unsigned next;
    char *text = texts[next++ % ARRAY_LEN(texts)];
    json_t *entity = json_loadb(effect->data.data, effect->data.len, 0, NULL);
    assert_non_null(entity);
    json_t *value = json_object_get(entity, name);
    if (!value)
        fail_msg("no %s in %.*s", name, (int)effect->data.len, effect->data.data);
    if (json_is_string(value)) {
        snprintf(text, sizeof(texts[0]), "%s", json_string_value(value));
    } else {
        char *dumped = json_dumps(value, JSON_ENCODE_ANY);
        snprintf(text, sizeof(texts[0]), "%s", dumped);
        free(dumped);
    }
    json_decref(entity);
    return text;
}

/* An entity made for a test. */
static inline struct uuid make_project(struct engine *e, const char *json)
{
    struct command *command = DO(e, .type = "project.create", .json = json);
    assert_status(command, ERR_OK);
    return command->envelope.id;
}

static inline struct uuid make_task(struct engine *e, struct uuid project, const char *json)
{
    struct command *command = DO(e, .type = "task.create", .json = json, .parent = project);
    assert_status(command, ERR_OK);
    return command->envelope.id;
}

/* The events of the company are numbered from 1 without a gap, and the sequence ends where they do. */
static inline void assert_no_gaps(const struct uuid *company)
{
    const char *id = uuid_text(company);
    assert_string_equal(
        ask_sqlf("SELECT count(*) = coalesce(max(seq), 0)"
                 " AND coalesce(max(seq), 0) = (SELECT seq FROM company_sequence WHERE company_id = '%s')"
                 " FROM events WHERE company_id = '%s'",
                 id, id),
        "t");
}
