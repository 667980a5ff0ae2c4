/* Dead letters, for operators: the list, one with its body as JSON, and the actions on them. The SQL of
 * the actions is in workers/engine/housekeeping/operator_dead.c. */

#include "gateway/operator/dead_letters.h"

#include "gateway/http/etag.h"
#include "gateway/http/preconditions.h"
#include "gateway/operator/pool_request.h"
#include "gateway/resources/command_body.h"
#include "gateway/resources/page.h"
#include "gateway/resources/query.h"

enum { DEAD_LETTER_MAX = 64 << 20 };

/* clang-format off */
/* The members of a dead letter, but for the end of the object. */
#define DEAD_LETTER                                              \
    "json_build_object("                                         \
    "'id', d.id, 'pool', d.pool, 'type', d.type,"                \
    " 'company', d.company_id, 'command', d.command_id,"         \
    " 'reason', d.reason, 'detail', d.detail,"                   \
    " 'attempts', d.attempts,"                                   \
    " 'first_at', time_text(d.first_at), 'last_at', time_text(d.last_at)," \
    " 'replays', d.replays, 'is_replaying', d.is_replaying,"     \
    " 'size', octet_length(d.body)"

/* ---- the list ---- */

#define WALK                                                     \
    " FROM dead_letter AS d"                                     \
    " WHERE d.last_at >= coalesce($5::timestamptz, '-infinity')" \
    " AND d.last_at < coalesce($6::timestamptz, 'infinity')"     \
    PAGE_AFTER("d.last_at", "d.id", "$7", "$8")                  \
    " ORDER BY d.last_at, d.id"

static const struct page_list list = {
    .statement = {"read.dead_letters",
                  "(SELECT " DEAD_LETTER ")::text, (extract(epoch FROM d.last_at) * 1000000)::bigint, d.id"
                  " FROM (SELECT d.*" WALK " LIMIT " PAGE_LOOK_AT ") AS d"
                  " WHERE ($1::text IS NULL OR d.pool = $1)"
                  " AND ($2::text IS NULL OR d.type = $2)"
                  " AND ($3::uuid IS NULL OR d.company_id = $3)"
                  " AND ($4::text IS NULL OR d.reason = $4)"
                  " LIMIT $9::integer)"
                  " UNION ALL (SELECT NULL, (extract(epoch FROM d.last_at) * 1000000)::bigint, d.id" WALK
                  " OFFSET " PAGE_LOOK_AT " - 1 LIMIT 1)"
                  " LIMIT $9::integer"},
    .request = "dead_selection",
    .filters = {"pool", "type", "company", "reason", "since", "before"},
};
/* clang-format on */

void read_dead_letters(struct call *call)
{
    page_start_as_operator(call, &list);
}

/* ---- one ---- */

/* clang-format off */
static const struct db_statement one = {
    "read.dead_letter",
    "SELECT " DEAD_LETTER ","
    " 'actor', d.actor, 'role', d.role, 'subject', d.subject, 'parent', d.parent,"
    " 'if_match', nullif(d.if_match, 0), 'sent_at', time_text(to_timestamp(nullif(d.sent, 0))),"
    " 'correlation_id', d.correlation_id, 'traceparent', d.traceparent,"
    " 'history', d.history)::text,"
    " d.type,"
    " encode(d.body, 'hex'),"
    " translate(encode(d.body, 'base64'), E'\\n', '')"
    " FROM dead_letter AS d"
    " WHERE d.id = $1"};
/* clang-format on */

enum { ONE_JSON, ONE_TYPE, ONE_HEX, ONE_BASE64 };

/* False: the call has been answered. */
static bool append_dead_letter(struct call *call, struct db_result *result, struct buf *body)
{
    if (db_rows(result) == 0) {
        call_fail(call, ERR_NOT_FOUND, NULL);
        return false;
    }
    struct slice dead_letter = db_text(result, 0, ONE_JSON);
    buf_append(body, dead_letter.data, dead_letter.len - 1);
    buf_append_text(body, ",\"body\":");
    if (!command_body_append(call, db_text(result, 0, ONE_TYPE), db_text(result, 0, ONE_HEX), body)) {
        buf_append_text(body, "null,\"body_base64\":");
        buf_append_json_string(body, db_text(result, 0, ONE_BASE64));
    }
    buf_append_char(body, '}');
    if (body->truncated)
        call_fail(call, ERR_BODY_TOO_LARGE, "The dead letter is too large to be shown.");
    return !body->truncated;
}

static void on_dead_letter(struct call *call, struct db_result *result, void *context)
{
    (void)context;
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, DEAD_LETTER_MAX);
    if (append_dead_letter(call, result, &body))
        call_respond(call, 200, "application/json", buf_slice(&body));
}

void read_dead_letter(struct call *call)
{
    query_start_as_operator(call, &one, call->params, 1, on_dead_letter, NULL);
}

/* ---- actions ---- */

static const char selection[] = "dead_selection";

/* Whether If-Match and If-None-Match allow a change of what has this tag now. False: the call has been answered. */
static bool conditions_allow_it(struct call *call, struct slice present)
{
    struct conditions conditions;
    enum err err = conditions_parse(call_header_list(call, "if-match"),
                                    call_header_list(call, "if-none-match"), &conditions);
    if (!err && !conditions_allow(&conditions, present))
        err = ERR_VERSION_CONFLICT;
    if (err)
        call_fail(call, err, err == ERR_BAD_REQUEST ? CONDITIONS_DEMAND : NULL);
    return !err;
}

static void on_looked(struct call *call, struct db_result *result, void *action)
{
    char text[ETAG_SIZE];
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, DEAD_LETTER_MAX);
    if (!append_dead_letter(call, result, &body))
        return;
    call_set_etag(call, etag_of_content(buf_slice(&body), text));
    if (conditions_allow_it(call, call->etag))
        pool_request_submit(call, NULL, action);
}

/* With conditions, a look at the dead letter goes first: its tag is a hash of what is shown, which no worker knows. */
static void submit(struct call *call, const char *action)
{
    if (call_header(call, "if-match").data || call_header(call, "if-none-match").data)
        query_start_as_operator(call, &one, call->params, 1, on_looked, (void *)(uintptr_t)action);
    else
        pool_request_submit(call, NULL, action);
}

void dead_letter_replay(struct call *call)
{
    submit(call, "dead.replay");
}

void dead_letter_drop(struct call *call)
{
    submit(call, "dead.drop");
}

/* Those that match have no tag in common, so only `*` names them. */
void dead_letters_replay(struct call *call)
{
    if (conditions_allow_it(call, SLICE("")))
        pool_request_submit(call, selection, "dead.replay_many");
}

void dead_letters_drop(struct call *call)
{
    if (conditions_allow_it(call, SLICE("")))
        pool_request_submit(call, selection, "dead.drop_many");
}
