#include "gateway/centrifuge/private.h"
#include "gateway/http/rpc_call.h"

/* A request of the HTTP API:
 *
 *   method  "POST /v1/projects"                          as the request line has it
 *   data    {"body":{…},"headers":{"idempotency-key":…}} both optional
 *   answer  {"status":201,"headers":{"etag":…},"body":{…}}: the result, or the problem document
 */

enum { HEADERS_MAX = 32 };

struct rpc_work {
    struct session_work work;
    struct rpc_call call;
};

static void drop(struct session_work *work)
{
    CLEANUP_FREE struct rpc_work *waiting = CONTAINER_OF(work, struct rpc_work, work);
    rpc_call_forget(&waiting->call);
}

/* ---- the answer ---- */

static void append_lower(struct buf *out, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        buf_append_char(out, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
}

/* Writes "Name: value" lines as members of an object. The names are our own, so they need no escaping. */
static void append_headers(struct buf *out, struct slice lines)
{
    bool first = true;
    while (lines.len > 0) {
        const char *end = memmem(lines.data, lines.len, "\r\n", 2);
        const char *colon = end ? memmem(lines.data, (size_t)(end - lines.data), ": ", 2) : NULL;
        if (!colon)
            return;
        buf_append_text(out, first ? "\"" : ",\"");
        append_lower(out, (struct slice){lines.data, (size_t)(colon - lines.data)});
        buf_append_text(out, "\":");
        buf_append_json_string(out, (struct slice){colon + 2, (size_t)(end - colon) - 2});
        first = false;
        size_t used = (size_t)(end - lines.data) + 2;
        lines = (struct slice){lines.data + used, lines.len - used};
    }
}

/* JSON is passed on unchanged but on one line: line ends stand only between tokens, where a blank means
 * the same. */
static void append_body(struct buf *out, const struct rpc_answer *answer)
{
    if (!strstr(answer->content_type, "json")) {
        buf_append_json_string(out, answer->body);
        return;
    }
    struct slice rest = answer->body;
    while (rest.len > 0) {
        size_t len = 0;
        while (len < rest.len && rest.data[len] != '\n' && rest.data[len] != '\r')
            len++;
        buf_append(out, rest.data, len);
        if (len < rest.len)
            buf_append_char(out, ' ');
        len += len < rest.len ? 1 : 0;
        rest = (struct slice){rest.data + len, rest.len - len};
    }
}

static void on_answer(struct rpc_call *call, const struct rpc_answer *answer)
{
    CLEANUP_FREE struct rpc_work *waiting = CONTAINER_OF(call, struct rpc_work, call);
    struct session *session = waiting->work.session;
    struct buf reply;
    session_work_end(&waiting->work);
    reply_begin(&reply, session, waiting->work.command, "rpc");
    buf_printf(&reply, "\"data\":{\"status\":%d,\"headers\":{", answer->status);
    append_headers(&reply, answer->headers);
    buf_append_char(&reply, '}');
    if (answer->content_type && answer->body.len > 0) {
        buf_append_text(&reply, ",\"body\":");
        append_body(&reply, answer);
    }
    buf_append_char(&reply, '}');
    reply_end(&reply, session);
}

/* ---- the request ---- */

static bool read_headers(const json_t *json, struct call_header headers[HEADERS_MAX], size_t *ret_count)
{
    size_t count = 0;
    const char *name;
    json_t *value;
    if (json && !json_is_null(json) && (!json_is_object(json) || json_object_size(json) > HEADERS_MAX))
        return false;
    json_object_foreach((json_t *)json, name, value)
    {
        if (!json_is_string(value))
            return false;
        headers[count++] =
            (struct call_header){slice_of(name), {json_string_value(value), json_string_length(value)}};
    }
    *ret_count = count;
    return true;
}

static void start(struct session *session, uint32_t id, const struct rpc_request *request)
{
    struct rpc_work *waiting = xcalloc(1, sizeof(*waiting));
    waiting->call.on_answer = on_answer;
    session_work_begin(session, id, &waiting->work, drop);
    session_work_hold(&waiting->work, rpc_request_memory(request));
    rpc_call_start(session_gateway(session), request, &waiting->call);
}

void session_rpc(struct session *session, uint32_t id, const json_t *params)
{
    struct call_header headers[HEADERS_MAX];
    struct rpc_request request = {
        .identity = &session->identity, .line = json_member(params, "method"), .headers = headers};
    const json_t *data = json_object_get(params, "data");
    const json_t *body = json_object_get(data, "body");
    if (request.line.len == 0 || !memchr(request.line.data, ' ', request.line.len)) {
        reply_error(session, id, CENTRIFUGE_ERROR_METHOD_NOT_FOUND);
        return;
    }
    if ((data && !json_is_null(data) && !json_is_object(data)) ||
        !read_headers(json_object_get(data, "headers"), headers, &request.header_count)) {
        reply_error(session, id, CENTRIFUGE_ERROR_BAD_REQUEST);
        return;
    }
    if (!session_may_work(session, id))
        return;
    CLEANUP_FREE char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    request.body = text ? slice_of(text) : SLICE("");
    start(session, id, &request);
}
