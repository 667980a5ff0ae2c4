#include "gateway/http/call.h"

#include <stdio.h>
#include <sys/random.h>

#include "gateway/http/etag.h"
#include "gateway/http/preconditions.h"
#include "gateway/http/problem.h"
#include "gateway/http/router.h"
#include "gateway/http/target.h"

static bool is_correlation_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static bool is_sane_correlation_id(struct slice id)
{
    if (id.len == 0 || id.len > UUID_TEXT_LEN)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!is_correlation_character(id.data[i]))
            return false;
    return true;
}

void call_give_correlation_id(struct call *call)
{
    struct slice sent = call_header(call, "x-request-id");
    if (is_sane_correlation_id(sent)) {
        memcpy(call->correlation_id, sent.data, sent.len);
        call->correlation_id[sent.len] = '\0';
        return;
    }
    struct uuid id = uuid_v7();
    uuid_format(&id, call->correlation_id);
}

struct slice call_header(const struct call *call, const char *name)
{
    struct slice wanted = slice_of(name);
    for (size_t i = 0; i < call->header_count; i++)
        if (slice_equal_nocase(call->headers[i].name, wanted))
            return call->headers[i].value;
    return SLICE_NONE;
}

bool call_header_once(const struct call *call, const char *name, struct slice *ret_value)
{
    struct slice wanted = slice_of(name), found = SLICE_NONE;
    for (size_t i = 0; i < call->header_count; i++) {
        if (!slice_equal_nocase(call->headers[i].name, wanted))
            continue;
        if (found.data)
            return false;
        found = call->headers[i].value;
    }
    *ret_value = found;
    return true;
}

struct slice call_header_list(struct call *call, const char *name)
{
    struct slice wanted = slice_of(name), first = SLICE_NONE;
    size_t size = 0, count = 0, len = 0;
    for (size_t i = 0; i < call->header_count; i++)
        if (slice_equal_nocase(call->headers[i].name, wanted)) {
            first = count++ ? first : call->headers[i].value;
            size += call->headers[i].value.len + 2;
        }
    char *list = count > 1 ? arena_alloc(&call->arena, size) : NULL;
    if (!list)
        return first;
    for (size_t i = 0; i < call->header_count; i++) {
        struct slice value = call->headers[i].value;
        if (!slice_equal_nocase(call->headers[i].name, wanted))
            continue;
        memcpy(list + len, ", ", len > 0 ? 2 : 0);
        len += len > 0 ? 2 : 0;
        memcpy(list + len, value.data, value.len);
        len += value.len;
    }
    return (struct slice){list, len};
}

struct slice call_query(struct call *call, const char *name)
{
    return target_parameter(&call->arena, call->query, name);
}

/* A value with a line end could add headers of its own. */
static bool is_header_value(struct slice value)
{
    return value.len == 0 || (!memchr(value.data, '\r', value.len) && !memchr(value.data, '\n', value.len));
}

void call_add_header(struct call *call, const char *name, struct slice value)
{
    if (!is_header_value(value))
        return;
    buf_append_text(&call->added, name);
    buf_append(&call->added, ": ", 2);
    buf_append_slice(&call->added, value);
    buf_append(&call->added, "\r\n", 2);
}

void call_set_etag(struct call *call, struct slice etag)
{
    call->etag = arena_copy(&call->arena, etag);
    call_add_header(call, "ETag", etag);
}

/* ---- answers ---- */

static bool is_read(const struct call *call)
{
    return (call->method == METHOD_GET || call->method == METHOD_HEAD) && call->route &&
           call->route->access != ACCESS_HEALTH;
}

bool call_conditions_hold(struct call *call)
{
    struct slice if_match = call_header_list(call, "if-match"),
                 if_none_match = call_header_list(call, "if-none-match");
    struct conditions parsed;
    /* A malformed If-None-Match names nothing: then the client gets more than it needs. */
    if (conditions_parse(if_match, SLICE_NONE, &parsed)) {
        call_fail(call, ERR_BAD_REQUEST, CONDITIONS_DEMAND);
        return false;
    }
    if (if_match.data && !etag_is_matched(if_match, call->etag)) {
        call_fail(call, ERR_VERSION_CONFLICT, NULL);
        return false;
    }
    if (if_none_match.data && etag_is_named(if_none_match, call->etag)) {
        call_respond(call, 304, NULL, SLICE_NONE);
        return false;
    }
    return true;
}

static bool conditions_hold(struct call *call, struct slice body)
{
    char text[ETAG_SIZE];
    if (!call->etag.data)
        call_set_etag(call, etag_of_content(body, text));
    return call_conditions_hold(call);
}

static void respond(struct call *call, int status, const char *content_type, struct bytes *whole,
                    struct slice body)
{
    if (call->answered || (status == 200 && is_read(call) && !conditions_hold(call, body)))
        return;
    call->answered = true;
    call->deliver(call, status, content_type, whole, body);
}

void call_respond(struct call *call, int status, const char *content_type, struct slice body)
{
    respond(call, status, content_type, NULL, body);
}

void call_respond_shared(struct call *call, int status, const char *content_type, struct bytes *whole,
                         struct slice body)
{
    respond(call, status, content_type, whole, body);
}

/* ---- problems ---- */

struct slice call_retry_after(char text[2])
{
    static uint64_t state;
    if (state == 0 && getrandom(&state, sizeof(state), 0) != (ssize_t)sizeof(state))
        state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    text[0] = (char)('1' + (state >> 33) % 3);
    text[1] = '\0';
    return (struct slice){text, 1};
}

static void add_retry_after(struct call *call, const char *detail)
{
    (void)detail;
    char text[2];
    call_add_header(call, "Retry-After", call_retry_after(text));
}

/* RFC 5789 2.2 and RFC 9110 15.5.16: what would have been accepted. */
static void add_accepted_types(struct call *call, const char *detail)
{
    (void)detail;
    call_add_header(call, "Accept", SLICE("application/json"));
    if (call->method == METHOD_PATCH)
        call_add_header(call, "Accept-Patch", SLICE(CALL_ACCEPT_PATCH));
}

/* RFC 6750 3: a request that came without a token gets no error code. */
static void add_challenge(struct call *call, const char *detail)
{
    char text[256];
    int len =
        detail ? snprintf(text, sizeof(text),
                          "Bearer realm=\"cortexbuild\", error=\"invalid_token\", error_description=\"%s\"",
                          detail)
               : snprintf(text, sizeof(text), "Bearer realm=\"cortexbuild\"");
    call_add_header(call, "WWW-Authenticate", (struct slice){text, (size_t)len});
}

/* Headers that must come with a status. */
static const struct {
    int status;
    void (*add)(struct call *call, const char *detail);
} companions[] = {
    {401, add_challenge},
    {415, add_accepted_types},
    {429, add_retry_after},
    {503, add_retry_after},
};

void call_fail_fields(struct call *call, enum err err, const char *detail,
                      const struct msg_problems *problems)
{
    int status = err_info(err)->http_status;
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, PROBLEM_MAX);
    problem_write(&body, err, detail, slice_of(call->correlation_id), problems);
    for (size_t i = 0; i < ARRAY_LEN(companions); i++)
        if (companions[i].status == status)
            companions[i].add(call, detail);
    call_respond(call, status, PROBLEM_CONTENT_TYPE, buf_slice(&body));
}

void call_fail(struct call *call, enum err err, const char *detail)
{
    call_fail_fields(call, err, detail, NULL);
}
