#include "gateway/bus/inbox.h"

enum {
    STATUS,
    HTTP_STATUS,
    FINGERPRINT,
    REFUSAL,
    TYPE,
    SUBJECT,
    VERSION,
    AT_MS,
    DATA,
    JOB_STATUS,
    JOB_ERROR,
    JOB_MEMBERS,
    WAITS_FOR,
    WAITS_MEMBERS,
    GIVEN_UP,
    ACTOR
};

#define RESULT                                                                                               \
    "i.status, i.http_status, coalesce(i.fingerprint, d.fingerprint), i.refusal, coalesce(e.type, i.type), " \
    "coalesce(e.subject, i.subject), coalesce(e.version, i.version), (extract(epoch FROM i.at) * "           \
    "1000)::bigint"
/* The result of a command of which nobody hears stands in its row of the inbox; there is no event (x-audience). */
/* One row if the command has a result or waits; else none. */
#define FROM_COMMAND                                                                          \
    " FROM (SELECT $1::uuid AS company_id, $2::uuid AS command_id) AS k"                      \
    " LEFT JOIN inbox AS i ON i.company_id = k.company_id AND i.command_id = k.command_id"    \
    " LEFT JOIN deferred AS d ON d.company_id = k.company_id AND d.command_id = k.command_id" \
    " LEFT JOIN events AS e ON e.company_id = i.company_id AND e.seq = i.seq AND e.at = i.at"
#define WHERE_KNOWN " WHERE i.command_id IS NOT NULL OR d.command_id IS NOT NULL"

static const struct db_statement find = {
    "read.operation", "SELECT " RESULT ", coalesce(e.data, i.data)" FROM_COMMAND WHERE_KNOWN};

/* The row has more in it than that of `find`: the long job that the command began, with the job's last event;
 * or what the command waits for; or why the broker gave the command up, for then there is no result. */
const struct db_statement inbox_follow = {
    "read.operation_job",
    "SELECT " RESULT ", coalesce(l.data, e.data, i.data), j.status, j.error,"
    " ',\"progress\":' || json_build_object('done', j.done, 'total', j.total, 'percent',"
    " CASE WHEN j.status = 'completed' THEN 100 WHEN j.total = 0 THEN 0"
    " ELSE least(99, j.done * 100 / j.total) END) || ',\"started_at\":' || "
    "coalesce(to_json(time_text(j.started_at))::text, 'null')"
    " || ',\"ended_at\":' || coalesce(to_json(time_text(j.ended_at))::text, 'null'),"
    " CASE WHEN i.command_id IS NULL THEN d.reason END,"
    " ',\"waits_for\":' || to_json(d.reason) || CASE d.reason"
    " WHEN 'schedule' THEN ',\"run_at\":' || to_json(time_text(d.due_at))"
    " WHEN 'retry' THEN ',\"attempts\":' || d.attempts || ',\"next_attempt_at\":' || "
    "to_json(time_text(d.due_at))"
    " || coalesce(',\"last_error\":' || to_json('/problems/' || d.error), '') ELSE '' END,"
    " CASE WHEN i.command_id IS NULL AND d.command_id IS NULL THEN g.reason END,"
    " coalesce(e.actor::text, i.actor::text, d.actor::text, j.actor::text, g.actor::text)" FROM_COMMAND
    " LEFT JOIN LATERAL (SELECT g.reason, g.actor FROM dead_letter AS g WHERE g.company_id = k.company_id"
    " AND g.command_id = k.command_id LIMIT 1) AS g ON true"
    " LEFT JOIN long_job AS j ON j.company_id = i.company_id AND j.id = i.command_id"
    " LEFT JOIN events AS l ON l.company_id = j.company_id AND l.seq = j.event_seq AND l.at = "
    "j.event_at" WHERE_KNOWN " OR g.reason IS NOT NULL"};

struct operation inbox_read(struct db_result *result)
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
        .at_ms = db_int(result, 0, AT_MS),
        .refusal = db_text(result, 0, REFUSAL),
        .entity = db_text(result, 0, DATA),
    };
    if (operation.entity.data)
        operation.whole = db_share(result, 0, DATA);
    return operation;
}

struct operation_progress inbox_read_progress(const struct db_result *result)
{
    return (struct operation_progress){.job = db_text(result, 0, JOB_STATUS),
                                       .job_error = db_text(result, 0, JOB_ERROR),
                                       .job_members = db_text(result, 0, JOB_MEMBERS),
                                       .waits_for = db_text(result, 0, WAITS_FOR),
                                       .waits_members = db_text(result, 0, WAITS_MEMBERS),
                                       .given_up = db_text(result, 0, GIVEN_UP)};
}

struct slice inbox_read_actor(const struct db_result *result)
{
    return db_rows(result) > 0 ? db_text(result, 0, ACTOR) : SLICE_NONE;
}

struct search {
    operation_on_found *on_found;
    void *arg;
};

static void on_result(void *arg, struct db_result *result)
{
    CLEANUP_FREE struct search *search = arg;
    struct operation operation = inbox_read(result);
    search->on_found(search->arg, &operation);
    bytes_unref(operation.whole);
}

enum err inbox_find(struct gateway *gateway, const struct uuid *company, const struct uuid *command,
                    operation_on_found *on_found, void *arg)
{
    char texts[2][UUID_TEXT_LEN + 1];
    uuid_format(company, texts[0]);
    uuid_format(command, texts[1]);
    const struct slice params[] = {{texts[0], UUID_TEXT_LEN}, {texts[1], UUID_TEXT_LEN}};
    CLEANUP_FREE struct search *search = xmalloc(sizeof(*search));
    *search = (struct search){on_found, arg};
    const struct db_query query = {.kind = DB_QUERY_HURRIED,
                                   .is_fresh = true,
                                   .company = params[0],
                                   .statement = &find,
                                   .params = params,
                                   .param_count = ARRAY_LEN(params),
                                   .on_result = on_result,
                                   .arg = search};
    enum err err = db_pool_query(gateway->reads, &query, NULL);
    if (!err)
        TAKE(search);
    return err;
}
