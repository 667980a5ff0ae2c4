/* Problem details (RFC 9457): the one shape of every refusal. */

#include "gateway/http/call.h"

#include "gateway/http/http.h"

enum { PROBLEM_MAX = 256 * 1024 };

static const char content_type[] = "application/problem+json";

static void append_member(struct buf *body, const char *name, struct slice text)
{
    buf_printf(body, ",\"%s\":", name);
    buf_append_json_string(body, text);
}

static void append_errors(struct buf *body, const struct msg_problems *problems)
{
    buf_append_text(body, ",\"errors\":[");
    for (const struct msg_problem *p = problems->first; p; p = p->next) {
        buf_append_text(body, p == problems->first ? "{\"pointer\":" : ",{\"pointer\":");
        buf_append_json_string(body, p->pointer);
        append_member(body, "detail", p->detail);
        buf_append_char(body, '}');
    }
    buf_append_char(body, ']');
}

static void add_retry_after(struct call *call, const char *detail)
{
    (void)detail;
    call_add_header(call, "Retry-After", SLICE("1"));
}

/* RFC 6750 3: no error code for a request that came without a token. */
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

/* Headers that a status must have. */
static const struct {
    int status;
    void (*add)(struct call *call, const char *detail);
} companions[] = {
    {401, add_challenge},
    {429, add_retry_after},
    {503, add_retry_after},
};

void call_fail_fields(struct call *call, enum err err, const char *detail,
                      const struct msg_problems *problems)
{
    const struct err_info *info = err_info(err);
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, PROBLEM_MAX);
    buf_printf(&body, "{\"type\":\"/problems/%s\",\"title\":", info->slug);
    buf_append_json_string(&body, slice_of(info->title));
    buf_printf(&body, ",\"status\":%d", info->http_status);
    if (detail)
        append_member(&body, "detail", slice_of(detail));
    append_member(&body, "instance", slice_of(call->correlation_id));
    size_t before_errors = buf_len(&body);
    if (problems && problems->first)
        append_errors(&body, problems);
    if (body.truncated) /* a client's own field names, thousands of octets each: what is wrong counts, not where */
        body.end = body.begin + before_errors;
    body.truncated = false;
    buf_append_char(&body, '}');
    for (size_t i = 0; i < ARRAY_LEN(companions); i++)
        if (companions[i].status == info->http_status)
            companions[i].add(call, detail);
    call_respond(call, info->http_status, content_type, buf_slice(&body));
}

void call_fail(struct call *call, enum err err, const char *detail)
{
    call_fail_fields(call, err, detail, NULL);
}
