#include "gateway/http/cors.h"

#include "gateway/http/router.h"

static bool list_contains(const char *list, struct slice word)
{
    while (*list) {
        size_t len = strcspn(list, " ");
        if (slice_equal((struct slice){list, len}, word))
            return true;
        list += len;
        list += strspn(list, " ");
    }
    return false;
}

bool cors_is_allowed(const struct config *config, struct slice origin)
{
    return origin.len > 0 &&
           (list_contains(config->cors_origins, SLICE("*")) || list_contains(config->cors_origins, origin));
}

void cors_allow(struct call *call)
{
    const struct config *config = call->gateway->config;
    if (config->cors_origins[0] == '\0')
        return;
    call->vary |= VARY_ORIGIN;
    struct slice origin = call_header(call, "origin");
    if (!cors_is_allowed(config, origin))
        return;
    call_add_header(call, "Access-Control-Allow-Origin", origin);
    call_add_header(call, "Access-Control-Expose-Headers",
                    SLICE("ETag, Link, Location, Preference-Applied, Retry-After, X-Request-Id"));
}

static bool is_preflight(const struct call *call)
{
    return call_header(call, "origin").data && call_header(call, "access-control-request-method").data &&
           cors_is_allowed(call->gateway->config, call_header(call, "origin"));
}

void cors_options(struct call *call)
{
    enum err err = router_allow(call);
    if (err) {
        call_fail(call, err, NULL);
        return;
    }
    if (is_preflight(call)) {
        call_add_header(call, "Access-Control-Allow-Methods", SLICE("GET, HEAD, POST, PUT, PATCH, DELETE"));
        call_add_header(call, "Access-Control-Allow-Headers",
                        SLICE("Authorization, Content-Type, Cortex-Run-At, Idempotency-Key, If-Match, "
                              "If-None-Match, "
                              "Last-Event-ID, Prefer, "
                              "Traceparent, X-Request-Id"));
        call_add_header(call, "Access-Control-Max-Age", SLICE("600"));
    }
    call_respond(call, 204, NULL, SLICE_NONE);
}
