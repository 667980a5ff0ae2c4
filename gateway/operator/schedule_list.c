/* GET of schedules, for operators: a list, and one with the body of its command. */

#include "gateway/operator/schedules.h"

#include "gateway/resources/command_body.h"
#include "gateway/resources/page.h"
#include "gateway/resources/query.h"

enum { SCHEDULE_MAX = 64 << 20 };

/* A command's outcome is what the inbox says; what is neither there nor waiting is with a worker, or long forgotten. */
#define OUTCOME                                                                                            \
    "CASE WHEN s.run_at IS NOT NULL THEN CASE WHEN s.last_error IS NULL THEN 'running' ELSE 'failing' END" \
    " WHEN s.last_at IS NULL THEN NULL"                                                                    \
    " WHEN s.company_id IS NULL THEN 'succeeded'"                                                          \
    " WHEN i.status = 'ok' THEN 'succeeded' WHEN i.status IS NOT NULL THEN 'failed'"                       \
    " WHEN d.command_id IS NOT NULL THEN 'waiting' ELSE 'unknown' END"
#define SCHEDULE                                                                                       \
    "json_build_object('name', s.name, 'company', s.company_id, 'type', s.type, 'cron', s.cron,"       \
    " 'timezone', s.timezone, 'enabled', s.enabled, 'next_at', s.next_at, 'asked_at', s.asked_at,"     \
    " 'runs', s.runs, 'last', CASE WHEN s.last_at IS NOT NULL THEN json_build_object('at', s.last_at," \
    " 'begun_at', s.last_begun_at, 'ended_at', coalesce(s.last_ended_at, i.at), 'by', s.last_by,"      \
    " 'command', s.last_command, 'outcome', " OUTCOME ","                                              \
    " 'error', coalesce(s.last_error, nullif(i.status, 'ok'))) END, 'error', s.last_error"
#define FROM_SCHEDULE                                                                        \
    " FROM schedule AS s"                                                                    \
    " LEFT JOIN inbox AS i ON i.company_id = s.company_id AND i.command_id = s.last_command" \
    " LEFT JOIN deferred AS d ON d.company_id = s.company_id AND d.command_id = s.last_command"

/* ---- the list ---- */

static const struct page_list list = {
    .statement = {"read.schedules",
                  "SELECT " SCHEDULE
                  ")::text, (extract(epoch FROM s.created_at) * 1000000)::bigint, s.id" FROM_SCHEDULE
                  " WHERE ($1::uuid IS NULL OR s.company_id = $1)"
                  " AND ($2::timestamptz IS NULL OR (s.created_at, s.id) > ($2, $3::uuid))"
                  " ORDER BY s.created_at, s.id LIMIT $4::integer"},
    .request = "schedule_selection",
    .filters = {"company"},
};

void read_schedules(struct call *call)
{
    page_start_as_operator(call, &list);
}

/* ---- one ---- */

static const struct db_statement one = {
    "read.schedule",
    "SELECT " SCHEDULE
    ", 'actor', s.actor, 'subject', s.subject, 'parent', s.parent, 'changed_by', s.changed_by,"
    " 'created_at', s.created_at, 'updated_at', s.updated_at)::text, s.type, encode(s.body, "
    "'hex')" FROM_SCHEDULE " WHERE s.name = $1"};

enum { ONE_JSON, ONE_TYPE, ONE_HEX };

static void on_schedule(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, SCHEDULE_MAX);
    if (db_rows(result) == 0) {
        call_fail(call, ERR_NOT_FOUND, NULL);
        return;
    }
    struct slice schedule = db_text(result, 0, ONE_JSON);
    buf_append(&body, schedule.data, schedule.len - 1);
    buf_append_text(&body, ",\"body\":");
    if (!command_body_append(call, db_text(result, 0, ONE_TYPE), db_text(result, 0, ONE_HEX), &body))
        buf_append_text(&body, "null");
    buf_append_char(&body, '}');
    call_respond(call, 200, "application/json", buf_slice(&body));
}

void read_schedule(struct call *call)
{
    query_start_as_operator(call, &one, call->params, 1, on_schedule, NULL);
}
