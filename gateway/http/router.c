#include "gateway/http/router.h"

static const char *const method_names[] = {
    [METHOD_GET] = "GET",     [METHOD_HEAD] = "HEAD",     [METHOD_POST] = "POST",       [METHOD_PUT] = "PUT",
    [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE", [METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "",
};

enum http_method router_method(struct slice name)
{
    for (size_t i = 0; i < METHOD_OTHER; i++)
        if (slice_is(name, method_names[i]))
            return (enum http_method)i;
    return METHOD_OTHER;
}

/* The text up to the next slash; *text moves behind the slash. */
static struct slice next_segment(struct slice *text)
{
    const char *slash = text->len > 0 ? memchr(text->data, '/', text->len) : NULL;
    size_t len = slash ? (size_t)(slash - text->data) : text->len;
    struct slice segment = {text->data, len};
    size_t step = slash ? len + 1 : len;
    *text = (struct slice){text->data + step, text->len - step};
    return segment;
}

bool router_is_word(struct slice parameter)
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
    return router_is_word(parameter) ? is_word(segment) : uuid_parse(segment, &id);
}

/* Whether the path fits the pattern, segment by segment. */
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

/* HEAD is answered as GET is, without the body. */
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

enum err router_allow(struct call *call)
{
    const struct route_table *table = call->gateway->routes;
    CLEANUP(buf_done) struct buf allow;
    struct slice params[CALL_PARAMS_MAX];
    bool everything = slice_is(call->path, "*");
    buf_init(&allow, 256);
    bool patches = everything;
    for (size_t i = 0; i < table->count && !everything; i++)
        if (matches(table->rows[i].pattern, call->path, params)) {
            append_method(&allow, table->rows[i].method);
            patches = patches || table->rows[i].method == METHOD_PATCH;
        }
    if (everything)
        buf_append_text(&allow, "GET, HEAD, POST, PUT, PATCH, DELETE");
    if (buf_len(&allow) == 0)
        return ERR_NOT_FOUND;
    buf_append(&allow, ", OPTIONS", 9);
    call_add_header(call, "Allow", buf_slice(&allow));
    if (patches)
        call_add_header(call, "Accept-Patch", SLICE(CALL_ACCEPT_PATCH));
    return ERR_OK;
}

enum err router_find(struct call *call)
{
    const struct route_table *table = call->gateway->routes;
    enum http_method method = effective_method(call);
    for (const struct route *route = table->rows; route < table->rows + table->count; route++) {
        if (route->method != method || !matches(route->pattern, call->path, call->params))
            continue;
        call->route = route;
        call->resource = route->resource ? msg_resource_by_name(slice_of(route->resource)) : NULL;
        return ERR_OK;
    }
    enum err err = router_allow(call);
    return err ? err : ERR_METHOD_NOT_ALLOWED;
}
