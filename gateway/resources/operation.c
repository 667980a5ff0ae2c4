#include "gateway/resources/operation.h"

#include "common/msg/members.h"
#include "gateway/bus/inbox.h"
#include "gateway/bus/writers.h"
#include "gateway/resources/page.h"
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

/* What is shown of the operation `id`; true: it waits for a worker, so its client should ask again. */
static bool append_operation(struct slice id, struct db_result *result, struct operation *operation,
                             struct buf *body)
{
    struct operation_progress progress = {0};
    if (operation->found == ERR_OK)
        progress = inbox_read_progress(result);
    if (progress.given_up.data)
        give_up(operation, progress.given_up);
    struct slice job = progress.job, status = status_of(operation, job, progress.waits_for);
    if (slice_is(job, "failed")) {
        operation->status = err_from_slug(progress.job_error.data, progress.job_error.len);
        operation->http_status = err_info(operation->status)->http_status;
    }
    buf_printf(body, "{\"id\":\"%.*s\",\"status\":\"%.*s\"", (int)id.len, id.data, (int)status.len,
               status.data);
    bool waits_for_worker = slice_is(status, "pending") && !job.data;
    if (job.data)
        buf_append_slice(body, progress.job_members);
    if (operation->is_waiting)
        buf_append_slice(body, progress.waits_members);
    if (operation->status && !waits_for_worker)
        append_problem(body, operation);
    else if (!operation->is_waiting && !waits_for_worker)
        append_result(body, operation);
    buf_append_char(body, '}');
    return waits_for_worker;
}

/* Who sees what others of the company have sent. */
static bool sees_others(const struct call *call)
{
    return call->identity.role_row == MSG_ROLE_SUPER_ADMIN ||
           call->identity.role_row == MSG_ROLE_COMPANY_ADMIN;
}

/* What another has sent, and the result of it, is as if it were not there. */
static bool is_of_another(const struct call *call, const struct db_result *result)
{
    struct slice actor = inbox_read_actor(result);
    struct uuid id;
    return !sees_others(call) && actor.data &&
           !(uuid_parse(actor, &id) && uuid_equal(&id, &call->identity.user));
}

static void hide_fields(const struct call *call, struct operation *operation, struct buf *seen)
{
    const char *dot = operation->type.data ? memchr(operation->type.data, '.', operation->type.len) : NULL;
    const struct msg_resource *resource =
        dot ? msg_resource_by_name((struct slice){operation->type.data, (size_t)(dot - operation->type.data)})
            : NULL;
    unsigned hidden = msg_role_hidden(call->identity.role_row);
    if (!operation->entity.data || !members_have_hidden(resource, hidden))
        return;
    members_append_seen(resource, hidden, operation->entity, seen);
    operation->entity = buf_slice(seen);
}

static void on_operation(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    CLEANUP(buf_done) struct buf seen;
    struct operation operation =
        is_of_another(call, result) ? (struct operation){.found = ERR_NOT_FOUND} : inbox_read(result);
    buf_init(&seen, operation.entity.len + 3);
    hide_fields(call, &operation, &seen);
    char seconds[2];
    if (operation.found == ERR_OK) /* its asker knows now of a change that a replica may not have yet */
        writers_note(call->gateway->writers, &call->identity.user);
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, operation.entity.len + operation.refusal.len + 1024);
    if (append_operation(call->params[0], result, &operation, &body))
        call_add_header(call, "Retry-After", call_retry_after(seconds));
    call_respond(call, 200, "application/json", buf_slice(&body));
    bytes_unref(operation.whole);
}

struct slice operation_etag(struct slice id, struct db_result *result, char text[ETAG_SIZE])
{
    struct operation operation = inbox_read(result);
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, operation.entity.len + operation.refusal.len + 1024);
    append_operation(id, result, &operation, &body);
    struct slice etag = etag_of_content(buf_slice(&body), text);
    bytes_unref(operation.whole);
    return etag;
}

/* A command that no worker has run is not in the database. It waits in the broker, or it never existed;
 * the two cannot be told apart, and both are shown as pending. */
void read_operation(struct call *call)
{
    query_start(call, QUERY_FRESH, &inbox_follow, call->params, 1, on_operation, NULL);
}

/* ---- the list of what waits ---- */

/* clang-format off */
/* In the order of the ids, which is that of the primary key: so a page costs its own rows, also for a company that
 * has millions of rows. Those that do not fit the filters cost, too: a page looks at PAGE_LOOK_AT rows, and is partial when it is not
 * full by then. Ids begin with the time at which they were made, unless they follow from an Idempotency-Key. The cursor's
 * time says nothing. */
#define WALK                                                     \
    " FROM deferred AS d"                                        \
    " WHERE d.company_id = $1"                                   \
    " AND d.command_id > CASE WHEN $4::timestamptz IS NULL"      \
    " THEN '00000000-0000-0000-0000-000000000000' ELSE $5::uuid END" \
    " ORDER BY d.command_id"

static const struct page_list waiting = {
    .statement = {"read.operations",
                  "(SELECT json_build_object("
                  "'id', d.command_id,"
                  " 'status', CASE d.reason WHEN 'schedule' THEN 'scheduled' ELSE 'pending' END,"
                  " 'type', d.type, 'actor', d.actor, 'subject', d.subject, 'parent', d.parent,"
                  " 'waits_for', d.reason,"
                  " 'due_at', CASE WHEN d.reason <> 'turn' THEN time_text(d.due_at) END,"
                  " 'attempts', d.attempts,"
                  " 'sent_at', time_text(to_timestamp(d.sent)))::text,"
                  " 0, d.command_id"
                  " FROM (SELECT d.*" WALK " LIMIT " PAGE_LOOK_AT ") AS d"
                  " WHERE ($2::text IS NULL OR (d.reason = 'schedule') = ($2 = 'scheduled'))"
                  " AND ($3::uuid IS NULL OR d.actor = $3)"
                  " LIMIT $6::integer)"
                  " UNION ALL (SELECT NULL, 0, d.command_id" WALK " OFFSET " PAGE_LOOK_AT " - 1 LIMIT 1)"
                  " LIMIT $6::integer"},
    .request = "operation_selection",
    .filters = {"status", "actor"},
};
/* clang-format on */

void read_operations(struct call *call)
{
    char user[UUID_TEXT_LEN + 1];
    uuid_format(&call->identity.user, user);
    const struct page_forced own = {"actor", user};
    page_start(call, &waiting, sees_others(call) ? NULL : &own);
}
