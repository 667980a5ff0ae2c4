#include "gateway/sse/page.h"

#include <stdio.h>

#include "common/base/json.h"
#include "common/db/db.h"
#include "common/msg/members.h"
#include "gateway/http/preconditions.h"
#include "gateway/hub/audience.h"
#include "gateway/hub/position.h"
#include "gateway/net/conn.h"
#include "gateway/resources/query.h"

enum { BODY, EPOCH, NEXT, COUNT, KEPT, OWNED, LAST };

/* $1 company, $2 after, $3 limit, $4 the projects (of_projects). It is one statement, so that the position
 * and the events belong to one snapshot. A position past the last event is none of this stream's, unless a
 * replica says so, which may be late. */
#define PAGE(owned, of_channel)                                                                          \
    "WITH page AS (SELECT seq, event_text(events) AS event FROM events"                                  \
    " WHERE company_id = $1 AND seq > $2::bigint" of_channel " ORDER BY seq LIMIT $3::bigint),"          \
    " answer AS (SELECT epoch, seq, count, events,"                                                      \
    " CASE WHEN count = $3::bigint THEN last ELSE greatest(seq, $2::bigint) END AS next"                 \
    " FROM company_sequence, (SELECT count(*) AS count, max(seq) AS last,"                               \
    " string_agg(event, ',' ORDER BY seq) AS events FROM page) AS gathered WHERE company_id = $1)"       \
    " SELECT '{\"data\":[' || coalesce(events, '') || '],\"next\":' || to_json(epoch || ':' || next) ||" \
    " ',\"more\":' || (next < seq) || '}', epoch, next, count,"                                          \
    " CASE WHEN $2::bigint > seq THEN pg_is_in_recovery() WHEN $2::bigint = seq THEN true"               \
    " ELSE EXISTS (SELECT FROM events WHERE company_id = $1 AND seq = $2::bigint + 1) END,"              \
    " " owned ", seq FROM answer"

static const struct db_statement of_company = {"read.events", PAGE("0", "")};
static const struct db_statement of_projects = {
    "read.events_of_projects",
    PAGE("(SELECT count(*) FROM project WHERE company_id = $1 AND id = ANY ($4::uuid[]))",
         " AND project = ANY ($4::uuid[])")};

struct poll {
    struct subscriber subscriber;
    struct call *call;
    struct hub_request request;
    struct slice projects; /* as a PostgreSQL array */
    int64_t limit;
    ev_timer timer;
    int64_t wait_ms;  /* 0: does not wait, or waits no more */
    bool has_waited;  /* as long as the client asked: what is still to do must not take long */
    struct ties ties; /* of the user, where what it sees depends on them; in the call's memory */
};

static void read_page(struct poll *poll);
static void read_events_of(struct poll *poll);

/* Waiting. */

static void stop_waiting(struct poll *poll)
{
    hub_unsubscribe(&poll->subscriber);
    ev_timer_stop(poll->call->gateway->loop, &poll->timer);
    poll->call->on_gone = NULL;
    poll->call->on_drain = NULL;
    poll->wait_ms = 0;
}

static void wake(struct poll *poll)
{
    stop_waiting(poll);
    read_page(poll);
}

static void on_gone(struct call *call)
{
    stop_waiting(call->waiter);
}

static void on_drain(struct call *call)
{
    wake(call->waiter);
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct poll *poll = CONTAINER_OF(timer, struct poll, timer);
    poll->has_waited = true;
    wake(poll);
}

static struct poll *poll_of(struct subscriber *subscriber)
{
    return CONTAINER_OF(subscriber, struct poll, subscriber);
}

static struct bytes *encode(const struct channel *channel, const struct publication *const *publications,
                            size_t count)
{
    (void)channel;
    (void)publications;
    (void)count;
    return bytes_copy(SLICE(""));
}

static void on_started(struct subscriber *subscriber, const struct hub_start *start)
{
    if (!start->recovered || start->publication_count > 0)
        wake(poll_of(subscriber));
}

static void on_publications(struct subscriber *subscriber, struct bytes *encoded)
{
    (void)encoded;
    wake(poll_of(subscriber));
}

static void on_refused(struct subscriber *subscriber, enum err err)
{
    struct poll *poll = poll_of(subscriber);
    stop_waiting(poll);
    call_fail(poll->call, err, NULL);
}

static void on_lost(struct subscriber *subscriber)
{
    wake(poll_of(subscriber));
}

static size_t backlog(const struct subscriber *subscriber)
{
    (void)subscriber;
    return 0;
}

static const struct subscriber_protocol poll_subscriber = {
    .encode = encode,
    .on_started = on_started,
    .on_publications = on_publications,
    .on_refused = on_refused,
    .on_lost = on_lost,
    .backlog = backlog,
};

static void wait_for_events(struct poll *poll, struct slice epoch, int64_t offset)
{
    struct call *call = poll->call;
    poll->request.recover = true;
    poll->request.epoch = arena_copy(&call->arena, epoch);
    poll->request.offset = offset;
    call->on_gone = on_gone;
    call->on_drain = on_drain;
    call->waiter = poll;
    call->asks_to_wait = true;
    if (call->conn)
        conn_set_long_lived(call->conn);
    ev_timer_set(&poll->timer, (ev_tstamp)poll->wait_ms / 1000., 0.);
    ev_timer_start(call->gateway->loop, &poll->timer);
    hub_subscribe(call->gateway->hub, &poll->subscriber, &poll->request);
}

/* The answer. */

/* The page with what the caller sees of its events. */
static void respond_seen(const struct poll *poll, struct slice body)
{
    struct call *call = poll->call;
    struct slice events = members_value(body, "data");
    const char *behind = events.data + events.len, *end = body.data + body.len;
    const struct viewer viewer = {.role = call->identity.role_row,
                                  .of = poll->request.kind == CHANNEL_COMPANY ? AUDIENCE_OF_COMPANY
                                                                              : AUDIENCE_OF_PROJECTS,
                                  .ties = &poll->ties,
                                  .user = &call->identity.user};
    CLEANUP(buf_done) struct buf seen;
    buf_init(&seen, body.len + 1);
    buf_append(&seen, body.data, (size_t)(events.data - body.data) + 1);
    audience_append_page(&viewer, (struct slice){events.data + 1, events.len - 2}, &seen);
    buf_append(&seen, behind - 1, (size_t)(end - behind) + 1);
    call_respond(call, 200, "application/json", buf_slice(&seen));
}

static void respond(const struct poll *poll, struct db_result *result, const char *position)
{
    struct call *call = poll->call;
    char text[POSITION_SIZE + 2];
    int len = snprintf(text, sizeof(text), "\"%s\"", position);
    call_set_etag(call, (struct slice){text, (size_t)len});
    struct bytes *body = db_share(result, 0, BODY);
    if (audience_is_whole(call->identity.role_row))
        call_respond_shared(call, 200, "application/json", body, body->slice);
    else
        respond_seen(poll, body->slice);
    bytes_unref(body);
}

void event_position_gone(struct call *call, const char *epoch, int64_t last, const char *why)
{
    struct slice channels = call_query(call, "channels");
    size_t size = sizeof("<?channels=&after=>; rel=\"current\"") + channels.len + POSITION_SIZE;
    char position[POSITION_SIZE], *link = arena_alloc(&call->arena, size);
    position_format(epoch, last, position);
    if (link) {
        int len = snprintf(link, size, "<?%s%.*s%safter=%s>; rel=\"current\"",
                           channels.data ? "channels=" : "", (int)channels.len,
                           channels.data ? channels.data : "", channels.data ? "&" : "", position);
        call_add_header(call, "Link", (struct slice){link, (size_t)len});
    }
    call_fail(call, ERR_POSITION_GONE, why);
}

static void refuse_position(struct poll *poll, struct db_result *result, const char *why)
{
    event_position_gone(poll->call, db_text(result, 0, EPOCH).data, db_int(result, 0, LAST), why);
}

static void on_page(struct call *call, struct db_result *result, void *context)
{
    struct poll *poll = context;
    char position[POSITION_SIZE];
    bool found = db_rows(result) > 0;
    struct slice epoch = found ? db_text(result, 0, EPOCH) : SLICE("");
    if (!found)
        call_fail(call, ERR_NOT_FOUND, "There is no such company.");
    else if (db_int(result, 0, OWNED) != (int64_t)poll->request.project_count)
        call_fail(call, ERR_FORBIDDEN, NULL);
    else if (poll->request.epoch.len > 0 && !slice_equal(poll->request.epoch, epoch))
        refuse_position(poll, result, "The company's events have been numbered anew since then.");
    else if (!slice_is(db_text(result, 0, KEPT), "t"))
        refuse_position(poll, result,
                        poll->request.offset > db_int(result, 0, LAST) ? EVENT_POSITION_AHEAD : NULL);
    else if (db_int(result, 0, COUNT) == 0 && poll->wait_ms > 0 && !call->gateway->draining)
        wait_for_events(poll, epoch, db_int(result, 0, NEXT));
    else
        respond(poll, result, position_format(epoch.data, db_int(result, 0, NEXT), position).data);
}

/* Asking. */

static void on_right(struct call *call, struct db_result *result, void *context)
{
    if (db_rows(result) > 0)
        call_fail(call, ERR_FORBIDDEN, NULL);
    else
        read_events_of(context);
}

/* The ties are kept in the call's memory, which goes when the call does. */
static void on_ties(struct call *call, struct db_result *result, void *context)
{
    struct poll *poll = context;
    struct ties ties;
    if (!ties_read(&ties, result)) {
        call_fail(call, ERR_FORBIDDEN,
                  "The caller belongs to too many projects to see the company's events.");
        return;
    }
    poll->ties.items = arena_calloc(&call->arena, ties.count + 1, sizeof(*ties.items));
    poll->ties.count = poll->ties.items ? ties.count : 0;
    if (poll->ties.items)
        memcpy(poll->ties.items, ties.items, ties.count * sizeof(*ties.items));
    ties_done(&ties);
    if (poll->ties.items)
        read_events_of(poll);
    else
        call_fail(call, ERR_DATABASE_BUSY, NULL);
}

static void ask_ties(struct poll *poll, struct slice user)
{
    query_start(poll->call, poll->has_waited ? QUERY_AT_ONCE : QUERY_FRESH, ties_statement(), &user, 1,
                on_ties, poll);
}

static void ask_right(struct poll *poll, struct slice user, unsigned conditions)
{
    struct call *call = poll->call;
    char may[16], *users = arena_alloc(&call->arena, UUID_TEXT_LEN + 3);
    if (!users) {
        call_fail(call, ERR_HEADERS_TOO_LARGE, NULL);
        return;
    }
    int users_len = snprintf(users, UUID_TEXT_LEN + 3, "{%.*s}", (int)user.len, user.data);
    int may_len = snprintf(may, sizeof(may), "{%u}", conditions);
    const struct slice params[] = {{users, (size_t)users_len},
                                   poll->projects,
                                   arena_copy(&call->arena, (struct slice){may, (size_t)may_len})};
    query_start(call, poll->has_waited ? QUERY_AT_ONCE : QUERY_FRESH, hub_right_statement(), params,
                ARRAY_LEN(params), on_right, poll);
}

/* What depends on the user is asked for before each page, also of those that were waited for. */
static void read_page(struct poll *poll)
{
    struct call *call = poll->call;
    enum msg_role role = call->identity.role_row;
    bool is_company = poll->request.kind == CHANNEL_COMPANY;
    unsigned conditions = audience_conditions(role);
    struct slice user = query_user(call);
    if (is_company ? !audience_reads(role) : conditions == 0)
        call_fail(call, ERR_FORBIDDEN, NULL);
    else if (is_company ? !audience_needs_ties(role) : conditions & MSG_MAY_ANY)
        read_events_of(poll);
    else if (!user.data)
        call_fail(call, ERR_HEADERS_TOO_LARGE, NULL);
    else if (is_company)
        ask_ties(poll, user);
    else
        ask_right(poll, user, conditions);
}

static void read_events_of(struct poll *poll)
{
    char after[DB_NUMBER_SIZE], limit[DB_NUMBER_SIZE];
    const struct slice params[] = {db_number(poll->request.offset, after), db_number(poll->limit, limit),
                                   poll->projects};
    bool is_company = poll->request.kind == CHANNEL_COMPANY;
    query_start(poll->call, poll->has_waited ? QUERY_AT_ONCE : QUERY_FRESH,
                is_company ? &of_company : &of_projects, params, is_company ? 2 : 3, on_page, poll);
}

static bool parse_limit(struct call *call, int64_t *ret_limit)
{
    const struct config *config = call->gateway->config;
    struct slice text = call_query(call, "limit");
    if (!text.data) {
        *ret_limit = config->page_default;
        return true;
    }
    CLEANUP(json_cleanup) json_t *number = json_number_of(text);
    *ret_limit = json_integer_value(number);
    return *ret_limit >= 1 && *ret_limit <= config->page_max;
}

/* RFC 7240 4.3: how long the client wants to wait for a page that is empty now. */
static int64_t wanted_wait(struct call *call)
{
    struct prefer prefer = {0};
    char applied[32];
    for (size_t i = 0; i < call->header_count; i++)
        if (slice_equal_nocase(call->headers[i].name, SLICE("prefer")))
            prefer_parse(call->headers[i].value, &prefer);
    int64_t most_s = call->gateway->config->wait_max_ms / 1000;
    int64_t wait_s = prefer.wait_s < most_s ? prefer.wait_s : most_s;
    if (!prefer.has_wait || wait_s <= 0 || call->method == METHOD_HEAD)
        return 0;
    int len = snprintf(applied, sizeof(applied), "wait=%lld", (long long)wait_s);
    call_add_header(call, "Preference-Applied", (struct slice){applied, (size_t)len});
    return wait_s * 1000;
}

static struct slice list_of(struct call *call, const struct hub_request *request)
{
    CLEANUP(buf_done) struct buf list;
    buf_init(&list, PROJECT_LIST_MAX(request->project_count));
    project_list_format(request->projects, request->project_count, &list);
    return arena_copy(&call->arena, buf_slice(&list));
}

void event_page(struct call *call, const struct hub_request *request)
{
    struct poll *poll = arena_calloc(&call->arena, 1, sizeof(*poll));
    if (!poll) {
        call_fail(call, ERR_HEADERS_TOO_LARGE, NULL);
        return;
    }
    poll->subscriber.protocol = &poll_subscriber;
    poll->call = call;
    poll->request = *request;
    poll->projects = list_of(call, request);
    ev_timer_init(&poll->timer, on_time, 0., 0.);
    if (request->kind == CHANNEL_COMPANY && !uuid_equal(&request->id, &request->company)) {
        call_fail(call, ERR_FORBIDDEN, NULL);
    } else if (!parse_limit(call, &poll->limit)) {
        call_fail(call, ERR_BAD_REQUEST, "`limit` must be a number from 1 to the largest page size.");
    } else {
        poll->wait_ms = wanted_wait(call);
        read_page(poll);
    }
}
