/* GET /problems and GET /problems/{name}: the `type` of a problem is an address that answers. */

#include "gateway/openapi/problems.h"

static bool is_problem(const struct err_info *info)
{
    return info->http_status >= 400;
}

static void append_type(struct buf *body, const struct err_info *info)
{
    buf_printf(body, "{\"type\":\"/problems/%s\",\"title\":", info->slug);
    buf_append_json_string(body, slice_of(info->title));
    buf_printf(body, ",\"status\":%d}", info->http_status);
}

void problems_show(struct call *call)
{
    const char *separator = "";
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, 64 << 10);
    buf_append_text(&body, "{\"data\":[");
    for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
        if (!is_problem(err_info(err)))
            continue;
        buf_append_text(&body, separator);
        append_type(&body, err_info(err));
        separator = ",";
    }
    buf_append_text(&body, "]}");
    call_respond(call, 200, "application/json", buf_slice(&body));
}

void problem_show(struct call *call)
{
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, 1024);
    for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
        const struct err_info *info = err_info(err);
        if (!is_problem(info) || !slice_is(call->params[0], info->slug))
            continue;
        append_type(&body, info);
        call_respond(call, 200, "application/json", buf_slice(&body));
        return;
    }
    call_fail(call, ERR_NOT_FOUND, "There is no problem of this type.");
}
