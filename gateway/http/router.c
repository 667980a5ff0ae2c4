#include "gateway/http/route_tree.h"

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

bool router_is_word(struct slice parameter)
{
    return slice_is(parameter, "{name}") || slice_is(parameter, "{pool}");
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

static void append_methods(struct buf *allow, unsigned methods)
{
    for (unsigned method = 0; method < METHOD_OTHER; method++)
        if (methods & 1U << method)
            append_method(allow, (enum http_method)method);
}

static enum err add_allow(struct call *call, unsigned methods)
{
    bool everything = slice_is(call->path, "*");
    if (methods == 0 && !everything)
        return ERR_NOT_FOUND;
    CLEANUP(buf_done) struct buf allow;
    buf_init(&allow, 256);
    if (everything)
        buf_append_text(&allow, "GET, HEAD, POST, PUT, PATCH, DELETE");
    else
        append_methods(&allow, methods);
    buf_append(&allow, ", OPTIONS", 9);
    call_add_header(call, "Allow", buf_slice(&allow));
    if (everything || methods & 1U << METHOD_PATCH)
        call_add_header(call, "Accept-Patch", SLICE(CALL_ACCEPT_PATCH));
    return ERR_OK;
}

enum err router_allow(struct call *call)
{
    struct slice params[CALL_PARAMS_MAX];
    unsigned methods;
    (void)route_tree_find(call->gateway->routes->tree, METHOD_OTHER, call->path, params, &methods);
    return add_allow(call, methods);
}

enum err router_find(struct call *call)
{
    unsigned methods;
    const struct route *route = route_tree_find(call->gateway->routes->tree, effective_method(call),
                                                call->path, call->params, &methods);
    if (!route) {
        enum err err = add_allow(call, methods);
        return err ? err : ERR_METHOD_NOT_ALLOWED;
    }
    call->route = route;
    call->resource = route->resource ? msg_resource_by_name(slice_of(route->resource)) : NULL;
    return ERR_OK;
}
