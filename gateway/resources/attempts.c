#include "gateway/resources/attempts.h"

#include "gateway/http/authorize.h"
#include "gateway/http/etag.h"
#include "gateway/resources/query.h"

enum { ATTEMPTS, VERSION };

/* An attempt that has succeeded has no row of its own as long as it is the last one. */
static const struct db_statement statement = {
    "read.webhook_attempts",
    "SELECT '{\"data\":[' || coalesce((SELECT string_agg(row_to_json(a)::text, ',' ORDER BY a.n) FROM ("
    " SELECT n, time_text(at) AS at, http_status, error, took_ms, response FROM webhook_attempt"
    " WHERE company_id = d.company_id AND delivery_id = d.id AND at >= d.event_at"
    " UNION ALL"
    " SELECT d.attempts, time_text(d.attempted_at), d.http_status, d.error, d.took_ms, d.response"
    " WHERE d.attempts > 0 AND NOT EXISTS (SELECT FROM webhook_attempt AS t"
    " WHERE t.company_id = d.company_id AND t.delivery_id = d.id AND t.n = d.attempts AND t.at >= d.event_at)"
    ") AS a), '') || ']}', d.version"
    " FROM webhook_delivery AS d WHERE d.company_id = $1 AND d.id = $2",
};

static void on_attempts(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    if (db_rows(result) == 0) {
        call_fail(call, ERR_NOT_FOUND, NULL);
        return;
    }
    char text[ETAG_SIZE];
    call_set_etag(call, etag_format(db_int(result, 0, VERSION), text));
    struct bytes *json = db_share(result, 0, ATTEMPTS);
    call_respond_shared(call, 200, "application/json", json, json->slice);
    bytes_unref(json);
}

void read_attempts(struct call *call)
{
    if (authorize_right(call, call->resource, MSG_RIGHT_READ))
        query_start(call, QUERY_ROW, &statement, call->params, 1, on_attempts, NULL);
}
