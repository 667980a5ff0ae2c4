#include "gateway/read/operation.h"

#include "common/db.h"
#include "gateway/read/query.h"
#include "gateway/routes.h"

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
    JOB_MEMBERS
};

#define RESULT "i.status, i.http_status, i.fingerprint, i.refusal, e.type, e.subject, e.version"
#define FROM_INBOX     \
    " FROM inbox AS i" \
    " LEFT JOIN events AS e ON e.company_id = i.company_id AND e.seq = i.seq AND e.at = i.at"

static const struct db_statement find = {"read.operation", "SELECT " RESULT ", e.data" FROM_INBOX
                                                           " WHERE i.company_id = $1 AND i.command_id = $2"};

/* With the long job that the command began, where it did, and that job's last event. */
static const struct db_statement follow = {
    "read.operation_job",
    "SELECT " RESULT ", coalesce(l.data, e.data), j.status, j.error,"
    " ',\"progress\":' || json_build_object('done', j.done, 'total', j.total, 'percent',"
    " CASE WHEN j.status = 'completed' THEN 100 WHEN j.total = 0 THEN 0"
    " ELSE least(99, j.done * 100 / j.total) END) || ',\"started_at\":' || "
    "coalesce(to_json(j.started_at)::text, 'null')"
    " || ',\"ended_at\":' || coalesce(to_json(j.ended_at)::text, 'null')" FROM_INBOX
    " LEFT JOIN long_job AS j ON j.company_id = i.company_id AND j.id = i.command_id"
    " LEFT JOIN events AS l ON l.company_id = j.company_id AND l.seq = j.event_seq AND l.at = j.event_at"
    " WHERE i.company_id = $1 AND i.command_id = $2"};

/* The caller owns operation->whole. */
static struct operation operation_of(struct db_result *result)
{
    enum err err = db_result_error(result);
    if (err || db_rows(result) == 0)
        return (struct operation){.found = err ? err : ERR_NOT_FOUND};
    struct slice status = db_text(result, 0, STATUS);
    struct operation operation = {
        .found = ERR_OK,
        .status = err_from_slug(status.data, status.len),
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

static void on_operation(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    struct operation operation = operation_of(result);
    bool is_pending = operation.found == ERR_NOT_FOUND;
    struct slice job = is_pending ? SLICE_NONE : db_text(result, 0, JOB_STATUS);
    const char *status = is_pending ? "pending" : operation.status ? "failed" : "succeeded";
    if (job.data && !slice_is(job, "completed"))
        status = job.data; /* pending, running, failed or cancelled */
    if (slice_is(job, "failed")) {
        struct slice slug = db_text(result, 0, JOB_ERROR);
        operation.status = err_from_slug(slug.data, slug.len);
        operation.http_status = err_info(operation.status)->http_status;
    }
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, operation.entity.len + operation.refusal.len + 1024);
    buf_printf(&body, "{\"id\":\"%.*s\",\"status\":\"%s\"", (int)call->params[0].len, call->params[0].data,
               status);
    if (job.data)
        buf_append_slice(&body, db_text(result, 0, JOB_MEMBERS));
    if (is_pending)
        call_add_header(call, "Retry-After", SLICE("1"));
    else if (operation.status)
        append_problem(&body, &operation);
    else
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
