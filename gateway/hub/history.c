#include "gateway/hub/private.h"

/* The past events of a channel, from memory when all of them are there, else from the database.
 *
 *     since                    last
 *   ───┊─────────────────────────┊────▶ seq
 *      └─▶ the next `limit`      │      forward
 *   ◀──┘ or ◀────────────────────┘      reverse: the `limit` before since, or the latest
 */

/* $5: the projects, on a channel of projects. */
#define OF_COMPANY \
    "SELECT seq, project, event_text(events) FROM events WHERE company_id = $1 AND seq > $2 AND seq <= $3"
#define OF_PROJECTS OF_COMPANY " AND project = ANY ($5::uuid[])"
#define FORWARD     " ORDER BY seq LIMIT $4"
#define REVERSE     " ORDER BY seq DESC LIMIT $4"

static const struct db_statement statements[2][2] = {
    {{"hub.history", OF_COMPANY FORWARD}, {"hub.history_reverse", OF_COMPANY REVERSE}},
    {{"hub.history_of_projects", OF_PROJECTS FORWARD},
     {"hub.history_of_projects_reverse", OF_PROJECTS REVERSE}},
};

/* The events in (after, up_to], oldest or newest first. */
struct range {
    int64_t after, up_to;
    size_t limit;
    bool reverse;
};

static size_t bytes_max(const struct hub *hub)
{
    return (size_t)hub->gateway->config->max_output_bytes / 4;
}

static void fail(struct hub_history *history, enum err err)
{
    view_unref(TAKE(history->view));
    history->on_answer(history, err);
}

/* Answers with as many events as fit into bytes_max, and with one at least. */
static void answer(struct hub_history *history, const struct publication *const *publications, size_t count)
{
    const struct viewer viewer = {.role = history->role,
                                  .of = history->is_of_company ? AUDIENCE_OF_COMPANY : AUDIENCE_OF_PROJECTS,
                                  .ties = history->view ? &history->view->ties : NULL,
                                  .user = &history->user};
    CLEANUP(audience_done) struct audience seen;
    audience_init(&seen, &viewer, publications, count);
    size_t fit = 0, bytes = 0;
    publications = seen.publications;
    count = seen.count;
    while (fit < count && (fit == 0 || bytes + publications[fit]->body->slice.len <= history->bytes_max))
        bytes += publications[fit++]->body->slice.len;
    history->publications = publications;
    history->count = fit;
    struct view *view = TAKE(history->view);
    history->on_answer(history, ERR_OK); /* which may free it */
    view_unref(view);
}

/* What the user sees may be about to change. Then the answer comes from the database, by when that is known. */
static bool is_held(const struct hub_history *history)
{
    return history->view && !view_is_ready(history->view);
}

static bool from_memory(struct hub_history *history, const struct channel *channel, const struct range *range)
{
    struct stream *stream = &channel->tenant->stream;
    const struct publication *found[HUB_HISTORY_MAX];
    size_t count = 0;
    int64_t step = range->reverse ? -1 : 1;
    int64_t seq = range->reverse ? range->up_to : range->after + 1;
    for (; seq > range->after && seq <= range->up_to && count < range->limit; seq += step) {
        const struct publication *publication = stream_recent(stream, seq);
        if (!publication)
            return false;
        if (channel_has(channel, publication))
            found[count++] = publication;
    }
    answer(history, found, count);
    return true;
}

/* The events after `after` are no longer kept. The first row shows it, on a company's channel. */
static bool has_gap(const struct hub_history *history, struct db_result *result)
{
    return history->next_seq > 0 && (db_rows(result) == 0 || db_int(result, 0, 0) != history->next_seq);
}

static void on_rows(void *owner, struct db_result *result)
{
    struct hub_history *history = owner;
    enum err err = db_result_error(result);
    if (err == ERR_OK && has_gap(history, result))
        err = ERR_CONFLICT;
    if (err == ERR_OK && is_held(history))
        err = ERR_DATABASE_BUSY;
    if (err != ERR_OK) {
        fail(history, err);
        return;
    }
    struct publication read[HUB_HISTORY_MAX];
    const struct publication *found[HUB_HISTORY_MAX];
    int rows = db_rows(result) < HUB_HISTORY_MAX ? db_rows(result) : HUB_HISTORY_MAX;
    for (int row = 0; row < rows; row++) {
        read[row] = publication_of_row(result, row);
        found[row] = &read[row];
    }
    answer(history, found, (size_t)rows);
    for (int row = 0; row < rows; row++)
        bytes_unref(read[row].body);
}

static enum err from_database(struct hub_history *history, const struct channel *channel,
                              const struct range *range)
{
    char after[DB_NUMBER_SIZE], up_to[DB_NUMBER_SIZE], limit[DB_NUMBER_SIZE];
    struct tenant *tenant = channel->tenant;
    bool of_projects = channel->project_count > 0;
    CLEANUP(buf_done) struct buf list;
    buf_init(&list, PROJECT_LIST_MAX(channel->project_count));
    if (of_projects)
        project_list_format(channel->projects, channel->project_count, &list);
    struct slice company = slice_of(tenant->company);
    struct slice params[] = {company, db_number(range->after, after), db_number(range->up_to, up_to),
                             db_number((int64_t)range->limit, limit), buf_slice(&list)};
    return hub_query_send(tenant->hub, company, &statements[of_projects][range->reverse], params,
                          of_projects ? 5 : 4, on_rows, history, &history->query);
}

static size_t limit_of(const struct hub *hub, const struct hub_history_request *request)
{
    int64_t max = hub->gateway->config->ws_history_max;
    return (size_t)(request->limit < 0 || request->limit > max ? max : request->limit);
}

/* ERR_CONFLICT: the position is of another stream. */
static enum err range_of(const struct tenant *tenant, const struct hub_history_request *request,
                         struct range *ret_range)
{
    struct range range = {
        .up_to = tenant->stream.last, .limit = limit_of(tenant->hub, request), .reverse = request->reverse};
    if (request->has_since && request->epoch.len > 0 && !slice_is(request->epoch, tenant->epoch))
        return ERR_CONFLICT;
    if (request->has_since && !request->reverse)
        range.after = request->offset;
    if (request->has_since && request->reverse && request->offset <= range.up_to)
        range.up_to = request->offset - 1;
    *ret_range = range;
    return ERR_OK;
}

void hub_history(struct subscriber *subscriber, const struct hub_history_request *request,
                 struct hub_history *history)
{
    struct channel *channel = subscriber->channel;
    struct tenant *tenant = channel->tenant;
    struct range range;
    memcpy(history->epoch, tenant->epoch, sizeof(history->epoch));
    history->last = tenant->stream.last;
    history->bytes_max = bytes_max(tenant->hub);
    history->role = subscriber->role;
    history->user = subscriber->user;
    history->is_of_company = channel->kind == CHANNEL_COMPANY;
    history->view = view_ref(subscriber->view);
    enum err err = range_of(tenant, request, &range);
    if (err) {
        fail(history, err);
        return;
    }
    if (range.limit == 0 || range.after >= range.up_to) {
        answer(history, NULL, 0);
        return;
    }
    if (!is_held(history) && from_memory(history, channel, &range))
        return;
    if (channel->kind == CHANNEL_COMPANY && request->has_since && !request->reverse)
        history->next_seq = range.after + 1;
    err = from_database(history, channel, &range);
    if (err)
        fail(history, err);
}

void hub_history_forget(struct hub_history *history)
{
    hub_query_forget(&history->query);
    view_unref(TAKE(history->view));
}
