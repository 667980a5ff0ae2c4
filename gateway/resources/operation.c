#include "gateway/resources/operation.h"

#include "common/db/db.h"
#include "gateway/resources/query.h"

enum {
    STATUS,
    HTTP_STATUS,
    FINGERPRINT,
    REFUSAL,
    TYPE,
    SUBJECT,
    VERSION,
    DATA,
    JOB_STATUS,
    JOB_ERROR,
    JOB_MEMBERS,
    WAITS_FOR,
    WAITS_MEMBERS,
    GIVEN_UP
};

#define RESULT                                                                                        \
    "i.status, i.http_status, coalesce(i.fingerprint, d.fingerprint), i.refusal, e.type, e.subject, " \
    "e.version"
/* The row of a command that has a result, or waits. */
#define FROM_COMMAND                                                                          \
    " FROM (SELECT $1::uuid AS company_id, $2::uuid AS command_id) AS k"                      \
    " LEFT JOIN inbox AS i ON i.company_id = k.company_id AND i.command_id = k.command_id"    \
    " LEFT JOIN deferred AS d ON d.company_id = k.company_id AND d.command_id = k.command_id" \
    " LEFT JOIN events AS e ON e.company_id = i.company_id AND e.seq = i.seq AND e.at = i.at"
#define WHERE_KNOWN " WHERE i.command_id IS NOT NULL OR d.command_id IS NOT NULL"

static const struct db_statement find = {"read.operation",
                                         "SELECT " RESULT ", e.data" FROM_COMMAND WHERE_KNOWN};

/* With the long job that the command began, where it did, and that job's last event; or with what it waits for; or with
 * why the broker gave it up, of which no result was written. */
static const struct db_statement follow = {
    "read.operation_job",
    "SELECT " RESULT ", coalesce(l.data, e.data), j.status, j.error,"
    " ',\"progress\":' || json_build_object('done', j.done, 'total', j.total, 'percent',"
    " CASE WHEN j.status = 'completed' THEN 100 WHEN j.total = 0 THEN 0"
    " ELSE least(99, j.done * 100 / j.total) END) || ',\"started_at\":' || "
    "coalesce(to_json(j.started_at)::text, 'null')"
    " || ',\"ended_at\":' || coalesce(to_json(j.ended_at)::text, 'null'),"
    " CASE WHEN i.command_id IS NULL THEN d.reason END,"
    " ',\"waits_for\":' || to_json(d.reason) || CASE d.reason"
    " WHEN 'schedule' THEN ',\"run_at\":' || to_json(d.due_at)"
    " WHEN 'retry' THEN ',\"attempts\":' || d.attempts || ',\"next_attempt_at\":' || to_json(d.due_at)"
    " || coalesce(',\"last_error\":' || to_json('/problems/' || d.error), '') ELSE '' END,"
    " CASE WHEN i.command_id IS NULL AND d.command_id IS NULL THEN g.reason END" FROM_COMMAND
    " LEFT JOIN LATERAL (SELECT g.reason FROM dead_letter AS g WHERE g.company_id = k.company_id"
    " AND g.command_id = k.command_id LIMIT 1) AS g ON true"
    " LEFT JOIN long_job AS j ON j.company_id = i.company_id AND j.id = i.command_id"
    " LEFT JOIN events AS l ON l.company_id = j.company_id AND l.seq = j.event_seq AND l.at = "
    "j.event_at" WHERE_KNOWN " OR g.reason IS NOT NULL"};

/* The caller owns operation->whole. */
static struct operation operation_of(struct db_result *result)
{
    enum err err = db_result_error(result);
    if (err || db_rows(result) == 0)
        return (struct operation){.found = err ? err : ERR_NOT_FOUND};
    struct slice status = db_text(result, 0, STATUS);
    struct operation operation = {
        .found = ERR_OK,
        .is_waiting = !status.data,
        .status = status.data ? err_from_slug(status.data, status.len) : ERR_OK,
        .http_status = (int)db_int(result, 0, HTTP_STATUS),
        .fingerprint = (uint64_t)db_int(result, 0, FINGERPRINT),
        .type = db_text(result, 0, TYPE),
        .subject = db_text(result, 0, SUBJECT),
        .version = db_int(result, 0, VERSION),
        .refusal = db_text(result, 0, REFUSAL),
        .entity = db_text(result, 0, DATA),
    };
    if (operation.entity.data)
        operation.whole = db_share(result, 0, DATA);
    return operation;
}

struct search {
    operation_on_found *on_found;
    void *arg;
};

static void on_result(void *arg, struct db_result *result)
{
    CLEANUP_FREE struct search *search = arg;
    struct operation operation = operation_of(result);
    search->on_found(search->arg, &operation);
    bytes_unref(operation.whole);
}

enum err operation_find(struct gateway *gateway, const struct uuid *company, const struct uuid *command,
                        operation_on_found *on_found, void *arg)
{
    char texts[2][UUID_TEXT_LEN + 1];
    uuid_format(company, texts[0]);
    uuid_format(command, texts[1]);
    const struct slice params[] = {{texts[0], UUID_TEXT_LEN}, {texts[1], UUID_TEXT_LEN}};
    CLEANUP_FREE struct search *search = xmalloc(sizeof(*search));
    *search = (struct search){on_found, arg};
    enum err err =
        db_pool_query(gateway->reads, params[0], &find, params, ARRAY_LEN(params), on_result, search);
    if (!err)
        TAKE(search);
    return err;
}

/* The problem document of a refusal: what follows from its kind, then the members that it was stored with. */
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

/* In one word. What long jobs say of themselves comes first. */
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

/* The broker's words (delivery_limit, rejected, …) mean nothing to a client. */
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
    struct operation operation = operation_of(result);
    bool is_known = operation.found == ERR_OK;
    struct slice job = is_known ? db_text(result, 0, JOB_STATUS) : SLICE_NONE;
    if (is_known && db_text(result, 0, GIVEN_UP).data)
        give_up(&operation, db_text(result, 0, GIVEN_UP));
    struct slice status = status_of(&operation, job, is_known ? db_text(result, 0, WAITS_FOR) : SLICE_NONE);
    if (slice_is(job, "failed")) {
        struct slice slug = db_text(result, 0, JOB_ERROR);
        operation.status = err_from_slug(slug.data, slug.len);
        operation.http_status = err_info(operation.status)->http_status;
    }
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, operation.entity.len + operation.refusal.len + 1024);
    buf_printf(&body, "{\"id\":\"%.*s\",\"status\":\"%.*s\"", (int)call->params[0].len, call->params[0].data,
               (int)status.len, status.data);
    if (job.data)
        buf_append_slice(&body, db_text(result, 0, JOB_MEMBERS));
    if (operation.is_waiting)
        buf_append_slice(&body, db_text(result, 0, WAITS_MEMBERS));
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

/* A command that nobody has run is not in the database: it waits in the broker, or never was. Both are
 * pending. */
void read_operation(struct call *call)
{
    query_start(call, &follow, call->params, 1, on_operation, NULL);
}
