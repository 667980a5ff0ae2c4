#include "gateway/resources/operation.h"

#include "gateway/bus/inbox.h"
#include "gateway/bus/writers.h"
#include "gateway/resources/query.h"

/* The problem document of a refused command: the members that follow from its error, then those that are
 * stored with it. */
static void append_problem(struct buf *body, const struct operation *operation)
{
    const struct err_info *info = err_info(operation->status);
    buf_printf(body, ",\"problem\":{\"type\":\"/problems/%s\",\"title\":", info->slug);
    buf_append_json_string(body, slice_of(info->title));
    buf_printf(body, ",\"status\":%d", operation->http_status);
    struct slice members = operation->refusal;
    if (members.len > 2) { /* more than {} */
        buf_append_char(body, ',');
        buf_append(body, members.data + 1, members.len - 2);
    }
    buf_append_char(body, '}');
}

static void append_result(struct buf *body, const struct operation *operation)
{
    buf_append_text(body, ",\"result\":");
    buf_append_slice(body, operation->entity.data ? operation->entity : SLICE("null"));
}

/* The status in one word. A long job's own status comes first. */
static struct slice status_of(const struct operation *operation, struct slice job, struct slice waits_for)
{
    if (job.data && !slice_is(job, "completed"))
        return job; /* pending, running, failed or cancelled */
    if (operation->found == ERR_NOT_FOUND || operation->is_waiting)
        return slice_is(waits_for, "schedule") ? SLICE("scheduled") : SLICE("pending");
    if (operation->status == ERR_CANCELLED)
        return SLICE("cancelled");
    return operation->status ? SLICE("failed") : SLICE("succeeded");
}

/* The command is a dead letter. A reason of the broker (delivery_limit, rejected, …) means nothing to a
 * client, so it becomes an internal error. */
static void give_up(struct operation *operation, struct slice reason)
{
    enum err err = err_from_slug(reason.data, reason.len);
    operation->is_waiting = false;
    operation->status = err_info(err)->http_status >= 500 ? err : ERR_INTERNAL;
    operation->http_status = err_info(operation->status)->http_status;
}

static void on_operation(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    struct operation operation = inbox_read(result);
    struct operation_progress progress = {0};
    if (operation.found == ERR_OK)
        progress = inbox_read_progress(result);
    if (progress.given_up.data)
        give_up(&operation, progress.given_up);
    struct slice job = progress.job, status = status_of(&operation, job, progress.waits_for);
    if (slice_is(job, "failed")) {
        operation.status = err_from_slug(progress.job_error.data, progress.job_error.len);
        operation.http_status = err_info(operation.status)->http_status;
    }
    if (operation.found == ERR_OK) /* its asker knows now of a change that a replica may not have yet */
        writers_note(call->gateway->writers, &call->identity.user);
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, operation.entity.len + operation.refusal.len + 1024);
    buf_printf(&body, "{\"id\":\"%.*s\",\"status\":\"%.*s\"", (int)call->params[0].len, call->params[0].data,
               (int)status.len, status.data);
    if (job.data)
        buf_append_slice(&body, progress.job_members);
    if (operation.is_waiting)
        buf_append_slice(&body, progress.waits_members);
    if (slice_is(status, "pending") && !job.data)
        call_add_header(call, "Retry-After", SLICE("1"));
    else if (operation.status)
        append_problem(&body, &operation);
    else if (!operation.is_waiting)
        append_result(&body, &operation);
    buf_append_char(&body, '}');
    call_respond(call, 200, "application/json", buf_slice(&body));
    bytes_unref(operation.whole);
}

/* A command that no worker has run is not in the database. It waits in the broker, or it never existed;
 * the two cannot be told apart, and both are shown as pending. */
void read_operation(struct call *call)
{
    query_start(call, QUERY_FRESH, &inbox_follow, call->params, 1, on_operation, NULL);
}
