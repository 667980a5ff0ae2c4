#include "gateway/routes.h"

static const struct route routes[] = {
    {METHOD_GET, ACCESS_PUBLIC, "/healthz", NULL, healthz, "The process answers"},
    {METHOD_GET, ACCESS_PUBLIC, "/readyz", NULL, readyz,
     "Broker and database are connected and the process stays"},
    {METHOD_GET, ACCESS_PUBLIC, "/openapi.json", NULL, openapi_document, "This document"},
    {METHOD_GET, ACCESS_PUBLIC, "/connection/websocket", NULL, ws_upgrade,
     "Events in real time (Centrifuge client protocol over WebSocket)"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/projects/{id}", "project", read_entity, "One project"},
    {METHOD_POST, ACCESS_TOKEN, "/v1/projects", "project", write_create, "Creates a project"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/projects", "project", read_list, "The company's projects"},
    {METHOD_PATCH, ACCESS_TOKEN, "/v1/projects/{id}", "project", write_update,
     "Changes a project (JSON Merge Patch)"},
    {METHOD_DELETE, ACCESS_TOKEN, "/v1/projects/{id}", "project", write_delete, "Deletes a project"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/projects/{project}/tasks/{id}", "task", read_entity, "One task"},
    {METHOD_POST, ACCESS_TOKEN, "/v1/projects/{project}/tasks", "task", write_create, "Creates a task"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/projects/{project}/tasks", "task", read_list, "The project's tasks"},
    {METHOD_PATCH, ACCESS_TOKEN, "/v1/projects/{project}/tasks/{id}", "task", write_update,
     "Changes a task (JSON Merge Patch)"},
    {METHOD_DELETE, ACCESS_TOKEN, "/v1/projects/{project}/tasks/{id}", "task", write_delete,
     "Deletes a task"},
    {METHOD_POST, ACCESS_TOKEN, "/v1/exports", "export", write_create, "Begins an export"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/exports", "export", read_list, "The company's exports"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/exports/{id}", "export", read_entity, "One export"},
    {METHOD_DELETE, ACCESS_TOKEN, "/v1/exports/{id}", "export", write_delete,
     "Deletes an export that has ended, with its content"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/exports/{id}/content", NULL, read_export_content,
     "The file of a completed export"},
    {METHOD_POST, ACCESS_TOKEN, "/v1/admin/revocations", "revocation", write_create,
     "Revokes the tokens of a user of the company"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/admin/revocations", "revocation", read_list, "The company's revocations"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/admin/revocations/{id}", "revocation", read_entity, "One revocation"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/events", NULL, read_events,
     "What has happened: a stream of Server-Sent Events, or a page of them"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/operations/{id}", NULL, read_operation, "What became of a command"},
    {METHOD_DELETE, ACCESS_TOKEN, "/v1/operations/{id}", "job", write_cancel,
     "Cancels a command that waits for its time, which then never runs, or a long job, which ends at its "
     "next step"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/pools", NULL, pools_show,
     "The worker pools, as operators see them"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/pools/{pool}", NULL, pool_show,
     "A worker pool: how many workers are wanted, who manages them on which host, what each is at"},
    {METHOD_PUT, ACCESS_OPERATOR, "/v1/admin/pools/{pool}", NULL, pool_resize,
     "Sets how many workers a pool has, over all hosts"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/schedules", NULL, read_schedules,
     "What is done again and again: when it comes next, and what became of the last run"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/schedules/{name}", NULL, read_schedule, "One schedule"},
    {METHOD_PUT, ACCESS_OPERATOR, "/v1/admin/schedules/{name}", NULL, schedule_put,
     "Makes a schedule, or replaces the one of this name"},
    {METHOD_DELETE, ACCESS_OPERATOR, "/v1/admin/schedules/{name}", NULL, schedule_delete,
     "Takes a schedule away; commands that it has sent stay"},
    {METHOD_POST, ACCESS_OPERATOR, "/v1/admin/schedules/{name}/run", NULL, schedule_run,
     "Runs it now, once, beside its times"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/dead-letters", NULL, read_dead_letters,
     "Commands that nobody runs any more, the longest dead first"},
    {METHOD_DELETE, ACCESS_OPERATOR, "/v1/admin/dead-letters", NULL, dead_letters_drop,
     "Forgets the dead letters that fit; says how many"},
    {METHOD_POST, ACCESS_OPERATOR, "/v1/admin/dead-letters/replay", NULL, dead_letters_replay,
     "Puts the dead letters that fit back to work; says how many"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/dead-letters/{id}", NULL, read_dead_letter,
     "One dead letter, with its body and its history"},
    {METHOD_DELETE, ACCESS_OPERATOR, "/v1/admin/dead-letters/{id}", NULL, dead_letter_drop,
     "Forgets a dead letter"},
    {METHOD_POST, ACCESS_OPERATOR, "/v1/admin/dead-letters/{id}/replay", NULL, dead_letter_replay,
     "Puts a dead letter back to work"},
};

static const char *const method_names[] = {
    [METHOD_GET] = "GET",     [METHOD_HEAD] = "HEAD",     [METHOD_POST] = "POST",       [METHOD_PUT] = "PUT",
    [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE", [METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "",
};

enum err routes_admit(const struct call *call, const char **ret_why)
{
    if (call->route->access != ACCESS_OPERATOR || strcmp(call->identity.role, OPERATOR_ROLE) == 0)
        return ERR_OK;
    *ret_why = "this is for operators (role " OPERATOR_ROLE ")";
    return ERR_FORBIDDEN;
}

enum http_method routes_method(struct slice name)
{
    for (size_t i = 0; i < METHOD_OTHER; i++)
        if (slice_is(name, method_names[i]))
            return (enum http_method)i;
    return METHOD_OTHER;
}

const struct route *routes_all(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(routes);
    return routes;
}

/* Up to the next slash; *text moves behind it. */
static struct slice next_segment(struct slice *text)
{
    const char *slash = text->len > 0 ? memchr(text->data, '/', text->len) : NULL;
    size_t len = slash ? (size_t)(slash - text->data) : text->len;
    struct slice segment = {text->data, len};
    size_t step = slash ? len + 1 : len;
    *text = (struct slice){text->data + step, text->len - step};
    return segment;
}

bool routes_is_word(struct slice parameter)
{
    return slice_is(parameter, "{name}") || slice_is(parameter, "{pool}");
}

static bool is_word(struct slice segment)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    for (size_t i = 0; i < segment.len; i++)
        if (!segment.data[i] || !strchr(allowed, segment.data[i]))
            return false;
    return segment.len >= 1 && segment.len <= 64;
}

static bool fits_parameter(struct slice parameter, struct slice segment)
{
    struct uuid id;
    return routes_is_word(parameter) ? is_word(segment) : uuid_parse(segment, &id);
}

/* The path fits the pattern segment by segment. */
static bool matches(const char *pattern, struct slice path, struct slice params[CALL_PARAMS_MAX])
{
    struct slice wanted = slice_of(pattern);
    size_t count = 0;
    while (wanted.len > 0 && path.len > 0) {
        bool both_go_on = memchr(wanted.data, '/', wanted.len) && memchr(path.data, '/', path.len);
        bool both_end = !memchr(wanted.data, '/', wanted.len) && !memchr(path.data, '/', path.len);
        if (!both_go_on && !both_end)
            return false;
        struct slice want = next_segment(&wanted), segment = next_segment(&path);
        bool is_param = want.len > 0 && want.data[0] == '{';
        if (is_param && (count == CALL_PARAMS_MAX || !fits_parameter(want, segment)))
            return false;
        if (!is_param && !slice_equal(want, segment))
            return false;
        if (is_param)
            params[count++] = segment;
    }
    return wanted.len == 0 && path.len == 0;
}

/* HEAD is GET without the body. */
static enum http_method effective_method(const struct call *call)
{
    return call->method == METHOD_HEAD ? METHOD_GET : call->method;
}

static void append_method(struct buf *allow, enum http_method method)
{
    if (buf_len(allow) > 0)
        buf_append(allow, ", ", 2);
    buf_append_text(allow, method_names[method]);
    if (method == METHOD_GET)
        buf_append(allow, ", HEAD", 6);
}

enum err routes_allow(struct call *call)
{
    CLEANUP(buf_done) struct buf allow;
    struct slice params[CALL_PARAMS_MAX];
    bool everything = slice_is(call->path, "*");
    buf_init(&allow, 256);
    for (size_t i = 0; i < ARRAY_LEN(routes) && !everything; i++)
        if (matches(routes[i].pattern, call->path, params))
            append_method(&allow, routes[i].method);
    if (everything)
        buf_append_text(&allow, "GET, HEAD, POST, PUT, PATCH, DELETE");
    if (buf_len(&allow) == 0)
        return ERR_NOT_FOUND;
    buf_append(&allow, ", OPTIONS", 9);
    call_add_header(call, "Allow", buf_slice(&allow));
    return ERR_OK;
}

enum err routes_find(struct call *call)
{
    enum http_method method = effective_method(call);
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (routes[i].method != method || !matches(routes[i].pattern, call->path, call->params))
            continue;
        call->route = &routes[i];
        call->resource = routes[i].resource ? msg_resource_by_name(slice_of(routes[i].resource)) : NULL;
        return ERR_OK;
    }
    enum err err = routes_allow(call);
    return err ? err : ERR_METHOD_NOT_ALLOWED;
}
