#include "gateway/http/cors.h"

#include "common/base/origin.h"
#include "gateway/http/router.h"

/* What a page may read of an answer, besides the headers that every page may (Fetch standard, CORS-safelisted). */
#define EXPOSED                                                                                           \
    "Accept-Patch, Accept-Ranges, Allow, Content-Disposition, Content-Range, ETag, Idempotent-Replayed, " \
    "Link, Location, Preference-Applied, Retry-After, WWW-Authenticate, X-Request-Id"

/* What a page may send. The four of tracing are sent by the browser parts of OpenTelemetry and Sentry. */
#define ALLOWED                                                                                      \
    "Accept, Authorization, Baggage, Cache-Control, Content-Type, Cortex-Run-At, Idempotency-Key, "  \
    "If-Match, "                                                                                     \
    "If-None-Match, If-Range, Last-Event-ID, Prefer, Range, Sentry-Trace, Traceparent, Tracestate, " \
    "X-Request-Id"

static bool is_on(const struct config *config)
{
    return config->cors_origins[0] != '\0';
}

bool cors_is_allowed(const struct config *config, struct slice origin)
{
    char wanted[ORIGIN_SIZE], listed[ORIGIN_SIZE];
    struct slice sent = origin.len > 0 ? origin_normalize(origin, wanted) : SLICE_NONE;
    struct slice list = slice_of(config->cors_origins);
    for (struct slice entry; (entry = origin_next(&list)).data;)
        if (origin.len > 0 &&
            (slice_is(entry, "*") || (sent.data && slice_equal(origin_normalize(entry, listed), sent))))
            return true;
    return false;
}

static void allow(struct call *call, struct slice origin)
{
    call_add_header(call, "Access-Control-Allow-Origin", origin);
    call_add_header(call, "Access-Control-Expose-Headers", SLICE(EXPOSED));
}

void cors_allow(struct call *call)
{
    const struct config *config = call->gateway->config;
    if (!is_on(config))
        return;
    call->vary |= VARY_ORIGIN;
    struct slice origin = call_header(call, "origin");
    if (cors_is_allowed(config, origin))
        allow(call, origin);
}

void cors_allow_unknown(struct call *call)
{
    if (is_on(call->gateway->config))
        allow(call, SLICE("*"));
}

bool cors_is_preflight(const struct call *call)
{
    return call->method == METHOD_OPTIONS && call_header(call, "origin").data &&
           call_header(call, "access-control-request-method").data &&
           cors_is_allowed(call->gateway->config, call_header(call, "origin"));
}

static void answer_preflight(struct call *call)
{
    call_add_header(call, "Access-Control-Allow-Methods", SLICE("GET, HEAD, POST, PUT, PATCH, DELETE"));
    call_add_header(call, "Access-Control-Allow-Headers", SLICE(ALLOWED));
    call_respond(call, 204, NULL, SLICE_NONE);
}

bool cors_answers_early(struct call *call, enum err refusal)
{
    static const enum err refusals[] = {ERR_URI_TOO_LONG, ERR_HEADERS_TOO_LARGE, ERR_REQUEST_TIMEOUT,
                                        ERR_TOO_MANY_CONNECTIONS, ERR_INPUT_FULL};
    const struct config *config = call->gateway->config;
    struct slice origin = call_header(call, "origin");
    if (!is_on(config) || call->method != METHOD_OPTIONS || (origin.data && !cors_is_allowed(config, origin)))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (refusals[i] == refusal) {
            answer_preflight(call);
            return true;
        }
    return false;
}

void cors_options(struct call *call)
{
    bool is_preflight = cors_is_preflight(call);
    enum err err = call->path.data ? router_allow(call) : ERR_OK;
    if (err && !is_preflight) {
        call_fail(call, err, NULL);
        return;
    }
    if (is_preflight) {
        call_add_header(call, "Access-Control-Max-Age", SLICE("600"));
        answer_preflight(call);
        return;
    }
    call_respond(call, 204, NULL, SLICE_NONE);
}
