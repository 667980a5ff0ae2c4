#include "gateway/http/problem.h"

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

void problem_write(struct buf *body, enum err err, const char *detail, struct slice instance,
                   const struct msg_problems *problems)
{
    const struct err_info *info = err_info(err);
    buf_printf(body, "{\"type\":\"/problems/%s\",\"title\":", info->slug);
    buf_append_json_string(body, slice_of(info->title));
    buf_printf(body, ",\"status\":%d", info->http_status);
    if (detail)
        append_member(body, "detail", slice_of(detail));
    append_member(body, "instance", instance);
    size_t before_errors = buf_len(body);
    if (problems && problems->first)
        append_errors(body, problems);
    /* A client's own field names may have thousands of octets each. What is wrong counts then, not where. */
    if (body->truncated)
        body->end = body->begin + before_errors;
    body->truncated = false;
    buf_append_char(body, '}');
}
