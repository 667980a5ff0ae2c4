#include "gateway/hub/private.h"

const struct db_statement hub_events = {
    "hub.events", "SELECT seq, project, event_text(events)"
                  " FROM events WHERE company_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"};

struct publication publication_of_row(struct db_result *result, int row)
{
    struct publication publication = {.seq = db_int(result, row, 0)};
    publication.has_project = uuid_parse(db_text(result, row, 1), &publication.project);
    publication.body = event_text_on_one_line(db_share(result, row, 2));
    return publication;
}

/* The events of a channel of projects. The first row is no event: its seq shows that the company's event
 * after $2 is still kept, and its text is the last seq that this database has, for a replica may be behind
 * this process. */
static const struct db_statement events_of_projects = {
    "hub.events_of_projects",
    "WITH seen AS (SELECT least($3::bigint, seq) AS seq FROM company_sequence WHERE company_id = $1)"
    " SELECT seq, project, body FROM ("
    "(SELECT events.seq, NULL::uuid AS project, seen.seq::text AS body FROM events, seen"
    " WHERE company_id = $1 AND events.seq = $2::bigint + 1)"
    " UNION ALL "
    "(SELECT seq, project, event_text(events) FROM events"
    " WHERE company_id = $1 AND project = ANY ($5::uuid[])"
    " AND seq > $2::bigint AND seq <= (SELECT seq FROM seen) ORDER BY seq LIMIT $4)"
    ") AS missed ORDER BY seq, project NULLS FIRST"};

static const struct db_statement count_of_projects = {
    "hub.count_of_projects", "SELECT count(*) FROM (SELECT FROM events WHERE company_id = $1"
                             " AND project = ANY ($4::uuid[]) AND seq > $2 LIMIT $3) AS missed"};

enum err missed_read(struct channel *channel, int64_t after, int64_t up_to, int page, hub_on_answer *answer,
                     void *owner, struct hub_query **ret_query)
{
    struct tenant *tenant = channel->tenant;
    char numbers[3][DB_NUMBER_SIZE];
    struct slice company = slice_of(tenant->company);
    struct slice params[5] = {company, db_number(after, numbers[0]), db_number(up_to, numbers[1]),
                              db_number(page, numbers[2])};
    if (channel->kind == CHANNEL_COMPANY)
        return hub_query_send(tenant->hub, company, &hub_events, params, 4, answer, owner, ret_query);
    CLEANUP(buf_done) struct buf list;
    buf_init(&list, PROJECT_LIST_MAX(channel->project_count));
    project_list_format(channel->projects, channel->project_count, &list);
    params[4] = buf_slice(&list);
    return hub_query_send(tenant->hub, company, &events_of_projects, params, 5, answer, owner, ret_query);
}

bool missed_answer(const struct channel *channel, const struct db_result *result, int64_t after, int page,
                   struct missed *ret_missed)
{
    int rows = db_rows(result);
    if (rows == 0 || db_int(result, 0, 0) != after + 1)
        return false;
    int first = channel->kind == CHANNEL_COMPANY ? 0 : 1;
    bool all = first == 1 && rows - first < page;
    *ret_missed =
        (struct missed){first, rows - first, all ? db_int(result, 0, 2) : db_int(result, rows - 1, 0)};
    return ret_missed->last > after;
}

enum err missed_count(struct channel *channel, int64_t after, int64_t limit, hub_on_answer *answer,
                      void *owner, struct hub_query **ret_query)
{
    struct tenant *tenant = channel->tenant;
    char numbers[2][DB_NUMBER_SIZE];
    CLEANUP(buf_done) struct buf list;
    buf_init(&list, PROJECT_LIST_MAX(channel->project_count));
    project_list_format(channel->projects, channel->project_count, &list);
    struct slice company = slice_of(tenant->company);
    struct slice params[] = {company, db_number(after, numbers[0]), db_number(limit, numbers[1]),
                             buf_slice(&list)};
    return hub_query_send(tenant->hub, company, &count_of_projects, params, ARRAY_LEN(params), answer, owner,
                          ret_query);
}
