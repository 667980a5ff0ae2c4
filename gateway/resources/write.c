/* POST, PATCH and DELETE become commands. A request that can be refused without the database is refused
 * here. */

#include "gateway/resources/write.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/hooks/mapping.h"
#include "common/msg/problem.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/inbox.h"
#include "gateway/http/authorize.h"
#include "gateway/http/preconditions.h"
#include "gateway/resources/demands.h"
#include "gateway/resources/entity.h"
#include "gateway/resources/operation.h"
#include "gateway/resources/plan.h"
#include "gateway/resources/query.h"
#include "gateway/resources/sealing.h"

/* How the methods differ. */
struct verb {
    const char *name;  /* of the command type: "project.create" */
    bool names_entity; /* the path ends with the id of the entity that is changed */
    bool has_body;
    bool is_of_operation; /* the path names an operation, whose tag is that of read_operation */
    bool is_of_secret;    /* its body is a new secret, which is made here */
    const char *body;     /* the command's body when the client sends none; NULL: none */
    enum msg_mode mode;
    enum msg_right right;
};

struct write {
    struct call *call;
    const struct verb *verb;
    struct envelope envelope;
    struct prefer prefer;
    struct conditions conditions;
    char type[ENVELOPE_KEY_MAX];
    struct buf body;      /* msgpack */
    struct slice encoded; /* the same, or the copy of it that outlives the handler */
    uint64_t open_print;  /* of a body with secrets: the fingerprint without them */
    bool has_secrets;     /* the body is encoded when the pool's key is known */
    struct slice text;    /* of that body; a copy, which outlives the handler */
};

/* Each check answers the call and returns false when it is not satisfied. */

/* Whether the role may do it at all. The worker asks for the condition. */
static bool check_right(struct write *w)
{
    return authorize_right(w->call, w->call->resource, w->verb->right);
}

static bool check_content_type(struct write *w)
{
    struct slice type = call_header(w->call, "content-type");
    if (!w->verb->has_body || media_type_is(type, "application/json") ||
        (w->verb->mode == MSG_UPDATE && media_type_is(type, "application/merge-patch+json")))
        return true;
    call_fail(w->call, ERR_UNSUPPORTED_MEDIA, NULL);
    return false;
}

/* One of the headers that a write may have once; SLICE_NONE: absent. */
static bool read_header(struct write *w, const char *name, struct slice *ret_value)
{
    if (call_header_once(w->call, name, ret_value))
        return true;
    call_fail(w->call, ERR_BAD_REQUEST, "Idempotency-Key and Cortex-Run-At may be sent only once each.");
    return false;
}

/* A create is sent to the collection, which exists and has no version. If-None-Match speaks of the entity, which does not
 * exist yet. */
static bool read_conditions_of_create(struct call *call)
{
    struct conditions conditions;
    enum err err = conditions_parse(call_header_list(call, "if-match"), SLICE_NONE, &conditions);
    if (err)
        call_fail(call, err, CONDITIONS_DEMAND);
    else if (conditions.if_match.data && !slice_is(conditions.if_match, "*"))
        call_fail(call, err = ERR_VERSION_CONFLICT, "A collection has no version that If-Match could name.");
    return !err;
}

static bool read_conditions(struct write *w)
{
    struct call *call = w->call;
    if (!w->verb->names_entity)
        return read_conditions_of_create(call);
    enum err err = conditions_parse(call_header_list(call, "if-match"),
                                    call_header_list(call, "if-none-match"), &w->conditions);
    struct conditions *c = &w->conditions;
    w->envelope.if_match = c->version;
    if (!err && w->verb->is_of_operation) {
        call->etag_is_of_content = true;
        c->needs_look = (c->if_match.data && !slice_is(c->if_match, "*")) || c->if_none_match.data;
    }
    if (!err)
        return true;
    call_fail(call, err, CONDITIONS_DEMAND);
    return false;
}

/* The same key of the same user means the same command, so the command's id is derived from both. */
static bool read_idempotency_key(struct write *w)
{
    char scratch[IDEMPOTENCY_KEY_MAX];
    struct slice field, key;
    const struct identity *identity = &w->call->identity;
    if (!read_header(w, "idempotency-key", &field))
        return false;
    if (idempotency_key_parse(field, scratch, &key)) {
        call_fail(w->call, ERR_BAD_REQUEST, "Idempotency-Key must have 1 to 255 printable characters.");
        return false;
    }
    const struct slice parts[] = {
        {(const char *)identity->company.octet, sizeof(identity->company.octet)},
        {(const char *)identity->user.octet, sizeof(identity->user.octet)},
        key,
    };
    w->envelope.id = key.data ? uuid_derive(parts, ARRAY_LEN(parts)) : uuid_v7();
    return true;
}

/* A time in the past means now. */
static bool read_run_at(struct write *w)
{
    struct msg_problems problems = {.arena = &w->call->arena};
    struct slice field;
    const char *why = NULL;
    if (!read_header(w, "cortex-run-at", &field))
        return false;
    int64_t ahead_ms = w->call->gateway->config->run_at_days * 86400000;
    enum err err = run_at_parse(field, clock_wall_ms(), ahead_ms, &w->envelope.not_before, &why);
    if (!err)
        return true;
    msg_problem_add(&problems, NULL, why);
    if (problems.first)
        problems.first->pointer = SLICE("Cortex-Run-At");
    call_fail_fields(w->call, err, NULL, &problems);
    return false;
}

static void read_prefer(struct write *w)
{
    const struct call *call = w->call;
    for (size_t i = 0; i < call->header_count; i++)
        if (slice_equal_nocase(call->headers[i].name, SLICE("prefer")))
            prefer_parse(call->headers[i].value, &w->prefer);
}

/* The router lets only UUIDs through, so an id that is none cannot exist. */
static bool read_path(struct write *w)
{
    size_t next = 0;
    w->envelope.has_parent = w->call->resource->parent != NULL;
    w->envelope.has_subject = w->verb->names_entity;
    if (w->call->resource->is_single) {
        w->envelope.subject = w->call->identity.company;
        return true;
    }
    if ((!w->envelope.has_parent || uuid_parse(w->call->params[next++], &w->envelope.parent)) &&
        (!w->envelope.has_subject || uuid_parse(w->call->params[next++], &w->envelope.subject)))
        return true;
    call_fail(w->call, ERR_NOT_FOUND, NULL);
    return false;
}

/* A field that the role does not see it does not write, either. */
static bool check_classes(struct write *w, const json_t *json)
{
    struct call *call = w->call;
    struct msg_problems problems = {.arena = &call->arena};
    unsigned hidden = msg_role_hidden(call->identity.role_row) & call->resource->classes;
    for (size_t i = 0; hidden && i < call->resource->object->field_count; i++) {
        const struct msg_field *field = &call->resource->object->fields[i];
        if (!(field->classes & hidden) || !json_object_get(json, field->name))
            continue;
        struct slice pointer = SLICE_NONE;
        char text[80];
        int len = snprintf(text, sizeof(text), "/%s", field->name);
        pointer = arena_copy(&call->arena, (struct slice){text, (size_t)len});
        msg_problem_add(&problems, NULL, "is a field that your role does not see");
        if (problems.last)
            problems.last->pointer = pointer;
    }
    if (problems.count == 0)
        return true;
    call_fail_fields(call, ERR_FORBIDDEN, NULL, &problems);
    return false;
}

/* What the mapping of a hook source names must be there. What does not fit its schema is told by that. */
static bool check_names(struct write *w, const json_t *json)
{
    struct msg_problems problems = {.arena = &w->call->arena};
    if (strcmp(w->call->resource->name, "hook_source") != 0)
        return true;
    hook_source_check(json, &problems);
    if (problems.count == 0)
        return true;
    call_fail_fields(w->call, ERR_VALIDATION, NULL, &problems);
    return false;
}

static bool encode_body(struct write *w, const json_t *json, const struct msg_sealer *sealer)
{
    struct msg_problems problems = {.arena = &w->call->arena};
    enum err err =
        msg_from_json_sealing(w->call->resource->object, w->verb->mode, json, sealer, &w->body, &problems);
    demands_check(w->call->gateway->outbound, w->call->resource->object, json, &problems);
    if (!err && problems.count > 0)
        err = ERR_VALIDATION;
    if (!err)
        return true;
    call_fail_fields(w->call, err, NULL, &problems);
    return false;
}

/* A body with secrets is only checked: what is encoded here, without them, is for the fingerprint. */
static bool read_json(struct write *w, struct slice text, const json_t *json)
{
    w->has_secrets = sealing_is_needed(w->call->resource, json);
    if (!w->has_secrets)
        return encode_body(w, json, &sealing_leaves_out);
    w->text = arena_copy(&w->call->arena, text);
    if (!w->text.data)
        call_fail(w->call, ERR_BODY_TOO_LARGE, NULL);
    if (!w->text.data || !encode_body(w, json, &sealing_leaves_out))
        return false;
    const struct slice open = buf_slice(&w->body);
    w->open_print = msg_fingerprint(&open, 1);
    buf_clear(&w->body);
    return true;
}

static bool read_body_of(struct write *w, struct slice body)
{
    json_t *json = NULL;
    char why[160];
    if (json_parse(body, w->call->gateway->config->max_json_depth, &json, why)) {
        call_fail(w->call, ERR_BAD_REQUEST, why);
        return false;
    }
    bool is_read = check_classes(w, json) && read_json(w, body, json) && check_names(w, json);
    json_decref(json);
    return is_read;
}

/* A secret like the one that a create gets by itself. */
static bool make_secret(struct write *w)
{
    enum { SECRET_MAX = 512 };
    const struct msg_field *field = msg_rotating_secret(w->call->resource);
    struct buf secret;
    CLEANUP(buf_done) struct buf body;
    buf_init(&secret, SECRET_MAX);
    buf_init(&body, 2 * SECRET_MAX);
    bool is_made = secret_generate(field->secret->prefix, field->secret->octets, &secret) &&
                   buf_printf(&body, "{\"%s\":", field->name) &&
                   buf_append_json_string(&body, buf_slice(&secret)) && buf_append_char(&body, '}');
    if (!is_made)
        call_fail(w->call, ERR_INTERNAL, NULL);
    is_made = is_made && read_body_of(w, buf_slice(&body));
    if (secret.data)
        seal_wipe(secret.data, secret.capacity);
    if (body.data)
        seal_wipe(body.data, body.capacity);
    buf_done(&secret);
    return is_made;
}

static bool read_body(struct write *w)
{
    if (w->verb->is_of_secret)
        return make_secret(w);
    if (!w->verb->has_body && !w->verb->body)
        return true;
    return read_body_of(w, w->verb->body ? slice_of(w->verb->body) : w->call->body);
}

/* The same request with another Cortex-Run-At has another fingerprint. */
static uint64_t fingerprint(const struct envelope *envelope, struct slice body)
{
    char run_at[24];
    int len = snprintf(run_at, sizeof(run_at), "%lld", (long long)envelope->not_before);
    const struct slice parts[] = {
        envelope->type,
        {(const char *)envelope->subject.octet, envelope->has_subject ? sizeof(envelope->subject.octet) : 0},
        {(const char *)envelope->parent.octet, envelope->has_parent ? sizeof(envelope->parent.octet) : 0},
        body,
        {run_at, (size_t)len},
    };
    return msg_fingerprint(parts, ARRAY_LEN(parts) - (envelope->not_before == 0));
}

static void complete(struct write *w)
{
    struct call *call = w->call;
    struct slice traceparent = call_header(call, "traceparent");
    int len = snprintf(w->type, sizeof(w->type), "%s.%s", call->resource->name, w->verb->name);
    w->envelope.type = (struct slice){w->type, (size_t)len};
    w->envelope.company = call->identity.company;
    w->envelope.actor = call->identity.user;
    w->envelope.role = slice_of(call->identity.role);
    w->envelope.timestamp = (int64_t)ev_now(call->gateway->loop);
    w->envelope.traceparent = traceparent_is_valid(traceparent) ? traceparent : SLICE_NONE;
    w->envelope.body = w->encoded;
    const struct slice open = {(const char *)&w->open_print, sizeof(w->open_print)};
    w->envelope.fingerprint = fingerprint(&w->envelope, w->has_secrets ? open : w->encoded);
}

/* How long the call waits for the result. `wait=N` sets it; `respond-async` alone means not at all; with
 * both, the call waits N seconds and is then answered with 202. A command with a time of its own is not
 * waited for. */
static int64_t wait_ms(const struct write *w)
{
    const struct config *config = w->call->gateway->config;
    if (w->envelope.not_before)
        return 0;
    if (!w->prefer.has_wait)
        return w->prefer.respond_async ? 0 : config->wait_ms;
    int64_t wanted = w->prefer.wait_s * 1000;
    return wanted < config->wait_max_ms ? wanted : config->wait_max_ms;
}

static void submit(struct write *w)
{
    complete(w);
    commands_submit(w->call->gateway->commands, w->call, &w->envelope, wait_ms(w));
}

/* ---- conditions that several versions satisfy ---- */

static void on_look(struct call *call, struct db_result *result, void *context)
{
    struct write *w = context;
    char text[ETAG_SIZE];
    if (w->verb->is_of_operation) {
        call->etag = arena_copy(&call->arena, operation_etag(call->params[0], result, text));
        w->envelope.if_match = conditions_allow(&w->conditions, call->etag) ? 0 : CONDITIONS_NEVER;
    } else if (db_rows(result) > 0) /* else the worker says that it is not there */
        w->envelope.if_match = conditions_after_look(&w->conditions, db_int(result, 0, 1));
    submit(w);
}

/* Looks which version the entity has. What the command needs moves to the call's memory until then. */
static void look_first(const struct write *w)
{
    struct call *call = w->call;
    const struct plan *plan = plans_of(call->gateway->plans, call->resource, call->identity.role_row);
    struct slice params[ENTITY_PARAMS_MAX];
    struct write *kept = arena_alloc(&call->arena, sizeof(*kept));
    struct slice body = arena_copy(&call->arena, w->encoded);
    if (!kept || !body.data) {
        call_fail(call, ERR_BODY_TOO_LARGE, NULL);
        return;
    }
    *kept = *w;
    kept->encoded = body;
    if (w->verb->is_of_operation)
        query_start(call, QUERY_FRESH, &inbox_follow, call->params, 1, on_look, kept);
    else
        query_start(call, QUERY_FRESH, plan->entity, params, entity_params(call, plan, params), on_look,
                    kept);
}

static void go_on(struct write *w)
{
    w->encoded = buf_slice(&w->body);
    if (w->conditions.needs_look)
        look_first(w);
    else
        submit(w);
}

/* ---- secrets ---- */

static void on_pool_key(struct call *call, struct db_result *result, void *context)
{
    struct write *w = context;
    struct sealing sealing = {.resource = call->resource, .company = call->identity.company};
    json_t *json = NULL;
    char why[160];
    sealing.id = w->envelope.has_subject ? w->envelope.subject : w->envelope.id;
    const struct msg_sealer sealer = sealing_sealer(&sealing);
    buf_init(&w->body, (size_t)call->gateway->config->max_body_bytes * 2);
    if (!sealing_read_key(call, result, &sealing))
        return;
    if (json_parse(w->text, call->gateway->config->max_json_depth, &json, why))
        call_fail(call, ERR_INTERNAL, NULL); /* cannot happen: it was parsed before */
    else if (encode_body(w, json, &sealer))
        go_on(w);
    json_decref(json);
    seal_wipe((char *)(uintptr_t)w->text.data, w->text.len);
    buf_done(&w->body);
}

static void find_pool_key(const struct write *w)
{
    struct call *call = w->call;
    const struct slice params[] = {slice_of(call->resource->pool)};
    struct write *kept = arena_alloc(&call->arena, sizeof(*kept));
    if (!kept) {
        call_fail(call, ERR_BODY_TOO_LARGE, NULL);
        return;
    }
    *kept = *w;
    query_start(call, QUERY_FRESH, &sealing_statement, params, ARRAY_LEN(params), on_pool_key, kept);
}

/* ---- all ---- */

static void run(struct call *call, const struct verb *verb)
{
    struct write w = {.call = call, .verb = verb};
    buf_init(&w.body, (size_t)call->gateway->config->max_body_bytes * 2);
    if (check_right(&w) && check_content_type(&w) && read_path(&w) && read_conditions(&w) &&
        read_idempotency_key(&w) && read_run_at(&w) && read_body(&w)) {
        read_prefer(&w);
        if (w.has_secrets)
            find_pool_key(&w);
        else
            go_on(&w);
    }
    buf_done(&w.body);
}

void write_create(struct call *call)
{
    static const struct verb verb = {
        .name = "create", .has_body = true, .mode = MSG_CREATE, .right = MSG_RIGHT_CREATE};
    run(call, &verb);
}

void write_update(struct call *call)
{
    static const struct verb verb = {.name = "update",
                                     .names_entity = true,
                                     .has_body = true,
                                     .mode = MSG_UPDATE,
                                     .right = MSG_RIGHT_UPDATE};
    run(call, &verb);
}

/* An update that gives the entity a new secret. */
void write_rotate(struct call *call)
{
    static const struct verb verb = {.name = "update",
                                     .names_entity = true,
                                     .is_of_secret = true,
                                     .mode = MSG_UPDATE,
                                     .right = MSG_RIGHT_UPDATE};
    run(call, &verb);
}

/* An act: an update without a body, whose command does the rest. */
void write_test(struct call *call)
{
    static const struct verb verb = {
        .name = "test", .names_entity = true, .body = "{}", .mode = MSG_UPDATE, .right = MSG_RIGHT_UPDATE};
    run(call, &verb);
}

void write_resend(struct call *call)
{
    static const struct verb verb = {
        .name = "resend", .names_entity = true, .body = "{}", .mode = MSG_UPDATE, .right = MSG_RIGHT_UPDATE};
    run(call, &verb);
}

void write_delete(struct call *call)
{
    static const struct verb verb = {.name = "delete", .names_entity = true, .right = MSG_RIGHT_DELETE};
    run(call, &verb);
}

/* Cancelling is an update that sets `cancel_asked`. A waiting command then never runs; a long job ends at
 * its next step. */
void write_cancel(struct call *call)
{
    static const struct verb verb = {.name = "cancel",
                                     .names_entity = true,
                                     .is_of_operation = true,
                                     .body = "{\"cancel_asked\":true}",
                                     .mode = MSG_UPDATE,
                                     .right = MSG_RIGHT_UPDATE};
    run(call, &verb);
}
